"""Connections to one database file, set up so that what is committed survives a power cut."""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from handrail.model.errors import Unavailable

MEMORY = ":memory:"

MOUNTS = Path("/proc/self/mountinfo")
"""Where Linux lists what is mounted; absent elsewhere."""

REMOTE = frozenset(
    (
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fuse.ceph",
        "fuse.ceph-fuse",
        "fuse.davfs2",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.goofys",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.smbnetfs",
        "fuse.sshfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    )
)
"""File systems over a network, by the name Linux gives them."""

_WRITER_CACHE_KIB = 64 * 1024
_READER_CACHE_KIB = 16 * 1024
_STATEMENTS = 300
_BUSY_MS = 5_000


def file_system(path: Path, mounts: str) -> str | None:
    """Type of the file system that `path` (absolute, resolved) lies on, from the text of
    `/proc/self/mountinfo`; None where the text does not say."""
    best, found = -1, None
    for line in mounts.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        # Blanks stand as octal escapes.
        point = fields[4].encode().decode("unicode_escape") if "\\" in fields[4] else fields[4]
        under = path == Path(point) or Path(point) in path.parents
        # Of two mounts on one point the later one is seen.
        if under and len(point) >= best:
            best, found = len(point), after.split(" ")[0]
    return found


def refuse_network(path: str) -> None:
    """Raise `Unavailable` where `path` lies on a file system over a network.

    SQLite's locks and its shared memory do not hold there: two machines would write at once.
    """
    try:
        mounts = MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return
    kind = file_system(Path(path).resolve(), mounts)
    if kind in REMOTE:
        raise Unavailable(
            f"{path} lies on a network file system ({kind}), where locks and flushes of the "
            "embedded store do not hold; put the workspace on a local disk"
        )


def connect(path: str, *, vfs: str | None, writing: bool) -> apsw.Connection:
    """A connection with Handrail's settings. Raises `Unavailable` where it cannot be opened."""
    flags = (
        apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        if writing
        else apsw.SQLITE_OPEN_READONLY
    )
    try:
        connection = apsw.Connection(path, flags=flags, vfs=vfs, statementcachesize=_STATEMENTS)
        connection.set_busy_timeout(_BUSY_MS)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)
        # Without it this build of SQLite (STAT4) prepares a statement anew at many a binding: a
        # look-up then costs 40 µs instead of 4, and the plan could change with the value.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        # Nobody checkpoints by the way: the writer does it between commits.
        connection.wal_autocheckpoint(0)
        connection.execute("PRAGMA temp_store = MEMORY")
        cache = _WRITER_CACHE_KIB if writing else _READER_CACHE_KIB
        connection.execute(f"PRAGMA cache_size = {-cache}")
        if writing:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchall()[0][0]
            if mode != ("memory" if path == MEMORY else "wal"):
                connection.close()
                raise Unavailable(
                    f"{path} has journal mode {mode}; expected wal, which its file system or "
                    "VFS does not offer; put the workspace on a local disk"
                )
            connection.execute(
                "PRAGMA synchronous = FULL;"
                "PRAGMA fullfsync = ON;"
                "PRAGMA checkpoint_fullfsync = ON;"
                "PRAGMA journal_size_limit = 67108864"
            )
        return connection
    except apsw.Error as error:
        raise Unavailable(
            f"the database {path} cannot be opened: {error}; check that the folder exists, "
            f"may be written by user {_user()}, and that the file is a Handrail database"
        ) from error


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "this process runs as"
