"""Approvals are satisfied by distinct persons, matched as well as possible."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.model.people import Person
from handrail.model.ruling import Approval
from handrail.review.quorum import in_words, merge, missing


def person(number: int, *holds: str) -> Person:
    return Person(id=f"p_{number:026d}", handle=f"p{number}@example.com", holds=holds, added_at=0)


def test_nobody_has_approved_so_everything_is_missing() -> None:
    needs = (Approval(of=("role:director",)), Approval(of=("team:finance",), count=2))
    assert missing(needs, []) == needs


@pytest.mark.ledger("M-128")
def test_one_person_never_counts_twice() -> None:
    both = person(1, "role:director", "role:finance")
    needs = (Approval(of=("role:director",)), Approval(of=("role:finance",)))
    assert len(missing(needs, [both])) == 1
    assert missing(needs, [both, person(2, "role:finance")]) == ()


def test_a_later_voter_moves_an_earlier_one_to_another_place() -> None:
    needs = (Approval(of=("team:a", "team:b")), Approval(of=("team:a",)))
    assert missing(needs, [person(1, "team:a"), person(2, "team:b")]) == ()
    assert missing(needs, [person(1, "team:a"), person(2, "team:a")]) == ()
    assert missing(needs, [person(1, "team:b"), person(2, "team:b")]) == (needs[1],)


def test_a_named_person_counts_without_case() -> None:
    needs = (Approval(of=("person:P1@Example.com",)),)
    assert missing(needs, [person(1)]) == ()
    assert missing(needs, [person(2)]) == needs


def test_where_nobody_is_registered_everyone_may_take_any_place() -> None:
    needs = (Approval(of=("role:director",)),)
    assert missing(needs, [person(1)], everyone=True) == ()
    assert missing((Approval(of=("role:director",), count=2),), [person(1)], everyone=True) == needs


def test_merge_keeps_the_larger_count() -> None:
    one = (Approval(of=("role:director",)),)
    two = (Approval(of=("role:director",), count=2), Approval(of=("team:x",)))
    assert merge(one, two) == two
    assert merge((), one) == one


def test_in_words() -> None:
    needs = (Approval(of=("team:x",), count=2), Approval(of=("p_1", "role:director")))
    assert in_words(needs, {"p_1": "ann"}) == ["2 of team:x", "ann or role:director"]


ROLES = ("role:a", "role:b", "role:c")


@given(
    st.lists(
        st.builds(
            Approval,
            of=st.sets(st.sampled_from(ROLES), min_size=1).map(lambda s: tuple(sorted(s))),
            count=st.integers(1, 2),
        ),
        max_size=3,
    ),
    st.lists(st.sets(st.sampled_from(ROLES)), max_size=4),
)
def test_as_many_places_are_filled_as_brute_force_fills(
    needs: list[Approval], held: list[set[str]]
) -> None:
    voters = [person(index, *sorted(holds)) for index, holds in enumerate(held)]
    places = [need.of for need in needs for _ in range(need.count)]
    best = 0
    pool: list[int | None] = [*range(len(voters)), *([None] * len(places))]
    for chosen in set(itertools.permutations(pool, len(places))):
        filled = sum(
            voter is not None and voters[voter].is_one_of(names)
            for voter, names in zip(chosen, places, strict=True)
        )
        best = max(best, filled)
    left = sum(need.count for need in missing(needs, voters))
    assert left == len(places) - best
