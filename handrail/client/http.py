"""The HTTP transport: the same API over the network and over a workspace's local socket."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from handrail.client.transport import repeatable, unknown_whether
from handrail.model.commands import ROUTES, Command
from handrail.model.decoding import decoder
from handrail.model.errors import BadInput, HandrailError, Unavailable
from handrail.model.people import Actor
from handrail.model.problem import error_of
from handrail.model.wire import read_json

PREFIX = "/api/v1"
ATTEMPTS = 4
"""Times a repeatable command is sent before `Unavailable`."""
BACKOFF_SECONDS = 0.05
"""First pause between two attempts; it doubles, with up to as much again by chance."""
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
"""Longest silence while an answer is awaited, on top of what the command itself waits."""

_PATH_FIELD = re.compile(r"\{(\w+)\}")


class HttpTransport:
    """Sends commands as `ROUTES` says and raises the errors that problem documents name.

    `url` is the server's address, with or without a path in front of `/api/v1`. With `socket` the
    connection goes to that Unix socket. `token` is sent as a bearer token.

    Retries only what is safe to repeat, a bounded number of times; `attempts=1` leaves that to the
    caller. Threads may share it.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        socket: str | None = None,
        attempts: int = ATTEMPTS,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            base = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise BadInput(f"{url!r} is not an address: {error}; write https://host") from error
        if base.scheme not in ("http", "https") or not base.host:
            raise BadInput(
                f"{url!r} is not an address; write it as https://host or https://host/path"
            )
        self._base = str(base).rstrip("/") + PREFIX
        self._where = socket or url
        self._attempts = attempts
        self._pause = pause
        headers = {"accept": "application/json, application/problem+json"}
        if token:
            if not token.isascii() or not token.isprintable():
                raise BadInput(
                    "the token is not plain text; copy it as it was handed out", "/token"
                )
            headers["authorization"] = f"Bearer {token}"
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=8)
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=socket, limits=limits, trust_env=not socket),
            headers=headers,
            follow_redirects=False,
        )

    def call(self, command: Command, actor: Actor) -> Any:
        method, url, params, body = _travel(command)
        headers = {
            "handrail-actor": quote(actor.name),
            "handrail-actor-kind": "program" if actor.program else "person",
        }
        if body is not None:
            headers["content-type"] = "application/json"
        timeout = httpx.Timeout(
            ANSWER_SECONDS + getattr(command, "wait", 0.0), connect=CONNECT_SECONDS
        )
        attempt = 1
        while True:
            try:
                response = self._http.request(
                    method,
                    self._base + url,
                    params=params,
                    content=body,
                    headers=headers,
                    timeout=timeout,
                )
                return self._answer(command, response)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                if attempt >= self._attempts:
                    raise NotReached(
                        f"{self._where} cannot be reached ({error}); is it up?"
                    ) from error
            except httpx.TransportError as error:
                if not repeatable(command):
                    why = f"the connection to {self._where} broke ({type(error).__name__})"
                    raise Unavailable(unknown_whether(command, why)) from error
                if attempt >= self._attempts:
                    raise Interrupted(
                        f"{self._where} does not answer ({type(error).__name__}: {error}); "
                        "nothing is known to have happened, and it is safe to try again"
                    ) from error
            pause = BACKOFF_SECONDS * 2 ** (attempt - 1)
            self._pause(pause * (1 + random.random()))
            attempt += 1

    def _answer(self, command: Command, response: httpx.Response) -> Any:
        kind = ROUTES[type(command)].answer
        if response.is_success:
            if kind is None:
                return None
            try:
                return decoder(kind).decode(response.content)
            except msgspec.MsgspecError as error:
                raise Unavailable(
                    f"{self._where} answered {type(command).__name__} with something else than "
                    f"expected ({error}); are client and server of the same version?"
                ) from error
        raise self._problem(response)

    def _problem(self, response: httpx.Response) -> HandrailError:
        try:
            problem = read_json(response.content)
        except BadInput:
            problem = None
        if isinstance(problem, dict):
            return error_of({"status": response.status_code, **problem})
        return error_of(
            {
                "status": response.status_code,
                "detail": f"{self._where} answered {response.status_code} "
                f"{response.reason_phrase} without a problem document; is it Handrail?",
            }
        )

    def close(self) -> None:
        self._http.close()


class NotReached(Unavailable):
    """No connection could be made: the command was certainly not carried out."""


class Interrupted(Unavailable):
    """The connection broke under a command that is safe to repeat."""


def _travel(command: Command) -> tuple[str, str, dict[str, str] | None, bytes | None]:
    """Method, path, query and body of a command."""
    route = ROUTES[type(command)]
    fields: dict[str, Any] = {
        field.name: getattr(command, field.name) for field in msgspec.structs.fields(command)
    }
    path = _PATH_FIELD.sub(lambda found: _segment(found[1], fields.pop(found[1])), route.path)
    if route.method != "GET":
        return route.method, path, None, msgspec.json.encode(fields)
    query = {name: _query(value) for name, value in fields.items() if value is not None}
    return route.method, path, query, None


def _segment(name: str, value: str) -> str:
    if value.strip(".") == "":
        raise BadInput(
            f"{name} is {value!r}; expected an id such as the ruling carries", f"/{name}"
        )
    return quote(value, safe="")


def _query(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
