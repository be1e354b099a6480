"""Journals outside the product: what clients meant and were told, and what the world saw.

A line is on disk before the call it announces and after the answer it records. A client that dies
leaves an intent without an answer: that call is *in flight*, it may have happened or not.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import rfc8785

from handrail.client.transport import Transport
from handrail.model import commands as c
from handrail.model.errors import HandrailError, Unavailable
from handrail.model.people import Actor
from handrail.model.problem import problem_of

JOURNALED = (
    c.Submit,
    c.SubmitBatch,
    c.Withdraw,
    c.Redeem,
    c.Confirm,
    c.Resolve,
    c.Claim,
    c.CastVote,
    c.Undo,
    c.SetStop,
    c.ClearStop,
)
"""Commands that change something a promise is about."""

SEEN = (c.WaitOutcome, c.WaitOutcomes)
"""Commands whose answers are promises: an outcome that was seen is final."""


class Op(msgspec.Struct, frozen=True, kw_only=True):
    """One call of one client."""

    client: str
    op: str
    """Name of the command."""
    actor: str
    args: dict[str, Any]
    answer: Any = None
    error: dict[str, Any] | None = None
    """Problem document of the error."""
    began: int = 0
    """µs of the outside world's clock."""
    ended: int | None = None
    """None: in flight; whether it happened is not known."""

    @property
    def acked(self) -> bool:
        """Whether the client was told that it happened."""
        return self.ended is not None and self.error is None

    @property
    def failed(self) -> str | None:
        """Kind of the error, such as `conflict`; None without one."""
        return None if self.error is None else str(self.error["type"]).rpartition(":")[2]

    @property
    def in_flight(self) -> bool:
        """Whether nobody knows if it happened: no answer, or `Unavailable`."""
        return self.ended is None or self.failed == "unavailable"


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One time the outside world was touched."""

    grant: str
    decision: str
    run: str
    digest: str
    """Of what really ran, computed by the effect itself."""
    at: int
    """µs of the outside world's clock when it began."""
    ended: bool
    by: str = ""


def effect_digest(workflow: str, subject: str | None, facts: Any, value: Any) -> str:
    """What the approved digest must be, computed apart from the product."""
    content = {"workflow": workflow, "subject": subject, "facts": facts, "value": value}
    return "sha256:" + hashlib.sha256(rfc8785.dumps(content)).hexdigest()


class Journal:
    """An append-only file of JSON lines, each flushed to disk before `write` returns."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, line: dict[str, Any]) -> None:
        os.write(self._file, msgspec.json.encode(line) + b"\n")
        os.fdatasync(self._file)

    def close(self) -> None:
        os.close(self._file)


class Memory:
    """A journal of a run whose own process survives the fault (a cut is only pretended)."""

    def __init__(self, alive: Callable[[], bool] = lambda: True) -> None:
        self._alive = alive
        self.lines: list[dict[str, Any]] = []

    def write(self, line: dict[str, Any]) -> None:
        # An answer that arrives after the power is gone was never told to anybody.
        if self._alive():
            self.lines.append(line)

    def close(self) -> None:
        pass


Sink = Journal | Memory


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of a journal; a torn last line was never written."""
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n"):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def ops(lines: Iterable[dict[str, Any]]) -> list[Op]:
    """The calls that the lines of client journals tell of, in the order they began."""
    intents: dict[tuple[str, int], dict[str, Any]] = {}
    ends: dict[tuple[str, int], dict[str, Any]] = {}
    for line in lines:
        call = (line["client"], line["n"])
        (intents if line["say"] == "intent" else ends)[call] = line
    found = []
    for call, intent in intents.items():
        end = ends.get(call)
        found.append(
            Op(
                client=intent["client"],
                op=intent["op"],
                actor=intent["actor"],
                args=intent["args"],
                began=intent["at"],
                answer=end.get("answer") if end else None,
                error=end.get("error") if end else None,
                ended=end["at"] if end else None,
            )
        )
    return found


def effects(lines: Iterable[dict[str, Any]]) -> list[Effect]:
    """The effects that the lines of effect journals tell of."""
    begun: list[dict[str, Any]] = []
    ended: set[tuple[str, str]] = set()
    for line in lines:
        if line["say"] == "begin":
            begun.append(line)
        else:
            ended.add((line["grant"], line["run"]))
    return [
        Effect(
            grant=line["grant"],
            decision=line["decision"],
            run=line["run"],
            digest=line["digest"],
            at=line["at"],
            ended=(line["grant"], line["run"]) in ended,
            by=line.get("by", ""),
        )
        for line in begun
    ]


def world_us() -> int:
    """The outside world's clock: µs since 1970 UTC."""
    return time.time_ns() // 1000


class Journaled:
    """A transport that keeps a journal of what is asked through it."""

    def __init__(
        self,
        transport: Transport,
        journal: Sink,
        client: str,
        clock: Callable[[], int] = world_us,
    ) -> None:
        self._transport = transport
        self._journal = journal
        self._client = client
        self._clock = clock
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def call(self, command: c.Command, actor: Actor) -> Any:
        if isinstance(command, SEEN):
            answer = self._transport.call(command, actor)
            if answer is not None and answer != []:
                number = self._intent(command, actor)
                self._end(number, answer=msgspec.to_builtins(answer))
            return answer
        if not isinstance(command, JOURNALED):
            return self._transport.call(command, actor)
        number = self._intent(command, actor)
        try:
            answer = self._transport.call(command, actor)
        except HandrailError as error:
            self._end(number, error=problem_of(error))
            raise
        except BaseException as error:
            # What is not in the error tree is a defect or an interruption: nothing is known.
            self._end(number, error=problem_of(Unavailable(f"{type(error).__name__}: {error}")))
            raise
        self._end(number, answer=msgspec.to_builtins(answer))
        return answer

    def close(self) -> None:
        self._transport.close()

    def _intent(self, command: c.Command, actor: Actor) -> int:
        with self._lock:
            number = next(self._numbers)
        self._journal.write(
            {
                "client": self._client,
                "n": number,
                "say": "intent",
                "op": type(command).__name__,
                "actor": actor.name,
                "args": msgspec.to_builtins(command),
                "at": self._clock(),
            }
        )
        return number

    def _end(self, number: int, **said: Any) -> None:
        self._journal.write(
            {"client": self._client, "n": number, "say": "end", "at": self._clock(), **said}
        )
