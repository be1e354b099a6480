"""What the store and the log say after a run, read through the product."""

from __future__ import annotations

from collections.abc import Sequence

from handrail.audit.note import VerifierKey
from handrail.audit.verify import verify_log
from handrail.flow import Ports, against_state, rolled_back
from handrail.flow.look import needs_of
from handrail.model import commands as c
from handrail.ports import Anchor, Transaction
from tests.faults.checker import (
    DecisionRow,
    GrantRow,
    OutcomeRow,
    PersonRow,
    ReviewRow,
    State,
    VoteRow,
)

ALL = 1_000_000_000
ATTEMPTS = 100


def collect(
    ports: Ports, anchor: Anchor, keys: Sequence[VerifierKey], *, swept: bool = False
) -> State:
    """Everything there is, on one snapshot; the anchor before it, what people are asked after it,
    because a scheduler may be at work meanwhile."""
    from handrail.flow import USE_CASES
    from handrail.model.people import Actor

    last = anchor.last()
    state = _settled(ports)
    doubts = USE_CASES[c.ListDoubts](c.ListDoubts(limit=ALL), Actor(name="checker"), ports)
    return State(
        **{name: getattr(state, name) for name in state.__struct_fields__}
        | {
            "doubts": tuple(doubt.grant.id for doubt in doubts),
            "damage": _damage(ports, anchor, keys),
            "differences": tuple(
                (found.table, found.row, str(found)) for found in against_state(ports)
            ),
            "anchored": last.size if last is not None else 0,
            "rolled_back": rolled_back(ports, anchor) is not None,
            "swept": swept,
        }
    )


def _settled(ports: Ports) -> State:
    """A snapshot on which every entry has its place, as the promises are about places too."""
    for _ in range(ATTEMPTS):
        ports.store.settle_log()
        state = ports.store.read(lambda tx: None if any(tx.audit.waiting()) else _rows(tx))
        if state is not None:
            return state
    raise AssertionError(f"in {ATTEMPTS} looks some entries had no place in the log yet")


def _rows(tx: Transaction) -> State:
    names: dict[str, list[str]] = {}
    for row in tx.state_rows():
        names.setdefault(row.table, []).append(row.id)
    outcomes = [tx.outcomes.get(name) for name in names.get("outcomes", ())]
    grants = [tx.grants.get(name) for name in names.get("grants", ())]
    reviews = names.get("reviews", ())
    return State(
        decisions=tuple(_decision(tx, name) for name in names.get("decisions", ())),
        reviews=tuple(_review(tx, name) for name in reviews),
        votes=tuple(
            VoteRow(
                id=vote.id,
                review=vote.review,
                round=vote.round,
                person=vote.person,
                said=vote.said.value,
            )
            for name in reviews
            for vote in tx.reviews.votes(name)
        ),
        outcomes=tuple(
            OutcomeRow(
                decision=outcome.decision_id,
                verdict=outcome.verdict.value,
                value=outcome.approved,
                digest=outcome.digest,
                release_at=outcome.release_at,
                released=outcome.released,
                grant=outcome.grant_id,
            )
            for outcome in outcomes
            if outcome is not None
        ),
        grants=tuple(
            GrantRow(
                id=grant.id,
                decision=grant.decision_id,
                state=grant.state.value,
                digest=grant.digest,
                valid_until=grant.valid_until,
                lease_until=grant.lease_until,
                run=grant.run,
                replaced_by=grant.replaced_by,
            )
            for grant in grants
            if grant is not None
        ),
        people=tuple(
            PersonRow(id=person.id, handle=person.handle, holds=person.holds)
            for person in tx.people.all()
        ),
        entries=tuple(tx.audit.entries()),
        indexes=tuple(index for index, _ in tx.audit.nodes(0)),
        root=tx.audit.root(),
        registered=tx.people.registered(),
        now=tx.now(),
    )


def _decision(tx: Transaction, name: str) -> DecisionRow:
    filed = tx.decisions.get(name)
    assert filed is not None
    decision = filed.decision
    return DecisionRow(
        id=decision.id,
        workflow=decision.workflow,
        subject=decision.subject,
        submitter=decision.submitter,
        key=decision.key,
        facts=decision.facts,
        proposal=decision.proposal,
        lane=filed.ruling.lane.value,
        fired=tuple(fired.rule for fired in filed.ruling.fired),
        review=filed.review_id,
        settled=filed.settled,
        expires_at=decision.expires_at,
    )


def _review(tx: Transaction, name: str) -> ReviewRow:
    review = tx.reviews.get(name)
    assert review is not None
    current = tx.reviews.round(review.id, review.round)
    route = current.ruling.route
    return ReviewRow(
        id=review.id,
        kind=review.kind.value,
        status=review.status.value,
        round=review.round,
        lead=review.lead,
        verdict=review.verdict.value if review.verdict else None,
        by=review.decided_by,
        at=review.decided_at,
        needs=tuple((need.of, need.count) for need in needs_of(review, current)),
        silence=route.silence.value if route else "block",
        reversible=current.ruling.stakes.reversible,
    )


def _damage(ports: Ports, anchor: Anchor, keys: Sequence[VerifierKey]) -> tuple[str, ...]:
    last = anchor.last()

    def query(tx: Transaction) -> tuple[str, ...]:
        report = verify_log(
            enumerate(tx.audit.entries()),
            nodes=tx.audit.nodes,
            checkpoints=[
                (f"checkpoint {kept.size}", kept.text.encode()) for kept in tx.audit.checkpoints()
            ],
            keys=keys,
            anchors=[("anchor", last.text.encode())] if last is not None else [],
        )
        return tuple(str(problem) for problem in report.problems)

    return ports.store.read(query)
