"""Tokens, sessions, passwords, identities, invitations."""

from __future__ import annotations

from handrail.model.access import Identity, Invitation, Password, Session, Token
from handrail.model.errors import Conflict
from handrail.model.people import folded
from handrail.store.codec import encode_limits, encode_texts
from handrail.store.rows import identity_of, invitation_of, password_of, session_of, token_of
from handrail.store.sqlite.line import Line
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("access")
_TOKEN = _SQL["token"]
_SESSION = _SQL["session"]


class SqliteAccess:
    """See `handrail.ports.Access`."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._execute: Execute = line.execute

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
        return token_of(row) if row else None

    def token_by_hash(self, hash: str) -> Token | None:
        row = self._execute(_SQL["token_by_hash"], (hash,)).fetchone()
        return token_of(row) if row else None

    def put_token(self, token: Token) -> None:
        self._execute(_SQL["put_token"], (token.id, token.last_used_at, token.revoked_at))

    def tokens(self) -> list[Token]:
        return [token_of(row) for row in self._execute(_SQL["tokens"])]

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
        return session_of(row) if row else None

    def sessions_of(self, person_id: str) -> list[Session]:
        return [session_of(row) for row in self._execute(_SQL["sessions_of"], (person_id,))]

    def end_session(self, hash: str) -> bool:
        self._execute(_SQL["end_session"], (hash,))
        return self._line.changes() == 1

    def end_sessions_of(self, person_id: str, keep: str | None = None) -> int:
        self._execute(_SQL["end_sessions_of"], (person_id, keep or ""))
        return self._line.changes()

    def drop_sessions(self, now: int) -> int:
        self._execute(_SQL["drop_sessions"], (now,))
        return self._line.changes()

    def password(self, person_id: str) -> Password | None:
        row = self._execute(_SQL["password"], (person_id,)).fetchone()
        return password_of(row) if row else None

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
        return identity_of(row) if row else None

    def identities_of(self, person_id: str) -> list[Identity]:
        return [identity_of(row) for row in self._execute(_SQL["identities_of"], (person_id,))]

    def add_identity(self, identity: Identity) -> None:
        self._execute(
            _SQL["add_identity"],
            (identity.issuer, identity.subject, identity.person, identity.linked_at),
        )
        if self._line.changes() != 1:
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
        return invitation_of(row) if row else None

    def use_invitation(self, hash: str, at: int) -> bool:
        self._execute(_SQL["use_invitation"], (hash, at))
        return self._line.changes() == 1

    def end_invitations(self, handle: str | None) -> int:
        self._execute(_SQL["end_invitations"], (folded(handle or ""),))
        return self._line.changes()
