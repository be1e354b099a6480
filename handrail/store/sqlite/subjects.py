"""Keys of subjects: what the log's commitments are made with."""

from __future__ import annotations

import apsw

from handrail.model.errors import Conflict
from handrail.model.people import SubjectKey
from handrail.store.sqlite.line import Line, WritingLine
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("subjects")
_KEY_OF = _SQL["key_of"]
_INSERT = _SQL["insert"]


class SqliteSubjects:
    """See `handrail.ports.Subjects`.

    A use case commits to several things under one key: the last one is kept until its end.
    """

    def __init__(self, line: Line) -> None:
        self._execute: Execute = line.execute
        self._look: Execute = line.look
        self._line = line if isinstance(line, WritingLine) else None
        self._waiting = None if self._line is None else self._line.waiting(_INSERT)
        self._wave = 0
        self._made: dict[tuple[str, str], SubjectKey] = {}
        """Keys whose rows wait."""
        self._last: SubjectKey | None = None
        self._absent: tuple[str, str] | None = None
        """The subject that was looked for last, and has no key."""

    def forget(self) -> None:
        """A use case begins, or was rolled back."""
        self._last = self._absent = None

    def _notes(self) -> dict[tuple[str, str], SubjectKey]:
        if self._line is not None and self._wave != self._line.wave:
            self._wave = self._line.wave
            self._made.clear()
        return self._made

    def key_of(self, workflow: str, subject: str) -> SubjectKey | None:
        last = self._last
        if last is not None and last.subject == subject and last.workflow == workflow:
            return last
        asked = workflow, subject
        made = self._notes().get(asked)
        if made is not None:
            self._last = made
            return made
        row = self._look(_KEY_OF, asked).fetchone()
        if row is None:
            self._absent = asked
            return None
        self._last = SubjectKey(workflow=row[0], subject=row[1], key=row[2], made_at=row[3])
        return self._last

    def insert(self, key: SubjectKey) -> None:
        owner, row = (key.workflow, key.subject), (key.workflow, key.subject, key.key, key.made_at)
        absent, self._absent = self._absent, None
        if self._line is not None and self._waiting is not None and owner == absent:
            self._notes()[owner] = self._last = key
            self._line.add(self._waiting, row)
            return
        try:
            self._execute(_INSERT, row)
            self._last = key
        except apsw.ConstraintError:
            raise Conflict(
                f"the subject {key.subject!r} of {key.workflow} has a key; read it and use it"
            ) from None
