"""One structured line a request, with request id and decision id, through the standard logging."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from handrail.server.tracing import request_span

_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")

Seen = Callable[[Scope, int, float], None]
"""Told of each request that was answered: its scope, status and seconds."""


def logger() -> structlog.stdlib.BoundLogger:
    """The server's log: JSON lines into `handrail.server` of the standard logging.

    JSON escapes every control character, so no request can forge a line. Nothing is configured
    globally: a program that embeds Handrail keeps its own log as it is.
    """
    return structlog.wrap_logger(  # type: ignore[no-any-return]
        logging.getLogger("handrail.server"),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def with_request_ids(app: ASGIApp, seen: Seen | None = None) -> ASGIApp:
    """Around an application: name each request, answer with the name, log and count how it went.

    The log has the path and never the query, in which a link may carry a secret.
    """
    log = logger()

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _SAFE.fullmatch(given) else secrets.token_hex(8)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        began = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        try:
            with request_span(scope, request_id) as done:
                await app(scope, receive, answer)
                done(status, state.get("operation"))
        finally:
            seconds = time.perf_counter() - began
            if seen is not None:
                seen(scope, status, seconds)
            log.info(
                "request",
                request=request_id,
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round(seconds * 1000, 1),
                decision=state.get("decision"),
            )

    return wrapped
