"""Sign in and out. A session is a row: it ends at once when it is ended, whoever holds its secret.

Wrong passwords, unknown people and paused accounts are answered alike, and cost the same one hash.
"""

from __future__ import annotations

import contextlib

import msgspec
from msgspec.structs import replace

from handrail.access import allow, who_is
from handrail.flow.invitations import living, take_up
from handrail.flow.passwords import MOST, check_password
from handrail.flow.ports import Ports
from handrail.flow.records import note
from handrail.flow.secret import SESSION, TOKEN, hash_of, new_secret
from handrail.flow.who import enter
from handrail.model.access import Identity, Password, Session
from handrail.model.commands import (
    AcceptInvitation,
    ChangePassword,
    FollowLink,
    Me,
    SignedIn,
    SignIn,
    SignInWith,
    SignOut,
    WhoAmI,
)
from handrail.model.errors import BadInput, Refused, TooMany, Unavailable, Unknown
from handrail.model.people import Actor, Person, Via
from handrail.model.wire import check_wire
from handrail.ports import Transaction

SECOND = 1_000_000
PRECISION = 60 * SECOND
"""How old `seen_at` and `last_used_at` may grow before they are written again."""
ALLOWED_FAILURES = 5
"""Wrong passwords in a row before an account is paused."""
FIRST_PAUSE, LONGEST_PAUSE = 30, 900
"""Seconds; each further wrong password doubles the pause."""
FAILURES_A_MINUTE = 300
"""Failed sign-ins, of everybody together, before all are asked to wait."""
MOST_SESSIONS = 20
"""Of one person; the oldest end."""
_SCOPE = "*/sign-in"

WRONG = (
    "the handle or the password is wrong, or the account is paused after wrong passwords; "
    "try again later, or ask for a new invitation"
)


class Checked(msgspec.Struct, frozen=True):
    """What a password was compared with."""

    person: str | None
    hash: str | None


def recognise(secret: str, ports: Ports) -> Actor:
    """The actor whom this token or session secret names, for whoever takes requests in.

    Raises `Unknown` where it holds no longer. What the actor may do is looked up again in each
    transaction; the actor only says where to look.
    """
    hashed = hash_of(secret)

    def look(tx: Transaction) -> tuple[Actor, bool]:
        now = tx.now()
        if secret.startswith(TOKEN):
            token = tx.access.token_by_hash(hashed)
            if token is None:
                raise Unknown("this token is not known; ask for a new one")
            actor = Actor(name=token.name, via=Via.TOKEN, credential=token.id)
            who_is(actor, now, token=token)
            return actor, now - (token.last_used_at or 0) >= PRECISION
        session = tx.access.session(hashed)
        if session is None:
            raise Unknown("this session is over; sign in again")
        person = tx.people.get(session.person)
        actor = Actor(
            name=person.handle if person else session.person,
            program=False,
            via=Via.SESSION,
            credential=hashed,
        )
        who_is(actor, now, session=session, person=person)
        return actor, now - session.seen_at >= PRECISION

    actor, stale = ports.store.read(look)
    if stale:
        # Where the store cannot be written to, people may still look.
        with contextlib.suppress(Unavailable):
            ports.store.write(lambda tx: _seen(tx, actor, ports))
    return actor


def _seen(tx: Transaction, actor: Actor, ports: Ports) -> None:
    credential = actor.credential or ""
    if actor.via is Via.TOKEN:
        token = tx.access.token(credential)
        if token is not None:
            tx.access.put_token(replace(token, last_used_at=tx.now()))
        return
    session = tx.access.session(credential)
    if session is not None and session.until > tx.now():
        idle = round(ports.settings.session_idle_seconds * SECOND)
        until = min(tx.now() + idle, session.last)
        tx.access.put_session(replace(session, seen_at=tx.now(), until=until))


def sign_in(command: SignIn, actor: Actor, ports: Ports) -> SignedIn:
    """A session for who knows the password. Raises `Unknown`, which never says what was wrong."""

    def look(tx: Transaction) -> Checked:
        allow(enter(tx, actor, meet=False, nobody=True), SignIn)
        _refuse_a_flood(tx)
        person = tx.people.by_handle(command.handle.strip()) if _plain(command) else None
        password = tx.access.password(person.id) if person is not None else None
        return Checked(
            person.id if person is not None else None,
            password.hash if password is not None else None,
        )

    checked = ports.store.read(look)
    right = ports.passwords.fits(checked.hash, command.password[:MOST])
    right = right and len(command.password) <= MOST

    def finish(tx: Transaction) -> tuple[Person, Session] | None:
        person = _passed(tx, checked, right)
        if person is None:
            return None
        return person, _start(tx, ports, person, "password", secret, command.session)

    secret = new_secret(SESSION)
    found = ports.store.write(finish)
    if found is None:
        raise Unknown(WRONG)
    return _signed_in(*found, secret)


def _plain(command: SignIn) -> bool:
    return len(command.handle) <= 200 and command.handle.isprintable()


def _refuse_a_flood(tx: Transaction) -> None:
    minute = tx.now() - tx.now() % (60 * SECOND)
    failures, _ = tx.counters.read(_SCOPE, "*", minute, minute + 1)
    if failures >= FAILURES_A_MINUTE:
        left = 60 - (tx.now() - minute) // SECOND
        raise TooMany("too many failed sign-ins; everybody waits a moment", int(left))


def _passed(tx: Transaction, checked: Checked, right: bool) -> Person | None:
    """The person whose password was right, by what stands now; else the failure is counted."""
    now = tx.now()
    person = tx.people.get(checked.person) if checked.person is not None else None
    password = tx.access.password(person.id) if person is not None else None
    paused = (
        password is not None and password.locked_until is not None and now < password.locked_until
    )
    if (
        right
        and person is not None
        and person.active
        and password is not None
        and password.hash == checked.hash
        and not paused
    ):
        if password.failures or password.locked_until is not None:
            tx.access.put_password(replace(password, failures=0, locked_until=None))
        return person
    tx.counters.add(_SCOPE, "*", now - now % (60 * SECOND), 1, 0)
    if password is not None and not paused and not right:
        _count_failure(tx, password)
    return None


def _count_failure(tx: Transaction, password: Password) -> None:
    failures, until = password.failures + 1, None
    if failures >= ALLOWED_FAILURES:
        pause = FIRST_PAUSE * 2 ** min(failures - ALLOWED_FAILURES, 10)
        until = tx.now() + min(pause, LONGEST_PAUSE) * SECOND
        note(tx, "sign_in.paused", "system", person=password.person, until=until)
    tx.access.put_password(replace(password, failures=failures, locked_until=until))


def _start(
    tx: Transaction,
    ports: Ports,
    person: Person,
    means: str,
    secret: str,
    before: str | None,
    *,
    local: bool = False,
) -> Session:
    """A new session with a new secret; the one this browser had before ends."""
    now, settings = tx.now(), ports.settings
    if before is not None:
        tx.access.end_session(hash_of(before))
    tx.access.drop_sessions(now)
    others = tx.access.sessions_of(person.id)
    for old in others[: max(0, len(others) - MOST_SESSIONS + 1)]:
        tx.access.end_session(old.hash)
    last = now + round(settings.session_seconds * SECOND)
    session = Session(
        hash=hash_of(secret),
        person=person.id,
        made_at=now,
        seen_at=now,
        until=min(now + round(settings.session_idle_seconds * SECOND), last),
        last=last,
        local=local,
    )
    tx.access.put_session(session)
    note(tx, "session.started", person.id, person=person.id, means=means, until=last)
    return session


def _signed_in(person: Person, session: Session, secret: str) -> SignedIn:
    return SignedIn(
        secret=secret,
        person=person.id,
        handle=person.handle,
        until=session.until,
        last=session.last,
    )


def accept_invitation(command: AcceptInvitation, actor: Actor, ports: Ports) -> SignedIn:
    """Set the password of who was invited, and sign them in. The link works once."""
    hashed = hash_of(command.secret)

    def look(tx: Transaction) -> str:
        allow(enter(tx, actor, meet=False, nobody=True), AcceptInvitation)
        return living(tx, hashed).handle or command.handle or ""

    check_password(command.password, ports.store.read(look), "/password")
    stored = ports.passwords.hash(command.password)
    secret = new_secret(SESSION)

    def use_case(tx: Transaction) -> tuple[Person, Session]:
        person = take_up(tx, hashed, command.handle)
        tx.access.put_password(Password(person=person.id, hash=stored, changed_at=tx.now()))
        note(tx, "password.changed", person.id, person=person.id)
        tx.access.end_sessions_of(person.id)
        return person, _start(tx, ports, person, "invitation", secret, None)

    return _signed_in(*ports.store.write(use_case), secret)


def follow_link(command: FollowLink, actor: Actor, ports: Ports) -> SignedIn:
    """A session for the browser that followed a link of this machine. The link works once."""
    secret = new_secret(SESSION)

    def use_case(tx: Transaction) -> tuple[Person, Session]:
        allow(enter(tx, actor), FollowLink)
        person = take_up(tx, hash_of(command.secret), None, local=True)
        return person, _start(tx, ports, person, "link", secret, command.session, local=True)

    return _signed_in(*ports.store.write(use_case), secret)


def sign_in_with(command: SignInWith, actor: Actor, ports: Ports) -> SignedIn:
    """A session for the person whom this identity is linked to; an invitation links it.

    Only issuer and subject count, exactly as they are.
    """
    for name in ("issuer", "subject"):
        value = getattr(command, name)
        check_wire(value, f"/{name}")
        if not 1 <= len(value) <= 500:
            raise BadInput("expected 1 to 500 characters", f"/{name}")
    secret = new_secret(SESSION)

    def use_case(tx: Transaction) -> tuple[Person, Session]:
        allow(enter(tx, actor), SignInWith)
        linked = tx.access.identity(command.issuer, command.subject)
        if linked is None:
            if command.invitation is None:
                raise Unknown("this identity belongs to nobody here; ask for an invitation")
            person = take_up(tx, hash_of(command.invitation), None)
            tx.access.add_identity(
                Identity(
                    issuer=command.issuer,
                    subject=command.subject,
                    person=person.id,
                    linked_at=tx.now(),
                )
            )
            note(tx, "identity.linked", person.id, person=person.id)
        else:
            known = tx.people.get(linked.person)
            if known is None or not known.active:
                raise Unknown("this account is switched off; ask who runs the workspace")
            person = known
        return person, _start(tx, ports, person, "identity", secret, command.session)

    return _signed_in(*ports.store.write(use_case), secret)


def sign_out(command: SignOut, actor: Actor, ports: Ports) -> None:
    """End this session, or all of the person's."""

    def use_case(tx: Transaction) -> None:
        who = enter(tx, actor)
        allow(who, SignOut)
        if who.session is None or who.person is None:
            raise Refused(f"{who.name} did not sign in; there is nothing to sign out of")
        ended = (
            tx.access.end_sessions_of(who.person.id)
            if command.everywhere
            else int(tx.access.end_session(who.session.hash))
        )
        note(tx, "session.ended", who.id, person=who.person.id, sessions=ended)

    ports.store.write(use_case)


def change_password(command: ChangePassword, actor: Actor, ports: Ports) -> None:
    """Set another password for who knows the old one. All their other sessions end."""

    def look(tx: Transaction) -> tuple[Checked, str]:
        who = enter(tx, actor, meet=False)
        allow(who, ChangePassword)
        if who.person is None or who.session is None:
            raise Refused(f"{who.name} did not sign in; sign in first")
        _refuse_a_flood(tx)
        password = tx.access.password(who.person.id)
        return Checked(who.person.id, password.hash if password else None), who.person.handle

    checked, handle = ports.store.read(look)
    check_password(command.new, handle, "/new")
    right = len(command.old) <= MOST and ports.passwords.fits(checked.hash, command.old)
    stored = ports.passwords.hash(command.new) if right else ""

    def use_case(tx: Transaction) -> bool:
        who = enter(tx, actor)
        allow(who, ChangePassword)
        person = _passed(tx, checked, right)
        if person is None or who.session is None:
            return False
        tx.access.put_password(Password(person=person.id, hash=stored, changed_at=tx.now()))
        note(tx, "password.changed", person.id, person=person.id)
        ended = tx.access.end_sessions_of(person.id, keep=who.session.hash)
        if ended:
            note(tx, "session.ended", person.id, person=person.id, sessions=ended)
        return True

    if not ports.store.write(use_case):
        raise Refused("the old password is wrong, or the account is paused; try again later")


def who_am_i(command: WhoAmI, actor: Actor, ports: Ports) -> Me:
    """Who sends this, and what they may do."""

    def query(tx: Transaction) -> Me:
        who = enter(tx, actor, meet=False)
        allow(who, WhoAmI)
        person, until = who.person, None
        if who.session is not None:
            until = min(who.session.until, who.session.last)
        elif who.token is not None:
            until = who.token.expires_at
        return Me(
            name=who.name,
            via=who.via.value,
            program=who.program,
            person=person.id if person is not None else None,
            holds=person.holds if person is not None else (),
            limits=person.limits if person is not None else {},
            rights=tuple(sorted(who.rights)),
            workflows=who.workflows,
            until=until,
        )

    return ports.store.read(query)
