"""The one function through which every surface sees a review."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from handrail.model.decision import Decision
from handrail.model.modes import ReviewStatus
from handrail.model.people import Person
from handrail.model.review import Card, Review, Round, Seat, Vote
from handrail.model.ruling import Approval, Ruling

_encode = msgspec.json.Encoder(order="deterministic").encode
LISTED = 100
"""Decision ids a card names at most."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A review with everything around it, as loaded; what a person sees of it is `view`'s work."""

    review: Review
    round: Round
    lead: Decision
    ruling: Ruling
    """The lead's ruling as submitted; the round has the one after edits."""
    attached: tuple[Decision, ...]
    """All decisions that hang on it, the lead first."""
    votes: tuple[Vote, ...]
    seats: tuple[Seat, ...]
    missing: tuple[Approval, ...]
    handles: dict[str, str]
    """Person id to handle, for everybody named here."""
    title: str
    reasons: dict[str, str]
    editable: tuple[str, ...]
    fields: dict[str, dict[str, Any]]
    proposed: tuple[str, ...]
    """Names of the fields that come from the proposal, or are derived from it."""
    choices: tuple[str, ...]


def card_digest(shown: Shown, secret: bytes) -> str:
    """Digest of all that matters to a verdict; it moves when the question moves.

    Keyed with the installation's secret, so that a blind seat cannot guess a proposal from it.
    """
    body = _encode(
        [
            shown.review.id,
            shown.round.number,
            shown.round.proposal,
            shown.round.ruling.policy,
            [fired.rule for fired in shown.round.ruling.fired],
            [(decision.id, decision.body_digest) for decision in shown.attached],
        ]
    )
    return "card:" + hmac.digest(secret, body, "sha256").hex()[:40]


def is_blind(shown: Shown, person: Person | None) -> bool:
    """Whether this person sits blind here and has not voted yet."""
    return (
        person is not None
        and shown.review.status is ReviewStatus.OPEN
        and any(seat.holder == person.id and seat.blind for seat in shown.seats)
        and all(vote.person != person.id for vote in shown.votes)
    )


def view(shown: Shown, person: Person | None, secret: bytes) -> Card:
    """What `person` may see. A blind seat gets no proposal, nothing derived from it, no votes."""
    review, ruling, lead = shown.review, shown.round.ruling, shown.lead
    blind = is_blind(shown, person)
    handle = shown.handles.get
    proposal = shown.round.proposal
    facts = lead.facts
    current = lead.current or {}
    if blind:
        return Card(
            review=review.id,
            digest=card_digest(shown, secret),
            round=shown.round.number,
            status=review.status,
            kind=review.kind,
            workflow=review.workflow,
            title=shown.title,
            subject=review.subject,
            what=f"{shown.title}: judge for yourself; the proposal is shown after your verdict",
            why=(),
            blind=True,
            facts={name: value for name, value in facts.items() if name not in shown.proposed},
            mode=ruling.mode.value,
            severity=review.severity,
            due=review.due,
            opened_at=review.opened_at,
            to=tuple(handle(name, name) for name in review.to),
            attached=review.attached,
            reasons=shown.reasons,
            editable=shown.editable,
            fields=shown.fields,
            choices=shown.choices,
            requester=lead.requester,
            test=lead.test,
            decision_ids=(lead.id,),
        )
    seat = next((seat for seat in shown.seats), None)
    return Card(
        review=review.id,
        digest=card_digest(shown, secret),
        round=shown.round.number,
        status=review.status,
        kind=review.kind,
        workflow=review.workflow,
        title=shown.title,
        subject=review.subject,
        what=_what(shown),
        why=tuple(fired.because for fired in ruling.fired) or ((ruling.why,) if ruling.why else ()),
        rules=tuple(
            {
                "rule": fired.rule,
                "severity": fired.severity.value,
                "mode": fired.mode.value,
                "terms": [
                    {"text": term.text, "left": term.left, "op": term.op, "right": term.right}
                    for term in fired.terms
                ],
            }
            for fired in ruling.fired
        ),
        unknown=tuple(found.why for found in ruling.unknown),
        proposal=proposal,
        confidence=lead.confidence,
        model=lead.model,
        alternatives=lead.alternatives,
        if_approved=ruling.if_approved,
        if_rejected=ruling.if_rejected,
        money=_money(ruling),
        reversible=ruling.stakes.reversible,
        facts=facts,
        diff=_diff(current, lead.proposal, proposal, shown.round.number),
        context=lead.context,
        links=lead.links or {},
        attached=review.attached,
        severity=review.severity,
        mode=ruling.mode.value,
        due=review.due,
        opened_at=review.opened_at,
        to=tuple(handle(name, name) for name in review.to),
        approvals=shown.missing,
        votes=tuple(
            {
                "by": handle(vote.person, vote.person),
                "said": vote.said.value,
                "reason": vote.reason,
                "comment": vote.comment,
                "at": vote.at,
                "carried_from": vote.carried_from,
            }
            for vote in shown.votes
        ),
        reasons=shown.reasons,
        editable=shown.editable,
        fields=shown.fields,
        choices=shown.choices,
        requester=lead.requester,
        holder=handle(seat.holder, seat.holder) if seat else None,
        snoozed_until=review.snoozed_until,
        verdict=review.verdict,
        decided_by=handle(review.decided_by or "", review.decided_by),
        decided_at=review.decided_at,
        undo_until=review.undo_until,
        behind=review.behind,
        test=lead.test,
        decision_ids=tuple(decision.id for decision in shown.attached[:LISTED]),
    )


def _what(shown: Shown) -> str:
    """One sentence: the title, the subject, and what the proposal sets."""
    sets = ", ".join(f"{name} = {value}" for name, value in shown.round.proposal.items())
    subject = f" {shown.review.subject}" if shown.review.subject else ""
    more = f" (and {shown.review.attached - 1} more of the same case)"
    return (
        f"{shown.title}{subject}"
        + (f": {sets}" if sets else "")
        + (more if shown.review.attached > 1 else "")
    )


def _money(ruling: Ruling) -> str | None:
    if ruling.stakes.money is None:
        return None
    return " ".join(filter(None, (ruling.stakes.money, ruling.stakes.unit)))


def _diff(
    current: Mapping[str, Any], first: Mapping[str, Any], now: Mapping[str, Any], number: int
) -> tuple[tuple[str, Any, Any], ...]:
    """(field, before, after): against the current state, and after an edit the first proposal."""
    before: dict[str, Any] = {**(first if number > 1 else {}), **current}
    names: Sequence[str] = [name for name in now if name in before]
    return tuple((name, before[name], now[name]) for name in names if before[name] != now[name])
