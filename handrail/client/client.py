"""The client: requests as values, one method a verb, whatever transport carries them."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from handrail.client.batch import (
    Columns,
    OnBad,
    Rulings,
    proposal_columns,
    record,
    submit_many,
)
from handrail.client.convert import wire, wire_object
from handrail.client.guard import Guard
from handrail.client.runs import Run
from handrail.client.transport import HERE, Transport
from handrail.model.commands import (
    AddLabel,
    Command,
    DecisionView,
    ListDecisions,
    ListFeedback,
    Preview,
    Submit,
    WaitOutcome,
    WaitOutcomes,
    Withdraw,
    read_command,
)
from handrail.model.errors import BadInput, Conflict, WaitTimeout
from handrail.model.feedback import Feedback, Label
from handrail.model.observation import Recorded
from handrail.model.outcome import Outcome
from handrail.model.people import Actor
from handrail.model.ruling import Ruling

if TYPE_CHECKING:
    from handrail.client.aio import AsyncClient

V = TypeVar("V")

Ref = str | Ruling | Outcome[Any] | DecisionView
"""What names a decision: its id, or anything that carries it."""

WAIT_SECONDS = 30.0
"""Longest wait of one command; `wait` sends another as long as it has time."""


class Client:
    """Submits decisions, waits for outcomes and runs effects.

    `handrail.open` and `handrail.connect` make it. Every method raises errors of `handrail.errors`
    only. Threads may share a client. It is a context manager; `close()` lets go of the workspace or
    the connections.
    """

    def __init__(self, transport: Transport, actor: Actor) -> None:
        self._transport = transport
        self.actor = actor
        """Who sends what this client sends."""

    # ------------------------------------------------------------------------- submit

    def submit(
        self,
        workflow: str,
        *,
        facts: Any,
        proposal: Any = None,
        key: str | None = None,
        subject: str | None = None,
        requester: str | None = None,
        confidence: Any = None,
        alternatives: Sequence[Any] = (),
        model: str | None = None,
        current: Any = None,
        context: Any = None,
        links: Mapping[str, str] | None = None,
        callback: str | None = None,
        occurred_at: dt.datetime | str | None = None,
        expires_at: dt.datetime | str | None = None,
        supersedes: Ref | None = None,
        test: bool = False,
    ) -> Ruling:
        """Hand in a decision; the gate's ruling says whether it passes, is held or refused.

        `facts` and `proposal` are mappings, dataclasses, Structs or pydantic models; `convert`
        tells what becomes of their values. `key` makes repeats one decision: the same key with the
        same content answers the first ruling, with other content raises `Conflict`. Without a key
        a random one is made, so that a request sent twice over a bad connection is still one.
        `confidence` is a number from 0 to 1, or one for each field of the proposal. `context` is
        shown to people and never read by a policy.

        Raises `BadInput` with a pointer to what is wrong; nothing was stored then.
        """
        command = read_command(
            Submit,
            {
                "workflow": workflow,
                "facts": wire_object(facts, "/facts"),
                "proposal": None if proposal is None else wire_object(proposal, "/proposal"),
                "key": secrets.token_hex(16) if key is None else wire(key, "/key"),
                "subject": wire(subject, "/subject"),
                "requester": wire(requester, "/requester"),
                "confidence": wire(confidence, "/confidence"),
                "alternatives": wire(tuple(alternatives), "/alternatives"),
                "model": wire(model, "/model"),
                "current": None if current is None else wire_object(current, "/current"),
                "context": wire(context, "/context"),
                "links": wire(links, "/links"),
                "callback": callback,
                "occurred_at": wire(occurred_at, "/occurred_at"),
                "expires_at": wire(expires_at, "/expires_at"),
                "supersedes": None if supersedes is None else decision_id(supersedes),
                "test": test,
            },
        )
        return self._send(command)  # type: ignore[no-any-return]

    def preview(
        self,
        workflow: str,
        *,
        facts: Any,
        proposal: Any = None,
        subject: str | None = None,
        confidence: Any = None,
    ) -> Ruling:
        """What the gate would answer now. Stores nothing and holds nothing."""
        command = read_command(
            Preview,
            {
                "workflow": workflow,
                "facts": wire_object(facts, "/facts"),
                "proposal": None if proposal is None else wire_object(proposal, "/proposal"),
                "subject": wire(subject, "/subject"),
                "confidence": wire(confidence, "/confidence"),
            },
        )
        return self._send(command)  # type: ignore[no-any-return]

    def submit_many(
        self,
        workflow: str,
        rows: Any,
        *,
        key: str,
        proposal: str | Sequence[str] | Mapping[str, str] | None = None,
        confidence: str | None = None,
        subject: str | None = None,
        model: str | None = None,
        on_bad: OnBad = "raise",
        progress: Callable[[int, int | None], object] | None = None,
    ) -> Rulings:
        """Hand in the rows of a pandas, Polars or Arrow table, or an iterable of mappings.

        `key`, `confidence` and `subject` name columns; `proposal` names those that would run (a
        mapping renames them: field of the proposal to column). The other columns are facts, the
        key and subject columns included. Missing values are left out of their row; in pandas
        NaN means missing. `model` is the name and version of what proposed.

        `on_bad`: `raise` stops at the first bad row, with its number in the pointer; what came
        before it is stored, and running again repeats nothing, because rows have keys. `hold` makes
        a row whose required facts are missing a held "bad input" review and raises for rows that
        cannot be read at all. `skip` leaves bad rows out and lists them in `.bad`.

        `progress` is called with rows done and rows in all (None where that is not known).
        """
        if on_bad not in ("raise", "hold", "skip"):
            raise BadInput(f"on_bad is {on_bad!r}; expected raise, hold or skip", "/on_bad")
        columns = Columns(
            workflow=workflow,
            key=key,
            proposal=proposal_columns(proposal),
            confidence=confidence,
            subject=subject,
            model=model,
            hold=on_bad == "hold",
        )
        return submit_many(
            self._transport, self.actor, columns, rows, on_bad=on_bad, progress=progress
        )

    # ------------------------------------------------------------------------- wait and run

    def wait(
        self,
        ref: Ref,
        *,
        timeout: float | None = None,
        on_timeout: Literal["raise", "withdraw"] = "raise",
    ) -> Outcome[Any]:
        """The outcome of a decision, as soon as it is released. Only reads.

        After `timeout` seconds (None: never) raises `WaitTimeout`, and the decision is unchanged;
        with `on_timeout="withdraw"` it is withdrawn and that outcome is the answer, unless it was
        decided at that very moment.
        """
        if on_timeout not in ("raise", "withdraw"):
            raise BadInput(f"on_timeout is {on_timeout!r}; expected raise or withdraw")
        name = decision_id(ref)
        until = _until(timeout)
        while True:
            left = WAIT_SECONDS if until is None else max(0.0, until - time.monotonic())
            outcome = self._send(WaitOutcome(decision_id=name, wait=min(left, WAIT_SECONDS)))
            if outcome is not None:
                return outcome  # type: ignore[no-any-return]
            if (until is not None and time.monotonic() >= until) or HERE.abandoned():
                break
        limit = f" after {timeout:g} s" if timeout is not None else ""
        late = WaitTimeout(f"{name} has no outcome{limit}; wait again, or withdraw it")
        if on_timeout == "raise" or timeout is None or HERE.abandoned():
            raise late
        try:
            return self.withdraw(name, reason=f"no outcome within {timeout:g} s")
        except Conflict:
            # Decided meanwhile: it is released when the undo time is over.
            outcome = self._send(WaitOutcome(decision_id=name, wait=WAIT_SECONDS))
            if outcome is None:
                raise late from None
            return outcome  # type: ignore[no-any-return]

    def as_decided(
        self, refs: Iterable[Ref], *, timeout: float | None = None
    ) -> Iterator[Outcome[Any]]:
        """Outcomes of several decisions, each as soon as it is released, in the order decided.

        Raises `WaitTimeout` where some have none after `timeout` seconds in all (None: never).
        """
        names = dict.fromkeys(decision_id(ref) for ref in refs)
        return self._as_decided(names, timeout)

    def _as_decided(self, names: dict[str, None], timeout: float | None) -> Iterator[Outcome[Any]]:
        until = _until(timeout)
        while names:
            left = WAIT_SECONDS if until is None else max(0.0, until - time.monotonic())
            outcomes: list[Outcome[Any]] = self._send(
                WaitOutcomes(decision_ids=list(names), wait=min(left, WAIT_SECONDS))
            )
            for outcome in outcomes:
                del names[outcome.decision_id]
            yield from outcomes
            late = until is not None and time.monotonic() >= until
            if names and (late or HERE.abandoned()):
                raise WaitTimeout(
                    f"{len(names)} decisions have no outcome after {timeout} s, "
                    f"such as {next(iter(names))}; wait for them again"
                )

    def run(self, outcome: Outcome[V], *, lease_seconds: float = 300.0) -> Run[V]:
        """Spend the outcome's grant around the effect: `with hr.run(outcome) as run: if run: …`.

        False where the outcome allows nothing. `run.value` is what was approved, `run.key` the
        idempotency key for the effect. One decision, at most one effect; exactly one when the
        effect honours `run.key`. A run that is not confirmed within `lease_seconds` is in doubt: a
        person settles it, it is never repeated by itself.
        """
        if not isinstance(outcome, Outcome):
            raise BadInput(
                f"run takes the outcome, this is a {type(outcome).__name__}; "
                "get it with `hr.wait(ruling)`"
            )
        return Run(self._transport, self.actor, outcome, lease_seconds)

    def guard(
        self,
        workflow: str,
        *,
        key: Callable[..., str],
        facts: Callable[..., Any] | None = None,
        edit: Sequence[str] = (),
        confidence: float | Callable[..., Any] | None = None,
        requester: str | Callable[..., str] | None = None,
        on_hold: Literal["wait", "raise"] = "wait",
        on_reject: Literal["raise", "say"] = "raise",
        timeout: float | None = None,
    ) -> Guard:
        """Submit, wait and run around a function, `def` or `async def`.

        `key`, `facts`, `confidence` and `requester` may be functions of the arguments, taken by
        name: those that they name are handed to them. Facts default to the effective arguments
        (bound, defaults filled in) but those in `edit`, which are the proposal. The function runs
        with the approved values for these, and with the caller's own objects for the others; where
        one of them was changed while people decided, `Conflict` is raised and nothing runs.

        A "no" raises `NotAllowed`, and a second call with the same key `AlreadyRun`;
        `on_reject="say"` returns a sentence instead, for a model to read. `on_hold="raise"` raises
        `Held` instead of waiting. After `timeout` seconds of waiting `WaitTimeout` is raised.
        """
        return Guard(
            self,
            workflow=workflow,
            key=key,
            facts=facts,
            edit=tuple([edit] if isinstance(edit, str) else edit),
            confidence=confidence,
            requester=requester,
            on_hold=on_hold,
            on_reject=on_reject,
            timeout=timeout,
        )

    # ------------------------------------------------------------------------- afterwards

    def withdraw(self, ref: Ref, *, reason: str) -> Outcome[Any]:
        """Take a decision back before it is decided. Raises `Conflict` where it was."""
        return self._send(  # type: ignore[no-any-return]
            read_command(
                Withdraw, {"decision_id": decision_id(ref), "reason": wire(reason, "/reason")}
            )
        )

    def label(
        self,
        ref: Ref,
        *,
        truth: Any = None,
        wrong: bool | None = None,
        loss: Any = None,
        source: str,
        at: dt.datetime | str | None = None,
    ) -> Label:
        """Say what is known later: the `truth`, or whether it was `wrong`, and what it cost.

        `loss` is a decimal in the workflow's unit of money; `source` says where it is known from;
        `at` is when it became true.
        """
        return self._send(  # type: ignore[no-any-return]
            read_command(
                AddLabel,
                {
                    "decision_id": decision_id(ref),
                    "truth": wire(truth, "/truth"),
                    "wrong": wire(wrong, "/wrong"),
                    "loss": None if loss is None else str(wire(loss, "/loss")),
                    "source": wire(source, "/source"),
                    "at": wire(at, "/at"),
                },
            )
        )

    def record(
        self,
        stream: str,
        rows: Any,
        *,
        key: str,
        at: str = "at",
        on_bad: Literal["raise", "skip"] = "raise",
    ) -> Recorded:
        """Record what happened elsewhere, for the aggregates of policies to read.

        `rows` are a pandas, Polars or Arrow table, or an iterable of mappings; `key` and `at` name
        columns. The key makes a row sent twice one observation, so running again counts nothing
        again; the same key with other content is bad. `at` is a time with a zone, or a day
        (`2026-11-30`, a `date`) that lies where an aggregate's own time zone has that day. The
        other columns are what aggregates read by name; missing values are left out.

        `on_bad`: `raise` stops at the first bad row; what came before it is stored. `skip` leaves
        bad rows out; `.rows` says of each what was wrong.
        """
        if on_bad not in ("raise", "skip"):
            raise BadInput(f"on_bad is {on_bad!r}; expected raise or skip", "/on_bad")
        return record(self._transport, self.actor, stream, rows, key=key, at=at, on_bad=on_bad)

    def decisions(
        self,
        workflow: str | None = None,
        *,
        lane: str | None = None,
        state: str | None = None,
        subject: str | None = None,
        key: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> list[DecisionView]:
        """Decisions with what became of them, newest first. `before`: go on before this id."""
        return self.call(  # type: ignore[no-any-return]
            ListDecisions(
                workflow=workflow,
                lane=lane,
                state=state,
                subject=subject,
                key=key,
                before=before,
                limit=limit,
            )
        )

    def feedback(self, workflow: str | None = None, *, limit: int = 1000) -> list[Feedback]:
        """What people did with proposals: original, human version, reason code and seconds."""
        return self.call(ListFeedback(workflow=workflow, limit=limit))  # type: ignore[no-any-return]

    # ------------------------------------------------------------------------- the rest

    def call(self, command: Command, actor: Actor | None = None) -> Any:
        """Send any command of `handrail.model.commands`, as `actor` where one is given."""
        fields = {name: getattr(command, name) for name in command.__struct_fields__}
        checked = read_command(type(command), wire(fields))
        return self._transport.call(checked, actor or self.actor)

    @cached_property
    def aio(self) -> AsyncClient:
        """The same names, awaitable."""
        from handrail.client.aio import AsyncClient

        return AsyncClient(self)

    def _send(self, command: Command) -> Any:
        return self._transport.call(command, self.actor)

    def close(self) -> None:
        """Let go of the workspace or the connections. Calling it again does nothing."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _until(timeout: float | None) -> float | None:
    """When a wait ends, by the monotonic clock; None for never. Raises `BadInput`."""
    if timeout is None:
        return None
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not number or timeout != timeout:  # NaN would wait for ever
        raise BadInput(f"timeout is {timeout!r}; expected seconds, or None for no end", "/timeout")
    return time.monotonic() + timeout


def decision_id(ref: Ref) -> str:
    """The id of the decision that `ref` names."""
    if isinstance(ref, str):
        return ref
    if isinstance(ref, Ruling | Outcome):
        return ref.decision_id
    if isinstance(ref, DecisionView):
        return ref.ruling.decision_id
    raise BadInput(
        f"{ref!r} names no decision; expected a ruling, an outcome or an id such as d_01…"
    )
