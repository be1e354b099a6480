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

    def small_store(self, clock: Callable[[], int]) -> PostgresStore:
        """Its database says what one on a full disk says, once there are some hundred KB more.

        The log's stage is full with it, the log is not: on a real disk numbering would wait too.
        """
        import psycopg

        store = self.make_store(clock)
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(FULL.format(schema=self.schemas[-1]).encode())
        return store


FULL = """
SET search_path TO {schema};
CREATE FUNCTION extend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF pg_total_relation_size('{schema}.decisions') > 500000 THEN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON decisions EXECUTE FUNCTION extend();
CREATE TRIGGER full_disk BEFORE INSERT ON audit_stage EXECUTE FUNCTION extend();
"""
