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
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.app import Service
from handrail.server.doorbell import Doorbell

if TYPE_CHECKING:
    import uvicorn

GRACE_SECONDS = 2.0
"""What is under way gets this long to finish when the server stops."""


_log = logging.getLogger("handrail.server")


class LocalServer:
    """A running server. Others can connect from the moment it is made.

    The first who does makes it load the web framework; a workspace that nobody joins does without.
    """

    def __init__(self, service: Service, path: Path, *, tcp: bool) -> None:
        self._service = service
        self._path = path
        self._token: str | None = None
        self.url: str | None = None
        self.token_file: str | None = None
        self._bell = Doorbell(self._listen_on_loopback(path) if tcp else self._listen_on(path))
        self._server: uvicorn.Server | None = None
        self._stopped = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="handrail-socket", daemon=True)
        self._thread.start()

    def _listen_on(self, path: Path) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # of an owner that is gone: we hold the lock
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.bind(os.fspath(path))
        os.chmod(path, 0o600)
        made.listen(128)
        return made

    def _listen_on_loopback(self, path: Path) -> socket.socket:
        self._token = secrets.token_urlsafe(32)
        token_file = path.with_suffix(".token")
        with contextlib.suppress(FileNotFoundError):
            token_file.unlink()
        handle = os.open(token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(self._token)
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.bind(("127.0.0.1", 0))
        made.listen(128)
        self.url = f"http://127.0.0.1:{made.getsockname()[1]}"
        self.token_file = os.fspath(token_file)
        return made

    def _serve(self) -> None:
        if not self._bell.wait():
            return
        try:
            self._run()
        except Exception:
            # At the interpreter's end a thread can load nothing any more, and nobody connects.
            if threading.main_thread().is_alive():
                _log.exception("the workspace's server ended; others cannot join any more")
        finally:
            self._bell.loaded()

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
        self._bell.loaded()
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(self._server.serve(sockets=[self._bell.socket]))

    def stop(self) -> None:
        """Take no more requests, finish those under way, and go."""
        with self._lock:
            self._stopped = True
            if self._server is not None:
                self._server.should_exit = True
        self._bell.stop()
        self._thread.join()
        self._bell.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        if self.token_file is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.token_file)


def serve(service: Service, path: Path) -> LocalServer:
    """Serve the workspace on the Unix socket `path`, or on loopback where there are none."""
    return LocalServer(service, path, tcp=not hasattr(socket, "AF_UNIX"))
