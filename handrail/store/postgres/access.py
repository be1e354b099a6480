"""Tokens, sessions, passwords, identities, invitations."""

from __future__ import annotations

from handrail.model import access as model
from handrail.model.errors import Conflict
from handrail.model.people import folded
from handrail.store.codec import encode_limits, encode_texts
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session
from handrail.store.rows import identity_of, invitation_of, password_of, session_of, token_of

_SQL = queries("access")
_TOKEN = _SQL["token"]
_SESSION = _SQL["session"]


class PostgresAccess:
    """See `handrail.ports.Access`.

    Taking a way in away (a revoked token, an ended session) is covered by `standing`: once it is
    committed, nothing commits that came in by it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_token(self, token: model.Token, hash: str) -> None:
        self._session.change(
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

    def token(self, token_id: str) -> model.Token | None:
        def read() -> model.Token | None:
            row = self._session.one(_TOKEN, (token_id,))
            return token_of(row) if row else None

        return self._session.lasting("token", token_id, read)

    def token_by_hash(self, hash: str) -> model.Token | None:
        row = self._session.one(_SQL["token_by_hash"], (hash,))
        return token_of(row) if row else None

    def put_token(self, token: model.Token) -> None:
        if token.revoked_at is not None:
            self._session.hold_standing()
        self._session.forget_lasting("token", token.id)
        self._session.change(_SQL["put_token"], (token.id, token.last_used_at, token.revoked_at))

    def tokens(self) -> list[model.Token]:
        return [token_of(row) for row in self._session.all(_SQL["tokens"])]

    def put_session(self, session: model.Session) -> None:
        self._session.change(
            _SQL["put_session"],
            (
                session.hash,
                session.person,
                session.made_at,
                session.seen_at,
                session.until,
                session.last,
                session.local,
            ),
        )

    def session(self, hash: str) -> model.Session | None:
        row = self._session.one(_SESSION, (hash,))
        return session_of(row) if row else None

    def sessions_of(self, person_id: str) -> list[model.Session]:
        return [session_of(row) for row in self._session.all(_SQL["sessions_of"], (person_id,))]

    def end_session(self, hash: str) -> bool:
        self._session.hold_standing()
        return self._session.change(_SQL["end_session"], (hash,)) == 1

    def end_sessions_of(self, person_id: str, keep: str | None = None) -> int:
        self._session.hold_standing()
        return self._session.change(_SQL["end_sessions_of"], (person_id, keep or ""))

    def drop_sessions(self, now: int) -> int:
        return self._session.change(_SQL["drop_sessions"], (now,))

    def password(self, person_id: str) -> model.Password | None:
        self._session.hold("password", person_id)
        row = self._session.one(_SQL["password"], (person_id,))
        return password_of(row) if row else None

    def put_password(self, password: model.Password) -> None:
        self._session.hold("password", password.person)
        self._session.change(
            _SQL["put_password"],
            (
                password.person,
                password.hash,
                password.changed_at,
                password.failures,
                password.locked_until,
            ),
        )

    def identity(self, issuer: str, subject: str) -> model.Identity | None:
        row = self._session.one(_SQL["identity"], (issuer, subject))
        if row is None:
            self._session.missed("identity", issuer, subject)
            return None
        return identity_of(row)

    def identities_of(self, person_id: str) -> list[model.Identity]:
        return [identity_of(row) for row in self._session.all(_SQL["identities_of"], (person_id,))]

    def add_identity(self, identity: model.Identity) -> None:
        made = self._session.change(
            _SQL["add_identity"],
            (identity.issuer, identity.subject, identity.person, identity.linked_at),
        )
        if made:
            self._session.made("identity", identity.issuer, identity.subject)
        else:
            self._session.taken("identity", identity.issuer, identity.subject)
            raise Conflict(
                "this identity is linked to a person already; sign in with it, or use another one"
            )

    def add_invitation(self, invitation: model.Invitation) -> None:
        whom = folded(invitation.handle or "")
        self._session.hold("invitations", whom)
        self._session.change(
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
                whom,
                invitation.local,
            ),
        )

    def invitation(self, hash: str) -> model.Invitation | None:
        row = self._session.one(_SQL["invitation"], (hash,))
        return invitation_of(row) if row else None

    def use_invitation(self, hash: str, at: int) -> bool:
        return self._session.change(_SQL["use_invitation"], (hash, at)) == 1

    def end_invitations(self, handle: str | None) -> int:
        whom = folded(handle or "")
        self._session.hold("invitations", whom)
        return self._session.change(_SQL["end_invitations"], (whom,))
