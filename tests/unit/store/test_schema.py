"""Migrations: forward, resumable, and never on somebody else's or a newer database."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from handrail.model.errors import Unavailable
from handrail.store.sqlite import schema
from handrail.store.sqlite.queries import migrations

from .conftest import Open, filing, numbers


def test_migrations_are_numbered_without_gaps() -> None:
    assert [number for number, _, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_opening_again_changes_nothing(open_store: Open, tmp_path: Path) -> None:
    def tables() -> list[object]:
        connection = apsw.Connection(str(tmp_path / "store.db"))
        try:
            return connection.execute(
                "SELECT name, sql FROM sqlite_schema ORDER BY name"
            ).fetchall()
        finally:
            connection.close()

    open_store().close()
    first = tables()
    open_store().close()
    assert tables() == first


def test_a_newer_database_is_refused(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    store.write(filing(0))
    store.close()
    connection = apsw.Connection(str(tmp_path / "store.db"))
    connection.execute("INSERT INTO schema_version VALUES (99, 'later', 0)")
    connection.close()
    before = (tmp_path / "store.db").read_bytes()
    with pytest.raises(Unavailable, match=r"schema 99.*up to \d+.*install"):
        open_store()
    assert (tmp_path / "store.db").read_bytes() == before


def test_another_programs_database_is_refused(open_store: Open, tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "store.db"))
    connection.execute("CREATE TABLE photos (id)")
    connection.close()
    with pytest.raises(Unavailable, match="another program"):
        open_store()


def test_a_file_that_is_no_database_is_refused(open_store: Open, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"hello, world\n" * 1000)
    with pytest.raises(Unavailable, match="cannot be opened"):
        open_store()


def test_a_folder_that_is_not_there_is_named(open_store: Open, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no-such-folder"):
        open_store(tmp_path / "no-such-folder" / "store.db")


def test_a_migration_that_dies_half_way_is_taken_up_again(
    open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    store.write(filing(0))
    store.close()
    newest = len(migrations())
    more = [
        (newest + 1, "one", "CREATE TABLE one (id INTEGER PRIMARY KEY) STRICT"),
        (newest + 2, "two", "CREATE TABLE two (id INTEGER) STRICT; CREATE TABLE one (id INTEGER)"),
    ]
    monkeypatch.setattr(schema, "migrations", lambda: [*migrations(), *more])
    with pytest.raises(Unavailable, match="table one already exists"):
        open_store()
    connection = apsw.Connection(str(tmp_path / "store.db"))
    assert schema.schema_version(connection) == newest + 1
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    assert "one" in names and "two" not in names
    connection.close()
    more[1] = (newest + 2, "two", "CREATE TABLE two (id INTEGER) STRICT")
    again = open_store()
    assert again.read(numbers) == [0]
    assert schema.schema_version(again._connection) == newest + 2
