"""The team store under the contract every store is under."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from handrail.settings import Settings
from handrail.testing import StoreContract
from tests import postgres

pytestmark = pytest.mark.needs("postgres")

if postgres.is_here():
    from handrail.store.postgres import PostgresStore


class TestPostgres(StoreContract):
    def setup_method(self) -> None:
        super().setup_method()
        self.schemas: list[str] = []

    def teardown_method(self) -> None:
        super().teardown_method()
        for schema in self.schemas:
            postgres.drop(schema)

    def open(self, clock: Callable[[], int], schema: str) -> PostgresStore:
        settings = Settings(connections=6)
        return PostgresStore.open(postgres.url(), clock=clock, settings=settings, schema=schema)

    def make_store(self, clock: Callable[[], int]) -> PostgresStore:
        self.schemas.append(postgres.new_schema())
        return self.open(clock, self.schemas[-1])

    def reopen(self, store: PostgresStore) -> PostgresStore:  # type: ignore[override]
        store.close()
        return self.open(self.clock, self.schemas[-1])
