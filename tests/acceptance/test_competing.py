"""One review, answered over the API, on the desk's page and in the shell at the same moment."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests import postgres
from tests.faults import surfaces

ROUNDS = 12
"""`make faults ARGS="--only surfaces --surfaces 200"` runs more."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "store", ["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres"))]
)
def test_one_answer_counts_and_losers_are_told_winner_verdict_and_time(
    store: str, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        db = None
        if store == "postgresql":
            db = stack.enter_context(postgres.database(postgres.url()))
        tally = surfaces.run(tmp_path, seed=5, rounds=ROUNDS, db=db)
    assert tally.found == []
    assert tally.struck.total() == tally.decisions == ROUNDS
    assert 0 < tally.effects <= ROUNDS
