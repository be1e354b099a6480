"""Who sends a request."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from litestar import Request

from handrail.flow import Ports, recognise
from handrail.model.errors import BadInput, Unknown
from handrail.model.people import Actor, Via

Identify = Callable[[Request[Any, Any, Any]], Actor]
"""Names the actor of a request, or raises. May block: it is asked on a worker's thread."""

NOBODY = Actor(name="nobody", via=Via.NOBODY)
"""Who shows neither a token nor a session."""

REMEMBERED_SECONDS = 15.0
"""How long a secret that was recognised is not looked up again. What its owner may do is looked up
in every transaction all the same; only the name behind the secret is remembered."""
MOST_REMEMBERED = 20_000


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


class ByCredential:
    """The actor behind a bearer token or a session's cookie: for the network.

    Nothing a request says about itself is believed. A token that is not known is an error; a
    session that is over makes the browser's person nobody.
    """

    def __init__(self, ports: Ports, clock: Callable[[], float] = time.monotonic) -> None:
        self._ports = ports
        self._clock = clock
        self._lock = threading.Lock()
        self._found: OrderedDict[bytes, tuple[Actor, float]] = OrderedDict()

    def __call__(self, request: Request[Any, Any, Any]) -> Actor:
        state = request.scope["state"]
        secret, by_cookie = state.get("bearer"), False
        if secret is None:
            secret, by_cookie = state["cookies"].get(state["front"].cookie), True
        if not secret:
            return NOBODY
        found = self.remembered(secret)
        if found is None:
            try:
                found = recognise(secret, self._ports)
            except Unknown:
                if by_cookie:
                    return NOBODY
                raise
            with self._lock:
                self._found[_digest(secret)] = (found, self._clock() + REMEMBERED_SECONDS)
                while len(self._found) > MOST_REMEMBERED:
                    self._found.popitem(last=False)
        return found

    def at_once(self, request: Request[Any, Any, Any]) -> Actor | None:
        """The actor, where that takes no look into the store; else None."""
        state = request.scope["state"]
        secret = state.get("bearer") or state["cookies"].get(state["front"].cookie)
        return self.remembered(secret) if secret else NOBODY

    def remembered(self, secret: str) -> Actor | None:
        """Whom this secret was recognised as a moment ago."""
        found = self._found.get(_digest(secret))
        if found is None or found[1] < self._clock():
            return None
        return found[0]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
