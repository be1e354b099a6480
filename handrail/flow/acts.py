"""What people do to a review besides voting: escalate, ask, snooze, assign, comment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from handrail.access import Who, allow
from handrail.flow.claim import require_open
from handrail.flow.look import card, policy_of
from handrail.flow.ports import Ports
from handrail.flow.records import audience, commit, note, owner_of
from handrail.flow.who import able, enter, get_review, person_in, review_thing
from handrail.model.commands import Ask, Assign, Comment, Escalate, GetReview, Snooze
from handrail.model.errors import BadInput, Conflict
from handrail.model.feedback import Notice
from handrail.model.ids import new_id
from handrail.model.people import Actor, Person, Via
from handrail.model.review import Act, Card, Review
from handrail.model.wire import check_wire
from handrail.ports import Transaction

MAX_SNOOZE = 7 * 24 * 3600.0
MAX_TEXT = 10_000


Deed = Ask | Assign | Comment | Escalate | Snooze


def _act(
    command: Deed,
    actor: Actor,
    ports: Ports,
    change: Callable[[Transaction, Review, Who, Person], Review],
) -> Card:
    """Load, check, change by compare-and-set, and show the result."""

    def use_case(tx: Transaction) -> Card:
        who = enter(tx, actor)
        person = person_in(who)
        review = get_review(tx, command.review_id)
        thing = review_thing(tx, ports, review)
        allow(who, GetReview, thing)
        require_open(tx, review)
        allow(who, type(command), thing)
        changed = change(tx, review, who, person)
        if changed is not review and not tx.reviews.replace(review, changed):
            raise Conflict(f"{review.id} moved; look at it again")
        tx.wake(f"review:{review.id}")
        tx.wake("reviews")
        return card(tx, ports, changed, who)

    return ports.store.write(use_case)


def _text(text: str, pointer: str) -> str:
    check_wire(text, pointer)
    if not 1 <= len(text.strip()) <= MAX_TEXT:
        raise BadInput(f"expected 1 to {MAX_TEXT} characters of text", pointer)
    return text


def _sealed(tx: Transaction, review: Review, field: str, text: str | None) -> str | None:
    if text is None:
        return None
    return commit(tx, owner_of(review.workflow, review.subject, review.lead), field, text.encode())


def _tell(tx: Transaction, topic: str, review: Review, to: tuple[str, ...], text: str) -> None:
    tx.outbox.add(
        Notice(
            id=new_id("n", tx.now()),
            topic=topic,
            to=to,
            review=review.id,
            decision_id=review.lead,
            text=text,
            made_at=tx.now(),
            next_at=tx.now(),
        )
    )


def _asked(
    tx: Transaction, ports: Ports, review: Review, who: Who, names: Sequence[str], pointer: str
) -> tuple[str, ...]:
    """Whom the review asks from now on. Persons whose limit it is above are never asked.

    Only on the workspace's own machine may a name be that of somebody nobody has met.
    """
    if who.via is not Via.LOCAL:
        for name in names:
            if name.startswith("person:") and tx.people.by_handle(name[7:].strip()) is None:
                raise BadInput(f"nobody here is known as {name[7:]!r}", pointer, status=422)
    stake = review_thing(tx, ports, review).stake
    return able(tx, audience(tx, names), review.workflow, stake)


def escalate(command: Escalate, actor: Actor, ports: Ports) -> Card:
    """Hand the review on: to whom is named, else the route's fallback, else the owners."""
    if command.comment is not None:
        _text(command.comment, "/comment")
    _text(command.reason, "/reason")

    def change(tx: Transaction, review: Review, who: Who, person: Person) -> Review:
        current = tx.reviews.round(review.id, review.round)
        policy = policy_of(tx, ports, current)
        if policy.reasons and command.reason not in policy.reasons:
            raise BadInput(
                f"{command.reason!r} is no reason code of this policy; use one of: "
                + ", ".join(policy.reasons),
                "/reason",
                status=422,
            )
        route = current.ruling.route
        names = command.to or (route.fallback if route else ()) or policy.owners
        to = _asked(tx, ports, review, who, names, "/to")
        if not to:
            raise BadInput("nobody to escalate to; name a team, role or person", "/to", status=422)
        tx.reviews.add_act(
            Act(
                review=review.id,
                kind="escalate",
                by=person.id,
                at=tx.now(),
                to=to,
                reason=command.reason,
                comment=command.comment,
            )
        )
        note(
            tx,
            "review.escalated",
            person.id,
            review=review.id,
            to=to,
            reason=command.reason if "@" not in command.reason else None,
            stage=review.stage,
            commit=_sealed(tx, review, "comment", command.comment),
        )
        _tell(tx, "review.escalated", review, to, command.comment or command.reason)
        return msgspec.structs.replace(review, to=to)

    return _act(command, actor, ports, change)


def ask(command: Ask, actor: Actor, ports: Ports) -> Card:
    """Put a question to the requester; it is told them and stays on the review."""
    return _say(command, "ask", actor, ports)


def comment(command: Comment, actor: Actor, ports: Ports) -> Card:
    """Add a comment for whoever decides."""
    return _say(command, "comment", actor, ports)


def _say(command: Ask | Comment, kind: str, actor: Actor, ports: Ports) -> Card:
    text = _text(command.comment, "/comment")

    def change(tx: Transaction, review: Review, who: Who, person: Person) -> Review:
        tx.reviews.add_act(
            Act(review=review.id, kind=kind, by=person.id, at=tx.now(), comment=text)
        )
        note(
            tx,
            "review.asked" if kind == "ask" else "review.commented",
            person.id,
            review=review.id,
            commit=_sealed(tx, review, "comment", text),
        )
        if kind == "ask":
            lead = tx.decisions.get(review.lead)
            requester = lead.decision.requester if lead else None
            to = audience(tx, (f"person:{requester}",)) if requester else ()
            _tell(tx, "review.asked", review, to, text)
        return review

    return _act(command, actor, ports, change)


def snooze(command: Snooze, actor: Actor, ports: Ports) -> Card:
    """Let the review rest. Its deadline goes on: snoozing never buys time."""
    if not 1 <= command.seconds <= MAX_SNOOZE:
        raise BadInput(f"expected 1 to {MAX_SNOOZE:.0f} seconds", "/seconds")

    def change(tx: Transaction, review: Review, who: Who, person: Person) -> Review:
        until = tx.now() + round(command.seconds * 1_000_000)
        tx.reviews.add_act(
            Act(review=review.id, kind="snooze", by=person.id, at=tx.now(), until=until)
        )
        note(tx, "review.snoozed", person.id, review=review.id, until=until)
        return msgspec.structs.replace(review, snoozed_until=until)

    return _act(command, actor, ports, change)


def assign(command: Assign, actor: Actor, ports: Ports) -> Card:
    """Give the review to a person, team or role."""
    name = _text(command.to, "/to")
    if not name.startswith(("team:", "role:", "person:")):
        name = f"person:{name}"

    def change(tx: Transaction, review: Review, who: Who, person: Person) -> Review:
        to = _asked(tx, ports, review, who, (name,), "/to")
        if not to:
            raise BadInput(
                f"{name} may not decide what is at stake here; name somebody who may",
                "/to",
                status=422,
            )
        tx.reviews.add_act(Act(review=review.id, kind="assign", by=person.id, at=tx.now(), to=to))
        note(tx, "review.assigned", person.id, review=review.id, to=to)
        _tell(tx, "review.assigned", review, to, "")
        return msgspec.structs.replace(review, to=to)

    return _act(command, actor, ports, change)
