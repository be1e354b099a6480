"""A guarded function: what was approved runs, once, with the caller's own objects."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import functools
import inspect
import threading
import typing
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
import pydantic
import pytest

from handrail.client import Client
from handrail.client.guard import _back
from handrail.errors import AlreadyRun, BadInput, Conflict, Held, NotAllowed, WaitTimeout
from handrail.model.commands import ListReviews
from handrail.model.modes import GrantState
from handrail.model.review import Card
from tests.workspace import ANN, vote


def decide(hr: Client, said: str, **more: Any) -> threading.Thread:
    """Decide the next review as soon as there is one."""

    def work() -> None:
        while not (cards := hr.call(ListReviews(), ANN)):
            pass
        [ruling] = [
            v.ruling for v in hr.decisions(state="open") if v.ruling.review_id == cards[0].review
        ]
        vote(hr, ruling, said, **more)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def open_cards(hr: Client) -> list[Card]:
    cards = hr.call(ListReviews(), ANN)
    assert isinstance(cards, list)
    return cards


def test_the_function_looks_as_before(hr: Client) -> None:
    def refund(order: str, amount: float = 5.0, *, note: str | None = None) -> str:
        """Pay it back."""
        return f"{order} {amount} {note}"

    guarded = hr.guard("refund", key=lambda order: order, edit=["amount"])(refund)
    assert inspect.signature(guarded) == inspect.signature(refund)
    assert typing.get_type_hints(guarded) == typing.get_type_hints(refund)
    assert guarded.__doc__ == "Pay it back."
    assert guarded.__name__ == "refund"
    assert guarded("a") == "a 5.0 None"
    [view] = hr.decisions()
    assert view.decision["facts"] == {"order": "a"}
    assert view.decision["proposal"] == {"amount": "5.00"}
    with pytest.raises(TypeError, match="missing a required argument"):
        guarded()  # type: ignore[call-arg]
    assert len(hr.decisions()) == 1


@pytest.mark.ledger("A-027")
def test_undecided_runs_nothing_and_approved_runs_once(hr: Client) -> None:
    calls: list[float] = []

    @hr.guard("refund", key=lambda order: f"refund:{order}", edit=["amount"], timeout=0)
    def impatient(order: str, amount: float) -> None:
        calls.append(amount)

    @hr.guard("refund", key=lambda order: f"refund:{order}", edit=["amount"])
    def refund(order: str, amount: float) -> None:
        calls.append(amount)

    with pytest.raises(WaitTimeout):
        impatient("1", 150.0)
    assert calls == []
    decider = decide(hr, "edit", edits={"amount": "90.5"})
    refund("1", 150.0)
    decider.join()
    assert calls == [90.5]
    assert type(calls[0]) is float
    with pytest.raises(AlreadyRun) as caught:
        refund("1", 150.0)
    assert caught.value.receipt.state is GrantState.DONE
    with pytest.raises(Conflict, match="other content"):
        refund("1", 151.0)
    assert calls == [90.5]


def test_a_no_raises_or_says(hr: Client) -> None:
    def refund(order: str, amount: float) -> str:
        pytest.fail("ran")

    decider = decide(hr, "reject", reason="fraud")
    with pytest.raises(NotAllowed):
        hr.guard("refund", key=lambda order: order, edit="amount")(refund)("1", 150.0)
    decider.join()
    said = hr.guard("refund", key=lambda order: order, edit="amount", on_reject="say")(refund)
    answer = said("1", 150.0)
    assert "refund was rejected by ann@example.com (reason: fraud)" in answer
    assert "Do not try it again" in answer


def test_it_says_that_it_was_done_before(hr: Client) -> None:
    @hr.guard("refund", key=lambda order: order, edit=["amount"], on_reject="say")
    def refund(order: str, amount: float) -> str:
        return "done"

    assert refund("1", 5.0) == "done"
    again = refund("1", 5.0)
    assert again.startswith("Not done again: refund 1 was already run at 20")
    assert "(done)" in again


def test_held_can_be_raised(hr: Client) -> None:
    @hr.guard("refund", key=lambda order: order, edit=["amount"], on_hold="raise")
    def refund(order: str, amount: float) -> str:
        return f"{amount:g}"

    with pytest.raises(Held) as caught:
        refund("1", 150.0)
    vote(hr, caught.value.ruling, "approve")
    hr.wait(caught.value.ruling, timeout=120)
    assert refund("1", 150.0) == "150"
    assert refund("2", 5.0) == "5"


def test_a_mutated_argument_stops_it(hr: Client) -> None:
    @hr.guard(
        "refund",
        key=lambda lines: "k",
        facts=lambda lines: {"order": lines["order"]},
        edit=["amount"],
    )
    def refund(lines: dict[str, Any], amount: float) -> None:
        pytest.fail("ran")

    lines = {"order": "1"}
    failed: list[BaseException] = []

    def call() -> None:
        try:
            refund(lines, 150.0)
        except BaseException as error:
            failed.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    while not open_cards(hr):
        pass
    lines["order"] = "2"
    decide(hr, "approve").join()
    caller.join(20)
    assert isinstance(failed[0], Conflict)
    assert "changed after it was submitted" in str(failed[0])
    [view] = hr.decisions()
    assert view.grant is not None and view.grant.state is GrantState.GRANTED


def test_other_arguments_are_the_callers_own(hr: Client) -> None:
    class Order:
        def __init__(self, id_: str) -> None:
            self.id = id_

    seen: list[Any] = []

    class Desk:
        @hr.guard(
            "refund",
            key=lambda order: order.id,
            facts=lambda order: {"order": order.id},
            edit=["amount"],
            requester=lambda order: f"{order.id}@example.com",
            confidence=0.75,
        )
        def refund(self, order: Order, amount: Decimal) -> None:
            seen.extend([self, order, amount])

    desk, order, amount = Desk(), Order("1"), Decimal("5.00")
    desk.refund(order, amount)
    assert seen[0] is desk
    assert seen[1] is order
    assert seen[2] == Decimal("5.00") and type(seen[2]) is Decimal
    [view] = hr.decisions()
    assert view.decision["requester"] == "1@example.com"
    assert view.decision["confidence"] == 0.75


def test_self_is_no_fact(hr: Client) -> None:
    class Desk:
        @hr.guard("refund", key=lambda order: order, edit=["amount"])
        def refund(self, order: str, amount: int) -> int:
            return amount

    assert Desk().refund("1", 5) == 5
    assert hr.decisions()[0].decision["facts"] == {"order": "1"}


def test_an_effect_that_fails_is_recorded(hr: Client) -> None:
    @hr.guard("refund", key=lambda order: order, edit=["amount"], on_reject="say")
    def refund(order: str, amount: float) -> str:
        raise OSError("no line")

    with pytest.raises(OSError, match="no line"):
        refund("1", 5.0)
    grant = hr.decisions()[0].grant
    assert grant is not None
    assert (grant.state, grant.error) == (GrantState.FAILED, "OSError: no line")


def test_an_error_of_the_function_is_not_taken_for_an_answer(hr: Client) -> None:
    """`NotAllowed` raised by a guarded function inside another is its own business."""

    @hr.guard("refund", key=lambda order: f"in:{order}", edit=["amount"])
    def inner(order: str, amount: float) -> str:
        return "inner"

    @hr.guard("refund", key=lambda order: f"out:{order}", edit=["amount"], on_reject="say")
    def outer(order: str, amount: float) -> str:
        return inner(order, 200_000.0)

    with pytest.raises(NotAllowed):
        outer("1", 5.0)


def test_async_functions(hr: Client) -> None:
    calls: list[float] = []

    @hr.guard("refund", key=lambda order: order, edit=["amount"])
    async def refund(order: str, amount: float) -> str:
        await asyncio.sleep(0)
        calls.append(amount)
        return f"{order} {amount}"

    assert inspect.iscoroutinefunction(refund)

    async def walk() -> None:
        assert await refund("1", 5.0) == "1 5.0"
        with pytest.raises(AlreadyRun):
            await refund("1", 5.0)
        decider = decide(hr, "approve")
        assert await asyncio.gather(refund("2", 150.0), refund("3", 1.0)) == ["2 150.0", "3 1.0"]
        decider.join()
        with pytest.raises(NotAllowed):
            await refund("4", 200_000.0)

    asyncio.run(walk())
    assert calls == [5.0, 1.0, 150.0]


def test_a_cancelled_async_call_is_failed_not_in_doubt(hr: Client) -> None:
    began = asyncio.Event()

    @hr.guard("refund", key=lambda order: order, edit=["amount"])
    async def refund(order: str, amount: float) -> None:
        began.set()
        await asyncio.sleep(3600)

    async def walk() -> None:
        task = asyncio.create_task(refund("1", 5.0))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(walk())
    grant = hr.decisions()[0].grant
    assert grant is not None
    assert (grant.state, grant.error) == (GrantState.FAILED, "CancelledError")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"key": "constant"}, "expected a function of the arguments"),
        ({"key": lambda other: other}, "key asks for 'other'"),
        ({"key": lambda order: order, "edit": ["price"]}, "edit names 'price'"),
        ({"key": lambda order: order, "facts": lambda x: x}, "facts asks for 'x'"),
        ({"key": lambda order: order, "on_hold": "skip"}, "expected wait or raise"),
        ({"key": lambda order: order, "on_reject": "skip"}, "expected raise or say"),
    ],
)
def test_a_wrong_guard_is_told_when_it_is_made(
    hr: Client, options: dict[str, Any], sentence: str
) -> None:
    def refund(order: str, amount: float) -> None: ...

    with pytest.raises(BadInput, match=sentence):
        hr.guard("refund", **options)(refund)


def test_generators_are_not_guarded(hr: Client) -> None:
    def stream(order: str) -> Any:
        yield order

    with pytest.raises(BadInput, match="is a generator"):
        hr.guard("refund", key=lambda order: order)(stream)


@pytest.mark.parametrize("key", ["", None, 17])
def test_a_key_is_text(hr: Client, key: Any) -> None:
    @hr.guard("refund", key=lambda order: key, edit=["amount"])
    def refund(order: str, amount: float) -> None: ...

    with pytest.raises(BadInput, match="expected text that names"):
        refund("1", 5.0)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: float
    at: dt.date


class Item(msgspec.Struct):
    price: Decimal


class Line(pydantic.BaseModel):
    price: Decimal


@pytest.mark.parametrize(
    ("value", "given", "hint", "expected"),
    [
        ("12.50", 1.0, float, 12.5),
        ("12.50", 1.0, None, 12.5),
        ("12.50", Decimal(1), Decimal, Decimal("12.50")),
        ("12.50", Decimal(1), Any, Decimal("12.50")),
        (12, 1, int, 12),
        ("12", 1, int, 12),
        (99.5, 100, None, 99.5),
        (None, 100, int | None, None),
        (5, None, int | None, 5),
        (True, False, bool, True),
        ("b", "a", str, "b"),
        ("b", "a", typing.Literal["a", "b"], "b"),
        ("b", "a", typing.Annotated[str, "meaning"], "b"),
        ("blue", Colour.RED, Colour, Colour.BLUE),
        ("2026-11-22", dt.date(2026, 1, 1), dt.date, dt.date(2026, 11, 22)),
        (
            "2026-11-21T08:00:00.000000Z",
            dt.datetime.now(dt.UTC),
            dt.datetime,
            dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC),
        ),
        ("5400s", dt.timedelta(1), dt.timedelta, dt.timedelta(hours=1.5)),
        ({"x": 2, "at": "2026-11-22"}, None, Point, Point(2.0, dt.date(2026, 11, 22))),
        ({"price": "9.90"}, None, Item, Item(price=Decimal("9.90"))),
        ({"price": "9.90"}, None, Line, Line(price=Decimal("9.90"))),
        ([1, 2], (3,), tuple[int, ...], (1, 2)),
        (["red"], [], list[Colour], [Colour.RED]),
    ],
)
def test_approved_values_come_back_as_the_function_wants_them(
    value: Any, given: Any, hint: Any, expected: Any
) -> None:
    found = _back(value, given, hint, "/proposal/x")
    assert found == expected
    assert type(found) is type(expected)


def test_a_value_that_does_not_fit_runs_nothing() -> None:
    with pytest.raises(BadInput, match="nothing ran"):
        _back("twelve", 1, int, "/proposal/amount")


def test_partials_and_wrapped_functions(hr: Client) -> None:
    def traced(function: Callable[..., str]) -> Callable[..., str]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> str:
            return function(*args, **kwargs)

        return wrapper

    @hr.guard("refund", key=lambda order: order, edit=["amount"])
    @traced
    def refund(order: str, amount: float) -> str:
        return f"{order} {amount}"

    assert refund("1", amount=5.0) == "1 5.0"
