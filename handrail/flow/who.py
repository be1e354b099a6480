"""Who asks, and about what: loaded in the very transaction that acts, for `access.allow`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from handrail.access import Denied, Thing, Who, no_program, over_limit, who_is
from handrail.flow.ports import Ports
from handrail.flow.records import known
from handrail.model.errors import BadInput, NotFound, Unknown
from handrail.model.modes import Mode
from handrail.model.people import Actor, Person, Via
from handrail.model.review import Review, Round
from handrail.model.ruling import Ruling
from handrail.ports import Filed, Transaction


def enter(tx: Transaction, actor: Actor, *, meet: bool = True, nobody: bool = False) -> Who:
    """Who sends a command, from the rows as they are now. Asked before anything else is loaded.

    `meet`: a local person met for the first time gets an id; without it (reading) nothing is made.
    `nobody`: also who is not known may go on, to sign in. Raises `Unknown` where a token, session
    or account holds no longer.
    """
    now = tx.now()
    if actor.via is Via.LOCAL:
        if actor.program:
            if meet and "@" in actor.name:
                raise BadInput(f"a program's name has no @: {actor.name!r}; persons act with --as")
            return who_is(actor, now)
        person = known(tx, actor.name) if meet else tx.people.by_handle(actor.name.strip())
        return who_is(actor, now, person=person, registered=tx.people.registered())
    if actor.via is Via.SESSION and actor.credential is not None:
        session = tx.access.session(actor.credential)
        person = tx.people.get(session.person) if session is not None else None
        registered = session is None or not session.local or tx.people.registered()
        return who_is(actor, now, session=session, person=person, registered=registered)
    if actor.via is Via.TOKEN and actor.credential is not None:
        return who_is(actor, now, token=tx.access.token(actor.credential))
    if not nobody:
        raise Unknown("sign in, or show an API token")
    return who_is(actor, now)


def actor_id(tx: Transaction, actor: Actor) -> str:
    """How the log names who acts: a person's id, or a program's own name."""
    return enter(tx, actor).id


def person_in(who: Who) -> Person:
    """The person who acts. Raises `Denied` for a program."""
    if who.person is None:
        raise Denied(no_program(who))
    return who.person


def alone(tx: Transaction) -> bool:
    """Whether at most one active person is registered: nobody else could approve."""
    return sum(1 for person in tx.people.all() if person.active and person.holds) <= 1


def no_decision(decision_id: str) -> str:
    """What is said of a decision that is not there, or that one may not know of."""
    if decision_id.startswith("r_"):
        return f"{decision_id!r} names a review; expected a decision, d_…"
    return f"no decision {decision_id!r}; `handrail decisions list` names the latest"


def no_review(review_id: str) -> str:
    """What is said of a review that is not there, or that one may not know of."""
    return f"no review {review_id!r}; `handrail reviews list` names the open ones"


def get_filed(tx: Transaction, decision_id: str) -> Filed:
    """The decision, or `NotFound`."""
    filed = tx.decisions.get(decision_id)
    if filed is None:
        raise NotFound(no_decision(decision_id))
    return filed


def get_review(tx: Transaction, review_id: str) -> Review:
    """The review, or `NotFound`."""
    review = tx.reviews.get(review_id)
    if review is None:
        raise NotFound(no_review(review_id))
    return review


def decision_thing(tx: Transaction, ports: Ports, filed: Filed, who: Who) -> Thing:
    """A decision as access asks about it. A program is never asked, so its review is not read."""
    if filed.review_id is not None and not who.program:
        review = tx.reviews.get(filed.review_id)
        if review is not None:
            return review_thing(
                tx, ports, review, filed=[filed], absent=no_decision(filed.decision.id)
            )
    decision, route = filed.decision, filed.ruling.route
    watched = filed.ruling.mode is Mode.ON_THE_LOOP and route is not None
    return Thing(
        absent=no_decision(decision.id),
        workflow=decision.workflow,
        asked=route.to if watched and route is not None else (),
        submitters=(decision.submitter,),
        requesters=() if decision.requester is None else (decision.requester,),
    )


def review_thing(
    tx: Transaction,
    ports: Ports,
    review: Review,
    *,
    current: Round | None = None,
    filed: Sequence[Filed] | None = None,
    absent: str | None = None,
) -> Thing:
    """A review as access asks about it; its ties are those of the decisions `filed`, or of all."""
    current = current or tx.reviews.round(review.id, review.round)
    hanging = tx.decisions.of_review(review.id, 1_000_000) if review.attached > 1 else filed
    if hanging is None:
        hanging = tx.decisions.of_review(review.id, 1_000_000)
    tied = hanging if filed is None else filed
    asked = (*review.to, *(name for need in current.ruling.approvals for name in need.of))
    return Thing(
        absent=absent or no_review(review.id),
        workflow=review.workflow,
        submitters=tuple(dict.fromkeys(item.decision.submitter for item in tied)),
        requesters=tuple(
            dict.fromkeys(
                item.decision.requester for item in tied if item.decision.requester is not None
            )
        ),
        asked=tuple(dict.fromkeys(asked)),
        voters=tuple(vote.person for vote in tx.reviews.votes(review.id)),
        stake=stake_of(tx, ports, review, current, hanging),
    )


def stake_of(
    tx: Transaction, ports: Ports, review: Review, current: Round, filed: Iterable[Filed]
) -> Decimal | None:
    """Money that one verdict on this review decides: of all decisions that hang on it together.

    None where a policy declares money and one of them could not be known.
    """
    total = Decimal(0)
    for item in filed:
        lead = item.decision.id == review.lead
        money = stake_in(tx, ports, current.ruling if lead else item.ruling)
        if money is None:
            return None
        total += abs(money)
    return total


def stake_in(tx: Transaction, ports: Ports, ruling: Ruling) -> Decimal | None:
    """Money at stake by a ruling: 0 where the policy declares none, None where it is not known."""
    if ruling.stakes.money is not None:
        return Decimal(ruling.stakes.money)
    return None if ports.shelf.named(tx, ruling.policy).weighs_money else Decimal(0)


def able(
    tx: Transaction, names: Iterable[str], workflow: str, stake: Decimal | None
) -> tuple[str, ...]:
    """Those of an audience who may decide this stake: persons whose limit it is above are left out.

    Teams and roles stay; who of them may take it is seen when they do.
    """
    found = []
    for name in names:
        person = tx.people.get(name) if name.startswith("p_") else None
        if person is None or (person.active and over_limit(person, workflow, stake) is None):
            found.append(name)
    return tuple(found)


def judged_first(tx: Transaction, review: Review, current: Round) -> bool:
    """Whether somebody is to judge this review before anybody has seen the proposal."""
    drawn = any(coin.kind == "blind" and coin.drawn for coin in current.ruling.coins)
    return drawn and review.round == 1 and not tx.reviews.votes(review.id, review.round)
