"""A connection as the rooms of a transaction see it, and the rows that wait on it.

A group of use cases inserts into the same few tables again and again, and a passing submit never
reads back what it inserted. So its rows wait in memory and are written in one go, before the
commit or before the next statement that could miss them: many small inserts cost more than one of
many rows. For the same reason a use case gets its savepoint with its first statement, not before:
what only made rows wait is undone by forgetting them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from handrail.store.sqlite.queries import Execute

Row = tuple[Any, ...]


class Line:
    """What rooms use of a connection. On a reader it is nothing but the connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.look: Execute = connection.execute
        """Reads what no waiting row can change, or where the room adds those that wait itself."""
        self.execute: Execute = connection.execute
        """Everything else; on the writer all that waits is written first."""
        self.executemany: Callable[[str, list[Row]], Any] = connection.executemany
        self.changes = connection.changes
        self.last_insert_rowid = connection.last_insert_rowid


class Waiting:
    """Rows of one table, and how many of them belong to use cases that have ended."""

    __slots__ = ("kept", "rows", "sql")

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.rows: list[Row] = []
        self.kept = 0


class WritingLine(Line):
    """The writer's: with rows that wait, and the savepoint of the use case that runs.

    The writer brackets each use case with `begin` and `keep`, or `drop` and `undo`, and says `end`
    before a commit.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        super().__init__(connection)
        self._connection = connection
        self._raw: Execute = connection.execute
        self.execute = self._settled
        self.executemany = self._settled_many
        self._tables: list[Waiting] = []
        self._clean = True
        """Nothing waits, and the use case has its savepoint."""
        self._inside = False
        self.saved = False
        """Whether the use case that runs has a savepoint: it may have written something."""
        self.wave = 0
        """Changes whenever rows that waited do so no longer: a room's notes of them are over."""

    def waiting(self, sql: str) -> Waiting:
        """Rows of a table that may wait. Tables are written in the order they are named here."""
        made = Waiting(sql)
        self._tables.append(made)
        return made

    def add(self, table: Waiting, row: Row) -> None:
        """Let a row wait. Whoever adds it has seen that no constraint stands against it."""
        table.rows.append(row)
        self._clean = False

    # ------------------------------------------------------------------ the writer's side

    def begin(self) -> None:
        """A use case begins."""
        self._inside, self.saved, self._clean = True, False, False

    def keep(self) -> None:
        """It succeeded: its rows go with those of the group."""
        self._inside = False
        if self.saved:
            self._raw("RELEASE use_case")
            self.saved = False
        if not self._clean:
            for table in self._tables:
                table.kept = len(table.rows)

    def drop(self) -> None:
        """Rows of the use case that runs wait no longer."""
        for table in self._tables:
            del table.rows[table.kept :]
        self.wave += 1

    def lose(self) -> None:
        """The whole group is lost: nothing waits any more."""
        self._inside = self.saved = False
        for table in self._tables:
            table.rows.clear()
            table.kept = 0
        self.wave += 1

    def undo(self) -> None:
        """It failed, and its rows are dropped: roll back what it wrote, if it wrote anything."""
        self._inside = False
        if self.saved:
            self._raw("ROLLBACK TO use_case")
            self._raw("RELEASE use_case")
            self.saved = False
        # What ended well goes to the database now: the rooms have no notes of it any more.
        self._settle()

    def end(self) -> None:
        """No use case runs any more; write all that waits."""
        self._inside = self.saved = False
        self._settle()

    # ------------------------------------------------------------------ inside a use case

    def _settled(self, sql: str, bindings: Any = ()) -> apsw.Cursor:
        if not self._clean:
            self._settle()
        return self._raw(sql, bindings)  # type: ignore[no-any-return]

    def _settled_many(self, sql: str, rows: list[Row]) -> None:
        if not self._clean:
            self._settle()
        self._connection.executemany(sql, rows)

    def _settle(self) -> None:
        if self._inside and not self.saved:
            # What others made wait stands before the savepoint, so that it outlives a failure.
            for table in self._tables:
                if table.kept:
                    self._insert(table, table.kept)
            self._raw("SAVEPOINT use_case")
            self.saved = True
        for table in self._tables:
            if table.rows:
                self._insert(table, len(table.rows))
        self._clean = True

    def _insert(self, table: Waiting, many: int) -> None:
        if not self._connection.in_transaction:
            raise apsw.AbortError("the transaction was lost; rows that wait have nowhere to go")
        rows = table.rows
        if many == len(rows):
            self._connection.executemany(table.sql, rows)
            rows.clear()
        else:
            self._connection.executemany(table.sql, rows[:many])
            del rows[:many]
        table.kept = 0
        self.wave += 1
