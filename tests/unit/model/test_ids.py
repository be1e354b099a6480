"""Identifiers: their order is that of time, and their random part is all of it random."""

from __future__ import annotations

import pytest

from handrail.model.ids import ALPHABET, PREFIXES, is_id, new_id

MS = 1_000


def test_ids_are_in_the_order_of_time() -> None:
    times = [0, 1, 31, 32, 1_023, 1_024, 1_790_000_000_000, 1_790_000_000_001, 2**47, 2**48 - 1]
    made = [new_id("d", at * MS) for at in times]
    assert made == sorted(made)
    again = [new_id("d", at * MS) for at in reversed(times)]
    assert [one[:12] for one in reversed(again)] == [one[:12] for one in made]


@pytest.mark.parametrize("at", [0, 1, 999, 1_790_000_000_123, 2**48 - 1])
def test_the_first_ten_letters_are_the_millisecond(at: int) -> None:
    number = 0
    for letter in new_id("r", at * MS + 999)[2:12]:
        number = number * 32 + ALPHABET.index(letter)
    assert number == at


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_id_says_what_it_names(prefix: str) -> None:
    made = new_id(prefix, 1_790_000_000_000 * MS)
    assert is_id(made, prefix)
    assert not is_id(made, "x")


def test_every_letter_comes_at_every_place() -> None:
    made = [new_id("d", 0)[12:] for _ in range(2_000)]
    assert len(set(made)) == len(made)
    for place in range(16):
        assert {one[place] for one in made} == set(ALPHABET)
