"""A short piece of each sort of fault, so that the harness cannot rot; `make faults` runs all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import cuts, jumps, races
from tests.faults.mutants import MUTANTS, hunt

HANG_SECONDS = 600
"""A run that takes longer hangs; none takes more than a minute on a quiet machine."""


def faults(root: Path, results: Path, *arguments: str) -> str:
    """Run the command in a process of its own: what forks must have no threads."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.run", "--results", str(results), *arguments],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
def test_kills_break_no_promise(root: Path, tmp_path: Path) -> None:
    results = tmp_path / "faults.json"
    faults(root, results, "--only", "kills", "--seed", "5", "--kills", "8")
    faults(root, results, "--only", "kills", "--seed", "5", "--from", "44", "--kills", "3")
    found = json.loads(results.read_text())
    assert [run["first"] for run in found["runs"]] == [0, 44], "a run goes on where one ended"
    assert found["totals"]["kills"] >= 6
    assert found["totals"]["decisions"] > 20
    assert found["totals"]["lost"] == found["totals"]["twice"] == found["totals"]["other"] == 0


@pytest.mark.slow
@pytest.mark.needs("postgres")
def test_strikes_at_a_team_break_no_promise(root: Path, tmp_path: Path) -> None:
    """A server, a worker and a backend of the database; then a cut wire, and a server again."""
    results = tmp_path / "faults.json"
    arguments = ("--only", "team", "--seed", "5", "--team")
    faults(root, results, *arguments, "3")
    faults(root, results, *arguments, "2", "--from", "11")
    found = json.loads(results.read_text())
    assert [run["first"] for run in found["runs"]] == [0, 11]
    totals = found["totals"]
    assert totals["kills_on_postgresql"] == 4
    assert totals["restarts_and_cuts"] == 1
    assert totals["decisions"] > 20
    assert totals["lost"] == totals["twice"] == totals["other"] == 0
    assert {"database", "servers", "workers"} <= set(totals["longest_outage_seconds"])


@pytest.mark.slow
def test_processes_that_race_have_one_winner(root: Path, tmp_path: Path) -> None:
    results = tmp_path / "faults.json"
    said = faults(root, results, "--only", "races", "--races", "5")
    assert "every promise was kept" in said
    totals = json.loads(results.read_text())["totals"]
    assert totals["race_rounds_processes"] == totals["race_rounds_threads"] == 5


def test_power_cuts_break_no_promise(tmp_path: Path) -> None:
    tally = cuts.run(tmp_path, seed=5, count=10)
    assert tally.found == []
    assert tally.decisions > 10


def test_fifty_threads_that_race_have_one_winner(tmp_path: Path) -> None:
    tally = races.in_process(tmp_path, seed=5, rounds=4)
    assert tally.found == []
    assert 0 < tally.effects <= 4


def test_clock_jumps_break_no_promise(tmp_path: Path) -> None:
    tally = jumps.run(tmp_path, seed=5, count=1, steps=150)
    assert tally.found == []
    assert tally.faults > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MUTANTS if not MUTANTS[name].on_postgres])
def test_a_broken_build_is_caught(name: str) -> None:
    assert hunt(name, seed=1).promises & MUTANTS[name].promises


@pytest.mark.slow
@pytest.mark.needs("postgres")
@pytest.mark.parametrize("name", [name for name in MUTANTS if MUTANTS[name].on_postgres])
def test_a_team_with_a_broken_build_is_caught(root: Path, tmp_path: Path, name: str) -> None:
    results = tmp_path / "faults.json"
    faults(root, results, "--only", "mutants", "--mutant", name)
    totals = json.loads(results.read_text())["totals"]
    assert totals["mutants"] == totals["mutants_caught"] == 1
