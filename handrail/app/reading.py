"""Looking into a workspace's store without owning it: for verification, export and the doctor.

A read-only connection beside a running owner, or where nobody runs. It sees what is committed and
changes nothing, so what it finds does not depend on the owner it may be checking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from handrail.app.keys import NoteSigner, read_signer
from handrail.app.stores import open_store, place_of
from handrail.app.workspace import Paths
from handrail.audit.events import Difference
from handrail.channels import FileAnchor
from handrail.flow import Ports, Replayed, Shelf, against_state, filled, lacking, replay
from handrail.gate import Policy
from handrail.model.errors import NotFound
from handrail.model.ruling import Ruling
from handrail.ports import Checkpoint, Store, Transaction
from handrail.settings import read_settings

T = TypeVar("T")


class Reading:
    """A workspace as a reader sees it. Made by `read_store`."""

    def __init__(self, folder: Path) -> None:
        from handrail.store.sqlite.looking import LookingStore

        self.paths = Paths(folder)
        settings = read_settings()
        self.place = place_of(self.paths.store, self.paths.elsewhere, settings)
        """Address of the database; None for the workspace's own file."""
        if self.place is None and not self.paths.store.is_file():
            raise NotFound(
                f"{folder} has no store yet; `handrail init {folder}` or the first submit makes it"
            )
        self._store: Store
        self._file: LookingStore | None = None
        if self.place is None:
            self._store = self._file = LookingStore(str(self.paths.store))
        else:
            self._store = open_store(self.paths.store, self.paths.elsewhere, settings)

    def read(self, query: Callable[[Transaction], T]) -> T:
        """Run a query on one consistent snapshot. Writing in it raises."""
        return self._store.read(query)

    def signer(self) -> NoteSigner:
        """The signer of the log. Raises `NotFound` where its key is gone; none is made."""
        if not self.paths.signer.is_file():
            raise NotFound(
                f"{self.paths.signer} is gone; restore it from a backup: the log is signed with it"
            )
        return read_signer(self.paths.signer)

    def anchors(self) -> list[Checkpoint]:
        """Checkpoints that were kept outside the database, oldest first."""
        return FileAnchor(self.paths.anchor).all()

    def differences(self) -> list[Difference]:
        """Where the tables do not say what the log says."""
        return against_state(Ports(store=self._store, shelf=Shelf(), secret=b""))

    def ruled_again(self, tx: Transaction, policy: Policy) -> dict[str, Ruling]:
        """Decision id → what `policy` says of it as of its time, aggregates included."""
        ports = Ports(store=self._store, shelf=Shelf(), secret=b"")
        return {one.again.decision_id: one.again for one in replay(tx, ports, under=policy)}

    def filled(self, policy: Policy) -> Policy:
        """The policy with what its stored lists hold now."""
        ports = Ports(store=self._store, shelf=Shelf(), secret=b"")
        return self.read(lambda tx: filled(tx, ports, policy))

    def lacking(self) -> list[str]:
        """What the policies that rule ask of people, and nobody there is can give; sentences."""
        ports = Ports(store=self._store, shelf=Shelf(), secret=b"")
        return self.read(lambda tx: [str(one) for one in lacking(tx, ports)])

    def replayed(self, *, hindsight: bool = False) -> list[Replayed]:
        """Every stored decision ruled once more; see `handrail.flow.replay`."""
        ports = Ports(store=self._store, shelf=Shelf(), secret=b"")
        return self.read(lambda tx: list(replay(tx, ports, hindsight=hindsight)))

    def integrity(self) -> list[str]:
        """What the store's own check finds; empty where nothing is wrong."""
        if self._file is not None:
            return self._file.integrity()
        refusal = getattr(self._store, "refusal", None)
        return [] if refusal is None else [refusal]

    def close(self) -> None:
        """Close the connections."""
        self._store.close()


@contextmanager
def read_store(folder: Path) -> Iterator[Reading]:
    """Look into the store of the workspace `folder`, whoever owns it.

    Raises `NotFound` where there is no store, `Unavailable` where it cannot be read.
    """
    reading = Reading(folder)
    try:
        yield reading
    finally:
        reading.close()
