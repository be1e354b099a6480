"""The workspace's own server: the same API on a Unix socket that only its user can open.

Where there are no Unix sockets it listens on loopback, and a token in the run folder lets in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.app import Service

if TYPE_CHECKING:
    import uvicorn

GRACE_SECONDS = 2.0
"""What is under way gets this long to finish when the server stops."""


_log = logging.getLogger("handrail.server")


class LocalServer:
    """A running server. Others can connect from the moment it is made."""

    def __init__(self, service: Service, path: Path, *, tcp: bool) -> None:
        self._service = service
        self._path = path
        self._token: str | None = None
        self.url: str | None = None
        self.token_file: str | None = None
        if tcp:
            self._listen_on_loopback(path)
        else:
            self._listen_on(path)
        self._server: uvicorn.Server | None = None
        self._stopped = False
        self._loaded = threading.Event()
        self._lock = threading.Lock()
        # Loading the web framework takes longer than opening a workspace: it happens meanwhile,
        # and who connects until then waits in the socket's queue.
        self._thread = threading.Thread(target=self._serve, name="handrail-socket", daemon=True)
        self._thread.start()
        _living.add(self)

    def before_fork(self) -> None:
        """Wait until everything is loaded: a module half loaded would lock the child's imports."""
        self._loaded.wait(GRACE_SECONDS * 5)

    def after_fork(self) -> None:
        """In a forked child: let go of the socket, or who connects to a dead parent would hang."""
        # The event loop keeps the descriptor's number: put nothing in its place, do not free it.
        nothing = os.open(os.devnull, os.O_RDWR)
        with contextlib.suppress(OSError):
            os.dup2(nothing, self._socket.fileno())
        os.close(nothing)

    def _listen_on(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # of an owner that is gone: we hold the lock
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(os.fspath(path))
        os.chmod(path, 0o600)
        self._socket.listen(128)

    def _listen_on_loopback(self, path: Path) -> None:
        self._token = secrets.token_urlsafe(32)
        token_file = path.with_suffix(".token")
        with contextlib.suppress(FileNotFoundError):
            token_file.unlink()
        handle = os.open(token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(self._token)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(128)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.token_file = os.fspath(token_file)

    def _serve(self) -> None:
        try:
            self._run()
        except Exception:
            # At the interpreter's end a thread can load nothing any more, and nobody connects.
            if threading.main_thread().is_alive():
                _log.exception("the workspace's server ended; others cannot join any more")
        finally:
            self._loaded.set()

    def _run(self) -> None:
        import uvicorn

        new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
        with contextlib.suppress(ImportError):  # not on Windows
            import uvloop

            new_loop = uvloop.new_event_loop

        from handrail.server.identity import as_named, with_token
        from handrail.server.main import make_app

        app = make_app(
            self._service, identify=as_named if self._token is None else with_token(self._token)
        )
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(GRACE_SECONDS),
        )
        with self._lock:
            if self._stopped:
                return
            self._server = uvicorn.Server(config)
        config.load()
        self._loaded.set()
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(self._server.serve(sockets=[self._socket]))

    def stop(self) -> None:
        """Take no more requests, finish those under way, and go."""
        with self._lock:
            self._stopped = True
            if self._server is not None:
                self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        if self.token_file is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.token_file)


_living: weakref.WeakSet[LocalServer] = weakref.WeakSet()


def _before_fork() -> None:
    for server in list(_living):
        server.before_fork()


def _after_fork() -> None:
    for server in list(_living):
        server.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def serve(service: Service, path: Path) -> LocalServer:
    """Serve the workspace on the Unix socket `path`, or on loopback where there are none."""
    return LocalServer(service, path, tcp=not hasattr(socket, "AF_UNIX"))
