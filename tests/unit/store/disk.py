"""A disk that can be pulled, filled or broken: a VFS over real files that knows what was flushed.

What a program writes reaches the disk for certain only when it is flushed. `cut` makes the folder a
machine would find after the power went: flushed bytes, and of the others any part.
"""

from __future__ import annotations

import os
import random
import threading
import uuid
from pathlib import Path

import apsw


class Disk(apsw.VFS):
    """Give `disk.name` as `vfs`. Holds every write since a file's last flush in mind."""

    def __init__(self) -> None:
        self.name = f"disk-{uuid.uuid4().hex}"
        self.lock = threading.Lock()
        self.durable: dict[str, bytearray] = {}
        """What is on the platter, by path."""
        self.waiting: dict[str, list[tuple[int, bytes | None]]] = {}
        """Writes since the last flush: (offset, bytes), or (size, None) for a truncation."""
        self.syncs: dict[str, int] = {}
        """How often each kind of file (`db`, `wal`) was flushed."""
        self.fail_sync: type[Exception] | None = None
        self.fail_write: type[Exception] | None = None
        super().__init__(self.name, base="")

    def xOpen(self, name: object, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        """Taken as durable: the flush of a new log flushes the folder it lies in as well."""
        super().xDelete(filename, syncdir)
        with self.lock:
            self.durable.pop(filename, None)
            self.waiting.pop(filename, None)

    def cut(self, folder: Path, dice: random.Random | None = None) -> None:
        """Write what a power cut now would leave into `folder`.

        Without `dice` nothing that was not flushed survives; with it any part of it does, a block
        of a write torn in the middle included.
        """
        with self.lock:
            for path, image in self.durable.items():
                left = bytearray(image)
                for offset, data in self.waiting[path]:
                    if dice is None or dice.random() < 0.5:
                        continue
                    if data is not None and dice.random() < 0.2:
                        data = data[: dice.randrange(len(data) + 1)]
                    _apply(left, offset, data)
                (folder / os.path.basename(path)).write_bytes(left)


def _apply(image: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del image[offset:]
        return
    if len(image) < offset:
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(data)] = data


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: object, flags: list[int]) -> None:
        super().__init__("", name, flags)  # type: ignore[arg-type]
        self.disk = disk
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self.kind = "wal" if self.path.endswith("-wal") else "db"
        with disk.lock:
            if self.path not in disk.durable:
                there = Path(self.path)
                disk.durable[self.path] = bytearray(there.read_bytes() if there.exists() else b"")
                disk.waiting[self.path] = []

    def xWrite(self, data: bytes, offset: int) -> None:
        if self.disk.fail_write is not None:
            raise self.disk.fail_write
        with self.disk.lock:
            self.disk.waiting[self.path].append((offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        with self.disk.lock:
            self.disk.waiting[self.path].append((size, None))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        if self.disk.fail_sync is not None:
            raise self.disk.fail_sync
        super().xSync(flags)
        with self.disk.lock:
            image = self.disk.durable[self.path]
            for offset, data in self.disk.waiting[self.path]:
                _apply(image, offset, data)
            self.disk.waiting[self.path].clear()
            self.disk.syncs[self.kind] = self.disk.syncs.get(self.kind, 0) + 1
