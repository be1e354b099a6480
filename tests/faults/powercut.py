"""A VFS that knows which bytes were flushed, and makes the disks that a power cut may leave.

Everything is written through to real files, so the product runs as always. Beside them it keeps,
for each file, what was on the disk at its last sync and every change since. A cut stops the machine
(each later call fails, nothing more is acknowledged) and leaves the synced bytes and any part of
the rest: each 512-byte sector of each unsynced write on its own, in any order, across files;
truncations and file sizes too; a file whose name was never made durable may not exist, a deleted
one may be back.

What is taken as given is what SQLite is built on: a sync flushes its whole file, the first sync of
a new journal or write-ahead log also flushes the folder with all names in it (as SQLite's own VFS
does), and a torn sector damages no bytes beside it.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw

SECTOR = 512
"""Bytes that a disk writes whole or not at all."""


class Write:
    """Bytes written and not yet synced."""

    __slots__ = ("data", "offset")

    def __init__(self, offset: int, data: bytes) -> None:
        self.offset = offset
        self.data = data


class Truncate:
    """A new size, not yet synced."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size


class Disk:
    """One file: what is certainly on the disk, and what may be."""

    def __init__(self, content: bytes, *, there: bool) -> None:
        self.synced = bytearray(content)
        self.there = there
        """Whether its name is on the disk."""
        self.gone = False
        """Whether it was deleted, which the disk may not know yet."""
        self.pending: list[Write | Truncate] = []

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.synced, change)
        self.pending.clear()

    def image(self, random_: random.Random, share: float) -> bytes | None:
        """Contents after a cut in which about `share` of what was pending arrived.

        None where no file is left.
        """
        if (not self.there or self.gone) and random_.random() >= share:
            return None
        found = bytearray(self.synced)
        for change in self.pending:
            if isinstance(change, Truncate):
                if random_.random() < share:
                    _apply(found, change)
                continue
            for start in _sectors(change.offset, len(change.data)):
                if random_.random() < share:
                    first = max(start, change.offset)
                    last = min(start + SECTOR, change.offset + len(change.data))
                    part = change.data[first - change.offset : last - change.offset]
                    _apply(found, Write(first, part))
        return bytes(found)


def _sectors(offset: int, length: int) -> Iterator[int]:
    return iter(range(offset - offset % SECTOR, offset + length, SECTOR))


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        if change.size < len(content):
            del content[change.size :]
        return
    end = change.offset + len(change.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[change.offset : end] = change.data


class PowerCut(apsw.VFS):
    """The VFS. Give its `name` to the store; `cut` is the moment, `image` what it left."""

    def __init__(self, name: str, *, after: int | None = None) -> None:
        """The power goes at the `after`-th change of a file (a write, truncation, sync or delete);
        None: only when `cut` is called."""
        self.name = name
        self.dead = False
        self.changes = 0
        self.syncs = 0
        self._after = after
        self._lock = threading.RLock()
        self._disks: dict[str, Disk] = {}
        super().__init__(name, base="", iVersion=3)

    def alive(self) -> bool:
        """Whether the power is still on."""
        return not self.dead

    def cut(self) -> None:
        """Now."""
        with self._lock:
            self.dead = True

    def image(self, random_: random.Random) -> dict[str, bytes | None]:
        """One of the states that the cut may have left: path to contents, None where no file is."""
        share = random_.choice((0.0, 0.1, 0.5, 0.9, 1.0, random_.random()))
        with self._lock:
            return {path: disk.image(random_, share) for path, disk in self._disks.items()}

    def leave(self, random_: random.Random) -> None:
        """Put one such state in place of the real files."""
        for path, content in self.image(random_).items():
            if content is None:
                Path(path).unlink(missing_ok=True)
            else:
                Path(path).write_bytes(content)
            # Shared memory is not on the disk.
            Path(path.removesuffix("-wal") + "-shm").unlink(missing_ok=True)

    # -------------------------------------------------------------------- what SQLite calls

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        kept = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
        if name is None or text is None or not flags[0] & kept:
            return apsw.VFSFile("", name, flags)
        with self._lock:
            self._alive()
            path = Path(text)
            disk = self._disks.get(text)
            if disk is None or disk.gone:
                there = path.exists()
                content = path.read_bytes() if there else b""
                disk = self._disks[text] = Disk(content, there=there)
            names = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
            return PowerCutFile(self, disk, name, flags, syncs_names=bool(flags[0] & names))

    def xDelete(self, filename: str, syncdir: bool) -> None:
        with self._lock:
            self._change()
            super().xDelete(filename, syncdir)
            disk = self._disks.get(filename)
            if disk is not None:
                disk.gone = True
            if syncdir:
                self.sync_names(Path(filename).parent)

    def sync_names(self, folder: Path) -> None:
        """All names in the folder are on the disk from now on, and deleted ones are not."""
        for path, disk in list(self._disks.items()):
            if Path(path).parent == folder:
                disk.there = True
                if disk.gone:
                    del self._disks[path]

    # -------------------------------------------------------------------- the moment

    def _alive(self) -> None:
        if self.dead:
            raise apsw.IOError("the power is off")

    def _change(self) -> None:
        """One more change is about to happen; raises where the power is off."""
        self._alive()
        self.changes += 1
        if self._after is not None and self.changes >= self._after:
            self.dead = True
            self._alive()


class PowerCutFile(apsw.VFSFile):
    """A file of it. The disk that it lies on outlives it."""

    def __init__(
        self,
        vfs: PowerCut,
        disk: Disk,
        name: str | apsw.URIFilename,
        flags: list[int],
        *,
        syncs_names: bool,
    ) -> None:
        self._vfs = vfs
        self._disk = disk
        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._folder = Path(text).parent if syncs_names and not disk.there else None
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        with self._vfs._lock:
            self._vfs._change()
            self._disk.pending.append(Write(offset, bytes(data)))
            super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        with self._vfs._lock:
            self._vfs._change()
            self._disk.pending.append(Truncate(newsize))
            super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        with self._vfs._lock:
            self._vfs._change()
            self._vfs.syncs += 1
            # The real file need not be flushed: the disk that counts is the one in memory.
            self._disk.sync()
            if self._folder is not None:
                self._vfs.sync_names(self._folder)
                self._folder = None

    def xRead(self, amount: int, offset: int) -> bytes:
        self._vfs._alive()
        return super().xRead(amount, offset)

    def xFileControl(self, op: int, ptr: int) -> bool:
        if op == apsw.SQLITE_FCNTL_MMAP_SIZE:
            return True  # no memory map goes past this VFS
        return super().xFileControl(op, ptr)
