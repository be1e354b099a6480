"""One handler a command: strict bytes in, the command to the service, its answer out."""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from handrail.app import Service
from handrail.app.service import Waiting
from handrail.model.commands import (
    ROUTES,
    AcceptInvitation,
    Command,
    Record,
    SignIn,
    Submit,
    SubmitBatch,
    WaitOutcome,
    WaitOutcomes,
    read_command,
)
from handrail.model.errors import BadInput, Unknown
from handrail.model.people import Actor, Via
from handrail.model.wire import MAX_BODY_BYTES, read_json
from handrail.server.front import header_of
from handrail.server.identity import ByCredential, Identify
from handrail.server.submits import Submits

T = TypeVar("T")

OPEN = (AcceptInvitation, SignIn)
"""What may be sent by who is not known."""

_PATH_FIELD = re.compile(r"\{(\w+)\}")
_encode = msgspec.json.Encoder().encode


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What the handlers share: who answers, where blocking work runs, who asks."""

    service: Service
    executor: Executor
    identify: Identify
    submits: Submits

    async def actor(self, request: Request[Any, Any, Any]) -> Actor:
        """Who sends a request; the store is asked only where it has to be."""
        if not isinstance(self.identify, ByCredential):
            return self.identify(request)
        found = self.identify.at_once(request)
        return found if found is not None else await self.work(self.identify, request)

    async def work(self, call: Callable[..., T], *args: Any) -> T:
        """Run blocking work on the server's own threads."""
        return await work_on(self.executor, call, *args)


async def work_on(executor: Executor, call: Callable[..., T], *args: Any) -> T:
    """Run blocking work on the threads of `executor`."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(executor, context.run, call, *args)


def endpoints(*kinds: type[Command]) -> list[HTTPRouteHandler]:
    """The handlers of these commands, as `ROUTES` places them."""
    return [_endpoint(kind) for kind in kinds]


def _endpoint(kind: type[Command]) -> HTTPRouteHandler:
    route = ROUTES[kind]
    in_path = tuple(_PATH_FIELD.findall(route.path))

    async def handle(request: Request[Any, Any, Any]) -> ASGIResponse:
        desk: Desk = request.app.state.desk
        actor = await desk.actor(request)
        if actor.via is Via.NOBODY and kind not in OPEN:
            raise Unknown("show an API token (Authorization: Bearer hrt_…), or sign in")
        request.scope["state"]["operation"] = kind.__name__
        if route.method == "GET":
            fields, strict = _query(request), False
        else:
            fields, strict = await _body(request), True
        for name in in_path:
            given = request.path_params[name]
            if fields.setdefault(name, given) != given:
                raise BadInput(f"the body says {fields[name]!r}, the path {given!r}", f"/{name}")
        if kind is Submit:
            _take_key(request, fields)
        large = kind in (SubmitBatch, Record)
        command = (
            await desk.work(_read, kind, fields)
            if large
            else read_command(kind, fields, strict=strict)
        )
        answer = await _answer(desk, command, actor)
        _note_decision(request, answer)
        content = await desk.work(_encode, answer) if large else _encode(answer)
        return ASGIResponse(body=content, media_type="application/json", status_code=200)

    handle.__name__ = kind.__name__
    path = _PATH_FIELD.sub(r"{\1:str}", route.path)
    return HTTPRouteHandler(path, http_method=[route.method], name=kind.__name__)(handle)  # type: ignore[list-item]


def _read(kind: type[Command], fields: dict[str, Any]) -> Command:
    return read_command(kind, fields)


async def _answer(desk: Desk, command: Command, actor: Actor) -> Any:
    if isinstance(command, Submit):
        return await desk.submits.answer(command, actor)
    if not isinstance(command, WaitOutcome | WaitOutcomes):
        return await desk.work(desk.service.call, command, actor)
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    until = loop.time() + command.wait
    # No thread is held while it waits: the writer's thread wakes this loop.
    with Waiting(
        desk.service, command, actor, lambda: loop.call_soon_threadsafe(woken.set)
    ) as waiting:
        while True:
            woken.clear()
            found = await desk.work(waiting.read)
            left = until - loop.time()
            if found or left <= 0 or desk.service.signals.closed:
                return waiting.answer(found)
            try:
                await asyncio.wait_for(woken.wait(), left)
            except TimeoutError:
                return waiting.answer([])


async def _body(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The JSON object of the body. What is too large is refused before it is read whole."""
    scope = request.scope
    given = header_of(scope, b"content-type")
    kind = "application/json" if given is None else given.partition(";")[0].strip()
    if kind.lower() != "application/json":
        raise BadInput(f"the body is {kind!r}; expected application/json", status=415)
    said = header_of(scope, b"content-length") or "0"
    if said.isdecimal() and int(said) > MAX_BODY_BYTES:
        raise _too_large(int(said))
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _too_large(len(body))
    value = read_json(bytes(body)) if body else {}
    if not isinstance(value, dict):
        raise BadInput("the body is no object; expected {…} with the fields of the request")
    return value


def _too_large(size: int) -> BadInput:
    return BadInput(
        f"the body has at least {size} bytes; at most {MAX_BODY_BYTES} are taken: send large "
        "content as a link, and many decisions in several batches",
        status=413,
    )


def _query(request: Request[Any, Any, Any]) -> dict[str, Any]:
    text = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except ValueError as error:
        raise BadInput(f"the query cannot be read: {error}; write ?name=value&…") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadInput("the query names a field twice; keep one of them")
    return dict(fields)


def _take_key(request: Request[Any, Any, Any], fields: dict[str, Any]) -> None:
    key = header_of(request.scope, b"idempotency-key")
    if key is None:
        return
    if fields.get("key") is None:
        fields["key"] = key
    elif fields["key"] != key:
        raise BadInput(
            f"is {fields['key']!r}, and the header Idempotency-Key {key!r}; send one of them",
            "/key",
        )


def _note_decision(request: Request[Any, Any, Any], answer: Any) -> None:
    decision = getattr(answer, "decision_id", None) or request.path_params.get("decision_id")
    if decision:
        request.scope["state"]["decision"] = decision
