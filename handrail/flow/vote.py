"""Say approve, edit or reject. The only compare-and-set is `open → decided`, with the quorum."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from handrail.access import Denied, allow, is_blind, over_limit
from handrail.flow.claim import require_free, require_open
from handrail.flow.close import settle, start_round, unblock
from handrail.flow.lists import as_ruled
from handrail.flow.look import card_now, policy_of, still_missing
from handrail.flow.ports import Ports
from handrail.flow.records import audience, commit, handles_of, note, owner_of
from handrail.flow.who import able, enter, get_review, person_in, review_thing, stake_in
from handrail.gate import Policy, Record
from handrail.model.commands import CastVote, GetReview, Voted
from handrail.model.errors import BadInput, Conflict
from handrail.model.ids import new_id
from handrail.model.modes import Lane, Mode, ReviewKind, ReviewStatus, Said, Verdict
from handrail.model.people import Actor, Person
from handrail.model.policy import BadRecord
from handrail.model.review import Review, Round, Vote
from handrail.model.ruling import Approval, Ruling
from handrail.model.wire import check_wire
from handrail.ports import Filed, Transaction
from handrail.review.quorum import in_words, merge

MAX_COMMENT = 10_000


def cast_vote(command: CastVote, actor: Actor, ports: Ports) -> Voted:
    """Cast a vote; decides the review where the approvals are complete.

    Raises `Conflict` with winner, verdict and time for a lost race, `BadInput` (422) for an
    invalid edit, which leaves the review open, `Refused` for a missing right.
    """
    check_wire(command.edits, "/edits")
    if command.comment is not None:
        check_wire(command.comment, "/comment")
        if len(command.comment) > MAX_COMMENT:
            raise BadInput(f"at most {MAX_COMMENT} characters are kept", "/comment")
    said = Said(command.said)
    if said is Said.EDIT and not command.edits:
        raise BadInput("an edit changes something; name the fields to change", "/edits")
    if said is not Said.EDIT and command.edits:
        raise BadInput(f"{said.value} changes nothing; say edit to change fields", "/edits")
    if command.seconds is not None and not 0 <= command.seconds < 10**7:
        raise BadInput("expected 0 to 10,000,000 seconds", "/seconds")
    looked = None
    if said is Said.EDIT:
        looked = ports.store.read(lambda tx: _before(tx, command, ports))
    return ports.store.write(lambda tx: _vote(tx, command, said, actor, ports, looked))


class _Looked(NamedTuple):
    """What a JSON Schema said of an edit before the transaction, where nobody waits for it."""

    round: int
    """The round it was looked at for."""
    wrong: BadRecord | None


def _before(tx: Transaction, command: CastVote, ports: Ports) -> _Looked | None:
    """Whether the edit fits the schema; None where there is nothing to look at. Tells nobody: who
    may not vote hears of that first."""
    review = tx.reviews.get(command.review_id)
    if review is None or review.status is not ReviewStatus.OPEN:
        return None
    current = tx.reviews.round(review.id, review.round)
    policy = policy_of(tx, ports, current)
    lead = tx.decisions.get(review.lead)
    if policy.edit_schema is None or lead is None:
        return None
    try:
        policy.edit(policy.ingest(lead.decision.facts, current.proposal), command.edits)
    except BadRecord as error:
        return _Looked(review.round, error)
    return _Looked(review.round, None)


def _edited(
    policy: Policy,
    record: Record,
    command: CastVote,
    round_: int,
    looked: _Looked | None,
    *,
    blind: bool,
) -> Record:
    """The record as edited. Raises `BadRecord` with pointers into the vote.

    A blind seat hears of its own values only: what it did not enter is what it has not seen.
    """
    try:
        if looked is None or looked.round != round_:
            return policy.edit(record, command.edits)
        if looked.wrong is not None:
            raise looked.wrong
        return policy.edit(record, command.edits, fits=True)
    except BadRecord as error:
        problems: dict[tuple[str, str], None] = {}
        for where, what in error.problems:
            if blind and not _entered(command.edits, where):
                where, what = "", "does not fit together with what is proposed"
            problems[f"/edits{where}", what] = None
        raise BadRecord(list(problems)) from error


def _entered(edits: Any, pointer: str) -> bool:
    """Whether a pointer leads to a value that was entered, or into one."""
    for step in pointer.split("/")[1:]:
        if not isinstance(edits, dict):
            return True
        if step not in edits:
            return False
        edits = edits[step]
    return not isinstance(edits, dict)


def _vote(
    tx: Transaction,
    command: CastVote,
    said: Said,
    actor: Actor,
    ports: Ports,
    looked: _Looked | None,
) -> Voted:
    who = enter(tx, actor)
    person = person_in(who)
    review = get_review(tx, command.review_id)
    repeat = _same_vote(tx, review, person, command, said)
    if repeat is not None:
        return repeat
    current = tx.reviews.round(review.id, review.round)
    thing = review_thing(tx, ports, review, current=current)
    allow(who, GetReview, thing)
    require_open(tx, review)
    allow(who, CastVote, thing)
    _check_seat(tx, ports, review, current, person, command)
    if command.card != card_now(tx, ports, review):
        raise Conflict(
            f"{review.id} has moved since you saw it; look at it again before you decide",
            {"review_id": review.id, "round": review.round},
        )
    policy = policy_of(tx, ports, current)
    _check_reason(policy, command.reason, said)
    edited = current.proposal
    changes: dict[str, Any] = {}
    if review.kind is ReviewKind.HOLD:
        if said is Said.APPROVE and current.ruling.mode is Mode.IN_COMMAND and policy.edit_fields:
            raise BadInput(
                "this decision is in command: enter the value yourself (edit "
                + ", ".join(policy.edit_fields)
                + "), even where it is the proposed one",
                "/said",
                status=422,
            )
        if said is Said.EDIT:
            blind = is_blind(
                who,
                thing,
                review=review,
                ruling=current.ruling,
                votes=tx.reviews.votes(review.id, review.round),
                mine=tx.reviews.seat(review.id, review.round, person.id),
            )
            review, current, changes = _edit(
                tx, ports, policy, review, current, person, command, looked, blind=blind
            )
            edited = current.proposal
    elif said is Said.EDIT:
        changes = _edited_values(tx, policy, review, current, command, looked)
    vote = Vote(
        id=new_id("v", tx.now()),
        review=review.id,
        round=review.round,
        person=person.id,
        said=said,
        reason=command.reason,
        comment=command.comment,
        edits=changes,
        card=command.card,
        seconds=command.seconds,
        at=tx.now(),
        single_person=not tx.people.registered(),
    )
    _store_vote(tx, review, vote)
    votes = tx.reviews.votes(review.id, review.round)
    gaps = () if said is Said.REJECT else still_missing(tx, ports, review, current, votes)
    if gaps and review.kind is ReviewKind.HOLD:
        return _wait_for_more(tx, ports, review, current, gaps)
    verdict = {
        Said.REJECT: Verdict.REJECTED,
        Said.APPROVE: Verdict.APPROVED,
        Said.EDIT: Verdict.EDITED,
    }[said]
    if verdict is not Verdict.REJECTED and review.kind is ReviewKind.HOLD:
        verdict = approval_of(tx, review, edited)
    return decide(
        tx,
        ports,
        policy,
        review,
        current,
        verdict=verdict,
        person=person,
        reason=command.reason,
        comment=command.comment,
    )


def _same_vote(
    tx: Transaction, review: Review, person: Person, command: CastVote, said: Said
) -> Voted | None:
    """The answer to a vote that was cast already and only its answer was lost."""
    for vote in tx.reviews.votes(review.id):
        if (
            vote.person == person.id
            and (vote.card, vote.said, vote.reason) == (command.card, said, command.reason)
            and vote.carried_from is None
            and (vote.round == review.round or review.status is not ReviewStatus.OPEN)
        ):
            return Voted(
                review_id=review.id,
                decided=review.status is ReviewStatus.DECIDED,
                verdict=review.verdict.value if review.verdict else None,
                round=review.round,
                undo_until=review.undo_until,
            )
    return None


def _check_seat(
    tx: Transaction,
    ports: Ports,
    review: Review,
    current: Round,
    person: Person,
    command: CastVote,
) -> None:
    if command.token is not None:
        seat = tx.reviews.seat(review.id, review.round, person.id)
        if seat is None or seat.token != command.token or seat.lease_until <= tx.now():
            raise Conflict(
                f"your claim on {review.id} has ended; claim it again",
                {"review_id": review.id, "round": review.round},
            )
        return
    require_free(tx, ports, review, current, person)


def _check_reason(policy: Policy, reason: str | None, said: Said) -> None:
    names = ", ".join(policy.reasons)
    if reason is None:
        if said is not Said.APPROVE and policy.reasons:
            raise BadInput(
                f"{said.value} needs a reason code, one of: {names}", "/reason", status=422
            )
    elif policy.reasons and reason not in policy.reasons:
        raise BadInput(
            f"{reason!r} is no reason code of this policy; use one of: {names}",
            "/reason",
            status=422,
        )
    elif not 1 <= len(reason) <= 200 or "@" in reason:
        raise BadInput("a reason code is a short name without @", "/reason", status=422)


def _edited_values(
    tx: Transaction,
    policy: Policy,
    review: Review,
    current: Round,
    command: CastVote,
    looked: _Looked | None,
) -> dict[str, Any]:
    """The changed fields in stored form, checked by the frozen policy."""
    lead = _lead(tx, review)
    record = policy.ingest(lead.decision.facts, current.proposal)
    changed = _edited(policy, record, command, review.round, looked, blind=False)
    return {name: changed.proposal.get(name) for name in command.edits}


def _lead(tx: Transaction, review: Review) -> Filed:
    lead = tx.decisions.get(review.lead)
    if lead is None:
        raise Conflict(f"the decision of {review.id} is gone; run `handrail audit verify`")
    return lead


def _edit(
    tx: Transaction,
    ports: Ports,
    policy: Policy,
    review: Review,
    current: Round,
    person: Person,
    command: CastVote,
    looked: _Looked | None,
    *,
    blind: bool,
) -> tuple[Review, Round, dict[str, Any]]:
    """Gate the edited proposal under the frozen policy; an actual change starts the next round."""
    if review.attached > 1:
        raise BadInput(
            f"{review.attached} decisions hang on this case, and an edit is for one; "
            f"approve or reject the case, or withdraw and submit anew",
            "/edits",
            status=422,
        )
    lead = _lead(tx, review)
    if lead.decision.reverses is not None:
        raise BadInput(
            "a reversal undoes all of what ran; approve or reject it", "/said", status=422
        )
    record = policy.ingest(lead.decision.facts, current.proposal)
    changed = _edited(policy, record, command, review.round, looked, blind=blind)
    changes = {name: changed.proposal.get(name) for name in command.edits}
    if changed.proposal == current.proposal:
        return review, current, changes
    ruling = as_ruled(tx, policy, lead.ruling).evaluate(
        changed,
        decision_id=lead.decision.id,
        evaluated_at=tx.now(),
        confidence=lead.decision.confidence,
        alternatives=lead.decision.alternatives,
        checks=policy.run_checks(changed),
        aggregates=policy.frozen_aggregates(lead.ruling),
    )
    if ruling.lane is Lane.REFUSE:
        # The sentence may name values that a blind seat has not seen.
        why = "" if blind else f": {ruling.why}"
        raise BadInput(f"the policy refuses this edit{why}", "/edits", status=422)
    above = over_limit(person, review.workflow, stake_in(tx, ports, ruling))
    if above is not None:
        raise Denied("this edit is above your limit" if blind else above)
    worse = policy.got_worse(current.ruling, ruling)
    ruling = msgspec.structs.replace(
        ruling,
        approvals=merge(
            lead.ruling.approvals,
            current.ruling.approvals,
            _asked_now(current.ruling, ruling) if worse else ruling.approvals,
        ),
        mode=max(ruling.mode, lead.ruling.mode, key=lambda mode: mode.rank),
        lane=Lane.HOLD,
        coins=lead.ruling.coins,
        review_id=review.id,
        due=review.due,
    )
    following = Round(
        review=review.id,
        number=review.round + 1,
        proposal=changed.proposal,
        ruling=ruling,
        editor=person.id,
        started_at=tx.now(),
    )
    moved = advance(tx, review, following, keep=not worse, without=person.id, actor=person.id)
    return moved, following, changes


def _asked_now(before: Ruling, after: Ruling) -> tuple[Approval, ...]:
    """The approvals that an edit past a rule calls for: those the rules name, else one of those
    whom the policy sends such a decision to, where these are others than before."""
    if after.approvals or after.route is None:
        return after.approvals
    if before.route is not None and before.route.to == after.route.to:
        return ()
    return (Approval(of=after.route.to),)


def advance(
    tx: Transaction, review: Review, following: Round, *, keep: bool, without: str, actor: str
) -> Review:
    """Start the next round; votes of the last one stay in force where `keep` says so."""
    stayed = tx.reviews.votes(review.id, review.round) if keep else []
    moved = msgspec.structs.replace(review, round=following.number, case_key=None)
    start_round(tx, review, moved, following, actor)
    for vote in stayed:
        if vote.person != without and vote.said is not Said.REJECT:
            carried = msgspec.structs.replace(
                vote,
                id=new_id("v", tx.now()),
                round=following.number,
                carried_from=vote.carried_from or vote.round,
            )
            _store_vote(tx, moved, carried)
    return moved


def _owner(tx: Transaction, review: Review) -> tuple[str, str]:
    return owner_of(review.workflow, _lead(tx, review).decision.subject, review.lead)


def _store_vote(tx: Transaction, review: Review, vote: Vote) -> None:
    body = tx.reviews.add_vote(vote)
    if body is None:
        raise Conflict(
            f"you have voted in round {vote.round} of {review.id} already",
            {"review_id": review.id, "round": vote.round},
        )
    note(
        tx,
        "vote.cast",
        vote.person,
        vote=vote.id,
        review=review.id,
        round=vote.round,
        person=vote.person,
        said=vote.said,
        commit=commit(tx, _owner(tx, review), "vote", body),
        reason=vote.reason,
        ms=None if vote.seconds is None else round(vote.seconds * 1000),
        carried_from=vote.carried_from,
        single_person=True if vote.single_person else None,
    )


def _wait_for_more(
    tx: Transaction, ports: Ports, review: Review, current: Round, gaps: tuple[Any, ...]
) -> Voted:
    """The vote stands; those whose approval is missing are asked."""
    asked = audience(tx, dict.fromkeys(name for need in gaps for name in need.of))
    stake = review_thing(tx, ports, review, current=current).stake
    to = able(tx, dict.fromkeys((*review.to, *asked)), review.workflow, stake) or review.to
    if to != review.to:
        wider = msgspec.structs.replace(review, to=to)
        if not tx.reviews.replace(review, wider):
            raise Conflict(f"{review.id} moved; look at it again")
        review = wider
        note(tx, "review.assigned", "system", review=review.id, to=to)
    tx.wake(f"review:{review.id}")
    return Voted(
        review_id=review.id,
        decided=False,
        round=review.round,
        missing=tuple(in_words(gaps, handles_of(tx, [name for need in gaps for name in need.of]))),
        card=card_now(tx, ports, review),
    )


def decide(
    tx: Transaction,
    ports: Ports,
    policy: Policy,
    review: Review,
    current: Round,
    *,
    verdict: Verdict,
    person: Person | None,
    reason: str | None = None,
    comment: str | None = None,
) -> Voted:
    """Close the review with a verdict: each decision on it gets its own outcome."""
    now = tx.now()
    undo_us = policy.undo_us if person is not None and review.kind is ReviewKind.HOLD else 0
    decided = msgspec.structs.replace(
        review,
        status=ReviewStatus.DECIDED,
        verdict=verdict,
        decided_by=person.id if person else None,
        decided_at=now,
        undo_until=now + undo_us if undo_us else None,
        next_at=None,
        case_key=None,
    )
    if not tx.reviews.replace(review, decided):
        raise Conflict(f"{review.id} was decided by somebody else; look at it again")
    actor = person.id if person else "system"
    filed = tx.decisions.of_review(review.id, 1_000_000)
    note(
        tx,
        "review.decided",
        actor,
        review=review.id,
        verdict=verdict,
        round=review.round,
        decisions=tuple(item.decision.id for item in filed),
        undo_until=decided.undo_until,
    )
    if review.kind is ReviewKind.HOLD:
        for item in filed:
            settle(
                tx,
                ports,
                item,
                verdict=verdict,
                why=_why(verdict, person, policy, reason, comment),
                actor=actor,
                by=person.id if person else "silence",
                value=current.proposal
                if item.decision.id == review.lead
                else item.decision.proposal,
                edited=verdict is Verdict.EDITED,
                reason=reason,
                undo_us=undo_us,
            )
    if not undo_us:
        unblock(tx, ports, review)
    tx.wake(f"review:{review.id}")
    tx.wake("reviews")
    return Voted(
        review_id=review.id,
        decided=True,
        verdict=verdict.value,
        round=review.round,
        undo_until=decided.undo_until,
    )


def approval_of(tx: Transaction, review: Review, value: dict[str, Any]) -> Verdict:
    """What an approval of `value` is called: edited, where it is not what was proposed."""
    return Verdict.APPROVED if value == _lead(tx, review).decision.proposal else Verdict.EDITED


def _why(
    verdict: Verdict,
    person: Person | None,
    policy: Policy,
    reason: str | None,
    comment: str | None,
) -> str:
    if person is None:
        return f"Nobody answered in time: {verdict.value}"
    words = policy.reasons.get(reason, reason) if reason else None
    parts = [f"{verdict.value.capitalize()} by a person"]
    if words:
        parts.append(words)
    if comment:
        parts.append(comment)
    return ": ".join(parts[:2]) + (f" ({parts[2]})" if len(parts) > 2 else "")


__all__ = ["advance", "approval_of", "cast_vote", "decide"]
