"""A workspace as its owner runs it: store, verbs, scheduler, and a socket for the others.

policies/*.yaml, policies/lists/    drafts; active at once while one person runs the workspace
store/handrail.db                   everything that happened; or store/elsewhere, which names the
                                    PostgreSQL database that holds it
keys/audit.key, secret, webhook     made once; mode 0600
anchors/anchor.log                  checkpoints outside the database
run/owner.lock, run/owner.sock      who owns it now, and where the others find it
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from msgspec.structs import replace

from handrail.app.courier import Courier
from handrail.app.keys import read_secret, read_signer, read_webhook_secret, sync_folder
from handrail.app.lock import Owner, OwnerLock, read_owner
from handrail.app.policies import PolicyFolder
from handrail.app.scheduler import Scheduler
from handrail.app.service import Desk, Service
from handrail.app.signals import Signals
from handrail.app.stores import bring_over, open_store
from handrail.audit.checkpoint import open_checkpoint
from handrail.audit.entry import decode
from handrail.audit.tree import Frontier
from handrail.channels import FileAnchor, LogChannel
from handrail.flow import Ports, Shelf, create_log, rolled_back, try_again
from handrail.model.errors import BadInput, Conflict, HandrailError, Unavailable
from handrail.model.wire import time_text
from handrail.packs.checks import CHECKS
from handrail.ports import MISSED, Caller, Channel, Checkpoint, Steps, no_steps
from handrail.settings import Settings
from handrail.store.clock import now_us

MAX_SOCKET_PATH = 100
"""Bytes of a Unix socket's path that every system takes."""

_log = logging.getLogger("handrail.workspace")


class Serving(Protocol):
    """A running server of a workspace."""

    url: str | None
    """Address on loopback; None for a Unix socket."""
    token_file: str | None

    def stop(self) -> None: ...


Serve = Callable[[Service, Path], Serving]
"""Starts a server on that Unix socket (or on loopback, where there are none)."""


class OwnDesk(Desk, Protocol):
    """The desk that a workspace serves itself, for whoever sits at its machine."""

    def stop(self) -> None: ...


OpenDesk = Callable[[Service], OwnDesk]
"""Makes the desk of a workspace; it decides by itself when it begins."""


class Paths:
    """Where the parts of a workspace lie."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policies = folder / "policies"
        self.store = folder / "store" / "handrail.db"
        self.elsewhere = folder / "store" / "elsewhere"
        self.signer = folder / "keys" / "audit.key"
        self.secret = folder / "keys" / "secret"
        self.webhook = folder / "keys" / "webhook"
        self.anchor = folder / "anchors" / "anchor.log"
        self.lock = folder / "run" / "owner.lock"

    def make(self) -> None:
        """Make the folders that are not there; those with secrets are their owner's only."""
        try:
            _make_folder(self.policies, 0o777)
            for private in (self.store, self.signer, self.anchor, self.lock):
                _make_folder(private.parent, 0o700)
        except OSError as error:
            raise Unavailable(
                f"{self.folder} cannot be a workspace: {error.strerror}; choose a folder you may "
                "write to"
            ) from error

    def socket(self) -> Path:
        """Where the owner listens. Its folder is private; a path too long gets a short twin."""
        path = self.lock.with_name("owner.sock")
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
            return path
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        user = os.getuid() if hasattr(os, "getuid") else 0
        temporary = tempfile.gettempdir()
        if len(os.fsencode(temporary)) > MAX_SOCKET_PATH // 2:
            temporary = "/tmp"  # whom the folder in it belongs to is checked below
        short = Path(temporary) / f"handrail-{user}-{name}"
        short.mkdir(mode=0o700, exist_ok=True)
        found = short.stat()
        if hasattr(os, "getuid") and (found.st_uid != user or found.st_mode & 0o077):
            raise Unavailable(
                f"{short} belongs to somebody else or is open to others; remove it, or put the "
                f"workspace under a path of at most {MAX_SOCKET_PATH - 15} bytes"
            )
        return short / "owner.sock"


def _make_folder(folder: Path, mode: int) -> None:
    """Make the folder and those above it; their names are durable before anything lies in them."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        made.mkdir(mode=mode, exist_ok=True)
        sync_folder(made.parent)


class Workspace:
    """An owned workspace. Use `Workspace.own`; `close` gives it to the next."""

    def __init__(
        self,
        folder: Path,
        lock: OwnerLock,
        *,
        serve: Serve | None,
        settings: Settings,
        clock: Callable[[], int] | None,
        steps: Steps,
        channels: Sequence[Channel] | None,
        desk: OpenDesk | None,
        moves: bool,
    ) -> None:
        self.paths = Paths(folder)
        self._lock = lock
        self._serving: Serving | None = None
        self.desk: OwnDesk | None = None
        """The desk it serves itself, on this machine."""
        self._closed = False
        lock.say(Owner(pid=os.getpid(), started=now_us()))
        self.signer = read_signer(self.paths.signer)
        self.anchor = FileAnchor(self.paths.anchor)
        self.moved = bring_over(self.paths.store, self.paths.elsewhere, settings) if moves else None
        """What this owner moved from the workspace's file into the team's database, if it did."""
        self.store = open_store(
            self.paths.store, self.paths.elsewhere, settings, clock=clock, steps=steps
        )
        try:
            self.ports = Ports(
                store=self.store,
                shelf=Shelf(CHECKS),
                secret=read_secret(self.paths.secret),
                settings=settings,
                steps=steps,
            )
            self.signals = Signals()
            self.policies = PolicyFolder(self.paths.policies, self.ports)
            self.ports = replace(self.ports, drafts=self.policies)
            self.service = Service(
                self.ports, self.signals, self.policies.refresh, self.policies.mistakes
            )
            self.scheduler = Scheduler(
                self.ports,
                channels=(LogChannel(),) if channels is None else channels,
                signer=self.signer,
                anchor=self.anchor,
                now_us=clock or now_us,
                refresh=self.policies.refresh,
            )
            self.courier = Courier(self.ports, self._caller)
            self._check_log()
            self.store.listen(self._heard)
            if self.service.only_reads is None:
                if again := try_again(self.ports):
                    _log.info("%d notices that were given up are tried once more", again)
                self.scheduler.start()
                self.courier.start()
            if desk is not None:
                self.service.desk = self.desk = desk(self.service)
            if serve is not None:
                socket = self.paths.socket()
                self._serving = serve(self.service, socket)
                lock.say(
                    Owner(
                        pid=os.getpid(),
                        started=now_us(),
                        socket=None if self._serving.url else str(socket),
                        url=self._serving.url,
                        token_file=self._serving.token_file,
                    )
                )
        except BaseException:
            self.close()
            raise

    @classmethod
    def own(
        cls,
        folder: Path,
        *,
        serve: Serve | None = None,
        settings: Settings | None = None,
        clock: Callable[[], int] | None = None,
        steps: Steps = no_steps,
        channels: Sequence[Channel] | None = None,
        desk: OpenDesk | None = None,
        moves: bool = False,
    ) -> Workspace | None:
        """The workspace, or None where another owner lives.

        With `moves`, a database that `settings` name takes over what the workspace's own file
        holds; without, a workspace with a file of its own and another database is a `Conflict`.
        """
        lock = OwnerLock.take(Paths(folder).lock)
        if lock is None:
            return None
        try:
            return cls(
                folder,
                lock,
                serve=serve,
                settings=settings or Settings(),
                clock=clock,
                steps=steps,
                channels=channels,
                desk=desk,
                moves=moves,
            )
        except BaseException:
            lock.release()
            raise

    def _caller(self) -> Caller:
        # Loaded with the first outcome to deliver: most workspaces call nobody.
        from handrail.callers import Guard, WebhookCaller

        settings = self.ports.settings
        return WebhookCaller(
            read_webhook_secret(self.paths.webhook),
            guard=Guard(settings.callback_allow),
            timeout_seconds=settings.callback_seconds,
        )

    def _check_log(self) -> None:
        """Hold the log against its last anchor; where they disagree nothing is written."""
        self._refuse_a_strangers_log()
        behind = rolled_back(self.ports, self.anchor)
        last = self.anchor.last()
        if behind is not None:
            size = self.store.read(lambda tx: tx.audit.size())
            self.service.only_reads = (
                f"the log has {size} entries and {behind.size} were anchored: the database was "
                "put back to an older state. Find out why; to go on from here: "
                "handrail audit accept-restore --reason …"
            )
        elif last is not None and not self._holds(last):
            self.service.only_reads = (
                f"the first {last.size} entries of the log are not those anchored at "
                f"{time_text(last.at)}: the database or {self.paths.anchor} was changed or belongs "
                "to another workspace. Put the right one back from a backup"
            )
        if self.service.only_reads is not None:
            _log.error("%s", self.service.only_reads)
            return
        create_log(self.ports, self.signer)

    def _refuse_a_strangers_log(self) -> None:
        """A database may be reached from many folders; only those with its keys may use it."""
        if not self.paths.elsewhere.is_file():
            return
        first = self.store.read(lambda tx: next(iter(tx.audit.entries(0, 1)), None))
        origin = decode(first).get("origin") if first is not None else None
        if origin is not None and origin != self.signer.origin:
            raise Conflict(
                f"this database is of the workspace {origin}, and the keys here are of "
                f"{self.signer.origin}; copy the folder keys/ of that workspace, or name another "
                "database"
            )

    def _holds(self, anchored: Checkpoint) -> bool:
        try:
            said = open_checkpoint(anchored.text.encode(), [self.signer.key.verifier])
        except BadInput:
            return False
        root = self.store.read(lambda tx: Frontier.from_nodes(said.size, tx.audit.node).root())
        return (said.size, said.root) == (anchored.size, root)

    def _heard(self, topics: frozenset[str], due: int | None) -> None:
        self.scheduler.heard(topics, due)
        if due is not None or MISSED in topics:
            self.courier.heard()
        self.signals.notify(topics)

    def close(self) -> None:
        """Finish what was accepted, anchor the log, and let the next owner in."""
        if self._closed:
            return
        self._closed = True
        if hasattr(self, "signals"):
            self.signals.close()
        if self.desk is not None:
            self.desk.stop()
        if self._serving is not None:
            self._serving.stop()
        try:
            if hasattr(self, "courier"):
                self.courier.stop()
            if hasattr(self, "scheduler"):
                self.scheduler.stop()
                if self.service.only_reads is None:
                    self.scheduler.checkpoint()
        except HandrailError as error:
            _log.warning("the log could not be anchored at the end: %s", error)
        finally:
            self.store.close()
            self._lock.release()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def owner_of(folder: Path) -> Owner | None:
    """Who says to own the workspace; may be stale."""
    return read_owner(Paths(folder).lock)
