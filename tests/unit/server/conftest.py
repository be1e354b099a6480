from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from handrail.app import Paths, Workspace
from handrail.server.local import serve
from tests.server import Net
from tests.server import net as serve_net
from tests.workspace import make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace that serves on its socket."""
    folder = make_workspace(tmp_path / "work")
    Paths(folder).make()
    found = Workspace.own(folder, serve=serve)
    assert found is not None
    with found:
        yield found


@pytest.fixture
def http(workspace: Workspace) -> Iterator[httpx.Client]:
    """A bare HTTP client on the socket."""
    transport = httpx.HTTPTransport(uds=str(workspace.paths.socket()))
    with httpx.Client(transport=transport, base_url="http://w/api/v1", timeout=60) as client:
        yield client


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    """A workspace served on loopback."""
    with serve_net(tmp_path / "work") as found:
        yield found
