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

from handrail.access import Thing, Who, may
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
    block: bytes
    rule: type[Command] | str
    thing: Thing | None


class _Listener:
    def __init__(self, actor: Actor, who: Who, start: int) -> None:
        self.actor = actor
        self.who = who
        self.start = start
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_WAITING)

    def may(self, news: News) -> bool:
        if news.thing is None:
            return may(self.who, news.rule)
        return may(self.who, news.rule, news.thing)

    def put(self, block: bytes | None) -> None:
        try:
            self.queue.put_nowait(block)
        except asyncio.QueueFull:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(_block("reset", None, {"why": "too slow"}))
            self.queue.put_nowait(None)


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
        self._listeners: set[_Listener] = set()
        self._next = 0
        self._woken = asyncio.Event()
        self._flagged = False
        self._task: asyncio.Task[None] | None = None
        self._unlisten: Callable[[], None] = lambda: None
        self._known_at = 0.0
        self._closed = False

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    async def open(self, actor: Actor, after: int | None) -> AsyncIterator[bytes]:
        """The blocks for a listener that has seen everything up to the entry `after`."""
        if self._closed or self._service.signals.closed:
            raise Unavailable("the server is going down; connect again in a moment")
        if len(self._listeners) >= MOST_LISTENERS:
            raise Unavailable(f"{MOST_LISTENERS} listen already; try again later")
        who, size = await self._work(self._service.ports.store.read, lambda tx: _look(tx, actor))
        self._start(size)
        listener = _Listener(actor, who, self._next)
        self._listeners.add(listener)
        return self._blocks(listener, after)

    async def _blocks(self, listener: _Listener, after: int | None) -> AsyncIterator[bytes]:
        try:
            start = listener.start if after is None else min(after + 1, listener.start)
            if listener.start - start > MOST_BACK:
                yield _block("reset", listener.start - 1, {"why": "too much happened meanwhile"})
                start = listener.start
            yield _block("ready", start - 1 if start else None, {"index": start - 1})
            while start < listener.start:
                end = min(start + AT_ONCE, listener.start)
                found: list[News] = await self._work(self._read, start, end)
                blocks = [news.block for news in found if listener.may(news)]
                start = end
                if blocks:
                    yield b"".join(blocks)
            while True:
                try:
                    async with asyncio.timeout(BEAT_SECONDS):
                        block = await listener.queue.get()
                except TimeoutError:
                    yield _block(None, self._next - 1 if self._next else None, None) + b": \n\n"
                    continue
                if block is None:
                    return
                pieces = [block]
                while not listener.queue.empty():
                    more = listener.queue.get_nowait()
                    if more is None:
                        yield b"".join(pieces)
                        return
                    pieces.append(more)
                yield b"".join(pieces)
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        self._unlisten()
        for listener in self._listeners:
            listener.put(None)
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
        while self._listeners and not self._closed:
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
            if stale or any(self._changes_rights(news) for news in found):
                self._known_at = now
                await self._look_up_everybody()
            for listener in list(self._listeners):
                for news in found:
                    if news.index >= listener.start and listener.may(news):
                        listener.put(news.block)
            if not found:
                return
            self._next = found[-1].index + 1

    @staticmethod
    def _changes_rights(news: News) -> bool:
        return any(f'"{name}"'.encode() in news.block for name in RIGHTS_CHANGE)

    async def _look_up_everybody(self) -> None:
        listeners = list(self._listeners)

        def look(tx: Transaction) -> list[Who | None]:
            found: list[Who | None] = []
            for listener in listeners:
                try:
                    found.append(enter(tx, listener.actor, meet=False))
                except Unknown:
                    found.append(None)
            return found

        known = await self._work(self._service.ports.store.read, look)
        for listener, who in zip(listeners, known, strict=True):
            if who is None:
                listener.put(None)
                self._listeners.discard(listener)
            else:
                listener.who = who

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
            found.append(News(index, _block(None, index, data), rule, thing))
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
