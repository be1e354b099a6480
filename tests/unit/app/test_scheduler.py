"""The loop: what is due happens on time, a failure does not end it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from handrail.app import LOCAL, Workspace
from handrail.app.scheduler import Scheduler
from handrail.channels import FileAnchor
from handrail.model.commands import GetDecision, Submit
from handrail.model.errors import Unavailable
from handrail.model.feedback import Notice
from handrail.ports import MISSED
from handrail.settings import Settings


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)


class Told:
    name = "told"

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.fail = False

    def deliver(self, notice: Notice) -> None:
        if self.fail:
            raise OSError("no line")
        self.notices.append(notice)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def still(folder: Path, clock: Clock, told: Told) -> Iterator[Workspace]:
    """A workspace whose own loop stands still: the tests take its steps."""
    found = Workspace.own(
        folder, clock=clock, channels=[told], settings=Settings(sweep_seconds=3600.0)
    )
    assert found is not None
    with found:
        found.scheduler.stop()
        found.scheduler.step()
        yield found


def hold(workspace: Workspace, **more: str) -> str:
    command = Submit(workflow="refund", facts={"order": "1"}, proposal={"amount": 150}, **more)
    found = workspace.service.call(command, LOCAL).decision_id
    assert isinstance(found, str)
    return found


def test_deadlines_happen_when_they_are_due(still: Workspace, clock: Clock, told: Told) -> None:
    hold(still)
    still.scheduler.step()
    assert [notice.topic for notice in told.notices] == ["review.opened"]
    clock.sleep(2 * 3600 - 1)
    assert still.scheduler.step() == 0
    clock.sleep(1)
    assert still.scheduler.step() > 0
    assert [notice.topic for notice in told.notices] == ["review.opened", "review.reminded"]


def test_an_expired_decision_ends(still: Workspace, clock: Clock) -> None:
    decision_id = hold(still, expires_at="2027-01-15T08:10:00Z")
    clock.now = 1_800_000_600_000_000
    still.scheduler.step()
    view = still.service.call(GetDecision(decision_id=decision_id), LOCAL)
    assert view.outcome.verdict == "expired"


def test_a_failed_delivery_is_tried_again_with_the_same_id(
    still: Workspace, clock: Clock, told: Told
) -> None:
    told.fail = True
    hold(still)
    still.scheduler.step()
    [row] = still.store.read(lambda tx: tx.outbox.undelivered(10))
    assert row.error == "told: OSError: no line"
    told.fail = False
    clock.sleep(1)
    still.scheduler.step()
    assert [notice.id for notice in told.notices] == [row.id]
    still.scheduler.step()
    assert len(told.notices) == 1


def test_what_was_given_up_is_tried_once_more_by_the_next_owner(
    folder: Path, clock: Clock, told: Told
) -> None:
    def own() -> Workspace:
        found = Workspace.own(
            folder, clock=clock, channels=[told], settings=Settings(sweep_seconds=3600.0)
        )
        assert found is not None
        found.scheduler.stop()
        return found

    def row(workspace: Workspace) -> Notice:
        first, *_ = workspace.store.read(lambda tx: tx.outbox.undelivered(10))
        return first  # reminders come behind it

    told.fail = True
    with own() as workspace:
        hold(workspace)
        workspace.scheduler.step()
        while row(workspace).next_at is not None:
            clock.sleep(3600)
            workspace.scheduler.step()
        parked = row(workspace)
        clock.sleep(24 * 3600)
        workspace.scheduler.step()
        assert [notice for notice in told.notices if notice.id == parked.id] == []
    with own() as workspace:  # once more, and no more than once
        workspace.scheduler.step()
        assert row(workspace).next_at is None
        assert row(workspace).attempts == parked.attempts + 1
    told.fail = False
    with own() as workspace:
        workspace.scheduler.step()
    assert parked.id in [notice.id for notice in told.notices]


def test_the_log_is_anchored_after_so_many_entries(folder: Path) -> None:
    workspace = Workspace.own(
        folder, settings=Settings(checkpoint_entries=20, sweep_seconds=3600.0)
    )
    assert workspace is not None
    with workspace:
        workspace.scheduler.stop()
        for _ in range(3):
            hold(workspace)
        workspace.scheduler.step()
        assert workspace.anchor.last() is None
        for _ in range(20):
            hold(workspace)
        workspace.scheduler.step()
        last = workspace.anchor.last()
        assert last is not None
        assert last.size >= 20
        workspace.scheduler.step()
        assert len(workspace.anchor.all()) == 1


def test_a_store_that_is_back_ends_the_pause_after_a_failure(
    still: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from handrail.app import scheduler

    tried, recovered = threading.Event(), threading.Event()

    def sweep(ports: object) -> int:
        if not tried.is_set():
            raise Unavailable("the database is away")
        recovered.set()
        return 0

    def failed(self: Scheduler, pause: float, sentence: str, what: object) -> float:
        tried.set()
        return 3600.0

    monkeypatch.setattr(scheduler, "sweep", sweep)
    monkeypatch.setattr(Scheduler, "_failed", failed)
    loop = Scheduler(
        still.ports,
        channels=[],
        signer=still.signer,
        anchor=FileAnchor(still.paths.anchor),
        now_us=Clock(),
    )
    loop.start()
    assert tried.wait(120)
    loop.heard(frozenset({MISSED}), None)
    assert recovered.wait(120)
    loop.stop()


def test_a_failure_does_not_end_the_loop(
    still: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import threading

    from handrail.app import scheduler

    recovered = threading.Event()
    failures = [RuntimeError("a mistake of ours"), OSError("disk")]

    def sweep(ports: object) -> int:
        if failures:
            raise failures.pop(0)
        recovered.set()
        return 0

    monkeypatch.setattr(scheduler, "sweep", sweep)
    loop = Scheduler(
        still.ports,
        channels=[],
        signer=still.signer,
        anchor=FileAnchor(still.paths.anchor),
        now_us=lambda: 0,
    )
    with caplog.at_level(logging.WARNING):
        loop.start()
        assert recovered.wait(120)
        loop.stop()
    assert "a mistake of ours" in caplog.text


def test_what_falls_due_wakes_the_loop_before_its_next_look(
    still: Workspace, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two moments are told; the later one is not forgotten when the earlier one is done."""
    import threading

    from handrail.app import scheduler

    swept: list[int] = []
    twice = threading.Event()

    def sweep(ports: object) -> int:
        swept.append(clock.now)
        if len(swept) > 1 and swept[-1] >= 1_800_000_000_000_002:
            twice.set()
        clock.now += 1
        return 0

    monkeypatch.setattr(scheduler, "sweep", sweep)
    loop = Scheduler(
        still.ports,
        channels=[],
        signer=still.signer,
        anchor=FileAnchor(still.paths.anchor),
        now_us=clock,
    )
    loop.heard(frozenset(), 1_800_000_000_000_002)
    loop.heard(frozenset(), 1_800_000_000_000_001)
    loop.start()
    assert twice.wait(120)
    loop.stop()


DAILY = """
handrail: 1
workflow: daily
owners: [team:data]
every: day 07:00 UTC
fields: {slot: {type: timestamp, optional: true}}
otherwise: auto
route: [{to: team:data, silence: block}]
"""


def test_the_clock_hands_in_what_nobody_submits(still: Workspace, clock: Clock) -> None:
    (still.paths.policies / "daily.yaml").write_text(DAILY)
    loop = Scheduler(
        still.ports,
        channels=[],
        signer=still.signer,
        anchor=FileAnchor(still.paths.anchor),
        now_us=clock,
        refresh=lambda: still.policies.refresh(now=True),
    )
    loop.step()
    policy = still.store.read(lambda tx: still.ports.shelf.active(tx, "daily"))
    assert policy.every is not None
    at = policy.every.next(clock.now)

    def handed_in() -> list[object]:
        walk = still.store.read(lambda tx: tx.decisions.submitted("daily", 0, 9))
        return [decision.facts["slot"] for _, decision in walk]

    clock.now = at - 1
    loop.step()
    assert handed_in() == []
    clock.now = at + 1
    loop.step()
    loop.step()
    assert len(handed_in()) == 1
    loop.heard(frozenset({"policies"}), None)
    loop.step()
    assert len(handed_in()) == 1
