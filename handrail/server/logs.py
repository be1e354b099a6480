"""One structured line a request, with request id and decision id, through the standard logging."""

from __future__ import annotations

import datetime
import json
import logging
import random
import re
import time
import traceback
from collections.abc import Callable
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from handrail.server.tracing import request_span

_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")

Seen = Callable[[Scope, int, float], None]
"""Told of each request that was answered: its scope, status and seconds."""


_log = logging.getLogger("handrail.server")


def say(level: int, event: str, error: BaseException | None = None, /, **fields: Any) -> None:
    """One JSON line into `handrail.server` of the standard logging.

    ASCII, with every control character escaped, so no request can forge a line. Nothing is
    configured here: a program that embeds Handrail keeps its own log as it is.
    """
    if not _log.isEnabledFor(level):
        return
    line = {
        "event": event,
        "level": logging.getLevelName(level).lower(),
        "timestamp": datetime.datetime.now(datetime.UTC).isoformat(),
        **fields,
    }
    if error is not None:
        line["exception"] = "".join(traceback.format_exception(error))
    _log.log(level, "%s", json.dumps(line, ensure_ascii=True))


class Lines(logging.Formatter):
    """Every record as one JSON line, those of `say` as they are."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.name == _log.name and message.startswith("{"):
            return message
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "event": message,
            "level": record.levelname.lower(),
            "timestamp": at.isoformat(),
            "logger": record.name,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


def with_request_ids(app: ASGIApp, seen: Seen | None = None) -> ASGIApp:
    """Around an application: name each request, answer with the name, log and count how it went.

    The log has the path and never the query, in which a link may carry a secret.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        # A name, not a secret: no call of the system, at which the other threads would come in.
        request_id = given if _SAFE.fullmatch(given) else f"{random.getrandbits(64):016x}"
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
            say(
                logging.INFO,
                "request",
                request=request_id,
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round(seconds * 1000, 1),
                decision=state.get("decision"),
            )

    return wrapped
