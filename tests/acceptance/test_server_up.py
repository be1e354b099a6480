"""`handrail up` as a process: the first admin's link, SIGTERM while people wait, both stores."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

import handrail
from handrail.app import LOCAL, owner_of
from handrail.cli.commands import run
from handrail.errors import Conflict, Unavailable
from handrail.model.commands import MakeToken
from tests import postgres
from tests.server import PASSWORD, TOKEN_FIELD
from tests.workspace import make_workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
PROGRAM = [sys.executable, "-c", "from handrail.cli import main; main()"]


class Up:
    """A running `handrail up`."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        self.said: dict[str, Any] = json.loads(line)
        self.url: str = self.said["url"]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=300)
        return self.process.returncode, errors


@contextmanager
def up(folder: Path, *arguments: str, **environ: str) -> Iterator[Up]:
    process = subprocess.Popen(
        [*PROGRAM, "-w", str(folder), "--json", "up", "--port", "0", *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environ},
    )
    try:
        yield Up(folder, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def token(folder: Path, *scopes: str) -> str:
    """A token made by the command line, through the owner's local socket."""
    with handrail.open(folder) as hr:
        assert hr._transport.workspace is None  # type: ignore[attr-defined]
        made = hr.call(MakeToken(name="prog", scopes=scopes, workflows=("*",)), LOCAL)
        secret: str = made.secret
        return secret


def test_the_first_start_prints_a_link_that_makes_the_first_admin(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "work")
    with up(folder) as first:
        link = first.said["first_admin"]
        assert link.startswith(f"{first.url}/invitation?secret=hri_")
        with httpx.Client() as browser:
            page = browser.get(link)
            found = TOKEN_FIELD.search(page.text)
            assert found
            form = {
                "csrf_token": found[1],
                "secret": link.partition("secret=")[2],
                "handle": "ann@example.com",
                "password": PASSWORD,
                "again": PASSWORD,
            }
            assert browser.post(f"{first.url}/invitation", data=form).status_code == 303
            assert browser.get(f"{first.url}/api/v1/session").json()["name"] == "ann@example.com"
        code, errors = first.end()
        assert code == 0
        assert "hri_" not in errors, "the log has no secret of the link"
    with up(folder) as second:
        assert second.said["first_admin"] is None
        assert second.end()[0] == 0


def test_an_old_link_ends_with_the_next_start(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "work")
    links = []
    for _ in range(2):
        with up(folder) as one:
            links.append(one.said["first_admin"].partition("?")[2])
            if len(links) == 2:
                assert httpx.get(f"{one.url}/invitation?{links[0]}").status_code == 404
                assert httpx.get(f"{one.url}/invitation?{links[1]}").status_code == 200
            one.end()


def test_nobody_but_this_machine_until_somebody_can_sign_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_workspace(tmp_path / "work")
    assert run(["-w", str(folder), "up", "--host", "0.0.0.0", "--port", "0"]) == 3
    assert "first admin" in capsys.readouterr().err
    assert owner_of(folder) is None


def test_a_second_up_is_told_who_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_workspace(tmp_path / "work")
    with up(folder) as first:
        assert run(["-w", str(folder), "up", "--port", "0"]) == 3
        assert f"process {first.process.pid} owns" in capsys.readouterr().err
        assert first.end(signal.SIGINT)[0] == 0


def test_sigterm_answers_who_waits_and_loses_nothing(tmp_path: Path) -> None:
    """Writers go on until the end: what they were told is stored is stored."""
    folder = make_workspace(tmp_path / "work")
    with up(folder) as one:
        secret = token(folder, "decisions:submit")
        acknowledged: list[str] = []
        http = httpx.Client(
            base_url=f"{one.url}/api/v1", headers={"authorization": f"Bearer {secret}"}, timeout=60
        )
        body = {"workflow": "refund", "facts": {"order": "1"}, "proposal": {"amount": 500}}
        held = http.post("/decisions", json=body).json()["decision_id"]

        def write() -> None:
            small = {**body, "proposal": {"amount": 5}}
            try:
                while True:
                    answer = http.post("/decisions", json=small)
                    if answer.status_code == 200:
                        acknowledged.append(answer.json()["decision_id"])
            except httpx.TransportError:
                return

        # Sent before anything else is: whoever is acknowledged later finds it waiting.
        waiting = HTTPConnection(urlsplit(one.url).netloc, timeout=300)
        began = time.monotonic()
        headers = {"authorization": f"Bearer {secret}"}
        waiting.request("GET", f"/api/v1/decisions/{held}/outcome?wait=50", headers=headers)
        threads = [threading.Thread(target=write) for _ in range(2)]
        for thread in threads:
            thread.start()
        while len(acknowledged) < 20:
            time.sleep(0.01)
        code, errors = one.end()
        ended = time.monotonic()
        for thread in threads:
            thread.join(120)
        assert code == 0, errors
        assert "Traceback" not in errors
        answer = waiting.getresponse()
        assert answer.status == 200, "who waited is answered, and not by a broken connection"
        assert json.loads(answer.read()) is None
        assert ended - began < 50, "and before the wait was over"
    with handrail.open(folder) as hr:
        stored = {view.decision["id"] for view in hr.decisions(limit=1000)}
    assert set(acknowledged) <= stored


def test_every_line_of_its_log_is_json(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "work")
    with up(folder) as one:
        httpx.get(f"{one.url}/healthz%0d%0aforged")
        _, errors = one.end()
    lines = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    assert any(line.get("path", "").startswith("/healthz") for line in lines)
    assert not re.search(r"^forged", errors, re.MULTILINE)


@pytest.mark.needs("postgres")
def test_a_teams_store_is_the_same_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_workspace(tmp_path / "work")
    with postgres.database(postgres.url()) as url, up(folder, "--db", url) as one:
        secret = token(folder, "decisions:submit", "decisions:read", "metrics:read")
        with handrail.connect(one.url, secret) as hr:
            ruling = hr.submit("refund", key="k", facts={"order": "1"}, proposal={"amount": 5})
            with hr.run(hr.wait(ruling, timeout=120)) as effect:
                assert effect
            assert [view.grant.state for view in hr.decisions() if view.grant] == ["done"]
        scraped = httpx.get(f"{one.url}/metrics", headers={"authorization": f"Bearer {secret}"})
        assert 'handrail_runs_total{state="done"} 1' in scraped.text
        assert one.end()[0] == 0
        assert not (folder / "store" / "handrail.db").exists()
        # Every later command finds the database, with nothing said about it.
        assert run(["-w", str(folder), "--json", "doctor"]) == 0
        found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
        assert found["store"]["ok"] and "postgresql://" in found["store"]["text"]
        with handrail.open(folder) as hr:
            assert len(hr.decisions()) == 1
        assert run(["-w", str(folder), "backup", str(tmp_path / "b")]) == 2
        assert "pg_dump" in capsys.readouterr().err
        other = make_workspace(tmp_path / "other")
        assert run(["-w", str(other), "up", "--db", url, "--port", "0"]) == 3
        assert "copy the folder keys/" in capsys.readouterr().err
    assert run(["-w", str(make_workspace(tmp_path / "w")), "up", "--db", "mysql://x/y"]) == 2


@pytest.mark.needs("postgres")
def test_the_first_start_with_a_database_moves_the_workspace_into_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_workspace(tmp_path / "work")
    with handrail.open(folder, name="prog") as hr:
        passed = hr.submit("refund", key="a", facts={"order": "1"}, proposal={"amount": 5})
        held = hr.submit("refund", key="b", facts={"order": "2"}, proposal={"amount": 500})
    file = folder / "store" / "handrail.db"
    log = tmp_path / "before"
    assert run(["-w", str(folder), "audit", "export", str(log)]) == 0

    # A database that cannot be had changes nothing, and only `up` moves.
    assert run(["-w", str(folder), "up", "--db", "postgresql://127.0.0.1:9/x", "--port", "0"]) == 4
    monkeypatch.setenv("HANDRAIL_DB", "postgresql://127.0.0.1:9/x")
    with pytest.raises(Conflict, match="`handrail up --db URL` moves it there"):
        handrail.open(folder)
    monkeypatch.delenv("HANDRAIL_DB")
    assert run(["-w", str(folder), "decisions", "list"]) == 0
    before = file.read_bytes()
    capsys.readouterr()

    with postgres.database(postgres.url()) as url:
        with up(folder, "--db", url) as one:
            secret = token(folder, "decisions:submit", "decisions:read")
            with handrail.connect(one.url, secret) as hr:
                again = hr.submit("refund", key="a", facts={"order": "1"}, proposal={"amount": 5})
                assert again.decision_id == passed.decision_id
                new = hr.submit("refund", key="c", facts={"order": "3"}, proposal={"amount": 5})
            code, errors = one.end()
            assert code == 0 and "moved the store to postgresql://" in errors
        assert file.read_bytes() == before
        # It is this workspace's store from now on, and the log goes on from the one of before.
        with up(folder) as one:
            assert "moved" not in one.end()[1]
        with handrail.open(folder) as hr:
            ids = {view.decision["id"] for view in hr.decisions()}
            assert ids == {passed.decision_id, held.decision_id, new.decision_id}
        anchor = str(log / "checkpoint")
        verify = ["-w", str(folder), "audit", "verify", "--against-state", "--anchor", anchor]
        assert run(verify) == 0
        # A start that died between the move and the note of it is made good by the next.
        (folder / "store" / "elsewhere").unlink()
        with up(folder, "--db", url) as one:
            assert one.end()[0] == 0
        with handrail.open(folder) as hr:
            assert len(hr.decisions()) == 3
        # What another workspace has is never mixed in.
        with handrail.open(other := make_workspace(tmp_path / "other")) as hr:
            hr.submit("refund", facts={"order": "1"}, proposal={"amount": 5})
        capsys.readouterr()
        assert run(["-w", str(other), "up", "--db", url, "--port", "0"]) == 3
        assert "only moved into an empty one" in capsys.readouterr().err


def test_connect_is_never_a_pass_when_the_server_is_away(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "work")
    with up(folder) as one:
        secret = token(folder, "decisions:submit")
        hr = handrail.connect(one.url, secret)
        ruling = hr.submit("refund", key="k", facts={"order": "1"}, proposal={"amount": 5})
        assert hr.submit("refund", key="k", facts={"order": "1"}, proposal={"amount": 5}) == ruling
        with pytest.raises(Conflict):
            hr.submit("refund", key="k", facts={"order": "1"}, proposal={"amount": 6})
        one.end()
        ran = []
        for attempt in (
            lambda: hr.submit("refund", facts={"order": "2"}, proposal={"amount": 5}, key="l"),
            lambda: hr.wait(ruling, timeout=1),
        ):
            with pytest.raises(Unavailable):
                attempt()

        @hr.guard("refund", key=lambda order, amount: order)
        def refund(order: str, amount: float) -> str:
            ran.append(order)
            return "done"

        with pytest.raises(Unavailable):
            refund("3", 5)
        assert ran == []
        hr.close()
