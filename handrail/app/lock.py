"""One owner a workspace: an exclusive lock on a file that says who owns it and where it listens.

The lock is the operating system's, so it ends with its process, however that ends. The text in the
file is for the others; it may be stale, the lock never is.
"""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from pathlib import Path

import msgspec

from handrail.model.decoding import decoder
from handrail.model.errors import Unavailable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FAR = 1 << 30
"""Where Windows locks a byte: behind the text, so that others can read that."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """What the lock file says."""

    pid: int
    started: int
    """µs since 1970 UTC."""
    socket: str | None = None
    """Path of the Unix socket; None where there is none (yet)."""
    url: str | None = None
    """Address on loopback, where there are no Unix sockets."""
    token_file: str | None = None
    """File with the token that `url` asks for."""


class OwnerLock:
    """The lock, held from `take` until `release`."""

    def __init__(self, handle: int, path: Path) -> None:
        self._handle: int | None = handle
        self._path = path
        _held.add(self)

    @classmethod
    def take(cls, path: Path) -> OwnerLock | None:
        """The lock, or None where another owner lives. Raises `Unavailable` where none can be."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _not_written(path, error) from error
        try:
            if sys.platform == "win32":
                os.lseek(handle, _FAR, os.SEEK_SET)
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        return cls(handle, path)

    def say(self, owner: Owner | None) -> None:
        """Write who owns the workspace; None: nobody does any more. Raises `Unavailable`."""
        assert self._handle is not None
        text = b"" if owner is None else msgspec.json.encode(owner)
        try:
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.ftruncate(self._handle, 0)
            os.write(self._handle, text)
        except OSError as error:
            raise _not_written(self._path, error) from error

    def release(self) -> None:
        """Let the next one have it."""
        if self._handle is not None:
            self.say(None)
            self.forget()

    def forget(self) -> None:
        """Close the file. In a forked child this leaves the parent's lock as it is."""
        handle, self._handle = self._handle, None
        _held.discard(self)
        if handle is not None:
            with contextlib.suppress(OSError):
                os.close(handle)


def _not_written(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"{path} cannot be written: {error.strerror or error}; who opens a workspace needs the "
        "right and the room to write in its folder"
    )


def read_owner(path: Path) -> Owner | None:
    """What the file says, or None where it says nothing that can be read."""
    try:
        return decoder(Owner).decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None


_held: weakref.WeakSet[OwnerLock] = weakref.WeakSet()


def _forked() -> None:
    # A child that keeps the file open would keep its dead parent's workspace locked.
    for lock in list(_held):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
