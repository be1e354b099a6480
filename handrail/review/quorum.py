"""Whether the votes of a round satisfy the approvals it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from handrail.model.people import Person
from handrail.model.ruling import Approval


def merge(*groups: Sequence[Approval]) -> tuple[Approval, ...]:
    """Union: for equal names the larger count, in the order first met."""
    found: dict[tuple[str, ...], int] = {}
    for group in groups:
        for need in group:
            found[need.of] = max(found.get(need.of, 0), need.count)
    return tuple(Approval(of=of, count=count) for of, count in found.items())


def missing(
    needs: Sequence[Approval], voters: Sequence[Person], *, everyone: bool = False
) -> tuple[Approval, ...]:
    """The approvals that the persons who approved do not yet satisfy.

    Each approval wants its own persons: one person never counts twice (two separate natural
    persons). Persons are matched to places so that as many places as possible are filled.
    `everyone`: in a workspace where nobody is registered each person may take any place.
    """
    places = [(index, need.of) for index, need in enumerate(needs) for _ in range(need.count)]
    held: dict[int, int] = {}  # place -> voter

    def seat(voter: int, tried: set[int]) -> bool:
        for place, (_, names) in enumerate(places):
            if place in tried or not (everyone or voters[voter].is_one_of(names)):
                continue
            tried.add(place)
            if place not in held or seat(held[place], tried):
                held[place] = voter
                return True
        return False

    for voter in range(len(voters)):
        seat(voter, set())
    open_places: dict[int, int] = {}
    for place, (index, _) in enumerate(places):
        if place not in held:
            open_places[index] = open_places.get(index, 0) + 1
    return tuple(
        msgspec.structs.replace(needs[index], count=count) for index, count in open_places.items()
    )


def in_words(needs: Sequence[Approval], handles: Mapping[str, str] | None = None) -> list[str]:
    """`2 of team:finance`, `role:director`, one sentence piece for each approval."""
    named = handles or {}
    pieces = []
    for need in needs:
        names = " or ".join(named.get(name, name) for name in need.of)
        pieces.append(names if need.count == 1 else f"{need.count} of {names}")
    return pieces
