"""A workspace served on loopback, people who sign in to it and programs with tokens."""

from __future__ import annotations

import contextlib
import random
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from handrail.app import LOCAL, Paths, Workspace
from handrail.flow.passwords import Passwords
from handrail.model import commands as c
from handrail.model.people import Actor
from handrail.server.local import serve
from handrail.server.network import NetworkServer
from handrail.settings import Settings
from tests.workspace import make_workspace

PASSWORD = "three grey herons wait"
TOKEN_FIELD = re.compile(r'name="csrf_token" value="([^"]+)"')


PORTS = range(12_000, 32_000)
"""Where systems take no port from for connections that go out."""


def free_port() -> int:
    """A port of loopback for a server that is started again at it: nobody gets it meanwhile."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


@dataclass
class Net:
    """A running server and what tests do with it."""

    workspace: Workspace
    server: NetworkServer
    _open: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def send(self, command: c.Command, actor: Actor = LOCAL) -> Any:
        return self.workspace.service.call(command, actor)

    def token(self, name: str, *scopes: str, workflows: tuple[str, ...] = ("*",)) -> str:
        """The secret of a new token."""
        made = self.send(c.MakeToken(name=name, scopes=scopes, workflows=workflows))
        secret: str = made.secret
        return secret

    def program(self, secret: str | None = None, **headers: str) -> httpx.Client:
        """A bare client, with this token where one is given."""
        if secret is not None:
            headers["authorization"] = f"Bearer {secret}"
        client = httpx.Client(base_url=self.url, headers=headers, timeout=300)
        self._open.append(client)
        return client

    def invite(self, handle: str, *holds: str, limits: dict[str, str] | None = None) -> str:
        """The secret of an invitation."""
        made = self.send(c.Invite(handle=handle, holds=holds, limits=limits))
        secret: str = made.secret
        return secret

    def person(self, handle: str, *holds: str) -> Browser:
        """Somebody who took up an invitation and is signed in."""
        browser = self.browser()
        answer = browser.submit(
            "/invitation",
            {"secret": self.invite(handle, *holds), "password": PASSWORD, "again": PASSWORD},
        )
        assert answer.status_code == 303, answer.text
        return browser

    def browser(self) -> Browser:
        """Somebody at a browser who is not signed in."""
        return Browser(self.program())

    def close(self) -> None:
        for client in self._open:
            client.close()


@dataclass
class Browser:
    """Cookies, and forms that are first looked at."""

    http: httpx.Client

    def get(self, path: str, **query: str) -> httpx.Response:
        return self.http.get(path, params=query, headers={"accept": "text/html"})

    def token(self, path: str, **query: str) -> str:
        """The form token on a page."""
        found = TOKEN_FIELD.search(self.get(path, **query).text)
        assert found, f"{path} has no form"
        return found[1]

    def submit(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        """Load the page, then send its form."""
        query = {"secret": fields["secret"]} if path == "/invitation" else {}
        form = {"csrf_token": self.token(path, **query), **fields}
        return self.http.post(path, data=form, headers={"accept": "text/html", **headers})

    def sign_in(self, handle: str, password: str = PASSWORD, **fields: str) -> httpx.Response:
        return self.submit("/sign-in", {"handle": handle, "password": password, **fields})

    def send(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """A script on a page: JSON, with the form's token in the header."""
        headers.setdefault("x-csrf-token", self.token("/account"))
        return self.http.post(path, json=body, headers=headers)


@contextmanager
def net(folder: Path, settings: Settings | None = None, **policies: str) -> Iterator[Net]:
    """A workspace served on a free port of loopback. Passwords are hashed quickly."""
    make_workspace(folder, **policies)
    Paths(folder).make()
    settings = settings or Settings(address_rate=0, credential_rate=0)
    workspace = Workspace.own(folder, serve=serve, settings=settings)
    assert workspace is not None
    with workspace:
        workspace.service.ports = msgspec.structs.replace(
            workspace.ports, passwords=Passwords(memory_kib=8, rounds=1)
        )
        workspace.policies.refresh(now=True)
        server = NetworkServer(workspace.service, port=0)
        server.start()
        served = Net(workspace, server)
        try:
            yield served
        finally:
            served.close()
            server.stop()
