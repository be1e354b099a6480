"""Backup beside a writing owner, restore as a roll-back that people accept."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

import handrail
from handrail.app.backups import make_backup, read_backup, restore_backup
from handrail.app.reading import read_store
from handrail.cli.commands import run
from handrail.errors import BadInput, Conflict, NotFound, Refused
from handrail.settings import Settings
from tests.workspace import make_workspace


def submit(hr: Any, number: int) -> None:
    hr.submit("refund", key=str(number), facts={"order": str(number)}, proposal={"amount": 5})


def test_a_backup_under_load_is_one_consistent_state(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "work")
    stop = threading.Event()
    with handrail.open(folder) as hr:
        submit(hr, 0)
        done = [0]

        def go_on() -> None:
            while not stop.is_set():
                done[0] += 1
                submit(hr, done[0])

        writer = threading.Thread(target=go_on)
        writer.start()
        while done[0] < 20:
            pass
        made = make_backup(folder, tmp_path / "backup", tmp_path / "keys", Settings())
        stop.set()
        writer.join()
        submit(hr, -1)
    back = tmp_path / "back"
    restored = restore_backup(back, tmp_path / "backup", tmp_path / "keys", Settings())
    assert not restored.rolled_back and restored.keys
    with read_store(back) as reading:
        assert reading.integrity() == []
        assert reading.differences() == [], "the tables say what the log says"
        assert reading.read(lambda tx: tx.audit.size()) == made.entries
        assert reading.read(lambda tx: tx.audit.root()).hex() == made.root
    with handrail.open(back) as hr:
        before = len(hr.decisions(limit=1000))
        assert 20 <= before <= done[0] + 1
        submit(hr, -2)
        assert len(hr.decisions(limit=1000)) == before + 1


def test_keys_are_kept_apart_and_to_their_owner(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "work")
    with handrail.open(folder) as hr:
        submit(hr, 1)
    make_backup(folder, tmp_path / "backup", tmp_path / "keys", Settings())
    secrets = [file.read_bytes() for file in (folder / "keys").iterdir()]
    assert secrets
    for file in (tmp_path / "backup").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not any(secret.strip() in content for secret in secrets), file
    for file in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700
    with pytest.raises(BadInput, match="inside the backup"):
        make_backup(folder, tmp_path / "b", tmp_path / "b" / "keys", Settings())
    with pytest.raises(Conflict, match="not empty"):
        make_backup(folder, tmp_path / "backup", None, Settings())
    with pytest.raises(BadInput, match="no keys"):
        restore_backup(tmp_path / "back", tmp_path / "backup", None, Settings())


@pytest.mark.ledger("A-110")
def test_a_restore_is_recognised_as_going_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_workspace(tmp_path / "work")
    with handrail.open(folder) as hr:
        submit(hr, 1)
    assert run(["-w", str(folder), "backup", str(tmp_path / "backup"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["backup"]["entries"] > 0
    with handrail.open(folder) as hr:
        submit(hr, 2)
    assert run(["-w", str(folder), "restore", str(tmp_path / "backup")]) == 3
    assert "--force" in capsys.readouterr().err
    assert run(["-w", str(folder), "restore", str(tmp_path / "backup"), "--force", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["rolled_back"] is True
    assert (Path(said["restored"]["set_aside"]) / "handrail.db").is_file()
    with handrail.open(folder) as hr:
        assert len(hr.decisions()) == 1
        with pytest.raises(Refused, match="put back to an older state"):
            submit(hr, 3)
    assert run(["-w", str(folder), "--as", "ann", "audit", "accept-restore", "--reason", "x"]) == 0
    with handrail.open(folder) as hr:
        submit(hr, 3)
        assert len(hr.decisions()) == 2


def test_a_backup_that_was_changed_is_refused(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "work")
    with handrail.open(folder) as hr:
        submit(hr, 1)
        make_backup(folder, tmp_path / "backup", tmp_path / "keys", Settings())
        with pytest.raises(Conflict, match="owns"):
            restore_backup(folder, tmp_path / "backup", None, Settings(), force=True)
    database = tmp_path / "backup" / "store" / "handrail.db"
    content = bytearray(database.read_bytes())
    content[-100] ^= 1
    database.write_bytes(content)
    with pytest.raises(BadInput, match="another digest"):
        read_backup(tmp_path / "backup")
    with pytest.raises(BadInput, match="no backup"):
        read_backup(tmp_path)
    with pytest.raises(NotFound, match="nothing to back up"):
        make_backup(make_workspace(tmp_path / "new"), tmp_path / "b", None, Settings())


def test_a_backup_of_another_workspace_is_refused(tmp_path: Path) -> None:
    one, two = make_workspace(tmp_path / "one"), make_workspace(tmp_path / "two")
    for folder in (one, two):
        with handrail.open(folder) as hr:
            submit(hr, 1)
    make_backup(one, tmp_path / "backup", None, Settings())
    with pytest.raises(Conflict, match="the keys here are of"):
        restore_backup(two, tmp_path / "backup", None, Settings(), force=True)
    assert not [name for name in os.listdir(two / "store") if name.startswith("before")]
