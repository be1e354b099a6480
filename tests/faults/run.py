"""Kills, power cuts, clock jumps, races and broken builds, and one judge over all: `make faults`.

    make faults                               about ten minutes, from fault 0 of seed 1
    make faults SEED=7 FROM=120               go on where a run of seed 7 ended
    make faults ARGS="--kills 300 --cuts 0"   more of one kind
    make faults ARGS="--only mutants"         one part
    make faults ARGS="--only team --team 288" PostgreSQL: servers, workers and the database
    make faults ARGS="--only surfaces --surfaces 200"   API, page and shell answer at once

What each fault does follows from the seed and its number. What was done and found is added to
`benchmarks/faults.json`, also when the run is interrupted; the file also holds the totals.

Exit codes: 0 every promise was kept and every broken build was caught, 1 not so, 2 wrong use.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests import postgres
from tests.faults import cuts, jumps, kills, mutants, races
from tests.faults.checker import Finding
from tests.faults.tally import SURFACES, TEAM, Tally

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "faults.json"
ABOUT = (
    "Faults struck and what the judge found, one item a part of a run of `make faults`. `faults` "
    "counts the kills, power cuts, clock jumps or race rounds; `lost`, `twice` and `other` count "
    "broken promises; `struck` counts what was struck, and where. On PostgreSQL `faults` counts "
    "the kills of servers, workers and the database, and `restarts_and_cuts` the rest. An outage "
    "is, by what was struck, the longest time from a strike on in which nobody (`anybody`) or one "
    "of the clients (`everybody`) was acknowledged a change, in which the database itself took no "
    "connection (`database`), and what the first was longer than the last (`beyond`)."
)
PARTS = ("kills", "team", "cuts", "races", "surfaces", "jumps", "mutants")
CHUNK = 50
"""Faults after which what was done is written down; on PostgreSQL that is one turn."""
TEAM_CHUNK = 16
SHOWN = 20
"""Findings that are printed of each part."""


def options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", type=int, default=0, dest="first", help="number of the first")
    parser.add_argument("--kills", type=int, default=120)
    parser.add_argument("--team", type=int, default=48, help="strikes on PostgreSQL; 3 of 4 kill")
    parser.add_argument("--cuts", type=int, default=120)
    parser.add_argument("--races", type=int, default=200, help="rounds, in threads and processes")
    parser.add_argument("--surfaces", type=int, default=25, help="rounds, on each store")
    parser.add_argument("--jumps", type=int, default=10, help="lives with a jumping clock")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; repeat")
    parser.add_argument("--mutant", choices=tuple(mutants.MUTANTS), action="append", help="repeat")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file to add to")
    parser.add_argument("--no-record", action="store_true", help="add to no file")
    parser.add_argument("--keep", type=Path, help="folder to work in, kept afterwards")
    return parser.parse_args(arguments)


class Book:
    """The result file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.failed = False

    def add(self, item: dict[str, Any]) -> None:
        """Write one part down, with the totals of all."""
        if self._path is None:
            return
        runs = json.loads(self._path.read_text("utf-8"))["runs"] if self._path.exists() else []
        runs.append({"date": dt.datetime.now(dt.UTC).date().isoformat(), **item})
        text = json.dumps({"about": ABOUT, "totals": totals(runs), "runs": runs}, indent=1)
        draft = self._path.with_suffix(".new")
        draft.write_text(text + "\n", "utf-8")
        draft.replace(self._path)


def totals(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over all runs; of the broken builds, those of the last run that tried them."""
    summed: dict[str, Any] = {
        name: sum(run["faults"] for run in runs if run["kind"] == kind)
        for name, kind in (
            ("kills", "kills"),
            ("kills_on_postgresql", TEAM),
            ("power_cuts", "cuts"),
            ("clock_jumps", "clock jumps"),
            ("race_rounds_threads", "races of threads"),
            ("race_rounds_processes", "races of processes"),
            ("surface_rounds_sqlite", f"{SURFACES} SQLite"),
            ("surface_rounds_postgresql", f"{SURFACES} PostgreSQL"),
        )
    }
    summed["restarts_and_cuts"] = sum(run.get("restarts_and_cuts", 0) for run in runs)
    summed["longest_outage_seconds"] = longest(runs)
    for name in ("decisions", "effects", "in_doubt", "lost", "twice", "other"):
        summed[name] = sum(run.get(name, 0) for run in runs)
    tried = [run for run in runs if run["kind"] == "mutants"]
    summed["mutants"] = len(tried[-1]["caught"]) if tried else 0
    summed["mutants_caught"] = (
        len([promises for promises in tried[-1]["caught"].values() if promises]) if tried else 0
    )
    return summed


def longest(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The longest outage of all runs, by what was struck."""
    found: dict[str, dict[str, float]] = {}
    for run in runs:
        for what, said in run.get("longest_outage_seconds", {}).items():
            known = found.setdefault(what, {})
            for whose, seconds in said.items():
                known[whose] = max(seconds, known.get(whose, 0.0))
    return found


def chunked(
    name: str,
    run: Callable[..., Tally],
    folder: Path,
    book: Book,
    *,
    seed: int,
    first: int,
    count: int,
    chunk: int = CHUNK,
) -> None:
    """Run one part in pieces, and write each piece down."""
    until = first + count
    while first < until:
        piece = min(chunk - first % chunk, until - first)
        started = time.monotonic()
        tally = run(folder, seed=seed, first=first, count=piece)
        told(book, name, seed, first, tally, time.monotonic() - started)
        first += piece


def told(book: Book, name: str, seed: int, first: int, tally: Tally, seconds: float) -> None:
    """Print a piece, and write it down."""
    figures = tally.figures()
    print(
        f"{name:<32} from {first:>5}  {figures['faults']:>5} faults  "
        f"{figures['decisions']:>6} decisions  {figures['in_doubt']:>4} in doubt  "
        f"lost {figures['lost']}  twice {figures['twice']}  other {figures['other']}  "
        f"{seconds:.0f} s",
        flush=True,
    )
    shown: list[tuple[int, Finding]] = tally.found[:SHOWN]
    for number, finding in shown:
        print(f"  fault {number}: {finding}", flush=True)
    book.failed |= bool(tally.found)
    book.add({"seed": seed, "first": first, **figures, "seconds": round(seconds, 1)})


def hunt_all(book: Book, seed: int, names: Sequence[str]) -> None:
    """Broken builds, until the judge sees what is wrong with each."""
    caught: dict[str, list[str]] = {}
    for name in names:
        mutant = mutants.MUTANTS[name]
        if mutant.on_postgres and not postgres.is_here():
            print(f"mutant {name:<28} PostgreSQL is not here", flush=True)
            continue
        started = time.monotonic()
        tally = mutants.hunt(name, seed)
        found = sorted(tally.promises & mutant.promises)
        caught[name] = found
        how = ", ".join(found) if found else f"NOT CAUGHT ({sorted(tally.promises)})"
        spent = f"{sum(tally.struck.values())} faults, {time.monotonic() - started:.0f} s"
        print(f"mutant {name:<28} {mutant.says}: {how} ({spent})", flush=True)
        book.failed |= not found
    book.add({"kind": "mutants", "seed": seed, "faults": 0, "caught": caught})


def main(arguments: list[str] | None = None) -> int:
    given = options(arguments)
    # The store shouts that the power is off, which is what we did.
    logging.disable(logging.CRITICAL)
    parts = given.only or PARTS
    folder = given.keep or Path(tempfile.mkdtemp(prefix="handrail-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    book = Book(None if given.no_record else given.results)
    seed, first = given.seed, given.first
    try:
        # First what forks: a process that forks has no threads.
        for name, run, count in (
            ("kills", kills.run, given.kills),
            ("team", _team, given.team),
            ("cuts", cuts.run, given.cuts),
            ("jumps", jumps.run, given.jumps),
        ):
            if name == "cuts" and "races" in parts and given.races:
                race(folder, book, seed, given.races)
            if name in parts and count:
                chunk = TEAM_CHUNK if name == "team" else CHUNK
                chunked(name, run, folder, book, seed=seed, first=first, count=count, chunk=chunk)
        if "surfaces" in parts and given.surfaces:
            compete(folder, book, seed, given.surfaces)
        if "mutants" in parts:
            hunt_all(book, seed, given.mutant or tuple(mutants.MUTANTS))
    except KeyboardInterrupt:
        print("interrupted; what was done is written down", file=sys.stderr)
        return 1
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print("a promise was broken" if book.failed else "every promise was kept")
    return int(book.failed)


def _team(folder: Path, *, seed: int, first: int, count: int) -> Tally:
    if not postgres.is_here():
        print("team: PostgreSQL is not here; install the extra `postgres` and its test server")
        return Tally(kind=TEAM)
    from tests.faults import team

    return team.run(folder, seed=seed, first=first, count=count)


def race(folder: Path, book: Book, seed: int, rounds: int) -> None:
    """Races between processes, then between threads."""
    for name, run in (
        ("races of processes", races.across_processes),
        ("races of threads", races.in_process),
    ):
        started = time.monotonic()
        tally = run(folder, seed=seed, rounds=rounds)
        told(book, name, seed, 0, tally, time.monotonic() - started)


def compete(folder: Path, book: Book, seed: int, rounds: int) -> None:
    """Rounds between surfaces, on each store."""
    from tests.faults import surfaces

    with contextlib.ExitStack() as stack:
        places: list[str | None] = [None]
        if postgres.is_here():
            server = postgres.Server()
            stack.callback(server.stop)
            places.append(stack.enter_context(postgres.database(server.url)))
        for db in places:
            started = time.monotonic()
            tally = surfaces.run(folder, seed=seed, rounds=rounds, db=db)
            told(book, tally.kind, seed, 0, tally, time.monotonic() - started)


if __name__ == "__main__":
    raise SystemExit(main())
