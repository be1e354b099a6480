"""Submit, wait, run and what comes after, through a client that owns its workspace."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

import handrail
from handrail.app import open_workspace
from handrail.client import Client
from handrail.client.runs import error_text
from handrail.errors import (
    AlreadyRun,
    BadInput,
    Conflict,
    NotAllowed,
    NotFound,
    Refused,
    Unavailable,
    WaitTimeout,
)
from handrail.model.commands import Confirm, Submit
from handrail.model.modes import GrantState, Lane, Verdict
from handrail.model.outcome import Outcome
from handrail.model.people import Actor
from handrail.model.ruling import Ruling
from tests.workspace import ANN, vote


def refund(hr: Client, order: str, amount: float, **more: Any) -> Ruling:
    return hr.submit("refund", facts={"order": order}, proposal={"amount": amount}, **more)


@pytest.mark.ledger("Z-003")
def test_what_passes_runs_once(hr: Client) -> None:
    ruling = refund(hr, "1", 12.5, key="r-1", confidence=0.9, model="m@1")
    assert ruling.passed
    assert ruling.review_url is None
    outcome = hr.wait(ruling)
    assert outcome.verdict is Verdict.PASSED
    with hr.run(outcome) as run:
        assert run
        assert run.value == {"amount": "12.50"}
        assert run.key == outcome.grant_id
        assert run.digest == outcome.digest
    assert run.receipt is not None
    assert run.receipt.state is GrantState.DONE
    with pytest.raises(AlreadyRun) as caught, hr.run(outcome):
        pytest.fail("ran twice")
    assert caught.value.receipt.state is GrantState.DONE
    [view] = hr.decisions("refund")
    assert view.decision["key"] == "r-1"
    assert view.decision["confidence"] == 0.9
    assert view.grant is not None and view.grant.state is GrantState.DONE


@pytest.mark.ledger("Z-005", "R-003")
def test_what_a_person_edited_is_what_runs(hr: Client) -> None:
    ruling = refund(hr, "1", 150)
    assert ruling.lane is Lane.HOLD
    assert not ruling.passed
    assert ruling.approvers == ("team:ops",)
    vote(hr, ruling, "edit", edits={"amount": "90.00"})
    outcome = hr.wait(ruling, timeout=120)
    assert outcome.edited
    assert outcome.by == ANN.name
    with hr.run(outcome) as run:
        assert run.value == {"amount": "90.00"}
    [feedback] = hr.feedback("refund")
    assert feedback.recommendation == {"amount": "150.00"}
    assert feedback.human == {"amount": "90.00"}
    assert feedback.reason == "wrong"


def test_a_no_runs_nothing(hr: Client) -> None:
    ruling = refund(hr, "1", 150)
    vote(hr, ruling, "reject")
    outcome = hr.wait(ruling, timeout=120)
    with hr.run(outcome) as run:
        assert not run
        with pytest.raises(NotAllowed):
            _ = run.value
    with pytest.raises(NotAllowed):
        _ = outcome.value
    with pytest.raises(TypeError, match=r"ask `outcome\.allowed`"):
        bool(outcome)


def test_what_the_policy_refuses(hr: Client) -> None:
    ruling = refund(hr, "1", 200_000)
    assert ruling.lane is Lane.REFUSE
    assert hr.wait(ruling).verdict is Verdict.REFUSED


def test_a_key_is_one_decision(hr: Client) -> None:
    first = refund(hr, "1", 5, key="k")
    assert refund(hr, "1", 5, key="k") == first
    with pytest.raises(Conflict, match="used before"):
        refund(hr, "1", 6, key="k")
    assert refund(hr, "1", 5).decision_id != refund(hr, "1", 5).decision_id


def test_bad_input_says_where(hr: Client) -> None:
    with pytest.raises(BadInput) as caught:
        hr.submit("refund", facts={"order": "1"}, proposal={"amount": "much"})
    assert caught.value.pointer == "/proposal/amount"
    with pytest.raises(BadInput) as caught:
        hr.submit("refund", facts={"order": "1"}, proposal={"amount": float("nan")})
    assert caught.value.pointer == "/proposal/amount"
    with pytest.raises(BadInput) as caught:
        hr.submit("refund", facts={"order": "1"}, confidence="high")
    assert caught.value.pointer == "/confidence"
    with pytest.raises(BadInput) as caught:
        hr.submit("refund", facts={"order": "1"}, callback="ftp://example.com")
    assert caught.value.pointer == "/callback"
    with pytest.raises(NotFound, match="active are: refund"):
        hr.submit("unknown", facts={})
    assert hr.decisions() == []


def test_preview_stores_nothing(hr: Client) -> None:
    ruling = hr.preview("refund", facts={"order": "1"}, proposal={"amount": 150})
    assert [fired.rule for fired in ruling.fired] == ["over-limit"]
    assert hr.decisions() == []


def test_wait_times_out_and_changes_nothing(hr: Client) -> None:
    ruling = refund(hr, "1", 150)
    with pytest.raises(WaitTimeout, match="wait again"):
        hr.wait(ruling, timeout=0)
    with pytest.raises(NotFound):
        hr.wait("d_00000000000000000000000000", timeout=0)
    vote(hr, ruling, "approve")
    assert hr.wait(ruling.decision_id, timeout=120).allowed


def test_wait_can_withdraw(hr: Client) -> None:
    ruling = refund(hr, "1", 150)
    outcome = hr.wait(ruling, timeout=0, on_timeout="withdraw")
    assert outcome.verdict is Verdict.WITHDRAWN
    assert outcome.why == "no outcome within 0 s"
    with pytest.raises(Refused):
        vote(hr, ruling, "approve", by=Actor(name="bot"))


def test_a_waiter_is_woken_not_polled(hr: Client) -> None:
    ruling = refund(hr, "1", 150)
    found: list[Outcome[Any]] = []
    waiter = threading.Thread(target=lambda: found.append(hr.wait(ruling, timeout=60)))
    waiter.start()
    vote(hr, ruling, "approve")
    waiter.join(20)
    assert found[0].allowed


def test_as_decided_follows_the_decisions(hr: Client) -> None:
    rulings = [refund(hr, str(n), 150) for n in range(4)]
    order = [rulings[2], rulings[0], rulings[3]]
    vote(hr, order[0], "approve")
    outcomes = hr.as_decided(rulings, timeout=120)
    assert next(outcomes).decision_id == order[0].decision_id
    vote(hr, order[1], "reject")
    assert next(outcomes).decision_id == order[1].decision_id
    vote(hr, order[2], "approve")
    assert next(outcomes).decision_id == order[2].decision_id
    hr.withdraw(rulings[1], reason="enough")
    assert [outcome.verdict for outcome in outcomes] == [Verdict.WITHDRAWN]
    with pytest.raises(WaitTimeout, match="1 decisions have no outcome"):
        list(hr.as_decided([refund(hr, "9", 150)], timeout=0))
    assert list(hr.as_decided([])) == []


def test_label_tells_the_truth_later(hr: Client) -> None:
    ruling = refund(hr, "1", 5)
    label = hr.label(ruling, wrong=True, loss="12.50", source="chargeback")
    assert label.wrong
    assert hr.decisions()[0].labels == (label,)


@pytest.mark.parametrize(
    "error", [ValueError("broken"), KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()]
)
def test_a_failed_effect_is_recorded_and_raised(hr: Client, error: BaseException) -> None:
    outcome = hr.wait(refund(hr, "1", 5))
    with pytest.raises(type(error)) as caught, hr.run(outcome) as run:
        raise error
    assert caught.value is error
    assert run.receipt is not None
    assert run.receipt.state is GrantState.FAILED
    assert run.receipt.error == error_text(error)


def test_what_a_receipt_keeps_of_an_error() -> None:
    assert error_text(ValueError("no")) == "ValueError: no"
    assert error_text(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert len(error_text(ValueError("x" * 9999))) == 500
    error_text(ValueError("\ud800")).encode()


class Deaf:
    """A transport on which confirms are lost."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def call(self, command: Any, actor: Actor) -> Any:
        if isinstance(command, Confirm):
            raise Unavailable("the line is dead")
        return self.inner.call(command, actor)

    def close(self) -> None: ...


def test_a_lost_confirm_is_said(hr: Client) -> None:
    deaf = Client(Deaf(hr._transport), hr.actor)
    ran = deaf.run(hr.wait(refund(hr, "1", 5)))
    with pytest.raises(Unavailable, match=r"ran, and that could not be recorded.*in doubt"), ran:
        pass
    ran = deaf.run(hr.wait(refund(hr, "2", 5)))
    with pytest.raises(ValueError, match="broken") as caught, ran:
        raise ValueError("broken")
    assert "in doubt" in caught.value.__notes__[0]


def test_run_wants_an_outcome_and_is_entered_once(hr: Client) -> None:
    ruling = refund(hr, "1", 5)
    with pytest.raises(BadInput, match=r"hr\.wait"):
        hr.run(ruling)  # type: ignore[arg-type]
    run = hr.run(hr.wait(ruling))
    with pytest.raises(RuntimeError, match="enter it"):
        _ = run.value
    with run:
        pass
    with pytest.raises(RuntimeError, match="entered before"), run:
        pass


def test_call_checks_any_command(hr: Client) -> None:
    with pytest.raises(BadInput) as caught:
        hr.call(Submit(workflow="refund", facts={"order": float("nan")}))
    assert caught.value.pointer == "/facts/order"
    with pytest.raises(BadInput) as caught:
        hr.call(Submit(workflow=3))  # type: ignore[arg-type]
    assert caught.value.pointer == "/workflow"


def test_a_closed_client_says_so(tmp_path: Path) -> None:
    hr = open_workspace(tmp_path / "w")
    hr.close()
    hr.close()
    with pytest.raises(Unavailable, match="closed"):
        hr.decisions()


def test_nouns_travel_in_pickles_and_json(hr: Client) -> None:
    ruling = refund(hr, "1", 150)
    vote(hr, ruling, "approve")
    outcome = hr.wait(ruling, timeout=120)
    for noun in (ruling, outcome, *hr.feedback()):
        assert pickle.loads(pickle.dumps(noun)) == noun
        to_dict = getattr(noun, "to_dict", None)
        if to_dict is not None:
            assert json.loads(json.dumps(to_dict()))["decision_id"] == ruling.decision_id
    for error in (
        NotAllowed(outcome),
        handrail.errors.Held(ruling),
        Conflict("no", {"by": "ann"}),
        BadInput("no", "/x", status=413),
    ):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), copy.__dict__) == (type(error), str(error), error.__dict__)


def test_nothing_of_a_submitter_becomes_markup(hr: Client) -> None:
    ruling = refund(hr, "<script>alert(1)</script>", 150, requester="<b>")
    vote(hr, ruling, "edit", edits={"amount": "1.00"}, comment="<i>")
    outcome = hr.wait(ruling, timeout=120)
    forged = msgspec.structs.replace(outcome, why="<img src=x>", by="'\"><script>")
    for noun in (ruling, outcome, forged, *hr.decisions()):
        shown = noun._repr_html_()
        assert ruling.decision_id in shown
        assert not re.search(r"<(?!/?(table|caption|tbody|tr|th|td|br)\b)", shown)


def test_the_awaitable_names_are_the_same(hr: Client) -> None:
    names = {name for name in vars(Client) if not name.startswith("_")} - {"aio"}
    assert names <= set(dir(hr.aio))

    async def walk() -> None:
        aio = hr.aio
        ruling = await aio.submit("refund", facts={"order": "1"}, proposal={"amount": 150})
        waiting = asyncio.create_task(aio.wait(ruling, timeout=60))
        waits = [asyncio.create_task(aio.wait(ruling, timeout=60)) for _ in range(50)]
        assert (await aio.preview("refund", facts={"order": "2"}, proposal={"amount": 1})).passed
        await aio.do(vote, hr, ruling, "approve")
        outcome = await waiting
        assert await asyncio.gather(*waits) == [outcome] * 50
        async with aio.run(outcome) as run:
            assert run
            assert run.value == {"amount": "150.00"}
        assert run.receipt is not None and run.receipt.state is GrantState.DONE
        assert [o.decision_id async for o in aio.as_decided([ruling])] == [ruling.decision_id]
        assert (await aio.decisions())[0].ruling.decision_id == ruling.decision_id

    asyncio.run(walk())


def test_a_cancelled_wait_lets_go(hr: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handrail.client.client.WAIT_SECONDS", 0.05)

    async def walk() -> None:
        ruling = await hr.aio.submit("refund", facts={"order": "1"}, proposal={"amount": 150})
        waiting = asyncio.create_task(hr.aio.wait(ruling))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(walk())
    until = time.monotonic() + 120
    while any(thread.name == "handrail-aio" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)
