"""Rows and nouns: the columns of a table in the order that both stores select and insert them.

SQLite has no booleans and gives 0 or 1; `bool` leaves those of PostgreSQL as they are.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from handrail.model.access import Identity, Invitation, Password, Session, Token
from handrail.model.decision import Decision
from handrail.model.decoding import decoder
from handrail.model.feedback import Notice, Stop
from handrail.model.modes import GrantState, ReviewKind, ReviewStatus, Severity, Verdict
from handrail.model.observation import Observation
from handrail.model.outcome import Grant, Outcome
from handrail.model.people import Person, folded
from handrail.model.review import Review, Seat
from handrail.model.ruling import Ruling
from handrail.ports import StateRow
from handrail.store.codec import decode_limits, decode_texts, encode, encode_texts

_facts = decoder(dict[str, Any]).decode
_outcome = decoder(Outcome[Any]).decode


def token_of(row: tuple[Any, ...]) -> Token:
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


def session_of(row: tuple[Any, ...]) -> Session:
    return Session(
        hash=row[0],
        person=row[1],
        made_at=row[2],
        seen_at=row[3],
        until=row[4],
        last=row[5],
        local=bool(row[6]),
    )


def identity_of(row: tuple[Any, ...]) -> Identity:
    return Identity(issuer=row[0], subject=row[1], person=row[2], linked_at=row[3])


def decision_row(
    decision: Decision, ruling: Ruling, body: bytes, ruled: bytes, *, settled: bool
) -> tuple[Any, ...]:
    """`body`, `ruled`: both as stored."""
    return (
        decision.id,
        decision.workflow,
        decision.subject,
        decision.submitter,
        decision.key,
        ruling.lane,
        ruling.mode,
        ruling.review_id,
        settled,
        decision.expires_at,
        decision.submitted_at,
        body,
        ruled,
        None if decision.requester is None else folded(decision.requester),
    )


def grant_row(grant: Grant) -> tuple[Any, ...]:
    return (
        grant.id,
        grant.decision_id,
        grant.state,
        grant.digest,
        grant.minted_at,
        grant.valid_until,
        grant.redeemed_at,
        grant.lease_until,
        grant.run,
        grant.by,
        grant.finished_at,
        grant.error,
        grant.resolved_by,
        grant.note,
        grant.replaced_by,
    )


def grant_of(row: tuple[Any, ...]) -> Grant:
    return Grant(
        id=row[0],
        decision_id=row[1],
        state=GrantState(row[2]),
        digest=row[3],
        minted_at=row[4],
        valid_until=row[5],
        redeemed_at=row[6],
        lease_until=row[7],
        run=row[8],
        by=row[9],
        finished_at=row[10],
        error=row[11],
        resolved_by=row[12],
        note=row[13],
        replaced_by=row[14],
    )


def observation_of(row: tuple[Any, ...]) -> Observation:
    stream, submitter, key, batch, at, day, recorded_at, facts = row[:8]
    return Observation(
        stream=stream,
        submitter=submitter,
        key=key,
        batch=batch,
        at=at,
        day=bool(day),
        recorded_at=recorded_at,
        facts=_facts(facts),
    )


def notice_row(notice: Notice) -> tuple[Any, ...]:
    return (
        notice.id,
        notice.topic,
        encode_texts(notice.to),
        notice.review,
        notice.decision_id,
        notice.text,
        notice.made_at,
        notice.attempts,
        notice.next_at,
        notice.delivered_at,
        notice.error,
    )


def notice_of(row: tuple[Any, ...]) -> Notice:
    return Notice(
        id=row[0],
        topic=row[1],
        to=decode_texts(row[2]),
        review=row[3],
        decision_id=row[4],
        text=row[5],
        made_at=row[6],
        attempts=row[7],
        next_at=row[8],
        delivered_at=row[9],
        error=row[10],
    )


def outcome_row(outcome: Outcome[Any]) -> tuple[Any, ...]:
    """Its last value are the bytes that the log commits to: releasing changes columns and leaves
    them alone."""
    plain = outcome
    if outcome.released or outcome.grant_id is not None:
        plain = replace(outcome, released=False, grant_id=None)
    return (
        outcome.decision_id,
        outcome.verdict,
        outcome.release_at,
        outcome.released,
        outcome.grant_id,
        encode(plain),
    )


def outcome_of(row: tuple[Any, ...]) -> Outcome[Any]:
    body, released, grant_id = row
    outcome = _outcome(body)
    return replace(outcome, released=True, grant_id=grant_id) if released else outcome


def person_of(row: tuple[Any, ...]) -> Person:
    return Person(
        id=row[0],
        handle=row[1],
        holds=decode_texts(row[2]),
        limits=decode_limits(row[3]),
        active=bool(row[4]),
        added_at=row[5],
    )


def state_of_person(person: Person) -> StateRow:
    """What the log says of a person; their handle is what it commits to."""
    return StateRow(
        table="people",
        id=person.id,
        columns={"holds": person.holds, "limits": person.limits, "active": person.active},
        body=person.handle.encode(),
    )


def state_of_token(token: Token) -> StateRow:
    """What the log says of a program's token."""
    return StateRow(
        table="tokens",
        id=token.id,
        columns={
            "name": token.name,
            "scopes": token.scopes,
            "workflows": token.workflows,
            "expires_at": token.expires_at,
            "revoked": int(token.revoked_at is not None),
        },
    )


def state_of_stop(stop: Stop) -> StateRow:
    """A stop that stands; its reason is what the log commits to."""
    return StateRow(table="stops", id=stop.workflow, columns={}, body=stop.reason.encode())


def review_row(review: Review) -> tuple[Any, ...]:
    return (
        review.id,
        review.kind,
        review.workflow,
        review.subject,
        review.lead,
        review.attached,
        review.status,
        review.round,
        review.severity,
        encode_texts(review.to),
        review.stage,
        review.next_at,
        review.due,
        review.case_key,
        review.behind,
        review.snoozed_until,
        review.opened_at,
        review.verdict,
        review.decided_by,
        review.decided_at,
        review.closed_why,
        review.undo_until,
    )


def review_of(row: tuple[Any, ...]) -> Review:
    return Review(
        id=row[0],
        kind=ReviewKind(row[1]),
        workflow=row[2],
        subject=row[3],
        lead=row[4],
        attached=row[5],
        status=ReviewStatus(row[6]),
        round=row[7],
        severity=Severity(row[8]) if row[8] is not None else None,
        to=decode_texts(row[9]),
        stage=row[10],
        next_at=row[11],
        due=row[12],
        case_key=row[13],
        behind=row[14],
        snoozed_until=row[15],
        opened_at=row[16],
        verdict=Verdict(row[17]) if row[17] is not None else None,
        decided_by=row[18],
        decided_at=row[19],
        closed_why=row[20],
        undo_until=row[21],
    )


def seat_of(row: tuple[Any, ...]) -> Seat:
    return Seat(
        review=row[0],
        round=row[1],
        holder=row[2],
        token=row[3],
        lease_until=row[4],
        blind=bool(row[5]),
    )


def stop_of(row: tuple[Any, ...]) -> Stop:
    return Stop(workflow=row[0], reason=row[1], by=row[2], at=row[3])


def password_of(row: tuple[Any, ...]) -> Password:
    return Password(
        person=row[0], hash=row[1], changed_at=row[2], failures=row[3], locked_until=row[4]
    )


def invitation_of(row: tuple[Any, ...]) -> Invitation:
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
