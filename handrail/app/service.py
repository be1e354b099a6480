"""What answers commands: the verbs by type, and waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Protocol

from msgspec.structs import replace

from handrail.app.signals import Signals
from handrail.flow import LINK, USE_CASES, Ports, begin_submit, refused
from handrail.model.commands import (
    ROUTES,
    Command,
    DecisionView,
    DiffPolicies,
    GetPolicy,
    Invite,
    Invited,
    ListLists,
    ListTrials,
    MakeFirstAdmin,
    PolicyHistory,
    Preview,
    ProposeList,
    Record,
    RowAnswer,
    SetPerson,
    SetStop,
    Submit,
    SubmitBatch,
    WaitOutcome,
    WaitOutcomes,
)
from handrail.model.errors import BadInput, NotFound, Refused, Unavailable
from handrail.model.modes import Lane
from handrail.model.outcome import Outcome
from handrail.model.people import Actor
from handrail.model.ruling import Ruling

MAX_WAIT_SECONDS = 60.0
MAX_WAITED = 10_000
"""Decisions one `WaitOutcomes` may name."""


_AFTER_A_LOOK = (
    Submit,
    SubmitBatch,
    Preview,
    Record,
    SetStop,
    # What lies in the folder while one person runs the workspace rules before there are more.
    SetPerson,
    Invite,
    MakeFirstAdmin,
    # What rules may be a file that was written a moment ago.
    GetPolicy,
    DiffPolicies,
    PolicyHistory,
    ListTrials,
    ListLists,
    ProposeList,
)
"""Commands before which changed policy files are looked for."""


def _nothing(name: str) -> AbstractContextManager[None]:
    return nullcontext()


class Desk(Protocol):
    """Where people decide, for those who ask where that is."""

    @property
    def origin(self) -> str | None:
        """Its address, without a slash at the end; None while there is none."""

    def held(self, review_id: str) -> str | None:
        """A decision was held, and this is its review: the address, where there is one."""

    def link_for(self, secret: str) -> str | None:
        """The whole link that this secret of a `MakeLink` makes; None where no link signs in."""


class Service:
    """Answers every command of `ROUTES`; what every transport and the server end at.

    `refresh` is called before a command that the gate answers, so that changed policy files are
    seen; `mistakes` are those of files that are not active. While `only_reads` holds a sentence,
    commands that write are refused with it.
    """

    def __init__(
        self,
        ports: Ports,
        signals: Signals,
        refresh: Callable[[], None] = lambda: None,
        mistakes: Mapping[str, Exception] | None = None,
    ) -> None:
        self.ports = ports
        self.signals = signals
        self.only_reads: str | None = None
        self.around: Callable[[str], AbstractContextManager[Any]] = _nothing
        """Entered around each use case, with its command's name: where spans are made."""
        self.desk: Desk | None = None
        """Where the reviews of this workspace are decided, if anywhere."""
        self._refresh = refresh
        self._mistakes = mistakes if mistakes is not None else {}

    def call(self, command: Command, actor: Actor) -> Any:
        """The answer, once it is durable. Blocks for as long as a wait asks."""
        if isinstance(command, WaitOutcome | WaitOutcomes):
            return self._wait(command, actor)
        kind = type(command)
        self._admit(command)
        try:
            with self.around(kind.__name__):
                answer = USE_CASES[kind](command, actor, self.ports)
            return answer if self.desk is None else placed(answer, self.desk)
        except NotFound as error:
            raise self._explained(command, error) from error.__cause__

    def begin(self, command: Submit, actor: Actor) -> Future[Ruling]:
        """Hand in a decision without waiting until it is durable: the future is done then.

        What the call or the future raises goes through `ended`, the ruling through `placed`.
        """
        self._admit(command)
        return begin_submit(command, actor, self.ports)

    def ended(self, command: Submit, actor: Actor, error: Exception) -> Exception:
        """What to say of a submit that was begun and failed. Records a refusal, so it may block."""
        refused(error, type(command), actor, self.ports)
        return self._explained(command, error) if isinstance(error, NotFound) else error

    def slow(self, command: Submit) -> bool:
        """Whether a submit takes a thread of its own: for checks of its policy, or for spans."""
        return self.around is not _nothing or command.workflow in self.ports.shelf.checking

    def _admit(self, command: Command) -> None:
        kind = type(command)
        if isinstance(command, _AFTER_A_LOOK):
            self._refresh()
        if self.only_reads and ROUTES[kind].method != "GET" and kind is not Preview:
            raise Refused(self.only_reads)

    def _explained(self, command: Command, error: NotFound) -> NotFound:
        if not (isinstance(command, Submit | Preview) and self._mistakes):
            return error
        wrong = "\n".join(str(mistake) for mistake in self._mistakes.values())
        said = NotFound(f"{error}\nNot active because of mistakes:\n{wrong}")
        said.__cause__ = error
        return said

    def _wait(self, command: WaitOutcome | WaitOutcomes, actor: Actor) -> Any:
        woken = threading.Event()
        with Waiting(self, command, actor, woken.set) as waiting:
            until = time.monotonic() + command.wait
            while True:
                woken.clear()
                answer = waiting.read()
                if answer:
                    return waiting.answer(answer)
                if self.signals.closed:
                    raise Unavailable("this client is closed; open the workspace again")
                left = until - time.monotonic()
                if left <= 0 or not woken.wait(left):
                    return waiting.answer([])


def placed(answer: Any, desk: Desk) -> Any:
    """The answer, and in its rulings where their reviews are decided."""
    if isinstance(answer, Ruling):
        if answer.review_id is None:
            return answer
        held = answer.lane is Lane.HOLD
        return replace(answer, desk=desk.held(answer.review_id) if held else desk.origin)
    if isinstance(answer, Invited):
        local = answer.secret.startswith(LINK)
        return replace(answer, link=desk.link_for(answer.secret)) if local else answer
    if isinstance(answer, DecisionView):
        if answer.ruling.review_id is None or desk.origin is None:
            return answer
        return replace(answer, ruling=replace(answer.ruling, desk=desk.origin))
    if isinstance(answer, RowAnswer):
        return (
            answer if answer.ruling is None else replace(answer, ruling=placed(answer.ruling, desk))
        )
    if isinstance(answer, list) and answer and isinstance(answer[0], DecisionView | RowAnswer):
        return [placed(one, desk) for one in answer]
    return answer


class Waiting:
    """One pending wait: subscribed while it is entered.

    `read` answers what is released by now; `wake` is called (on the writer's thread) when it is
    worth reading again. It reads again only the decisions that were touched.
    """

    def __init__(
        self,
        service: Service,
        command: WaitOutcome | WaitOutcomes,
        actor: Actor,
        wake: Callable[[], object],
    ) -> None:
        if not 0 <= command.wait <= MAX_WAIT_SECONDS:
            raise BadInput(
                f"is {command.wait:g}; expected 0 to {MAX_WAIT_SECONDS:g} seconds", "/wait"
            )
        self._single = isinstance(command, WaitOutcome)
        names = command.decision_ids if isinstance(command, WaitOutcomes) else [command.decision_id]
        if len(names) > MAX_WAITED:
            raise BadInput(
                f"names {len(names)} decisions; at most {MAX_WAITED} are taken", "/decision_ids"
            )
        self._service = service
        self._actor = actor
        self._wake = wake
        self._topics = {f"outcome:{name}": name for name in names}
        self._touched = dict.fromkeys(names)
        self._stop: Callable[[], None] = lambda: None

    def __enter__(self) -> Waiting:
        self._stop = self._service.signals.subscribe(self._topics, self._touch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _touch(self, topic: str) -> None:
        self._touched[self._topics[topic]] = None
        self._wake()

    def read(self) -> list[Outcome[Any]]:
        """Outcomes that are released, the earliest decided first."""
        found = []
        while self._touched:
            name, _ = self._touched.popitem()
            read = USE_CASES[WaitOutcome]
            outcome = read(WaitOutcome(decision_id=name), self._actor, self._service.ports)
            if outcome is not None:
                found.append(outcome)
        return sorted(found, key=lambda outcome: (outcome.at, outcome.decision_id))

    def answer(self, found: list[Outcome[Any]]) -> Any:
        """What the command answers: one outcome or None, or the list of them."""
        if self._single:
            return found[0] if found else None
        return found
