"""News as server-sent events: what happened, told to whom it concerns, as soon as it is committed.

`GET /api/v1/stream`. An event's id is the index of its audit entry, so a browser that was away asks
for what came after the last one it saw, and loses nothing. An event carries ids only; who may not
see a review or decision is not told of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from litestar import Request, get
from litestar.response import Stream as Streaming

from handrail.access import NOTHING, Thing, Who, may
from handrail.app import Service
from handrail.audit.entry import decode
from handrail.flow.who import decision_thing, enter, review_thing
from handrail.model.commands import Command, GetDecision, GetReview
from handrail.model.errors import BadInput, HandrailError, Unavailable, Unknown
from handrail.model.people import Actor
from handrail.ports import Transaction

BEAT_SECONDS = 15.0
"""A quiet stream shows this often that it lives."""
POLL_SECONDS = 0.25
"""The log is looked at this often even where nobody said that it grew."""
KNOWN_SECONDS = 5.0
"""What a listener may see is looked up this often, and at once when rights change."""
AT_ONCE = 500
"""Entries read in one go."""
MOST_BACK = 10_000
"""Entries a listener is told that it missed; one that missed more starts anew."""
MOST_WAITING = 2_000
"""Events kept for a listener that does not read."""
MOST_LISTENERS = 5_000

RIGHTS_CHANGE = ("person.changed", "session.ended", "token.revoked")
EVERYBODYS = ("policy.activated", "workspace.created")
"""Entries that whoever is known may hear of."""


class News(msgspec.Struct, frozen=True):
    """One entry of the log, ready to send, with what it takes to be told of it."""

    index: int
    kind: str
    block: bytes
    rule: type[Command] | str
    thing: Thing


class _Audience:
    """The listeners of one actor: whether they may hear of an entry is asked once for them all."""

    def __init__(self, who: Who) -> None:
        self.who = who
        self.listeners: set[_Listener] = set()

    def may(self, news: News) -> bool:
        return may(self.who, news.rule, news.thing)


class _Listener:
    """One open stream: what waits to be sent on it."""

    def __init__(self, audience: _Audience, start: int, now: float) -> None:
        self.audience = audience
        self.start = start
        self.told_at = now
        """When something was last put here, by the loop's clock."""
        self._waiting: list[bytes] = []
        self._events = 0
        self._ends = False
        self._something = asyncio.Event()

    def put(self, block: bytes, events: int, now: float) -> None:
        """Hand on a block of so many events. Who reads too slowly is sent off to start anew."""
        self.told_at = now
        self._events += events
        if self._events > MOST_WAITING:
            self._waiting = [_block("reset", None, {"why": "too slow"})]
            self._ends = True
        elif not self._ends:
            self._waiting.append(block)
        self._something.set()

    def end(self) -> None:
        """Send what waits, and no more."""
        self._ends = True
        self._something.set()

    async def take(self) -> bytes | None:
        """All that waits, once there is something; None where the stream is over."""
        await self._something.wait()
        if not self._waiting:
            return None
        taken, self._waiting, self._events = self._waiting, [], 0
        if not self._ends:
            self._something.clear()
        return taken[0] if len(taken) == 1 else b"".join(taken)


def _block(event: str | None, index: int | None, data: Any) -> bytes:
    lines = [] if event is None else [f"event: {event}"]
    if index is not None:
        lines.append(f"id: {index}")
    if data is not None:
        lines.append("data: " + msgspec.json.encode(data).decode())
    return ("\n".join(lines) + "\n\n").encode()


class Stream:
    """Reads the log once for all listeners. Lives on one event loop."""

    def __init__(self, service: Service, work: Callable[..., Awaitable[Any]]) -> None:
        self._service = service
        self._work = work
        self._audiences: dict[Actor, _Audience] = {}
        self._count = 0
        self._next = 0
        self._woken = asyncio.Event()
        self._flagged = False
        self._task: asyncio.Task[None] | None = None
        self._unlisten: Callable[[], None] = lambda: None
        self._known_at = 0.0
        self._beaten_at = 0.0
        self._closed = False

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return self._count

    async def open(self, actor: Actor, after: int | None) -> AsyncIterator[bytes]:
        """The blocks for a listener that has seen everything up to the entry `after`."""
        if self._closed or self._service.signals.closed:
            raise Unavailable("the server is going down; connect again in a moment")
        if self._count >= MOST_LISTENERS:
            raise Unavailable(f"{MOST_LISTENERS} listen already; try again later")
        who, size = await self._work(self._service.ports.store.read, lambda tx: _look(tx, actor))
        return self._blocks(actor, who, size, after)

    async def _blocks(
        self, actor: Actor, who: Who, size: int, after: int | None
    ) -> AsyncIterator[bytes]:
        # Here and not before: what is never iterated is never ended either.
        if self._closed:
            return
        self._start(size)
        audience = self._audiences.setdefault(actor, _Audience(who))
        audience.who = who
        listener = _Listener(audience, self._next, asyncio.get_running_loop().time())
        audience.listeners.add(listener)
        self._count += 1
        try:
            start = listener.start if after is None else min(after + 1, listener.start)
            if listener.start - start > MOST_BACK:
                yield _block("reset", listener.start - 1, {"why": "too much happened meanwhile"})
                start = listener.start
            yield _block("ready", start - 1 if start else None, {"index": start - 1})
            while start < listener.start:
                end = min(start + AT_ONCE, listener.start)
                found: list[News] = await self._work(self._read, start, end)
                blocks = [news.block for news in found if listener.audience.may(news)]
                start = end
                if blocks:
                    yield b"".join(blocks)
            while (block := await listener.take()) is not None:
                yield block
        finally:
            self._forget(listener, actor)

    def _forget(self, listener: _Listener, actor: Actor) -> None:
        audience = listener.audience
        if listener in audience.listeners:
            audience.listeners.remove(listener)
            self._count -= 1
        if not audience.listeners and self._audiences.get(actor) is audience:
            del self._audiences[actor]

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        self._unlisten()
        for audience in self._audiences.values():
            for listener in audience.listeners:
                listener.end()
        if self._task is not None:
            self._task.cancel()

    # ------------------------------------------------------------------ the one reader

    def _start(self, size: int) -> None:
        if self._task is not None and not self._task.done():
            return
        self._next = size
        loop = asyncio.get_running_loop()

        def heard(topics: frozenset[str], due: int | None) -> None:
            # On the writer's thread, once a commit: the loop is woken once a look.
            if not self._flagged:
                self._flagged = True
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(self._woken.set)

        self._unlisten()
        self._unlisten = self._service.ports.store.listen(heard)
        self._task = loop.create_task(self._pump())

    async def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        while self._count and not self._closed:
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            self._flagged = False
            if self._service.signals.closed:
                self.close()
                return
            with contextlib.suppress(HandrailError):  # the store is away: the next look finds it
                await self._look(loop.time())
        self._unlisten()
        self._unlisten = lambda: None

    async def _look(self, now: float) -> None:
        while True:
            found: list[News] = await self._work(self._read, self._next, None)
            stale = now - self._known_at >= KNOWN_SECONDS
            if stale or any(news.kind in RIGHTS_CHANGE for news in found):
                self._known_at = now
                await self._look_up_everybody()
            if found:
                self._tell(found, now)
                self._next = found[-1].index + 1
            if len(found) < AT_ONCE:
                break
        if now - self._beaten_at >= BEAT_SECONDS / 10:
            self._beaten_at = now
            self._beat(now)

    def _tell(self, found: list[News], now: float) -> None:
        """Hand each audience what it may hear of: checked once and joined once."""
        for audience in self._audiences.values():
            heard = [news for news in found if audience.may(news)]
            if not heard:
                continue
            block = b"".join([news.block for news in heard])
            for listener in audience.listeners:
                if listener.start <= heard[0].index:
                    listener.put(block, len(heard), now)
                    continue
                late = [news.block for news in heard if news.index >= listener.start]
                if late:
                    listener.put(b"".join(late), len(late), now)

    def _beat(self, now: float) -> None:
        """Show those who heard nothing for a while that the stream lives, and where it stands."""
        block = _block(None, self._next - 1 if self._next else None, None) + b": \n\n"
        for audience in self._audiences.values():
            for listener in audience.listeners:
                if now - listener.told_at >= BEAT_SECONDS:
                    listener.put(block, 1, now)

    async def _look_up_everybody(self) -> None:
        known = list(self._audiences.items())

        def look(tx: Transaction) -> list[Who | None]:
            found: list[Who | None] = []
            for actor, _ in known:
                try:
                    found.append(enter(tx, actor, meet=False))
                except Unknown:
                    found.append(None)
            return found

        found = await self._work(self._service.ports.store.read, look)
        for (actor, audience), who in zip(known, found, strict=True):
            if who is not None:
                audience.who = who
                continue
            for listener in list(audience.listeners):
                listener.end()
                self._forget(listener, actor)

    def _read(self, start: int, end: int | None) -> list[News]:
        return self._service.ports.store.read(lambda tx: self._news(tx, start, end))

    def _news(self, tx: Transaction, start: int, end: int | None) -> list[News]:
        size = tx.audit.size()
        end = min(size if end is None else min(end, size), start + AT_ONCE)
        things: dict[str, Thing] = {}
        found = []
        for index, raw in enumerate(tx.audit.entries(start, end) if start < end else (), start):
            entry = decode(raw)
            rule, thing = self._about(tx, entry, things)
            data = {"index": index, "type": entry["type"], "at": entry["at"]}
            if thing is not None and thing.workflow is not None:
                data["workflow"] = thing.workflow
            data |= {
                name: entry[name] for name in ("workflow", "review", "decision") if name in entry
            }
            found.append(
                News(index, entry["type"], _block(None, index, data), rule, thing or NOTHING)
            )
        return found

    def _about(
        self, tx: Transaction, entry: dict[str, Any], things: dict[str, Thing]
    ) -> tuple[type[Command] | str, Thing | None]:
        """What it takes to hear of an entry, and about what."""
        kind, ports = entry["type"], self._service.ports
        review, decision = entry.get("review"), entry.get("decision")
        if review is not None:
            if review not in things:
                stored = tx.reviews.get(review)
                if stored is None:
                    return "audit.read", None
                things[review] = review_thing(tx, ports, stored)
            return GetReview, things[review]
        if decision is not None:
            if decision not in things:
                filed = tx.decisions.get(decision)
                if filed is None:
                    return "audit.read", None
                things[decision] = decision_thing(tx, ports, filed, _ANYBODY)
            return GetDecision, things[decision]
        if kind.startswith("stop."):
            return "stops.read", None
        if kind in EVERYBODYS:
            return "account.see", None
        return "audit.read", None


_ANYBODY = Who(name="anybody", via=Actor(name="anybody").via, program=False, rights=frozenset())
"""A person, so that a decision is looked at with the review that asks about it."""


def _look(tx: Transaction, actor: Actor) -> tuple[Who, int]:
    return enter(tx, actor, meet=False), tx.audit.size()


@get("/stream", name="stream")
async def stream(request: Request[Any, Any, Any]) -> Streaming:
    """Server-sent events: what happens from now on, or after the audit index `Last-Event-ID`."""
    desk = request.app.state.desk
    actor = await desk.actor(request)
    if actor.via == "nobody":
        raise Unknown("show an API token (Authorization: Bearer hrt_…), or sign in")
    request.scope["state"]["operation"] = "Stream"
    said = request.headers.get("last-event-id") or request.query_params.get("after")
    unknown = set(request.query_params) - {"after"}
    if unknown:
        raise BadInput(f"the query has an unknown field {min(unknown)!r}; expected after=INDEX")
    if said is not None and (not said.isascii() or not said.isdecimal() or len(said) > 15):
        raise BadInput(f"is {said[:40]!r}; expected the index of an audit entry", "/after")
    blocks = await request.app.state.stream.open(actor, None if said is None else int(said))
    return Streaming(
        blocks,
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )
