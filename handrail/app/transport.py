"""The transport of an embedded workspace: its owner, or a client of the owner, and what is next.

If nobody owns the workspace this process does. If somebody does, commands go to them over their
socket; when they are gone, the next command finds out, and the first who asks is the new owner.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from handrail.app.lock import read_owner
from handrail.app.workspace import Paths, Workspace
from handrail.client.transport import Transport
from handrail.model.commands import Command
from handrail.model.errors import Unavailable
from handrail.model.people import Actor

PAUSE_SECONDS = 0.02
"""First pause between two looks for an owner; it doubles up to ten times as much."""

_log = logging.getLogger("handrail.workspace")


_inherited: list[Transport] = []
"""What a forked child must never close: SQLite forbids it to touch its parent's connections."""


class InProcess:
    """Commands answered by a service in this process."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def call(self, command: Command, actor: Actor) -> Any:
        """The answer of the service."""
        return self.workspace.service.call(command, actor)

    def close(self) -> None:
        """Close the workspace."""
        self.workspace.close()


class LocalTransport:
    """Commands to whoever owns the workspace. Threads may share it; a forked child too."""

    def __init__(
        self, folder: Path, own: Callable[[], Workspace | None], start_seconds: float
    ) -> None:
        self._paths = Paths(folder)
        self._own = own
        self._start_seconds = start_seconds
        self._closed = False
        self._begin()
        self._attach(time.monotonic() + start_seconds)
        atexit.register(self._at_exit)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._link: Transport | None = None

    @property
    def workspace(self) -> Workspace | None:
        """The workspace, where this process owns it."""
        link = self._current()
        return link.workspace if isinstance(link, InProcess) else None

    def call(self, command: Command, actor: Actor) -> Any:
        if self._closed:
            raise Unavailable("this client is closed; open the workspace again")
        link = self._current()
        if isinstance(link, InProcess):
            return link.call(command, actor)
        from handrail.client.http import Interrupted, NotReached

        until = None
        while True:
            if link is None:
                link = self._attach(until or time.monotonic() + self._start_seconds)
            try:
                return link.call(command, actor)
            except (NotReached, Interrupted) as error:
                # Certainly not carried out, or safe to repeat: whoever owns it next gets it again.
                # The time counts from here: a wait may have been under way for longer.
                until = until or time.monotonic() + self._start_seconds
                if time.monotonic() >= until:
                    raise
                _log.debug("the owner of %s does not answer: %s", self._paths.folder, error)
                self._detach(link)
                link = None
                time.sleep(PAUSE_SECONDS)

    def _current(self) -> Transport | None:
        if os.getpid() != self._pid:
            # A forked child: the parent's threads are not here, and its files are not ours to
            # close. Keep them from being collected, and be a client like any other process.
            if self._link is not None:
                _inherited.append(self._link)
            self._begin()
        return self._link

    def _attach(self, until: float) -> Transport:
        """The owner, whoever it is by now. Raises `Unavailable` where there is none in time."""
        pause = PAUSE_SECONDS
        while True:
            with self._lock:
                if self._link is None:
                    self._link = self._find()
                if self._link is not None:
                    return self._link
            if time.monotonic() >= until:
                owner = read_owner(self._paths.lock)
                who = f"process {owner.pid}" if owner else "another process"
                raise Unavailable(
                    f"{who} owns {self._paths.folder} and lets nobody in for "
                    f"{self._start_seconds:g} s; wait until it ends, or stop it "
                    "(HANDRAIL_START_SECONDS waits longer)"
                )
            time.sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS * 10)

    def _find(self) -> Transport | None:
        workspace = self._own()
        if workspace is not None:
            return InProcess(workspace)
        owner = read_owner(self._paths.lock)
        if owner is None:
            return None
        if owner.socket is not None and os.path.exists(owner.socket):
            from handrail.client.http import HttpTransport

            return HttpTransport("http://workspace", socket=owner.socket, attempts=1)
        if owner.url is not None and owner.token_file is not None:
            from handrail.client.http import HttpTransport

            try:
                token = Path(owner.token_file).read_text("ascii").strip()
            except OSError:
                return None
            return HttpTransport(owner.url, token=token, attempts=1)
        return None

    def _detach(self, link: Transport) -> None:
        with self._lock:
            if self._link is link:
                self._link = None  # not closed: other threads may be in the middle of a call

    def _at_exit(self) -> None:
        if os.getpid() == self._pid:
            self.close()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self._at_exit)
        if os.getpid() == self._pid and self._link is not None:
            self._link.close()
