"""Tokens, sessions, passwords, identities, invitations."""

from __future__ import annotations

from typing import Any

import apsw

from handrail.model.access import Identity, Invitation, Password, Session, Token
from handrail.model.errors import Conflict
from handrail.model.people import folded
from handrail.store.codec import decode_limits, decode_texts, encode_limits, encode_texts
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("access")
_TOKEN = _SQL["token"]
_SESSION = _SQL["session"]


def _token(row: tuple[Any, ...]) -> Token:
    return Token(
        id=row[0],
        name=row[1],
        prefix=row[2],
        scopes=decode_texts(row[3]),
        workflows=decode_texts(row[4]),
        made_by=row[5],
        made_at=row[6],
        expires_at=row[7],
        last_used_at=row[8],
        revoked_at=row[9],
    )


def _session(row: tuple[Any, ...]) -> Session:
    return Session(
        hash=row[0],
        person=row[1],
        made_at=row[2],
        seen_at=row[3],
        until=row[4],
        last=row[5],
        local=bool(row[6]),
    )


def _identity(row: tuple[Any, ...]) -> Identity:
    return Identity(issuer=row[0], subject=row[1], person=row[2], linked_at=row[3])


class SqliteAccess:
    """See `handrail.ports.Access`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute: Execute = connection.execute

    def add_token(self, token: Token, hash: str) -> None:
        self._execute(
            _SQL["add_token"],
            (
                token.id,
                token.name,
                token.prefix,
                encode_texts(token.scopes),
                encode_texts(token.workflows),
                token.made_by,
                token.made_at,
                token.expires_at,
                token.last_used_at,
                token.revoked_at,
                hash,
            ),
        )

    def token(self, token_id: str) -> Token | None:
        row = self._execute(_TOKEN, (token_id,)).fetchone()
        return _token(row) if row else None

    def token_by_hash(self, hash: str) -> Token | None:
        row = self._execute(_SQL["token_by_hash"], (hash,)).fetchone()
        return _token(row) if row else None

    def put_token(self, token: Token) -> None:
        self._execute(_SQL["put_token"], (token.id, token.last_used_at, token.revoked_at))

    def tokens(self) -> list[Token]:
        return [_token(row) for row in self._execute(_SQL["tokens"])]

    def put_session(self, session: Session) -> None:
        self._execute(
            _SQL["put_session"],
            (
                session.hash,
                session.person,
                session.made_at,
                session.seen_at,
                session.until,
                session.last,
                int(session.local),
            ),
        )

    def session(self, hash: str) -> Session | None:
        row = self._execute(_SESSION, (hash,)).fetchone()
        return _session(row) if row else None

    def sessions_of(self, person_id: str) -> list[Session]:
        return [_session(row) for row in self._execute(_SQL["sessions_of"], (person_id,))]

    def end_session(self, hash: str) -> bool:
        self._execute(_SQL["end_session"], (hash,))
        return self._connection.changes() == 1

    def end_sessions_of(self, person_id: str, keep: str | None = None) -> int:
        self._execute(_SQL["end_sessions_of"], (person_id, keep or ""))
        return self._connection.changes()

    def drop_sessions(self, now: int) -> int:
        self._execute(_SQL["drop_sessions"], (now,))
        return self._connection.changes()

    def password(self, person_id: str) -> Password | None:
        row = self._execute(_SQL["password"], (person_id,)).fetchone()
        if row is None:
            return None
        return Password(
            person=row[0], hash=row[1], changed_at=row[2], failures=row[3], locked_until=row[4]
        )

    def put_password(self, password: Password) -> None:
        self._execute(
            _SQL["put_password"],
            (
                password.person,
                password.hash,
                password.changed_at,
                password.failures,
                password.locked_until,
            ),
        )

    def identity(self, issuer: str, subject: str) -> Identity | None:
        row = self._execute(_SQL["identity"], (issuer, subject)).fetchone()
        return _identity(row) if row else None

    def identities_of(self, person_id: str) -> list[Identity]:
        return [_identity(row) for row in self._execute(_SQL["identities_of"], (person_id,))]

    def add_identity(self, identity: Identity) -> None:
        self._execute(
            _SQL["add_identity"],
            (identity.issuer, identity.subject, identity.person, identity.linked_at),
        )
        if self._connection.changes() != 1:
            raise Conflict(
                "this identity is linked to a person already; sign in with it, or use another one"
            )

    def add_invitation(self, invitation: Invitation) -> None:
        self._execute(
            _SQL["add_invitation"],
            (
                invitation.id,
                invitation.hash,
                invitation.handle,
                None if invitation.holds is None else encode_texts(invitation.holds),
                None if invitation.limits is None else encode_limits(invitation.limits),
                invitation.made_by,
                invitation.until,
                invitation.used_at,
                folded(invitation.handle or ""),
                int(invitation.local),
            ),
        )

    def invitation(self, hash: str) -> Invitation | None:
        row = self._execute(_SQL["invitation"], (hash,)).fetchone()
        if row is None:
            return None
        return Invitation(
            id=row[0],
            hash=row[1],
            handle=row[2],
            holds=None if row[3] is None else decode_texts(row[3]),
            limits=None if row[4] is None else decode_limits(row[4]),
            made_by=row[5],
            until=row[6],
            used_at=row[7],
            local=bool(row[8]),
        )

    def use_invitation(self, hash: str, at: int) -> bool:
        self._execute(_SQL["use_invitation"], (hash, at))
        return self._connection.changes() == 1

    def end_invitations(self, handle: str | None) -> int:
        self._execute(_SQL["end_invitations"], (folded(handle or ""),))
        return self._connection.changes()
