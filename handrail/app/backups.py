"""Backups of a workspace: one consistent copy of its store, and what goes with it.

DIR/backup.json          what it is: when, how many entries, the log's root, the file's digest
DIR/store/handrail.db    the store, copied while its owner writes
DIR/policies/            policies and lists as they lay in the folder
DIR/anchors/anchor.log   checkpoints as they were; a restore never replaces newer ones

Keys are no part of it: they go to a place of their own, or whoever gets the backup could sign. A
store in PostgreSQL is backed up with PostgreSQL's own tools.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from importlib.metadata import version
from pathlib import Path

import msgspec

from handrail.app.keys import sync_folder
from handrail.app.lock import OwnerLock, read_owner
from handrail.app.reading import read_store
from handrail.app.stores import place_of
from handrail.app.workspace import Paths
from handrail.model.decoding import decoder
from handrail.model.errors import BadInput, Conflict, NotFound, Unavailable
from handrail.settings import Settings
from handrail.store.clock import now_us

FORM = "handrail-backup/1"
KEYS = ("audit.key", "secret", "webhook")
"""Files of the folder keys/."""


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is."""

    form: str
    made_at: int
    """µs UTC."""
    version: str
    """Version of Handrail that made it."""
    entries: int
    """Entries of the log in it."""
    root: str
    """Root of their tree, hexadecimal."""
    origin: str
    """Name of the log."""
    sha256: str
    """Of the database file."""
    bytes: int


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore came to."""

    backup: Backup
    anchored: int
    """Entries that the workspace's newest anchor covers."""
    set_aside: str | None
    """Where the store that was there before lies now."""
    keys: bool
    """Whether the keys were put back too."""

    @property
    def rolled_back(self) -> bool:
        """Whether the log was longer once: nothing is written until that is accepted."""
        return self.anchored > self.backup.entries


def make_backup(folder: Path, target: Path, keys: Path | None, settings: Settings) -> Backup:
    """Back the workspace `folder` up into the new folder `target`, whoever owns it.

    `keys` is a folder of its own for the keys; without it they are left out. Raises `Conflict`
    where something is in the way, `BadInput` for a store that is elsewhere.
    """
    from handrail.store.sqlite.backup import copy_database

    paths = Paths(folder)
    _refuse_elsewhere(paths, settings, "back it up")
    if keys is not None and (keys == target or target in keys.parents):
        raise BadInput("the keys lie inside the backup; name a place of their own for them")
    for place in (target, *(() if keys is None else (keys,))):
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise Conflict(f"{place} is not empty; name a new folder")
    if not paths.store.is_file():
        raise NotFound(f"{folder} has no store yet; there is nothing to back up")
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        (part / "store").mkdir(parents=True, mode=0o700)
        copy = part / "store" / paths.store.name
        copy_database(str(paths.store), str(copy))
        os.chmod(copy, 0o600)
        shutil.copytree(paths.policies, part / "policies")
        (part / "anchors").mkdir(mode=0o700)
        if paths.anchor.is_file():
            shutil.copy2(paths.anchor, part / "anchors" / paths.anchor.name)
        made = _described(part, version("handrail"), origin_of(paths))
        _write_private(part / "backup.json", msgspec.json.format(msgspec.json.encode(made)))
        if target.exists():
            target.rmdir()
        part.rename(target)
        os.chmod(target, 0o700)
        sync_folder(target.parent)
        if keys is not None:
            keys.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in KEYS:
                source = paths.signer.parent / name
                if source.is_file():
                    _write_private(keys / name, source.read_bytes())
    except OSError as error:
        raise Unavailable(f"{target} cannot be written: {error}; choose another place") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return made


def origin_of(paths: Paths) -> str:
    """Name of the workspace's log, as its signing key has it."""
    from handrail.app.keys import read_signer

    if not paths.signer.is_file():
        raise NotFound(f"{paths.signer} is gone; restore it: the log is signed with it")
    return read_signer(paths.signer).origin


def _described(part: Path, version: str, origin: str) -> Backup:
    """Look into the copy itself: what is said of it is what is in it."""
    from handrail.store.sqlite.looking import LookingStore

    copy = part / "store" / "handrail.db"
    store = LookingStore(str(copy))
    try:
        entries, root = store.read(lambda tx: (tx.audit.size(), tx.audit.root()))
    finally:
        store.close()
    digest, size = _digest(copy)
    return Backup(
        form=FORM,
        made_at=now_us(),
        version=version,
        entries=entries,
        root=root.hex(),
        origin=origin,
        sha256=digest,
        bytes=size,
    )


def restore_backup(
    folder: Path, source: Path, keys: Path | None, settings: Settings, *, force: bool = False
) -> Restored:
    """Put the store of the backup `source` into the workspace `folder`; nothing is deleted.

    A store that is there is set aside, and only with `force`. Anchors that reach further than the
    backup's stay, so that the next owner recognises the roll-back. Raises `Conflict` where the
    workspace is in use or would be overwritten, `BadInput` for a backup that is not whole.
    """
    made = read_backup(source)
    paths = Paths(folder)
    paths.make()
    _refuse_elsewhere(paths, settings, "restore it")
    lock = OwnerLock.take(paths.lock)
    if lock is None:
        owner = read_owner(paths.lock)
        who = f"process {owner.pid}" if owner is not None else "another process"
        raise Conflict(f"{who} owns {folder}; end it first, then restore")
    try:
        return _restore(paths, source, keys, made, force)
    except OSError as error:
        raise Unavailable(f"{folder} cannot be written: {error}") from error
    finally:
        lock.release()


def _restore(paths: Paths, source: Path, keys: Path | None, made: Backup, force: bool) -> Restored:
    there = paths.store.is_file()
    if there and not force:
        raise Conflict(
            f"{paths.folder} has a store already; with --force it is set aside, and kept"
        )
    if keys is not None:
        _put_keys(paths, keys, force)
    elif paths.signer.is_file() and origin_of(paths) != made.origin:
        raise Conflict(
            f"the backup is of {made.origin}, and the keys here are of {origin_of(paths)}; name "
            "the folder with the backup's keys in --keys, or another workspace"
        )
    elif not paths.signer.is_file():
        raise BadInput(
            "the workspace has no keys, and a backup holds none; name the folder they were kept "
            "in with --keys"
        )
    draft = paths.store.with_name(paths.store.name + ".new")
    draft.unlink(missing_ok=True)
    shutil.copyfile(source / "store" / "handrail.db", draft)
    os.chmod(draft, 0o600)
    if _digest(draft)[0] != made.sha256:
        raise BadInput(f"{source} changed while it was copied; nothing was restored")
    aside = _set_aside(paths) if there else None
    os.replace(draft, paths.store)
    sync_folder(paths.store.parent)
    for file in sorted((source / "policies").rglob("*")):
        place = paths.policies / file.relative_to(source / "policies")
        if file.is_file() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    kept = source / "anchors" / "anchor.log"
    if kept.is_file() and not paths.anchor.is_file():
        _write_private(paths.anchor, kept.read_bytes())
    with read_store(paths.folder) as reading:
        anchored = reading.anchors()
    return Restored(
        backup=made,
        anchored=anchored[-1].size if anchored else 0,
        set_aside=None if aside is None else str(aside),
        keys=keys is not None,
    )


def read_backup(source: Path) -> Backup:
    """What the backup `source` is; its file is as it was made. Raises `BadInput`."""
    try:
        made = decoder(Backup).decode((source / "backup.json").read_bytes())
        digest, _ = _digest(source / "store" / "handrail.db")
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(f"{source} is no backup of Handrail: {error}") from error
    if made.form != FORM:
        raise BadInput(f"{source} is a backup of the form {made.form!r}; expected {FORM}")
    if digest != made.sha256:
        raise BadInput(f"{source} is not as it was made: its store has another digest")
    return made


def _put_keys(paths: Paths, keys: Path, force: bool) -> None:
    if not (keys / KEYS[0]).is_file():
        raise BadInput(f"{keys} holds no {KEYS[0]}; name the folder the keys were kept in")
    for name in KEYS:
        source, place = keys / name, paths.signer.parent / name
        if not source.is_file():
            continue
        content = source.read_bytes()
        if place.is_file() and place.read_bytes() != content and not force:
            raise Conflict(f"{place} is another key than {source}; --force sets it aside")
        if place.is_file() and place.read_bytes() != content:
            place.rename(place.with_name(f"{name}.before-{now_us()}"))
        _write_private(place, content)


def _set_aside(paths: Paths) -> Path:
    """Move the store that is there out of the way, with what lies beside it."""
    aside = paths.store.with_name(f"before-restore-{now_us()}")
    aside.mkdir(mode=0o700)
    for suffix in ("", "-wal", "-shm", "-journal"):
        file = paths.store.with_name(paths.store.name + suffix)
        if file.exists():
            file.rename(aside / file.name)
    return aside


def _refuse_elsewhere(paths: Paths, settings: Settings, what: str) -> None:
    place = place_of(paths.store, paths.elsewhere, settings)
    if place is not None:
        raise BadInput(
            f"this workspace's store is in PostgreSQL; {what} with pg_dump and pg_restore, and "
            "keep a copy of the folder keys/ apart from it"
        )


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
