"""One function for each right, asked with the loaded object. Anything not allowed is refused."""

from __future__ import annotations

from collections.abc import Iterable

from handrail.model.errors import Refused
from handrail.model.people import Person
from handrail.model.review import Review
from handrail.model.ruling import Approval


def may_decide(
    person: Person,
    review: Review,
    *,
    needs: Iterable[Approval],
    requesters: Iterable[str | None],
    registered: bool,
) -> None:
    """Raise `Refused` unless `person` may vote on `review`.

    The requester never decides their own request. Where persons are registered, one must be asked
    by the review (`to`) or named by an approval; in a workspace where nobody is registered, one
    person holds every role (recorded with the vote as `single_person`).
    """
    if not person.active:
        raise Refused(f"{person.handle} is switched off; ask who runs the workspace")
    own = person.handle.casefold()
    if any(requester is not None and requester.casefold() == own for requester in requesters):
        raise Refused(
            f"{person.handle} asked for this and may not decide it; "
            f"it waits for {', '.join(review.to) or 'another person'}"
        )
    may_act(person, review, needs=needs, registered=registered)


def may_act(person: Person, review: Review, *, needs: Iterable[Approval], registered: bool) -> None:
    """Raise `Refused` unless `person` may act on `review` without deciding it."""
    if not registered:
        return
    asked = (*review.to, *(name for need in needs for name in need.of))
    if not person.active or not person.is_one_of(asked):
        raise Refused(
            f"{person.handle} is none of {', '.join(dict.fromkeys(asked)) or 'nobody'}; "
            f"this review is for them"
        )
