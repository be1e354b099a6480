"""Team stores on schemas of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from handrail.testing import FakeClock
from tests import postgres

if TYPE_CHECKING:
    from handrail.store.postgres import PostgresStore

Open = Callable[..., "PostgresStore"]
Connect = Callable[[], "psycopg.Connection[Any]"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def schema() -> Iterator[str]:
    """The name of a schema; what is in it is removed at the end."""
    name = postgres.new_schema()
    yield name
    postgres.drop(name)


@pytest.fixture
def open_store(schema: str, clock: FakeClock) -> Iterator[Open]:
    """Opens stores on `schema`, as many processes would; what is left open is closed at the end."""
    from handrail.settings import Settings
    from handrail.store.postgres import PostgresStore

    opened: list[PostgresStore] = []

    def open_(**given: Any) -> PostgresStore:
        given.setdefault("clock", clock)
        given.setdefault("settings", Settings(connections=5))
        given.setdefault("schema", schema)
        url = given.pop("url", None) or postgres.url()
        store = PostgresStore.open(url, **given)
        opened.append(store)
        return store

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def connect(schema: str) -> Iterator[Connect]:
    """Connections to the database as somebody else has them, in the schema."""
    made: list[psycopg.Connection[Any]] = []

    def connect_() -> psycopg.Connection[Any]:
        connection = psycopg.connect(postgres.url(), autocommit=True)
        connection.execute(f"SET search_path = {schema}")
        made.append(connection)
        return connection

    yield connect_
    for connection in made:
        connection.close()
