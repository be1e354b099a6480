"""The embedded store under the contract every store is under: on disk, and in memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from handrail.settings import Settings
from handrail.store.sqlite import SqliteStore
from handrail.testing import StoreContract


def limit(store: SqliteStore, pages: int) -> SqliteStore:
    """Let the database grow to `pages` pages of 4 KiB at most."""
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    return store


class TestSqliteFile(StoreContract):
    def setup_method(self) -> None:
        super().setup_method()
        self.folder = Path(tempfile.mkdtemp(prefix="handrail-test-"))
        self.count = 0

    def teardown_method(self) -> None:
        super().teardown_method()
        shutil.rmtree(self.folder)

    def open(self, clock: Callable[[], int], name: str) -> SqliteStore:
        settings = Settings(group_commit_max=64, readers=3)
        return SqliteStore.open(str(self.folder / name), clock=clock, settings=settings)

    def make_store(self, clock: Callable[[], int]) -> SqliteStore:
        self.count += 1
        return self.open(clock, f"{self.count}.db")

    def reopen(self, store: SqliteStore) -> SqliteStore:  # type: ignore[override]
        store.close()
        return self.open(self.clock, f"{self.count}.db")

    def small_store(self, clock: Callable[[], int]) -> SqliteStore:
        return limit(self.make_store(clock), 400)


class TestSqliteMemory(StoreContract):
    def make_store(self, clock: Callable[[], int]) -> SqliteStore:
        return SqliteStore.open(":memory:", clock=clock)

    def small_store(self, clock: Callable[[], int]) -> SqliteStore:
        return limit(self.make_store(clock), 400)
