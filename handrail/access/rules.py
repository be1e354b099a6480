"""The one question of access: may this one do that to this? Whatever is not allowed is refused.

`who_is` says who asks, from what the transaction has just read; `Thing` is what they ask about, as
the transaction has just loaded it; `allow` answers. So a revoked token, a person switched off or a
role taken away counts at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from handrail.access.rights import (
    AT_HOME,
    COMMAND_RIGHTS,
    EVERYBODY,
    LOCAL,
    NOBODY,
    RIGHTS,
    ROLES,
    SCOPES,
    Rule,
    Tie,
    Way,
)
from handrail.model.access import Session, Token
from handrail.model.commands import Command
from handrail.model.errors import NotFound, Refused, Unknown
from handrail.model.people import Actor, Person, Via, folded

EVERYWHERE = "*"


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, as the transaction knows them. Made by `who_is`."""

    name: str
    """Handle, or the program's name."""
    via: Via
    program: bool
    person: Person | None = None
    """None for a program, and for a local person nobody has met yet."""
    token: Token | None = None
    session: Session | None = None
    rights: frozenset[str]
    registered: bool = True
    """False where nobody is registered: one person holds every role."""

    @property
    def local(self) -> bool:
        """Whether this is the workspace's own user, in a terminal or by a link of this machine."""
        return self.via is Via.LOCAL or (self.session is not None and self.session.local)

    @property
    def id(self) -> str:
        """How the log and decisions name them: a person's id, or a program's own name."""
        return self.person.id if self.person is not None else self.name

    @property
    def workflows(self) -> tuple[str, ...]:
        """Where their rights hold; `*` is everywhere."""
        return self.token.workflows if self.token is not None else (EVERYWHERE,)

    def within(self, workflow: str) -> bool:
        """Whether their rights hold in this workflow (`*`: in all of them)."""
        where = self.workflows
        return EVERYWHERE in where or workflow in where


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """What a command is about, as far as access asks: the loaded object, not what was sent."""

    absent: str = "there is no such thing"
    """What is said of it to who may not know that it exists."""
    workflow: str | None = None
    """None for what belongs to no workflow; `*` for what concerns all of them."""
    submitters: tuple[str, ...] = ()
    requesters: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    """`team:…`, `role:…`, person ids whom its review asks, approvals included."""
    voters: tuple[str, ...] = ()
    """Person ids."""
    stake: Decimal | None = Decimal(0)
    """Money at stake; None where the policy declares it and it could not be known."""


NOTHING = Thing()
ALL_OF_IT = Thing(workflow=EVERYWHERE)


class Denied(Refused):
    """A right is missing, or the person is not the one to do it."""


class Hidden(NotFound):
    """A right is missing to know even that the thing exists."""


def who_is(
    actor: Actor,
    now: int,
    *,
    person: Person | None = None,
    token: Token | None = None,
    session: Session | None = None,
    registered: bool = True,
) -> Who:
    """Who asks, from the rows their credential names, read just now (`now` in µs UTC).

    Raises `Unknown` where the credential holds no longer.
    """
    if actor.via is Via.LOCAL:
        if actor.program:
            return Who(name=actor.name, via=Via.LOCAL, program=True, rights=LOCAL)
        return Who(
            name=person.handle if person is not None else actor.name.strip(),
            via=Via.LOCAL,
            program=False,
            person=person,
            rights=LOCAL | _by_roles(person),
            registered=registered,
        )
    if actor.via is Via.SESSION:
        if session is None or now >= min(session.until, session.last):
            raise Unknown("this session is over; sign in again")
        if person is None or not person.active or person.id != session.person:
            raise Unknown("this account is switched off; ask who runs the workspace")
        return Who(
            name=person.handle,
            via=Via.SESSION,
            program=False,
            person=person,
            session=session,
            rights=(AT_HOME if session.local else frozenset()) | EVERYBODY | _by_roles(person),
            registered=registered or not session.local,
        )
    if actor.via is Via.TOKEN:
        if token is None or token.revoked_at is not None:
            raise Unknown("this token is not known, or was revoked; ask for a new one")
        if token.expires_at is not None and now >= token.expires_at:
            raise Unknown("this token has expired; ask for a new one")
        rights = frozenset({"account.see"}).union(
            *(SCOPES[name].rights for name in token.scopes if name in SCOPES)
        )
        return Who(name=token.name, via=Via.TOKEN, program=True, token=token, rights=rights)
    return Who(name=actor.name, via=Via.NOBODY, program=True, rights=NOBODY)


def _by_roles(person: Person | None) -> frozenset[str]:
    names = [] if person is None else [n[5:] for n in person.holds if n.startswith("role:")]
    return frozenset().union(*(ROLES[name].rights for name in names if name in ROLES))


def may(who: Who, what: type[Command] | str | Rule, thing: Thing = NOTHING) -> bool:
    """Whether `allow` lets it through."""
    return _why_not(who, _rule(what), thing) is None


def allow(who: Who, what: type[Command] | str | Rule, thing: Thing = NOTHING) -> None:
    """Raise unless `who` may do `what` (a command, or a right by name) to `thing`.

    `Denied` (403) says what is missing; `Hidden` (404) is for who may not even know of the thing,
    and says just what is said of a thing that is not there.
    """
    rule = _rule(what)
    why = _why_not(who, rule, thing)
    if why is None:
        return
    if who.via is Via.NOBODY:
        raise Unknown(why)
    hidden = not (rule.people and who.program)
    if (
        hidden
        and rule.sees is not None
        and _why_not(who, COMMAND_RIGHTS[rule.sees], thing) is not None
    ):
        raise Hidden(thing.absent)
    raise Denied(why)


_NO_WAY = Rule(ways=())


def _rule(what: type[Command] | str | Rule) -> Rule:
    if isinstance(what, type):
        return COMMAND_RIGHTS.get(what, _NO_WAY)
    return what if isinstance(what, Rule) else Rule(ways=(Way(what),))


def _why_not(who: Who, rule: Rule, thing: Thing) -> str | None:
    """Why it is refused, or None where it is allowed."""
    if rule.people and who.program:
        return no_program(who)
    if thing.workflow is not None and not who.within(thing.workflow):
        where = ", ".join(who.workflows)
        return f"the token {who.name} is for {where}; this is {thing.workflow}"
    for way in rule.ways:
        if way.right in who.rights and (way.tie is None or _tied(who, thing, way.tie)):
            break
    else:
        held = [way for way in rule.ways if way.right in who.rights]
        return _missing(who, rule, held, thing)
    person = who.person
    if person is not None and not person.active and (rule.not_own or rule.within_limits):
        return f"{person.handle} is switched off; ask who runs the workspace"
    if rule.not_own and person is not None:
        others = ", ".join(thing.asked) or "another person"
        if is_among(person, thing.requesters):
            return f"{person.handle} asked for this and may not decide it; it waits for {others}"
        if who.registered and person.id in thing.submitters:
            return f"{person.handle} handed this in and may not decide it; it waits for {others}"
    if rule.within_limits and person is not None and thing.workflow is not None:
        return over_limit(person, thing.workflow, thing.stake)
    return None


def no_program(who: Who) -> str:
    """What a program is told that does what only people do."""
    told = f"{who.name!r} is a program; only a person decides"
    if who.via is Via.TOKEN:
        return f"{told}, and no token does: sign in at the desk"
    return f"{told}. Name one with --as or `person=`"


def _missing(who: Who, rule: Rule, held: list[Way], thing: Thing) -> str:
    if any(way.tie is Tie.ASKED for way in held) and who.person is not None:
        return (
            f"{who.name} is none of {', '.join(thing.asked) or 'nobody'}; this review is for them"
        )
    if held:
        return f"{who.name} has no part in this, and that is what it takes"
    rights = [way.right for way in rule.ways]
    what = ", or ".join(RIGHTS.get(right, right) for right in rights) or "do this"
    if who.via is Via.TOKEN:
        scopes = [name for name, scope in SCOPES.items() if scope.rights & set(rights)]
        able = f"scopes with that right: {', '.join(scopes)}" if scopes else "no token may"
    elif who.via is Via.NOBODY:
        able = "sign in, or show an API token"
    else:
        roles = [f"role:{name}" for name, role in ROLES.items() if role.rights & set(rights)]
        able = f"roles with that right: {', '.join(roles)}" if roles else "no role gives that right"
    return f"{who.name} may not {what}; {able}"


def _tied(who: Who, thing: Thing, tie: Tie) -> bool:
    if who.local and tie in (Tie.OWN, Tie.SUBMITTER):
        return True
    if tie is Tie.SUBMITTER:
        return who.id in thing.submitters
    if tie is Tie.OWN:
        return who.id in thing.submitters or (
            who.person is not None and is_among(who.person, thing.requesters)
        )
    if who.person is None:
        return not who.registered and not who.program and tie is Tie.ASKED
    if tie is Tie.VOTED:
        return who.person.id in thing.voters
    return not who.registered or (who.person.active and who.person.is_one_of(thing.asked))


def is_among(person: Person, names: Iterable[str]) -> bool:
    """Whether one of these names, as callers write them, means this person."""
    own = {person.handle.strip().casefold(), person.id}
    return any(folded(name) in own for name in names)


def over_limit(person: Person, workflow: str, stake: Decimal | None) -> str | None:
    """Why this stake is above what the person may decide in this workflow; None where it is not.

    A stake that the policy declares and that could not be known is above every limit.
    """
    text = person.limits.get(workflow, person.limits.get(EVERYWHERE))
    if text is None:
        return None
    if stake is None:
        return (
            f"what is at stake is not known, and {person.handle} may decide up to {text} "
            f"in {workflow}; hand it on to somebody without a limit"
        )
    if abs(stake) > Decimal(text):
        return (
            f"{stake} is at stake, and {person.handle} may decide up to {text} in {workflow}; "
            f"hand it on to somebody who may decide more"
        )
    return None
