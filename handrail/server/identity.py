"""Who sends a request."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from litestar import Request

from handrail.model.errors import BadInput, Unknown
from handrail.model.people import Actor

Identify = Callable[[Request[Any, Any, Any]], Actor]
"""Names the actor of a request, or raises."""


def as_named(request: Request[Any, Any, Any]) -> Actor:
    """The actor the request names: for a socket that only the workspace's own user can open.

    Header `Handrail-Actor` is the name, percent-encoded; `Handrail-Actor-Kind` is `person` or
    `program` (the default).
    """
    try:
        name = unquote(request.headers.get("handrail-actor", "local"), errors="strict")
    except UnicodeDecodeError as error:
        raise BadInput("the header Handrail-Actor is not percent-encoded UTF-8") from error
    kind = request.headers.get("handrail-actor-kind", "program")
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise BadInput("the header Handrail-Actor names nobody; expected 1 to 200 characters")
    if kind not in ("person", "program"):
        raise BadInput(f"the header Handrail-Actor-Kind is {kind!r}; expected person or program")
    return Actor(name=name, program=kind == "program")


def with_token(token: str) -> Identify:
    """As `as_named`, for who knows the token of the workspace."""
    wanted = f"Bearer {token}".encode()

    def identify(request: Request[Any, Any, Any]) -> Actor:
        given = request.headers.get("authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, wanted):
            raise Unknown("no token, or not the one of this workspace; read it from its run folder")
        return as_named(request)

    return identify
