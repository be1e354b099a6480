"""One owner a workspace: races to become it, its sudden death, forked children."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import handrail
from handrail.app import LocalTransport, Paths, open_workspace, owner_of
from handrail.client import Client
from handrail.model.commands import SetStop
from handrail.model.outcome import Outcome
from handrail.server.local import serve
from handrail.settings import Settings
from tests.workspace import make_workspace, program, vote

RACER = """
    import sys, handrail
    sys.stdin.readline()
    with handrail.open(sys.argv[1], name="racer") as hr:
        for n in range(5):
            ruling = hr.submit(
                "refund", key=f"{sys.argv[2]}-{n}", facts={"order": "1"}, proposal={"amount": 5}
            )
            with hr.run(hr.wait(ruling)) as run:
                assert run
        owns = hr._transport.workspace is not None
        print("owner" if owns else "client", flush=True)
        sys.stdin.readline()
"""


def owns(hr: Client) -> bool:
    assert isinstance(hr._transport, LocalTransport)
    return hr._transport.workspace is not None


def test_eight_processes_open_at_once(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "work")
    racers = [program(RACER, str(folder), str(n)) for n in range(8)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    roles = []
    for racer in racers:
        assert racer.stdout is not None
        roles.append(racer.stdout.readline().strip())
    owner = owner_of(folder)
    assert sorted(roles) == ["client"] * 7 + ["owner"]
    assert owner is not None and owner.pid == racers[roles.index("owner")].pid
    for racer in racers:
        _, errors = racer.communicate("\n")
        assert racer.returncode == 0, errors
        assert "Traceback" not in errors
    with handrail.open(folder) as hr:
        views = hr.decisions(limit=1000)
    assert len(views) == 40
    assert {view.grant.state for view in views if view.grant} == {"done"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_an_owner_killed_is_followed(tmp_path: Path) -> None:
    """The waiter is a client; its owner dies; it becomes the owner and is told all the same."""
    folder = make_workspace(tmp_path / "work")
    owner = program(RACER, str(folder), "owner")
    assert owner.stdin is not None and owner.stdout is not None
    owner.stdin.write("\n")
    owner.stdin.flush()
    assert owner.stdout.readline() == "owner\n"
    waiter = program(
        """
        import sys, handrail
        with handrail.open(sys.argv[1], name="waiter") as hr:
            ruling = hr.submit("refund", key="w", facts={"order": "2"}, proposal={"amount": 150})
            print(ruling.decision_id, hr._transport.workspace is not None, flush=True)
            outcome = hr.wait(ruling, timeout=120)
            with hr.run(outcome) as run:
                print(outcome.verdict, bool(run), flush=True)
            sys.stdin.readline()
        """,
        str(folder),
    )
    assert waiter.stdout is not None
    decision_id, waiter_owns = waiter.stdout.readline().split()
    assert waiter_owns == "False"
    with handrail.open(folder, name="decider") as hr:
        assert not owns(hr)
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        views = {view.ruling.decision_id: view for view in hr.decisions()}
        assert len(views) == 6, "what was acknowledged is there"
        vote(hr, views[decision_id].ruling, "approve")
        assert waiter.stdout.readline() == "approved True\n"
        _, errors = waiter.communicate("\n")
        assert waiter.returncode == 0, errors
        assert hr.decisions(key="w")[0].grant is not None
    owner.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_long_wait_outlives_its_owner(tmp_path: Path) -> None:
    """The owner dies when the wait has lasted longer than a client looks for an owner."""
    folder = make_workspace(tmp_path / "work")
    owner = program(RACER, str(folder), "owner")
    assert owner.stdin is not None and owner.stdout is not None
    owner.stdin.write("\n")
    owner.stdin.flush()
    assert owner.stdout.readline() == "owner\n"
    with open_workspace(folder, serve=serve, settings=Settings(start_seconds=0.5)) as hr:
        ruling = hr.submit("refund", facts={"order": "2"}, proposal={"amount": 150}, key="w")
        assert not owns(hr)
        found: list[Outcome[Any]] = []
        waiter = threading.Thread(target=lambda: found.append(hr.wait(ruling, timeout=60)))
        waiter.start()
        time.sleep(1.0)
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        vote(hr, ruling, "approve")
        waiter.join(60)
        assert found and found[0].allowed
    owner.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_clean_end_hands_over_too(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "work")
    first = handrail.open(folder, name="first")
    second = handrail.open(folder, name="second")
    assert owns(first) and not owns(second)
    second.submit("refund", facts={"order": "1"}, proposal={"amount": 5}, key="a")
    first.close()
    assert owner_of(folder) is None
    assert not Paths(folder).socket().exists()
    # Not safe to repeat, but certainly not sent: the new owner takes it.
    second.call(SetStop(reason="a test"))
    assert owns(second)
    assert len(second.decisions()) == 1
    second.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_a_client_of_its_parent(tmp_path: Path) -> None:
    """… and when the parent is gone without a word, neither lock nor socket lives on in it."""
    folder = make_workspace(tmp_path / "work")
    parent = program(
        """
        import os, sys, handrail
        hr = handrail.open(sys.argv[1], name="parent")
        hr.submit("refund", key="p", facts={"order": "1"}, proposal={"amount": 5})
        hr.decisions()
        read, write = os.pipe()
        if os.fork() == 0:
            os.close(write)
            ruling = hr.submit("refund", key="c", facts={"order": "2"}, proposal={"amount": 5})
            print("child", ruling.lane, hr._transport.workspace is None, flush=True)
            os.read(read, 1)
            print("orphan", len(hr.decisions()), hr._transport.workspace is not None, flush=True)
            hr.close()
            os._exit(0)
        sys.stdin.readline()
        os._exit(1)
        """,
        str(folder),
    )
    assert parent.stdin is not None and parent.stdout is not None
    assert parent.stdout.readline() == "child pass True\n"
    with handrail.open(folder) as hr:
        assert not owns(hr)
        assert len(hr.decisions()) == 2
    parent.stdin.write("\n")
    parent.stdin.flush()
    parent.wait()
    assert parent.stdout.readline() == "orphan 2 True\n"
    parent.communicate()
    with handrail.open(folder) as hr:
        assert owns(hr)
        assert len(hr.decisions()) == 2
