"""Keys of subjects: what the log's commitments are made with."""

from __future__ import annotations

import apsw

from handrail.model.errors import Conflict
from handrail.model.people import SubjectKey
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("subjects")
_KEY_OF = _SQL["key_of"]
_INSERT = _SQL["insert"]


class SqliteSubjects:
    """See `handrail.ports.Subjects`.

    A use case commits to several things under one key: the last one is kept until its end.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute: Execute = connection.execute
        self._last: SubjectKey | None = None

    def forget(self) -> None:
        """A use case begins, or was rolled back."""
        self._last = None

    def key_of(self, workflow: str, subject: str) -> SubjectKey | None:
        last = self._last
        if last is not None and last.subject == subject and last.workflow == workflow:
            return last
        row = self._execute(_KEY_OF, (workflow, subject)).fetchone()
        if row is None:
            return None
        self._last = SubjectKey(workflow=row[0], subject=row[1], key=row[2], made_at=row[3])
        return self._last

    def insert(self, key: SubjectKey) -> None:
        try:
            self._execute(_INSERT, (key.workflow, key.subject, key.key, key.made_at))
            self._last = key
        except apsw.ConstraintError:
            raise Conflict(
                f"the subject {key.subject!r} of {key.workflow} has a key; read it and use it"
            ) from None
