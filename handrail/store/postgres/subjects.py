"""Keys of subjects: what the log's commitments are made with."""

from __future__ import annotations

from handrail.model.errors import Conflict
from handrail.model.people import SubjectKey
from handrail.store.postgres.columns import Rows, blobs, numbers, texts, words
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session

_SQL = queries("subjects")
_KEY_OF = _SQL["key_of"]
_INSERT = _SQL["insert"]
_ROWS = Rows(0, _SQL["insert_all"], words, texts, blobs, numbers)


class PostgresSubjects:
    """See `handrail.ports.Subjects`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def key_of(self, workflow: str, subject: str) -> SubjectKey | None:
        session = self._session
        if session.ahead("subject key", workflow, subject):
            known: SubjectKey | None = session.found("subject key", workflow, subject)
            if known is None:
                session.missed("subject key", workflow, subject)
            return known

        def read() -> SubjectKey | None:
            row = session.one(_KEY_OF, (workflow, subject))
            if row is None:
                return None
            return SubjectKey(workflow=row[0], subject=row[1], key=row[2], made_at=row[3])

        found = session.known(("subject key", workflow, subject), "key", read)
        if found is None:
            session.missed("subject key", workflow, subject)
        return found

    def insert(self, key: SubjectKey) -> None:
        self._session.forget("subject key", key.workflow, key.subject)
        row = (key.workflow, key.subject, key.key, key.made_at)
        if self._session.later(_ROWS, row) or self._session.change(_INSERT, row):
            self._session.made("subject key", key.workflow, key.subject)
            self._session.found_now(key, "subject key", key.workflow, key.subject)
        else:
            self._session.taken("subject key", key.workflow, key.subject)
            raise Conflict(
                f"the subject {key.subject!r} of {key.workflow} has a key; read it and use it"
            )
