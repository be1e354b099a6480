"""The one place that says who sees what: of a review, of a decision, of feedback.

Three sights of a review: whole; blind, without the machine's answer and without anything that
follows from it, for who may still judge before seeing it; and the requester's, without what others
said. No command answers with any of it except through here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from handrail.access.rights import Rule, Tie, Way
from handrail.access.rules import Thing, Who, is_among, may
from handrail.model.canonical import keyed_digest
from handrail.model.commands import (
    Ask,
    Assign,
    CastVote,
    Command,
    Comment,
    DecisionView,
    Escalate,
    Snooze,
)
from handrail.model.decision import Decision
from handrail.model.feedback import Label
from handrail.model.modes import GrantState, ReviewStatus
from handrail.model.outcome import Grant, Outcome
from handrail.model.policy import Input
from handrail.model.review import Act, Card, Review, Round, Seat, Vote
from handrail.model.ruling import Approval, Ruling
from handrail.model.versions import POLICY_CHANGE

_encode = msgspec.json.Encoder(order="deterministic").encode
_DIGEST = re.compile("[0-9a-f]{40,}")
LISTED = 100
"""Decision ids a card names at most."""

ACTS: tuple[type[Command], ...] = (CastVote, Escalate, Ask, Snooze, Assign, Comment)
"""What can be done to an open review."""

_DECIDER = Rule(ways=(Way("reviews.decide", Tie.ASKED), Way("reviews.decide", Tie.VOTED)))


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A review with everything around it, as loaded; what a person sees of it is `view`'s work."""

    thing: Thing
    """The review as access asks about it."""
    review: Review
    round: Round
    lead: Decision
    ruling: Ruling
    """The lead's ruling as submitted; the round has the one after edits."""
    attached: tuple[Decision, ...]
    """All decisions that hang on it, the lead first."""
    votes: tuple[Vote, ...]
    seats: tuple[Seat, ...]
    """Those whose lease holds."""
    mine: Seat | None
    """The seat of who looks in this round, its lease over or not."""
    acts: tuple[Act, ...] = ()
    """What people did to it besides voting, in order."""
    missing: tuple[Approval, ...]
    grant: Grant | None = None
    """The lead's, once its outcome was released."""
    handles: dict[str, str]
    """Person id to handle, for everybody named here."""
    title: str
    reasons: dict[str, str]
    editable: tuple[str, ...]
    fields: dict[str, dict[str, Any]]
    inputs: tuple[Input, ...]
    edit_schema: dict[str, Any] | None
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
    return "card:" + keyed_digest(secret, body).hex()[:40]


def is_blind(
    who: Who,
    thing: Thing,
    *,
    review: Review,
    ruling: Ruling,
    votes: Sequence[Vote],
    mine: Seat | None,
) -> bool:
    """Whether `who` is to judge this review before seeing the proposal, and has not yet.

    `votes` and `mine` are of the review's present round. Who has a seat is as blind as it says,
    its lease over or not. Who has none is blind where the coin was drawn and nobody has voted, be
    they asked or not: else one could look first and be seated afterwards. Only who asked for it,
    and so never decides it, sees it meanwhile.
    """
    person = who.person
    if review.status is not ReviewStatus.OPEN or who.program:
        return False
    if person is not None and any(vote.person == person.id for vote in votes):
        return False
    if mine is not None:
        return mine.blind
    if person is not None and is_among(person, thing.requesters):
        return False
    drawn = any(coin.kind == "blind" and coin.drawn for coin in ruling.coins)
    return drawn and not votes and review.round == 1


def view(shown: Shown, who: Who, secret: bytes) -> Card:
    """What `who` may see. A blind seat gets no proposal, nothing derived from it, no votes."""
    review, ruling, lead = shown.review, shown.round.ruling, shown.lead
    blind = is_blind(
        who, shown.thing, review=review, ruling=ruling, votes=shown.votes, mine=shown.mine
    )
    handle = shown.handles.get
    proposal = shown.round.proposal
    facts = lead.facts
    current = lead.current or {}
    if blind:
        hidden = {*shown.proposed, *ruling.undeclared}
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
            facts={name: value for name, value in facts.items() if name not in hidden},
            mode=ruling.mode.value,
            severity=review.severity,
            due=review.due,
            opened_at=review.opened_at,
            to=tuple(handle(name, name) for name in review.to),
            attached=review.attached,
            reasons=shown.reasons,
            editable=shown.editable,
            fields=shown.fields,
            inputs=shown.inputs,
            edit_schema=shown.edit_schema,
            choices=shown.choices,
            may=_may(shown, who),
            requester=lead.requester,
            test=lead.test,
            decision_ids=(lead.id,),
        )
    all_said = _sees_what_others_said(who, shown.thing)
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
        approvals=tuple(
            msgspec.structs.replace(need, of=tuple(handle(name, name) for name in need.of))
            for need in shown.missing
        ),
        votes=tuple(
            {
                "by": handle(vote.person, vote.person),
                "said": vote.said.value,
                "reason": vote.reason,
                "comment": vote.comment,
                "at": vote.at,
                "carried_from": vote.carried_from,
                "single_person": vote.single_person,
            }
            for vote in (shown.votes if all_said else ())
        ),
        history=_history(shown, who, all_said),
        may=_may(shown, who),
        reasons=shown.reasons,
        editable=shown.editable,
        fields=shown.fields,
        inputs=shown.inputs,
        edit_schema=shown.edit_schema,
        choices=shown.choices,
        requester=lead.requester,
        holder=handle(seat.holder, seat.holder) if seat else None,
        snoozed_until=review.snoozed_until,
        verdict=review.verdict,
        decided_by=handle(review.decided_by or "", review.decided_by),
        decided_at=review.decided_at,
        undo_until=review.undo_until,
        taken_back=_taken_back(shown.grant),
        behind=review.behind,
        test=lead.test,
        decision_ids=tuple(decision.id for decision in shown.attached[:LISTED]),
    )


def _taken_back(grant: Grant | None) -> str | None:
    """Why an approval came to nothing; None where it did not."""
    return grant.note if grant is not None and grant.state is GrantState.VOID else None


def _sees_what_others_said(who: Who, thing: Thing) -> bool:
    """Whether they decide such reviews or read them all; a requester merely waits."""
    return may(who, "reviews.read") or may(who, _DECIDER, thing)


def _may(shown: Shown, who: Who) -> tuple[str, ...]:
    """The acts they may do now. A vote is cast once a round, and not while another comes first."""
    if shown.review.status is not ReviewStatus.OPEN:
        return ()
    names = [kind.__name__ for kind in ACTS if may(who, kind, shown.thing)]
    voted = any(who.person is not None and vote.person == who.person.id for vote in shown.votes)
    if voted or shown.review.behind is not None:
        names = [name for name in names if name != CastVote.__name__]
    return tuple(names)


def _history(shown: Shown, who: Who, all_said: bool) -> tuple[dict[str, Any], ...]:
    """What was done, oldest first. Who does not decide it sees questions, and what they did."""
    handle = shown.handles.get
    return tuple(
        {
            "kind": act.kind,
            "by": handle(act.by or "", act.by),
            "to": [handle(name, name) for name in act.to],
            "at": act.at,
            "reason": act.reason,
            "comment": act.comment,
            "until": act.until,
        }
        for act in shown.acts
        if all_said or act.kind == "ask" or act.by == who.id
    )


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A decision with what became of it, as loaded; `decision_view` says what is shown of it."""

    thing: Thing
    decision: Decision
    ruling: Ruling
    outcome: Outcome[Any] | None
    """Only once it is released."""
    grant: Grant | None
    review: Review | None
    round: Ruling | None
    """Ruling of the review's present round."""
    votes: tuple[Vote, ...] = ()
    """Votes of the present round."""
    holders: tuple[str, ...] = ()
    """Handles of those who have a seat at the review."""
    mine: Seat | None = None
    handles: dict[str, str]
    labels: tuple[Label, ...] = ()
    reversed_by: str | None = None


def decision_view(known: Known, who: Who) -> DecisionView:
    """What `who` may see of a decision. A blind seat learns nothing by this door either."""
    decision, ruling, review = known.decision, known.ruling, known.review
    if review is not None and is_blind(
        who,
        known.thing,
        review=review,
        ruling=known.round or ruling,
        votes=known.votes,
        mine=known.mine,
    ):
        return DecisionView(
            decision={
                "id": decision.id,
                "workflow": decision.workflow,
                "submitted_at": decision.submitted_at,
            },
            ruling=Ruling(
                decision_id=decision.id,
                lane=ruling.lane,
                mode=ruling.mode,
                severity=ruling.severity,
                policy=ruling.policy,
                gate_digest=ruling.gate_digest,
                evaluated_at=ruling.evaluated_at,
                review_id=ruling.review_id,
                due=ruling.due,
            ),
            review=_review_of(known, review),
            blind=True,
        )
    runs = may(who, "decisions.read") or who.id in known.thing.submitters
    plain = msgspec.to_builtins(decision)
    plain["alternatives"] = list(decision.alternatives)  # as it comes over HTTP
    return DecisionView(
        decision=plain,
        ruling=ruling,
        outcome=known.outcome,
        grant=known.grant if runs else None,
        run=known.grant.state if known.grant is not None else None,
        review=None if review is None else _review_of(known, review),
        labels=known.labels if runs else (),
        reversed_by=known.reversed_by,
    )


def _review_of(known: Known, review: Review) -> dict[str, Any]:
    """Where its review stands: for everybody who may see the decision, a blind seat too."""
    return {
        "id": review.id,
        "kind": review.kind.value,
        "status": review.status.value,
        "round": review.round,
        "to": [known.handles.get(name, name) for name in review.to],
        "holders": list(known.holders),
        "due": review.due,
        "attached": review.attached,
        "verdict": review.verdict.value if review.verdict else None,
        "undo_until": review.undo_until,
    }


def _what(shown: Shown) -> str:
    """One sentence: the title, the subject, and what the proposal sets."""
    proposal = shown.round.proposal
    if shown.review.workflow == POLICY_CHANGE:
        proposal = {}  # a hash, which says nothing to a person
    if shown.lead.reverses is not None:
        undone = proposal.get("undo")
        proposal = undone if isinstance(undone, dict) else {}
    sets = ", ".join(
        f"{name} = {_short(value)}" for name, value in proposal.items() if value not in (None, [])
    )
    subject = f" {shown.review.subject}" if shown.review.subject else ""
    more = f" (and {shown.review.attached - 1} more of the same case)"
    undo = "Undo " if shown.lead.reverses is not None else ""
    return (
        f"{undo}{shown.title}{subject}"
        + (f": {sets}" if sets else "")
        + (more if shown.review.attached > 1 else "")
    )


def _short(value: Any) -> Any:
    """A digest by its beginning, a list without brackets; whole in the recommendation."""
    if isinstance(value, list):
        return ", ".join(str(_short(item)) for item in value)
    return f"{value[:12]}…" if isinstance(value, str) and _DIGEST.fullmatch(value) else value


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
