"""The local server where there are no Unix sockets: loopback, and a token lets in."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import httpx
import pytest

from handrail.app import LocalTransport, Paths, Service, Workspace, open_workspace, owner_of
from handrail.server.local import LocalServer
from tests.workspace import make_workspace


def on_loopback(service: Service, path: Path) -> LocalServer:
    return LocalServer(service, path, tcp=True)


def test_loopback_asks_for_the_token(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "work")
    with open_workspace(folder, serve=on_loopback) as first:
        owner = owner_of(folder)
        assert owner is not None and owner.url is not None and owner.token_file is not None
        assert owner.socket is None
        assert owner.url.startswith("http://127.0.0.1:")
        token_file = Path(owner.token_file)
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
        for headers in ({}, {"authorization": "Bearer x"}, {"authorization": b"Bearer \xe9"}):
            refused = httpx.get(f"{owner.url}/api/v1/decisions", headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert refused.json()["title"] == "Unknown caller"
        with open_workspace(folder, serve=on_loopback) as second:
            ruling = second.submit("refund", facts={"order": "1"}, proposal={"amount": 5})
            assert isinstance(second._transport, LocalTransport)
            assert second._transport.workspace is None
            assert first.wait(ruling).allowed
            first.close()
            assert not token_file.exists()
            assert len(second.decisions()) == 1


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "work")
    Paths(folder).make()
    Paths(folder).socket().write_text("left behind")
    with (
        open_workspace(folder, serve=lambda s, p: LocalServer(s, p, tcp=False)),
        open_workspace(folder) as hr,
    ):
        assert hr.decisions() == []
    assert not Paths(folder).socket().exists()


@pytest.mark.parametrize("tcp", [True, False])
def test_it_can_be_stopped_at_once(tmp_path: Path, tcp: bool) -> None:
    """Also while it is still loading, and nothing of it stays."""
    folder = make_workspace(tmp_path / "work")
    Paths(folder).make()
    before = threading.active_count()
    for _ in range(3):
        workspace = Workspace.own(folder, serve=lambda s, p: LocalServer(s, p, tcp=tcp))
        assert workspace is not None
        workspace.close()
    assert threading.active_count() == before
