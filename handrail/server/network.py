"""The server on the network: uvicorn around the application, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from msgspec.structs import replace

from handrail.app import Service
from handrail.flow import has_admin
from handrail.model.errors import BadInput, Refused
from handrail.server.doorbell import BACKLOG, listen
from handrail.server.front import Front, make_front
from handrail.server.main import make_app
from handrail.server.tracing import start_tracing, use_case_span

PORT = 8421
KEEP_ALIVE_SECONDS = 75
MOST_AT_ONCE = 10_000
"""Connections; more are answered 503 before anything of theirs is read."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class NetworkServer:
    """A workspace's server on a port. It listens from the moment it is made.

    With `own`, a socket that listens on loopback already, it is the desk of this machine's user:
    links sign in, and what is set up for a server on the network does not count.

    Raises `Refused` for an address that others reach while no admin can sign in, and for one whose
    name nobody has said; `Unavailable` where the port is taken.
    """

    def __init__(
        self,
        service: Service,
        host: str = "127.0.0.1",
        port: int = PORT,
        *,
        dev: bool = False,
        own: socket.socket | None = None,
        started: Callable[[NetworkServer], None] = lambda server: None,
    ) -> None:
        settings = service.ports.settings
        if own is not None:
            settings = replace(
                settings, public_url="", hosts=(), proxies=(), tls_certificate="", tls_key=""
            )
        _check_address(service, host, dev)
        if settings.traces:
            start_tracing()
            service.around = use_case_span
        self._service = service
        self.local = is_loopback(host)
        """Whether only this machine reaches it."""
        self._socket = own or listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        tls = bool(settings.tls_certificate)
        origin = settings.public_url or (f"https://{host}:{self.port}" if tls else "")
        front = make_front(host, self.port, public_url=origin, hosts=settings.hosts, dev=dev)
        self.front: Front = replace(front, links=own is not None)
        self.app = make_app(service, front=self.front)
        config = uvicorn.Config(
            self.app,
            http="httptools",
            ws="none",
            lifespan="on",
            loop="uvloop" if _has_uvloop() else "asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=list(settings.proxies) or None,
            limit_concurrency=MOST_AT_ONCE,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
            ssl_certfile=settings.tls_certificate or None,
            ssl_keyfile=settings.tls_key or None,
            h11_max_incomplete_event_size=64 * 1024,
        )
        if own is None:
            service.desk = self
        self._server = _Server(config, self._drain, lambda: started(self))
        self._thread: threading.Thread | None = None

    @property
    def origin(self) -> str:
        """Where people reach it."""
        return self.front.origin

    def held(self, review_id: str) -> str:
        """Where a review is decided: here."""
        return self.origin

    def link_for(self, secret: str) -> None:
        """People have passwords or a provider here; no link signs in."""

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; what is under way is finished first."""
        before = {}
        # uvicorn raises the signal it was stopped by once more at its end: nothing to do then.
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, _ignore)
        try:
            self._server.run(sockets=[self._socket])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._socket.close()

    def start(self) -> None:
        """Serve on a thread of its own, until `stop`."""
        self._thread = threading.Thread(target=self.serve, name="handrail-network", daemon=True)
        self._thread.start()

    def serve(self) -> None:
        """Serve on this thread, which is not the main one, until `stop`."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Take no more requests, finish those under way, and go."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._socket.close()

    def _drain(self) -> None:
        """Wake whoever waits, so that they are answered and come back later."""
        self._service.signals.close()
        self.app.state.stream.close()


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, drain: Callable[[], None], started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._said = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            await asyncio.get_running_loop().run_in_executor(None, self._said)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._drain()
        await super().shutdown(sockets)


def _ignore(number: int, frame: FrameType | None) -> Any:
    return None


def _has_uvloop() -> bool:
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: F401

        return True
    return False


def _check_address(service: Service, host: str, dev: bool) -> None:
    settings = service.ports.settings
    if is_loopback(host):
        return
    if dev:
        raise BadInput(f"--dev is for this machine alone, and {host} is not; leave one of them out")
    if not service.ports.store.read(has_admin):
        raise Refused(
            f"nobody can sign in as admin yet, so it listens on this machine only, not on {host}: "
            "start without --host, follow the link of the first admin, then start again"
        )
    everywhere = host in ("0.0.0.0", "::")
    if everywhere and not settings.public_url and not settings.hosts:
        raise BadInput(
            f"{host} is every address of this machine, and requests have to name one: say how "
            "people reach it, in HANDRAIL_PUBLIC_URL (https://handrail.example) or HANDRAIL_HOSTS"
        )
