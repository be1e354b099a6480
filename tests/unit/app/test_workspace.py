"""The owned workspace: its files, its log, a roll-back."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import apsw
import pytest

from handrail.app import LOCAL, Paths, Workspace, open_workspace
from handrail.app.lock import OwnerLock, read_owner
from handrail.app.workspace import MAX_SOCKET_PATH
from handrail.audit.checkpoint import open_checkpoint
from handrail.audit.proof import verify_proof
from handrail.errors import BadInput, HandrailError, Refused, Unavailable
from handrail.flow import accept_restore
from handrail.model.commands import (
    CastVote,
    GetReview,
    ListDecisions,
    ListEntries,
    Preview,
    ProveEntry,
    Submit,
)
from handrail.model.people import Actor
from handrail.settings import Settings
from handrail.store.sqlite import backup
from tests.workspace import make_workspace


def submit(workspace: Workspace, order: str) -> None:
    workspace.service.call(
        Submit(workflow="refund", facts={"order": order}, proposal={"amount": 5}), LOCAL
    )


def test_secrets_are_the_owners_only(workspace: Workspace) -> None:
    paths = workspace.paths
    for file in (paths.signer, paths.secret, paths.lock):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in {paths.signer.parent, paths.store.parent, paths.lock.parent, paths.anchor.parent}:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_keys_are_made_once(folder: Path) -> None:
    paths = Paths(folder)
    kept = []
    for _ in range(2):
        with open_workspace(folder):
            kept.append((paths.signer.read_bytes(), paths.secret.read_bytes()))
    assert kept[0] == kept[1]
    paths.secret.write_bytes(b"short")
    with pytest.raises(Unavailable, match="expected 32"):
        open_workspace(folder)
    paths.signer.write_text("PRIVATE+KEY+no")
    with pytest.raises(Unavailable, match="restore it from a backup"):
        open_workspace(folder)
    # Nothing keeps a workspace that could not be opened.
    lock = OwnerLock.take(paths.lock)
    assert lock is not None
    lock.release()


def test_the_log_is_anchored_at_the_end(folder: Path) -> None:
    workspace = Workspace.own(folder)
    assert workspace is not None
    with workspace:
        submit(workspace, "1")
        size = workspace.store.read(lambda tx: tx.audit.size())
        root = workspace.store.read(lambda tx: tx.audit.root())
    last = workspace.anchor.last()
    assert last is not None
    found = open_checkpoint(last.text.encode(), [workspace.signer.key.verifier])
    assert (found.size, found.root) == (size, root)


def test_a_database_put_back_is_recognised(folder: Path, tmp_path: Path) -> None:
    store = Paths(folder).store
    with open_workspace(folder):
        pass
    shutil.copy(store, tmp_path / "old.db")
    workspace = Workspace.own(folder)
    assert workspace is not None
    with workspace:
        submit(workspace, "1")
    shutil.copy(tmp_path / "old.db", store)
    workspace = Workspace.own(folder)
    assert workspace is not None
    with workspace:
        with pytest.raises(Refused, match="audit accept-restore"):
            submit(workspace, "2")
        call = workspace.service.call
        assert call(ListDecisions(), LOCAL) == []
        facts = {"facts": {"order": "1"}, "proposal": {"amount": 5}}
        assert call(Preview(workflow="refund", **facts), LOCAL).passed
        accept_restore(workspace.ports, workspace.signer, workspace.anchor, "a test", LOCAL)
    with open_workspace(folder) as hr:
        assert hr.submit("refund", facts={"order": "3"}, proposal={"amount": 5}).passed


def test_the_folders_of_a_new_workspace_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("handrail.app.workspace.sync_folder", synced.append)
    folder = tmp_path / "new" / "work"
    Paths(folder).make()
    assert synced[:3] == [tmp_path, tmp_path / "new", folder], "each as it was made, the top first"
    assert synced[3:] == [folder] * 4
    Paths(folder).make()
    assert len(synced) == 7, "what is there is left alone"


def test_another_log_of_the_same_length_is_recognised(folder: Path, tmp_path: Path) -> None:
    paths = Paths(folder)
    with open_workspace(folder):
        pass
    shutil.copy(paths.store, tmp_path / "old.db")
    for order in ("1", "2"):
        # Two histories that go on from the same state; the second is put under the first's anchor.
        kept = paths.anchor.read_bytes()
        shutil.copy(tmp_path / "old.db", paths.store)
        with open_workspace(folder) as hr:
            hr.submit("refund", facts={"order": order}, proposal={"amount": 5}, key="k")
        if order == "1":
            first = paths.anchor.read_bytes()
            paths.anchor.write_bytes(kept)
    paths.anchor.write_bytes(first)
    with open_workspace(folder) as hr:
        with pytest.raises(Refused, match="are not those anchored at 20"):
            hr.submit("refund", facts={"order": "3"}, proposal={"amount": 5})
        assert len(hr.decisions()) == 1
    assert paths.anchor.read_bytes() == first, "nothing was anchored on top"


def test_while_the_log_is_doubtful_no_deadline_happens(folder: Path, tmp_path: Path) -> None:
    paths = Paths(folder)
    with open_workspace(folder) as hr:
        hr.submit(
            "refund", facts={"order": "1"}, proposal={"amount": 150}, expires_at="2100-01-01T00:00Z"
        )
    shutil.copy(paths.store, tmp_path / "old.db")
    with open_workspace(folder) as hr:
        hr.submit("refund", facts={"order": "2"}, proposal={"amount": 5})
    shutil.copy(tmp_path / "old.db", paths.store)
    far = 8_000_000_000_000_000  # beyond every deadline
    workspace = Workspace.own(folder, clock=lambda: far)
    assert workspace is not None
    with workspace:
        before = workspace.store.read(lambda tx: tx.audit.size())
    workspace = Workspace.own(folder, clock=lambda: far)
    assert workspace is not None
    with workspace:
        assert workspace.store.read(lambda tx: tx.audit.size()) == before


def test_a_path_too_long_for_a_socket_gets_a_short_twin(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    paths = Paths(make_workspace(deep))
    paths.make()
    socket = paths.socket()
    try:
        assert len(os.fsencode(socket)) <= MAX_SOCKET_PATH
        assert socket == Paths(deep).socket()
        os.chmod(socket.parent, 0o755)
        with pytest.raises(Unavailable, match="open to others"):
            paths.socket()
    finally:
        socket.parent.rmdir()
    assert Paths(tmp_path).socket().parent == Paths(tmp_path).lock.parent


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="choose a folder"):
        open_workspace(tmp_path / "file" / "w")


def test_without_a_socket_nobody_joins(folder: Path) -> None:
    with open_workspace(folder):
        with pytest.raises(Unavailable, match=f"process {os.getpid()} owns"):
            open_workspace(folder, settings=Settings(start_seconds=0.1))
        owner = read_owner(Paths(folder).lock)
        assert owner is not None and owner.pid == os.getpid() and owner.socket is None
    assert read_owner(Paths(folder).lock) is None
    with open_workspace(folder):
        pass


def test_connect_needs_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    import handrail

    monkeypatch.delenv("HANDRAIL_URL", raising=False)
    with pytest.raises(BadInput, match="HANDRAIL_URL"):
        handrail.connect()
    for wrong in ("localhost:8000", "ftp://x", "http://", "http://[::"):
        with pytest.raises(BadInput, match="is not an address"):
            handrail.connect(wrong)
    for token in ("é", "a\nb"):
        with pytest.raises(BadInput, match="is not plain text"):
            handrail.connect("https://handrail.example", token)


@pytest.mark.ledger("R-032")
def test_the_step_of_a_person_is_named_in_the_log_and_signed(folder: Path) -> None:
    workspace = Workspace.own(folder)
    assert workspace is not None
    ann = Actor(name="ann@example.com", program=False)
    with workspace:
        call = workspace.service.call
        facts = {"facts": {"order": "1"}, "proposal": {"amount": 500}}
        ruling = call(Submit(workflow="refund", **facts), LOCAL)
        digest = call(GetReview(review_id=ruling.review_id), ann).digest
        call(CastVote(review_id=ruling.review_id, said="approve", card=digest), ann)
        workspace.scheduler.checkpoint()
        entries = [json.loads(text) for text in call(ListEntries(), LOCAL).entries]
        [index] = [at for at, entry in enumerate(entries) if entry["type"] == "vote.cast"]
        person = workspace.store.read(lambda tx: tx.people.get(entries[index]["actor"]))
        assert person is not None and person.handle == "ann@example.com"
        assert entries[index]["review"] == ruling.review_id
        proof = call(ProveEntry(index=index), LOCAL)
        keys = [workspace.signer.key.verifier]
        assert verify_proof(proof.proof.encode(), proof.entry.encode(), keys).size > index
        other = proof.entry.replace(person.id, person.id[:-1] + "0").encode()
        with pytest.raises(HandrailError):
            verify_proof(proof.proof.encode(), other, keys)


def test_a_folder_that_cannot_be_written_is_told_as_such(folder: Path) -> None:
    lock = Paths(folder).lock
    Paths(folder).make()
    lock.mkdir()  # whoever runs this, nobody can open that for writing
    with pytest.raises(
        Unavailable, match="owner.lock cannot be written: .*; who opens a workspace"
    ):
        open_workspace(folder)


def test_a_copy_that_finds_the_disk_full_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, *given: object, **more: object) -> None:
            pass

        def backup(self, *given: object) -> None:
            raise apsw.FullError("not an error")  # SQLite's words for a step of its backup

        def close(self) -> None:
            pass

    monkeypatch.setattr(backup, "connect", lambda *given, **more: Full())
    monkeypatch.setattr(backup.apsw, "Connection", Full)
    with pytest.raises(Unavailable, match="the disk is full; name a place with room"):
        backup.copy_database("here", str(tmp_path / "there"))
