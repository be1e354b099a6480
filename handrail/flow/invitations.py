"""Invitations: the only way to become somebody who can sign in."""

from __future__ import annotations

from msgspec.structs import replace

from handrail.access import Denied, allow
from handrail.flow.people import check_holds, check_limits, limits_in_words
from handrail.flow.ports import Ports
from handrail.flow.records import known, note
from handrail.flow.secret import INVITATION, LINK, hash_of, new_secret
from handrail.flow.who import enter
from handrail.model.access import Invitation
from handrail.model.commands import Invite, Invited, MakeFirstAdmin, MakeLink
from handrail.model.errors import BadInput, Conflict, NotFound
from handrail.model.ids import new_id
from handrail.model.people import Actor, Person, folded
from handrail.model.wire import check_wire
from handrail.ports import Transaction

HOUR_US = 3600 * 1_000_000
FIRST_ADMIN_HOURS = 24
ADMIN = "role:admin"


def has_admin(tx: Transaction) -> bool:
    """Whether somebody holds `role:admin`, is active, and can sign in."""
    return any(
        person.active
        and ADMIN in person.holds
        and (tx.access.password(person.id) is not None or tx.access.identities_of(person.id))
        for person in tx.people.all()
    )


def invite(command: Invite, actor: Actor, ports: Ports) -> Invited:
    """A link for somebody, and its secret this once. Those made for them before end."""
    handle = _plain(command.handle)
    if command.holds is not None:
        check_holds(command.holds)
    if command.limits is not None:
        check_limits(command.limits)
    _check_hours(command.hours)
    secret = new_secret(INVITATION)

    def use_case(tx: Transaction) -> Invited:
        who = enter(tx, actor)
        allow(who, Invite)
        there = tx.people.by_handle(handle)
        if there is not None:
            if not there.active:
                raise Conflict(f"{there.handle} is switched off; switch them on first")
            if who.person is not None and who.person.id == there.id and who.session is not None:
                raise Denied("nobody invites themselves; change your password instead")
        tx.access.end_invitations(handle)
        invitation = Invitation(
            id=new_id("i", tx.now()),
            hash=hash_of(secret),
            handle=handle,
            holds=command.holds,
            limits=command.limits,
            made_by=who.id,
            until=tx.now() + round(command.hours * HOUR_US),
        )
        tx.access.add_invitation(invitation)
        note(
            tx,
            "person.invited",
            who.id,
            invitation=invitation.id,
            until=invitation.until,
            holds=invitation.holds,
            limits=None if command.limits is None else limits_in_words(command.limits),
            person=there.id if there is not None else None,
        )
        return Invited(id=invitation.id, handle=handle, secret=secret, until=invitation.until)

    return ports.store.write(use_case)


def _plain(handle: str) -> str:
    handle = handle.strip()
    check_wire(handle, "/handle")
    if not 1 <= len(handle) <= 200 or not handle.isprintable():
        raise BadInput("expected 1 to 200 plain characters", "/handle")
    return handle


def _check_hours(hours: float) -> None:
    if not 0.1 <= hours <= 24 * 30:
        raise BadInput("expected 0.1 to 720 hours", "/hours")


def make_link(command: MakeLink, actor: Actor, ports: Ports) -> Invited:
    """A link of this machine, and its secret this once. Links made before it go on working."""
    handle = _plain(command.handle)
    _check_hours(command.hours)
    secret = new_secret(LINK)

    def use_case(tx: Transaction) -> Invited:
        who = enter(tx, actor)
        allow(who, MakeLink)
        person = known(tx, handle)
        if not person.active:
            raise Conflict(f"{person.handle} is switched off; switch them on first")
        link = Invitation(
            id=new_id("i", tx.now()),
            hash=hash_of(secret),
            handle=person.handle,
            made_by=who.id,
            until=tx.now() + round(command.hours * HOUR_US),
            local=True,
        )
        tx.access.add_invitation(link)
        note(
            tx,
            "person.invited",
            who.id,
            invitation=link.id,
            until=link.until,
            person=person.id,
            local=True,
        )
        return Invited(id=link.id, handle=person.handle, secret=secret, until=link.until)

    return ports.store.write(use_case)


def make_first_admin(command: MakeFirstAdmin, actor: Actor, ports: Ports) -> Invited:
    """The link of the first admin. Raises `Conflict` where there is an admin who can sign in."""
    secret = new_secret(INVITATION)

    def use_case(tx: Transaction) -> Invited:
        who = enter(tx, actor)
        allow(who, MakeFirstAdmin)
        _refuse_a_second(tx)
        tx.access.end_invitations(None)
        invitation = Invitation(
            id=new_id("i", tx.now()),
            hash=hash_of(secret),
            handle=None,
            holds=(ADMIN,),
            made_by=who.id,
            until=tx.now() + FIRST_ADMIN_HOURS * HOUR_US,
        )
        tx.access.add_invitation(invitation)
        note(
            tx,
            "person.invited",
            who.id,
            invitation=invitation.id,
            until=invitation.until,
            holds=invitation.holds,
            first_admin=True,
        )
        return Invited(id=invitation.id, handle=None, secret=secret, until=invitation.until)

    return ports.store.write(use_case)


def _refuse_a_second(tx: Transaction) -> None:
    if has_admin(tx):
        raise Conflict("there is an admin already; ask them for an invitation")


def living(tx: Transaction, hashed: str, *, local: bool = False) -> Invitation:
    """The invitation (`local`: the link) with this hash, if it still works. Raises `NotFound`."""
    found = tx.access.invitation(hashed)
    gone = found is None or found.used_at is not None or tx.now() >= found.until
    if gone or found is None or found.local is not local:
        if local:
            raise NotFound("this link was used, or is over; `handrail desk` prints another")
        raise NotFound("this invitation is not there, was used, or is over; ask for a new one")
    return found


def take_up(tx: Transaction, hashed: str, handle: str | None, *, local: bool = False) -> Person:
    """Use the invitation, once, and return the person it makes; what it gives is theirs now."""
    found = living(tx, hashed, local=local)
    if found.handle is None:
        _refuse_a_second(tx)
        if handle is None:
            raise BadInput("say how people will call you, such as your e-mail address", "/handle")
    elif handle is not None and folded(handle) != folded(found.handle):
        raise BadInput("this invitation is for somebody else", "/handle")
    if not tx.access.use_invitation(hashed, tx.now()):
        raise Conflict("this invitation was used at this very moment; ask for a new one")
    before = known(tx, found.handle or handle or "")
    if not before.active:
        raise Conflict(f"{before.handle} is switched off; ask who runs the workspace")
    holds = before.holds if found.holds is None else found.holds
    if found.handle is None:
        holds = tuple(dict.fromkeys((*before.holds, *holds)))
    person = replace(
        before, holds=holds, limits=before.limits if found.limits is None else found.limits
    )
    note(tx, "invitation.accepted", person.id, invitation=found.id, person=person.id)
    if person != before:
        tx.people.put(person)
        note(
            tx,
            "person.changed",
            found.made_by,
            person=person.id,
            holds=person.holds,
            limits=limits_in_words(person.limits) or None,
            active=True,
        )
    return person
