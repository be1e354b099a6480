"""Wake-ups: none lost, none after unsubscribing, all at the end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from handrail.app import LOCAL, Service, Signals, Workspace
from handrail.errors import BadInput, Unavailable
from handrail.flow import Ports
from handrail.model.commands import Submit, WaitOutcome, WaitOutcomes
from handrail.ports import MISSED


def test_only_who_subscribed_is_woken() -> None:
    signals, seen = Signals(), []
    stop = signals.subscribe(["a", "b"], seen.append)
    signals.notify(frozenset({"b", "c"}))
    stop()
    signals.notify(frozenset({"a"}))
    stop()
    assert seen == ["b"]


def test_everybody_is_woken_by_their_own_topic_where_news_may_be_missing() -> None:
    """A server that could not hear the others does not leave its callers waiting to the end."""
    signals, seen = Signals(), []
    signals.subscribe(["outcome:d_1", "outcome:d_2"], seen.append)
    signals.notify(frozenset({MISSED}))
    assert sorted(seen) == ["outcome:d_1", "outcome:d_2"]


def test_a_listener_may_stop_while_it_is_woken() -> None:
    signals, seen = Signals(), []

    def wake(topic: str) -> None:
        stop()
        seen.append(topic)

    stop = signals.subscribe(["a"], wake)
    signals.notify(frozenset({"a"}))
    signals.notify(frozenset({"a"}))
    assert seen == ["a"]


def test_closing_wakes_everybody() -> None:
    signals, seen = Signals(), []
    signals.subscribe(["a", "b"], seen.append)
    signals.close()
    assert sorted(seen) == ["a", "b"]
    assert signals.closed


def submit(workspace: Workspace, amount: float) -> str:
    command = Submit(workflow="refund", facts={"order": "1"}, proposal={"amount": amount})
    ruling = workspace.service.call(command, LOCAL)
    assert isinstance(ruling.decision_id, str)
    return ruling.decision_id


def test_an_outcome_between_read_and_wait_is_not_lost(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome commits after the waiter has read that there is none, before it waits."""
    decision_id = submit(workspace, 150)
    from handrail.app import service
    from handrail.model.commands import Withdraw

    read = service.USE_CASES[WaitOutcome]
    reads = []

    def slow_read(command: WaitOutcome, actor: object, ports: Ports) -> object:
        answer = read(command, LOCAL, ports)
        if not reads:
            workspace.service.call(Withdraw(decision_id=decision_id, reason="enough"), LOCAL)
        reads.append(answer)
        return answer

    monkeypatch.setitem(service.USE_CASES, WaitOutcome, slow_read)
    outcome = workspace.service.call(WaitOutcome(decision_id=decision_id, wait=60), LOCAL)
    assert outcome.verdict == "withdrawn"
    assert reads[0] is None and len(reads) == 2


def test_closing_ends_every_wait(folder: Path) -> None:
    workspace = Workspace.own(folder)
    assert workspace is not None
    decision_id = submit(workspace, 150)
    ended: list[BaseException] = []
    subscribed = threading.Event()
    subscribe = workspace.signals.subscribe

    def told(*arguments: object) -> object:
        stop = subscribe(*arguments)  # type: ignore[arg-type]
        subscribed.set()
        return stop

    workspace.signals.subscribe = told  # type: ignore[method-assign, assignment]

    def wait() -> None:
        try:
            workspace.service.call(WaitOutcome(decision_id=decision_id, wait=60), LOCAL)
        except BaseException as error:
            ended.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    subscribed.wait()
    workspace.close()
    waiter.join(20)
    assert isinstance(ended[0], Unavailable)


def test_limits_of_a_wait(workspace: Workspace) -> None:
    call = workspace.service.call
    for wait in (-1.0, 61.0):
        with pytest.raises(BadInput) as caught:
            call(WaitOutcome(decision_id="d", wait=wait), LOCAL)
        assert caught.value.pointer == "/wait"
    with pytest.raises(BadInput, match="at most 10000"):
        call(WaitOutcomes(decision_ids=["d"] * 10_001), LOCAL)
    assert call(WaitOutcomes(decision_ids=[]), LOCAL) == []


def test_every_command_is_answered() -> None:
    from handrail.flow import USE_CASES
    from handrail.model.commands import ROUTES

    assert set(USE_CASES) | {WaitOutcomes} == set(ROUTES)
    assert Service.call.__doc__
