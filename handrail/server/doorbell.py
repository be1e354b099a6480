"""Sockets that listen before anything is loaded to answer on them.

Loading the web framework takes most of a second. A workspace that nobody joins and a desk that
nobody opens should not cost it: the socket listens at once, who connects waits in its queue, and
the first of them makes the server load.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import threading
import weakref

from handrail.model.errors import BadInput, Unavailable

BACKLOG = 2048
PATIENCE_SECONDS = 10.0
"""How long a fork waits for a server that is loading."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises `BadInput`, or `Unavailable` where it is taken."""
    try:
        [found, *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        made = socket.socket(found[0], socket.SOCK_STREAM)
    except OSError as error:
        raise BadInput(f"{host} is no address of this machine ({error}); name another") from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(found[4])
        made.listen(BACKLOG)
        made.set_inheritable(False)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(
                f"port {port} of {host} is taken; name another with --port, or end what has it"
            ) from error
        raise BadInput(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return made


class Doorbell:
    """A listening socket, watched until somebody calls or it is not wanted any more.

    A forked child lets go of the socket: who connected to it there would never be answered.
    """

    def __init__(self, listening: socket.socket) -> None:
        self.socket = listening
        self._stop, self._stopped = socket.socketpair()
        self._loaded = threading.Event()
        self._loaded.set()
        _living.add(self)

    def wait(self) -> bool:
        """Block until somebody calls, and say so (True), or until `stop` (False).

        After True the server is loading; say `loaded` when that is over, however it ended.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(self._stopped, selectors.EVENT_READ)
            rung = {key.fileobj for key, _ in selector.select()}
        if self._stopped in rung:
            return False
        self._loaded.clear()
        return True

    def loaded(self) -> None:
        """The server is loaded, or could not be."""
        self._loaded.set()

    def stop(self) -> None:
        """Wake who waits; nobody is to be answered any more."""
        with contextlib.suppress(OSError):
            self._stop.send(b"x")

    def close(self) -> None:
        """Close the socket, once nothing serves on it."""
        for one in (self.socket, self._stop, self._stopped):
            one.close()

    def before_fork(self) -> None:
        """Wait until nothing is half loaded: such a module would lock the child's imports."""
        self._loaded.wait(PATIENCE_SECONDS)

    def after_fork(self) -> None:
        """In a forked child: let go of the socket."""
        # An event loop keeps the descriptor's number: put nothing in its place, do not free it.
        nothing = os.open(os.devnull, os.O_RDWR)
        with contextlib.suppress(OSError):
            os.dup2(nothing, self.socket.fileno())
        os.close(nothing)


_living: weakref.WeakSet[Doorbell] = weakref.WeakSet()


def _before_fork() -> None:
    for bell in list(_living):
        bell.before_fork()


def _after_fork() -> None:
    for bell in list(_living):
        bell.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
