"""The activation check: can the people of this workspace carry what a policy asks of them?

`handrail check` reads a file alone. This one knows who there is: whether teams have members,
whether somebody other than who proposes can approve what the rules ask for, up to which amount,
and at which hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from handrail.flow.ports import Ports
from handrail.flow.who import alone
from handrail.gate import Policy
from handrail.model.errors import BadInput
from handrail.model.modes import Severity
from handrail.model.people import Person
from handrail.model.ruling import Approval
from handrail.model.versions import Remark
from handrail.ports import Transaction
from handrail.review.deadlines import Hours
from handrail.review.quorum import in_words, missing

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def remarks(
    tx: Transaction, ports: Ports, policy: Policy, *, asked: Sequence[Approval], proposer: str
) -> list[Remark]:
    """What speaks against this version: reasons to refuse it, and warnings.

    `asked` are the approvals that letting it rule takes; `proposer` is the id of who proposes, who
    gives none of them. In a workspace of one person nobody else is looked for.
    """
    found = [*_dates(tx, policy), *_words(policy)]
    if not alone(tx):
        people = [person for person in tx.people.all() if person.active]
        found += _approvers(policy, people, asked, proposer)
        found += _rules(policy, people)
        found += _routes(policy, people, ports.hours)
        found += _amounts(policy, people)
    return found


def lacking(tx: Transaction, ports: Ports) -> list[Remark]:
    """Where a policy that rules asks for somebody, and nobody there is is that."""
    if alone(tx):
        return []
    people = [person for person in tx.people.all() if person.active]
    found: list[Remark] = []
    for workflow in tx.policies.workflows():
        policy = ports.shelf.active(tx, workflow)
        found += _rules(policy, people)
        found += _routes(policy, people, ports.hours)
    return [one for one in found if one.refuses]


def refuse(found: Iterable[Remark]) -> tuple[str, ...]:
    """The warnings among the remarks. Raises `BadInput` where one refuses, with all that do."""
    remarked = list(found)
    against = [str(one) for one in remarked if one.refuses]
    if against:
        raise BadInput("\n".join(against), status=422)
    return tuple(str(one) for one in remarked)


def _remark(policy: Policy, needle: str, sentence: str, *, refuses: bool = False) -> Remark:
    """A remark at the first place where the file says `needle`."""
    place = policy.path
    at = re.search(rf"(?<![\w-]){re.escape(needle)}(?![\w-])", policy.text)
    if at is not None:
        before = policy.text[: at.start()]
        line = before.count("\n") + 1
        place = f"{policy.path}:{line}:{at.start() - before.rfind(chr(10))}"
    return Remark(refuses=refuses, place=place, sentence=sentence)


def _dates(tx: Transaction, policy: Policy) -> Iterator[Remark]:
    today = datetime.fromtimestamp(tx.now() / 1_000_000, UTC).date().isoformat()
    if policy.review_by is not None and policy.review_by < today:
        yield _remark(
            policy,
            "review_by",
            f"it was to be looked at again by {policy.review_by}; look at it, and name a later day",
            refuses=not alone(tx),
        )


def _words(policy: Policy) -> Iterator[Remark]:
    if not policy.reasons:
        yield _remark(
            policy,
            "review",
            "no reason codes: who rejects or edits need not say why, and nothing is learnt from "
            "it; add `review: {reasons: {…}}`",
        )
    if not policy.cases:
        yield _remark(
            policy, "rules", "no cases: nobody sees what the next change does; add `cases:`"
        )


def _members(people: Iterable[Person], names: Iterable[str]) -> list[Person]:
    wanted = tuple(names)
    return [person for person in people if person.is_one_of(wanted)]


def _words_of(names: Iterable[str]) -> str:
    return " or ".join(names)


def _approvers(
    policy: Policy, people: list[Person], asked: Sequence[Approval], proposer: str
) -> Iterator[Remark]:
    """Who lets this version rule, and who could let the one after it."""
    others = [person for person in people if person.id != proposer]
    for need in missing(asked, others):
        [words] = in_words([need])
        yield _remark(
            policy,
            "owners",
            f"nobody but who proposes can approve this change as {words}; register another with "
            "`handrail users add`, or let somebody else propose it",
            refuses=True,
        )
    if tuple(asked) != policy.owner_approvals:
        for need in missing(policy.owner_approvals, people):
            [words] = in_words([need])
            yield _remark(
                policy,
                "owners",
                f"nobody could ever change it again: no active person is {words}; register one "
                "first, or name other owners",
                refuses=True,
            )


def _rules(policy: Policy, people: list[Person]) -> Iterator[Remark]:
    """Approvals that rules ask for: each by itself, since all of one ruling may come together."""
    for rule in policy.draft.rules:
        for row in rule.rows:
            gaps = missing(row.approvals, people)
            if gaps:
                yield _remark(
                    policy,
                    rule.id,
                    f"the rule {rule.id} asks for {', '.join(in_words(gaps))}, and nobody there "
                    "is can give that: what it holds could never be approved",
                    refuses=True,
                )
                continue
            for need in row.approvals:
                able = _members(people, need.of)
                if len(able) == need.count:
                    names = " and ".join(person.handle for person in able)
                    yield _remark(
                        policy,
                        rule.id,
                        f"only {names} can approve for the rule {rule.id} as "
                        f"{_words_of(need.of)}: what they ask for or hand in themselves "
                        "nobody may approve",
                    )


def _routes(policy: Policy, people: list[Person], hours: Hours) -> Iterator[Remark]:
    for line in policy.routes:
        route = line.route
        if not _members(people, route.to):
            rest = (*route.fallback, *policy.owners)
            reached = route.sla_seconds is not None and _members(people, rest)
            yield _remark(
                policy,
                route.to[0] if route.to else "route",
                f"no active person is {_words_of(route.to)}"
                + (
                    f"; such reviews wait until their time is over and {_words_of(rest)} is asked"
                    if reached
                    else ": such reviews lead nowhere; register somebody, or name others"
                ),
                refuses=not reached,
            )
        elif route.fallback and not _members(people, route.fallback):
            yield _remark(
                policy,
                route.fallback[0],
                f"no active person is {_words_of(route.fallback)}, the fallback",
            )
        if route.clock == "business" and line.severity is Severity.HIGH:
            yield _remark(
                policy,
                "business",
                "what is of high severity waits by the business clock: its time stands still "
                f"outside {_hours(hours)}, so a hold of Friday evening is due on Monday at the "
                "earliest; write `clock: always` where that is too late",
            )


def _hours(hours: Hours) -> str:
    days = [DAYS[day] for day in hours.days]
    return f"{days[0]} to {days[-1]}, {hours.opens}:00 to {hours.closes}:00 {hours.zone}"


def _amounts(policy: Policy, people: list[Person]) -> Iterator[Remark]:
    """Up to which stake somebody may decide, where the policy weighs money."""
    if not policy.weighs_money:
        return
    groups = [
        ((*line.route.to, *line.route.fallback, *policy.owners), line.route.to[0])
        for line in policy.routes
        if line.route.to
    ]
    groups += [
        (need.of, rule.id)
        for rule in policy.draft.rules
        for row in rule.rows
        for need in row.approvals
    ]
    said: set[tuple[str, ...]] = set()
    for names, needle in groups:
        limits = [_limit(person, policy.workflow) for person in _members(people, names)]
        known = [limit for limit in limits if limit is not None]
        if not limits or len(known) < len(limits) or names in said:
            continue
        said.add(names)
        yield _remark(
            policy,
            needle,
            f"above {max(known):,} nobody who is {_words_of(dict.fromkeys(names))} may decide: "
            "raise a limit with `handrail users add --limit`, name somebody without one, or "
            "refuse such amounts",
        )


def _limit(person: Person, workflow: str) -> Decimal | None:
    text = person.limits.get(workflow, person.limits.get("*"))
    return None if text is None else Decimal(text)


__all__ = ["lacking", "refuse", "remarks"]
