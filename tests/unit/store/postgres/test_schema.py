"""Migrations: forward, resumable, one process at a time, never on somebody else's schema."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from handrail.model.errors import Unavailable
from handrail.store.postgres import schema as module
from handrail.store.postgres.queries import migrations
from handrail.store.sqlite.queries import migrations as embedded
from tests.unit.store.conftest import filing, numbers

from .conftest import Connect, Open

pytestmark = pytest.mark.needs("postgres")


def test_migrations_are_numbered_as_the_embedded_stores_are() -> None:
    """A store moves between the two only at the same version."""
    assert [number for number, _, _ in migrations()] == list(range(1, len(migrations()) + 1))
    assert [step[:2] for step in migrations()] == [step[:2] for step in embedded()]


def test_processes_that_start_together_make_one_schema(open_store: Open) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: open_store(), range(4)))
    for number, store in enumerate(stores):
        store.write(filing(number))
    stores[0].settle_log()
    assert stores[3].read(numbers) == [0, 1, 2, 3]


def test_a_newer_schema_is_refused(open_store: Open, connect: Connect) -> None:
    open_store().close()
    connect().execute("INSERT INTO schema_version VALUES (99, 'later', 0)")
    with pytest.raises(Unavailable, match=r"schema 99.*up to \d+.*install"):
        open_store()


def test_another_programs_schema_is_refused(
    open_store: Open, connect: Connect, schema: str
) -> None:
    connection = connect()
    connection.execute(f"CREATE SCHEMA {schema}")
    connection.execute(f"CREATE TABLE {schema}.photos (id int)")
    with pytest.raises(Unavailable, match="another program"):
        open_store()
    connection.execute(f"CREATE TABLE {schema}.schema_version (version int)")
    with pytest.raises(Unavailable, match="another program"):
        open_store()


def test_a_migration_that_dies_half_way_is_taken_up_again(
    open_store: Open, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    store.write(filing(0))
    store.close()
    newest = len(migrations())
    more: list[tuple[int, str, str]] = [
        (newest + 1, "one", "CREATE TABLE one (id bigint)"),
        (newest + 2, "two", "CREATE TABLE two (id bigint); CREATE TABLE one (id bigint)"),
    ]
    monkeypatch.setattr(module, "migrations", lambda: [*migrations(), *more])
    with pytest.raises(Unavailable, match="already exists"):
        open_store()

    def state() -> Any:
        row = connect().execute(
            "SELECT (SELECT max(version) FROM schema_version),"
            " to_regclass('one') IS NOT NULL, to_regclass('two') IS NOT NULL"
        )
        return row.fetchone()

    assert state() == (newest + 1, True, False)
    more[1] = (newest + 2, "two", "CREATE TABLE two (id bigint)")
    assert open_store().read(numbers) == [0]
    assert state() == (newest + 2, True, True)


def test_names_of_schemas_are_plain(open_store: Open) -> None:
    for name in ("", "A", 'x"; DROP SCHEMA public', "x" * 49, "1a"):
        with pytest.raises(Unavailable, match="name for the schema"):
            open_store(schema=name)
