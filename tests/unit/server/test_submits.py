"""Submits that wait for their commit, over the network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from handrail.audit.entry import decode
from handrail.model.errors import Unavailable
from handrail.ports import Foreseen
from handrail.server import main
from tests.server import Net
from tests.server import net as serve_net

WAIT_SECONDS = 60
SMALL = {"workflow": "refund", "facts": {"order": "1"}, "proposal": {"amount": 5}}


def entries(net: Net, kind: str) -> list[dict[str, Any]]:
    store = net.workspace.store
    store.settle_log()
    found = store.read(lambda tx: [decode(raw) for raw in tx.audit.entries()])
    return [entry for entry in found if entry["type"] == kind]


def test_submits_that_wait_hold_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one thread for commands, and many commits that do not come: others are answered."""
    monkeypatch.setattr(main, "THREADS", 1)
    with serve_net(tmp_path / "work") as net:
        store = net.workspace.store
        begin, waiting = store.begin, threading.Semaphore(0)
        go_on = threading.Event()

        def slowly(use_case: Callable[[Any], Any]) -> Future[Any]:
            if not isinstance(use_case, Foreseen):
                return begin(use_case)
            future: Future[Any] = Future()

            def run() -> None:
                assert go_on.wait(WAIT_SECONDS)
                future.set_result(begin(use_case).result(WAIT_SECONDS))

            threading.Thread(target=run, daemon=True).start()
            waiting.release()
            return future

        monkeypatch.setattr(store, "begin", slowly)
        token = net.token("bot", "decisions:submit", "decisions:read")
        clients = [net.program(token) for _ in range(9)]
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(one.post, "/api/v1/decisions", json=SMALL) for one in clients[1:]]
            for _ in asked:
                assert waiting.acquire(timeout=WAIT_SECONDS)
            assert clients[0].get("/api/v1/decisions").json() == []
            go_on.set()
            answers = [future.result(WAIT_SECONDS) for future in asked]
        assert [answer.status_code for answer in answers] == [200] * 8
        assert len({answer.json()["decision_id"] for answer in answers}) == 8


def test_a_refused_submit_is_told_and_recorded(net: Net) -> None:
    allowed, denied = net.token("bot", "decisions:submit"), net.token("reader", "decisions:read")
    answer = net.program(denied).post("/api/v1/decisions", json=SMALL)
    assert answer.status_code == 403
    [entry] = entries(net, "access.refused")
    assert (entry["actor"], entry["command"]) == ("reader", "Submit")
    # Wrong before the transaction, and wrong in it.
    for wrong, status in (
        ({**SMALL, "occurred_at": "yesterday"}, 400),
        ({**SMALL, "facts": {"order": 7}}, 422),
        ({**SMALL, "workflow": "nothing"}, 404),
    ):
        answer = net.program(allowed).post("/api/v1/decisions", json=wrong)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    (net.workspace.paths.policies / "broken.yaml").write_text("handrail: 1\nworkflow: broken\n")
    net.workspace.policies.refresh(now=True)
    answer = net.program(allowed).post("/api/v1/decisions", json={**SMALL, "workflow": "broken"})
    assert answer.status_code == 404
    assert "Not active because of mistakes:\npolicies/broken.yaml" in answer.json()["detail"]
    assert not entries(net, "decision.submitted")


def test_a_submit_whose_commit_is_unknown_is_not_begun_again(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    begin = net.workspace.store.begin

    def lost(use_case: Callable[[Any], Any]) -> Future[Any]:
        if not isinstance(use_case, Foreseen):
            return begin(use_case)
        begun.append(1)
        future: Future[Any] = Future()
        future.set_exception(Unavailable("whether this was stored is not known"))
        return future

    monkeypatch.setattr(net.workspace.store, "begin", lost)
    answer = net.program(net.token("bot", "decisions:submit")).post("/api/v1/decisions", json=SMALL)
    assert answer.status_code == 503 and "not known" in answer.json()["detail"]
    assert begun == [1]


def test_a_program_that_hangs_up_has_still_handed_in(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = net.workspace.store
    begin, begun, go_on = store.begin, threading.Event(), threading.Event()
    ended: list[Future[Any]] = []

    def slowly(use_case: Callable[[Any], Any]) -> Future[Any]:
        if not isinstance(use_case, Foreseen):
            return begin(use_case)

        def late(tx: Any) -> Any:
            assert go_on.wait(WAIT_SECONDS)
            return use_case(tx)

        ended.append(begin(late))
        begun.set()
        return ended[-1]

    monkeypatch.setattr(store, "begin", slowly)
    import httpx

    client = net.program(net.token("bot", "decisions:submit"))
    with pytest.raises(httpx.ReadTimeout):
        client.post("/api/v1/decisions", json=SMALL, timeout=0.5)
    assert begun.wait(WAIT_SECONDS)
    go_on.set()
    ended[0].result(WAIT_SECONDS)
    assert len(entries(net, "decision.submitted")) == 1


def test_with_spans_each_submit_takes_a_thread_of_its_own(net: Net) -> None:
    """A span is entered and left on one thread."""
    entered: list[str] = []

    @contextmanager
    def around(name: str) -> Iterator[None]:
        before = threading.get_ident()
        yield
        assert threading.get_ident() == before
        entered.append(name)

    net.workspace.service.around = around
    client = net.program(net.token("bot", "decisions:submit"))
    assert client.post("/api/v1/decisions", json=SMALL).status_code == 200
    assert "Submit" in entered
