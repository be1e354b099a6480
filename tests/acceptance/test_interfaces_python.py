"""The Python of the page that fixes the public surface: every line of it, run."""

from __future__ import annotations

import ast
import asyncio
import base64
import datetime as dt
import enum
import inspect
import json
import pickle
import sys
import threading
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook

import handrail
from handrail import errors
from handrail.app import open_workspace
from handrail.client import Client
from handrail.model import commands as c
from handrail.model.modes import Lane, Verdict
from handrail.model.noun import Noun
from handrail.model.people import Actor
from handrail.server.local import serve
from tests.acceptance.interfaces import block, choices, names_of, section, signatures, spans
from tests.server import Net
from tests.server import net as serve_net
from tests.workspace import REFUND, make_workspace, vote

pytestmark = pytest.mark.needs("shared")

BEN = Actor(name="ben@example.com", program=False)
SCOPES = (
    "decisions:submit", "decisions:read", "grants:run", "labels:write", "feedback:read",
)  # fmt: skip


def policies() -> dict[str, str]:
    """The page's own policy, and the workflow its second example guards."""
    return {"campaign": block(section("Policy file"), "yaml"), "refund": REFUND}


# ------------------------------------------------------------------------------- its block


@contextmanager
def somebody_decides(ask: Callable[[c.Command, Actor], Any]) -> Iterator[list[str]]:
    """Ben, who changes the budget of whatever campaign waits. Yields what he decided."""
    decided: list[str] = []
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.05):
            for item in ask(c.ListReviews(workflow="campaign-launch"), BEN):
                card = ask(c.GetReview(review_id=item.review), BEN)
                command = c.CastVote(
                    review_id=card.review, said="edit", card=card.digest,
                    edits={"daily_budget": "12000"}, reason="runaway",
                )  # fmt: skip
                ask(command, BEN)
                decided.append(card.review)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield decided
    finally:
        over.set()
        thread.join()


class Filled(ast.NodeTransformer):
    """The values that the page leaves open, put in. Its other lines stay as they are."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self.put: set[str] = set()

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str) and node.value in self.values:
            self.put.add(node.value)
            return ast.Constant(self.values[node.value])
        return node


def run_block(namespace: dict[str, Any], values: dict[str, str], *, skip: str = "") -> None:
    """Execute the page's block, statement by statement, but the one that begins with `skip`."""
    tree = ast.parse(block(section("Python"), "python"))
    if skip:
        kept = [one for one in tree.body if not ast.unparse(one).startswith(skip)]
        assert len(kept) == len(tree.body) - 1
        tree.body = kept
    filler = Filled(values)
    tree = ast.fix_missing_locations(filler.visit(tree))
    assert filler.put == set(values), "the page leaves open something else by now"
    exec(compile(tree, "interfaces.md", "exec", dont_inherit=True), namespace)


@pytest.mark.ledger("A-044")
@pytest.mark.parametrize("way", ["embedded", "as a client of its owner, and over HTTP"])
def test_the_block_of_the_page_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    launched: list[dict[str, Any]] = []
    space: dict[str, Any] = {"launch": lambda **given: launched.append(given)}
    monkeypatch.chdir(tmp_path)
    if way == "embedded":
        make_workspace(tmp_path / "work", **policies())
        # A second client, so that Ben's answers come from elsewhere, as a desk's do.
        with (
            open_workspace(tmp_path / "work", actor=BEN, serve=serve) as desk,
            somebody_decides(desk.call),
        ):
            # Who opens it first owns it; the page's `hr` is a client of that owner, same calls.
            run_block(space, {}, skip="hr = handrail.connect")
            check_what_came_of_it(space, launched)
            space["hr"].close()
        return
    with serve_net(tmp_path / "work", **policies()) as net:
        values = {"https://handrail.example": net.url, "…": net.token("budgeter", *SCOPES)}
        opened = Opened(monkeypatch)
        with somebody_decides(net.send):
            run_block(space, values)
        assert opened.made[0]._transport.workspace is None, "one writer: a client of the owner"
        check_what_came_of_it(space, launched)
        for client in (*opened.made, space["hr"]):
            client.close()


class Opened:
    """The clients that `handrail.open` gave out: the page binds its name twice."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[Any] = []
        real = handrail.open

        def opens(*args: Any, **kwargs: Any) -> Client:
            self.made.append(real(*args, **kwargs))
            return self.made[-1]  # type: ignore[no-any-return]

        monkeypatch.setattr(handrail, "open", opens)


def check_what_came_of_it(space: dict[str, Any], launched: list[dict[str, Any]]) -> None:
    outcome, run = space["outcome"], space["run"]
    assert (outcome.verdict, outcome.edited, outcome.by) == (Verdict.EDITED, True, BEN.name)
    assert launched == [{"daily_budget": "12000.00", "idempotency_key": run.key}]
    assert run.receipt.state == "done"
    with pytest.raises(errors.AlreadyRun), space["hr"].run(outcome):
        pytest.fail("one decision, at most one effect")
    refund = space["refund"]
    assert str(inspect.signature(refund)) == "(order: str, amount: float) -> str"
    refund("o1", 5.0)
    with pytest.raises(errors.AlreadyRun):
        refund("o1", 5.0)
    [view] = space["hr"].decisions("refund")
    assert (view.decision["facts"], view.decision["proposal"]) == (
        {"order": "o1"},
        {"amount": "5.00"},
    )
    assert view.grant.state == "done"


# -------------------------------------------------------------------------- what it says of calls


def _signatures() -> list[str]:
    try:
        return list(signatures())
    except FileNotFoundError:
        return []


NOT_OF_THE_CLIENT = {"bool", "to_dict"}
"""Spans that look like a call of the client and are of its answers."""


@pytest.mark.parametrize("name", [one for one in _signatures() if one not in NOT_OF_THE_CLIENT])
def test_a_call_takes_what_the_page_says(name: str) -> None:
    written = signatures()[name]
    found = inspect.signature(getattr(Client, name)).parameters
    hints = typing.get_type_hints(getattr(Client, name), vars(sys.modules[Client.__module__]))
    for argument in written.args:
        assert found[argument.arg].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    for argument, default in zip(written.kwonlyargs, written.kw_defaults, strict=True):
        real = found[argument.arg]
        assert real.kind is inspect.Parameter.KEYWORD_ONLY, argument.arg
        wanted = choices(default)
        if not wanted:
            assert real.default is inspect.Parameter.empty, f"{argument.arg} is required"
            continue
        assert real.default == wanted[0], argument.arg
        if len(wanted) > 1:
            assert set(typing.get_args(hints[argument.arg])) == set(wanted), argument.arg


# ------------------------------------------------------------------ every call, on both transports


@pytest.fixture(params=["embedded", "over HTTP"])
def hr(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Client]:
    if request.param == "embedded":
        make_workspace(tmp_path / "work", **policies())
        with handrail.open(tmp_path / "work", desk=False) as client:
            client.decide = lambda ruling, said, **more: vote(  # type: ignore[attr-defined]
                client, ruling, said, by=BEN, **more
            )
            yield client
        return
    with (
        serve_net(tmp_path / "work", **policies()) as net,
        handrail.connect(net.url, net.token("shop", *SCOPES)) as client,
    ):
        client.decide = lambda ruling, said, **more: _vote(  # type: ignore[attr-defined]
            net, ruling, said, **more
        )
        yield client


def _vote(net: Net, ruling: Any, said: str, **more: Any) -> Any:
    card = net.send(c.GetReview(review_id=ruling.review_id), BEN)
    more.setdefault("reason", None if said == "approve" else "wrong")
    return net.send(
        c.CastVote(review_id=card.review, said=said, card=card.digest, **more),  # type: ignore[arg-type]
        BEN,
    )


def refund(hr: Client, amount: float, order: str = "o1", **more: Any) -> Any:
    return hr.submit("refund", facts={"order": order}, proposal={"amount": amount}, **more)


def test_submit_takes_all_that_the_page_names(hr: Client) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    first = refund(hr, 500)
    second = hr.submit(
        "refund", facts={"order": "o1"}, proposal={"amount": 600}, key="k", subject=None,
        requester="ann@example.com", confidence={"amount": 0.5}, alternatives=({"amount": 1},),
        model="m@1", current={"amount": 700}, context={"note": ["shown", 1]},
        links={"order": "https://shop.example/o1"}, callback=None, occurred_at=soon,
        expires_at=soon, supersedes=first, test=True,
    )  # fmt: skip
    [view, old] = hr.decisions("refund")
    assert old.outcome.verdict == "superseded"
    assert view.decision["supersedes"] == first.decision_id
    for name, value in {
        "requester": "ann@example.com", "confidence": {"amount": 0.5}, "model": "m@1",
        "current": {"amount": "700.00"}, "context": {"note": ["shown", 1]}, "test": True,
        "alternatives": [{"amount": 1}], "links": {"order": "https://shop.example/o1"},
    }.items():  # fmt: skip
        assert view.decision[name] == value, name
    for name in names_of("Ruling"):
        assert hasattr(second, name), name
    assert (second.lane, second.passed, second.approvers) == ("hold", False, ("team:ops",))
    assert second.review_url is None or second.review_id in second.review_url
    assert second.fired[0].rule == "over-limit" and second.due > 0
    assert {lane.value for lane in Lane} == set(
        re_strings(next(s for s in spans(section("Python")) if s.startswith("decision_id, lane")))
    )


def re_strings(shown: str) -> list[str]:
    """The quoted words of a span."""
    return shown.split('"')[1::2]


def test_a_context_is_shown_and_read_by_no_policy(hr: Client) -> None:
    ruling = hr.preview("refund", facts={"order": "o1"}, proposal={"amount": 5})
    assert ruling.passed and hr.decisions() == [], "preview stores nothing"


def test_many_are_handed_in_and_come_back_as_tables(hr: Client) -> None:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    rows = {"order": ["a", "b"], "amount": [5.0, 500.0]}
    for number, table in enumerate(
        (pd.DataFrame(rows), pl.DataFrame(rows), pa.table(rows),
         [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)])
    ):  # fmt: skip
        done: list[int] = []
        rulings = hr.submit_many(
            "refund", table, key="order", proposal="amount", model="m@1",
            progress=lambda some, whole, done=done: done.append(some),
        )  # fmt: skip
        assert [one.lane for one in rulings] == ["pass", "hold"]
        assert len(rulings.to_pandas()) == 2 and done[-1] == 2
        assert len(hr.decisions()) == 2, f"the same rows again are the same decisions ({number})"
    with pytest.raises(errors.BadInput):
        hr.submit_many("refund", [{"order": "c", "amount": "x"}], key="order", proposal="amount")
    skipped = hr.submit_many(
        "refund", [{"order": "c", "amount": "x"}], key="order", proposal="amount", on_bad="skip"
    )
    assert len(skipped.bad) == 1
    held = hr.submit_many(
        "refund", [{"id": "d", "amount": 5}], key="id", proposal="amount", on_bad="hold"
    )
    assert held[0].lane == "hold", "a held bad-input review"


def test_waiting_withdrawing_and_what_is_known_later(hr: Client) -> None:
    ruling, other = refund(hr, 500), refund(hr, 5, "o2")
    with pytest.raises(errors.WaitTimeout):
        hr.wait(ruling, timeout=0.05)
    assert hr.wait(ruling, timeout=0.05, on_timeout="withdraw").verdict == "withdrawn"
    third = refund(hr, 600, "o3")
    assert hr.withdraw(third, reason="changed").verdict == "withdrawn"
    assert {one.verdict for one in hr.as_decided([ruling, other])} == {"withdrawn", "passed"}
    label = hr.label(
        other, truth={"paid": True}, wrong=False, loss="1.50", source="bank", at="2026-01-01T00:00Z"
    )
    assert label.source == "bank"
    fourth = refund(hr, 700, "o4")
    hr.decide(fourth, "edit", edits={"amount": "90.00"})  # type: ignore[attr-defined]
    [feedback] = hr.feedback("refund")
    assert (feedback.recommendation, feedback.human) == ({"amount": "700.00"}, {"amount": "90.00"})
    outcome = hr.wait(fourth, timeout=30)
    for name in names_of("Outcome[V]"):
        assert hasattr(outcome, name), name
    assert outcome.value == {"amount": "90.00"}
    with pytest.raises(TypeError):
        bool(outcome)


def test_a_no_has_no_value(hr: Client) -> None:
    ruling = refund(hr, 500)
    hr.decide(ruling, "reject")  # type: ignore[attr-defined]
    outcome = hr.wait(ruling, timeout=30)
    with pytest.raises(errors.NotAllowed):
        _ = outcome.value
    with hr.run(outcome) as run:
        assert not run, "`if run:` is false where nothing may run"


def test_the_verdicts_are_those_of_the_page() -> None:
    listed = next(one for one in spans(section("Python")) if one.startswith("passed, approved"))
    assert {verdict.value for verdict in Verdict} == set(listed.split(", "))


def test_observations_are_recorded(tmp_path: Path) -> None:
    counted = REFUND.replace("rules:", "aggregates: {seen: {count: events, over: events:visits, "
                             "by: [order], window: 1d}}\nrules:")  # fmt: skip
    make_workspace(tmp_path / "work", refund=counted)
    with handrail.open(tmp_path / "work", desk=False) as hr:
        at = dt.datetime.now(dt.UTC)
        rows = [{"id": n, "at": at, "order": "o1"} for n in range(3)]
        assert hr.record("visits", rows, key="id", at="at").recorded == 3
        assert refund(hr, 5).aggregates == {"seen": 3}


def test_a_guard_answers_a_model_in_text_and_keeps_what_tools_read(hr: Client) -> None:
    ran: list[tuple[str, float]] = []

    @hr.guard(
        "refund", key=lambda order: f"refund:{order}", edit=["amount"], on_hold="raise",
        on_reject="say", confidence=0.9, requester="ann@example.com", timeout=30,
    )  # fmt: skip
    def refund(order: str, amount: float = 5.0) -> str:
        """Pay an order back."""
        ran.append((order, amount))
        return "paid"

    assert refund.__doc__ == "Pay an order back."
    assert typing.get_type_hints(refund) == {"order": str, "amount": float, "return": str}
    assert refund("o1") == "paid", "the effective arguments: defaults are filled in"
    with pytest.raises(errors.Held) as held:
        refund("o2", 500.0)
    hr.decide(held.value.ruling, "reject")  # type: ignore[attr-defined]
    said = refund("o2", 500.0)
    assert said.startswith("Not done: refund was rejected by ben@example.com")
    assert ran == [("o1", 5.0)]


def test_the_awaitable_client_has_the_same_names(hr: Client) -> None:
    async def walk() -> str:
        ruling = await hr.aio.submit("refund", facts={"order": "o1"}, proposal={"amount": 5})
        outcome = await hr.aio.wait(ruling, timeout=30)
        async with hr.aio.run(outcome) as run:
            assert run
        return str(outcome.verdict)

    assert asyncio.run(walk()) == "passed"
    for name in (*signatures(), "run"):
        assert name in NOT_OF_THE_CLIENT or hasattr(hr.aio, name), name


def test_every_noun_of_the_page_travels(hr: Client) -> None:
    ruling = refund(hr, 5)
    outcome = hr.wait(ruling)
    for noun in (ruling, outcome, hr.decisions()[0]):
        assert isinstance(noun, Noun)
        assert pickle.loads(pickle.dumps(noun)) == noun
        assert json.loads(json.dumps(noun.to_dict()))
        assert "<table" in noun._repr_html_()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_bad_input_before_it_is_sent(hr: Client, bad: float) -> None:
    with pytest.raises(errors.BadInput) as caught:
        refund(hr, bad)
    assert caught.value.pointer == "/proposal/amount"
    assert hr.decisions() == []


# --------------------------------------------------------------------------------- its errors


def _errors() -> list[str]:
    """`BadInput(pointer)` … as the page lists them."""
    try:
        whole = section("Python")
    except FileNotFoundError:
        return []
    return [one for one in spans(whole[whole.index("`handrail.errors`") :]) if one[0].isupper()]


def test_the_errors_are_one_tree_and_carry_what_the_page_says(hr: Client) -> None:
    listed = _errors()
    assert len(listed) == 8
    ruling = refund(hr, 500, key="k")
    passed = hr.wait(refund(hr, 5, "o2"))
    with hr.run(passed):
        pass
    raised: dict[str, Callable[[], object]] = {
        "BadInput": lambda: refund(hr, float("nan")),
        "Refused": lambda: handrail.webhooks.receive(b"{}", {}, secret=SECRET),
        "Held": lambda: hr.guard("refund", key=lambda order: "g", edit=["amount"], on_hold="raise")(
            lambda order, amount: None
        )("o9", 900),
        "NotAllowed": lambda: hr.withdraw(ruling, reason="r").value,
        "WaitTimeout": lambda: hr.wait(ruling, timeout=0.01),
        "AlreadyRun": lambda: hr.run(passed).__enter__(),
        "Conflict": lambda: refund(hr, 600, key="k"),
        "Unavailable": lambda: handrail.connect("http://127.0.0.1:9", "hrt_x").decisions(),
    }
    for shown in sorted(listed, key="NotAllowed".__eq__):
        name, _, carried = shown.rstrip(")").partition("(")
        kind = getattr(errors, name)
        assert issubclass(kind, errors.HandrailError)
        with pytest.raises(kind) as caught:
            raised[name]()
        for attribute in filter(None, carried.split(",")):
            assert getattr(caught.value, attribute.strip()), shown


# ------------------------------------------------------------------------------------ webhooks

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


def test_a_webhook_is_received_as_an_outcome(hr: Client) -> None:
    outcome = hr.wait(refund(hr, 5))
    document = {"type": "decision.outcome", "timestamp": "2026-11-21T08:00:00Z", "data": outcome}
    body = msgspec.json.encode(document)
    at = dt.datetime.now(dt.UTC)
    headers = {
        "webhook-id": "m_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("m_1", at, body.decode()),
    }
    assert handrail.webhooks.receive(body, headers, secret=SECRET) == outcome
    assert issubclass(Verdict, enum.StrEnum)
