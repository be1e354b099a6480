from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handrail.app import open_workspace
from handrail.client import Client
from handrail.client.http import HttpTransport
from handrail.model.people import Actor
from handrail.server.local import LocalServer
from tests.workspace import make_workspace


@pytest.fixture(params=["in process", "over HTTP"])
def hr(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of a workspace: everything a client promises holds on both transports."""
    folder = make_workspace(tmp_path / "work")
    actor = Actor(name="tests")
    if request.param == "in process":
        with open_workspace(folder, actor=actor) as client:
            yield client
        return
    servers: list[LocalServer] = []

    def serve(service: object, path: Path) -> LocalServer:
        servers.append(LocalServer(service, path, tcp=True))  # type: ignore[arg-type]
        return servers[0]

    with open_workspace(folder, serve=serve):
        [server] = servers
        assert server.url and server.token_file
        token = Path(server.token_file).read_text("ascii")
        with Client(HttpTransport(server.url, token=token), actor) as client:
            yield client
