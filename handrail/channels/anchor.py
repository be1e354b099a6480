"""The file anchor: checkpoints kept in a file beside the database.

It recognises a database that went back in time, as long as the file did not go back with it: keep
the folder on other storage, or copy it there.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from handrail.model.decoding import decoder
from handrail.model.errors import Unavailable
from handrail.ports import Checkpoint


class FileAnchor:
    """One JSON document a line, appended and synced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: Checkpoint | None = None
        self._read = False

    def publish(self, checkpoint: Checkpoint) -> None:
        """Append it; returns once it is on the disk."""
        self.last()
        line = msgspec.json.encode(checkpoint) + b"\n"
        try:
            with open(self._path, "a+b", opener=_private) as file:
                fresh = file.seek(0, os.SEEK_END) == 0
                if not fresh:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # a line that a power cut left half written
                        line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            if fresh:
                _sync_name(self._path)
        except OSError as error:
            raise Unavailable(f"the anchor {self._path} cannot be written: {error}") from error
        self._last = checkpoint

    def last(self) -> Checkpoint | None:
        """The last whole checkpoint of the file."""
        if not self._read:
            found = self.all()
            self._last = found[-1] if found else None
            self._read = True
        return self._last

    def all(self) -> list[Checkpoint]:
        """Every checkpoint, oldest first. A line a power cut left half written is left out."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found = []
        for number, line in enumerate(lines, 1):
            if (
                not line or b"\0" in line
            ):  # sectors that a power cut kept from the disk read as zeros
                continue
            try:
                found.append(decoder(Checkpoint).decode(line))
            except msgspec.MsgspecError as error:
                if _cut_short(line):
                    continue
                raise Unavailable(
                    f"{self._path}:{number}:1: not a checkpoint ({error}); somebody changed the "
                    "anchor: restore it from a copy"
                ) from error
        return found


def _sync_name(path: Path) -> None:
    """Make the name of a new file durable, where the platform has such a thing."""
    if os.name == "nt":
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _cut_short(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    return False
