"""How soon a waiting program runs once a person has decided, and how soon the shell answers.

    python benchmarks/wakeup.py [--rounds N] [--json]

Across processes: process A owns nothing and waits over the workspace's socket; this process owns
the workspace and casts the vote. The time runs from the release of the outcome (its own time stamp,
undo time 0) until A is back from `wait`, and until A is inside `hr.run` with the grant redeemed.
In process: waiter and voter are threads of one process. Cold start: a new process each time.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from _figures import Figure, arguments, show

import handrail
from handrail.client import Client
from handrail.model.commands import CastVote, GetReview
from handrail.model.people import Actor
from handrail.model.ruling import Ruling

POLICY = """\
handrail: 1
workflow: refund
title: Refund
owners: [team:ops]
fields:
  order: string
  amount: {type: decimal, places: 2, unit: USD, from: proposal}
otherwise: in_the_loop
rules:
  - {id: large, when: amount > 0, because: "{amount} is paid back"}
route:
  - {to: team:ops, sla: 4h, clock: always, silence: block}
review: {edit: [amount], undo: 0s}
cases:
  - {name: any, facts: {order: a}, proposal: {amount: 1}, fires: [large], lane: hold}
"""
ANN = Actor(name="ann@example.com", program=False)

WAITER = """
    import sys, time, handrail
    with handrail.open(sys.argv[1], name="waiter") as hr:
        assert hr._transport.workspace is None
        for line in sys.stdin:
            print("waits", flush=True)
            outcome = hr.wait(line.strip(), timeout=60)
            woken = time.time_ns() // 1000
            with hr.run(outcome) as run:
                running = time.time_ns() // 1000
                assert run
            print(woken - outcome.release_at, running - outcome.release_at, flush=True)
"""


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]


def submit(hr: Client, number: int) -> Ruling:
    return hr.submit("refund", facts={"order": str(number)}, proposal={"amount": 5})


def approve(hr: Client, ruling: Ruling) -> None:
    assert ruling.review_id is not None
    card = hr.call(GetReview(review_id=ruling.review_id), ANN)
    hr.call(CastVote(review_id=ruling.review_id, said="approve", card=card.digest), ANN)


def across(hr: Client, folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds from release to awake, and to running, in another process."""
    waiter = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WAITER), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert waiter.stdin is not None and waiter.stdout is not None
    awake, running = [], []
    for number in range(rounds + 5):
        ruling = submit(hr, number)
        print(ruling.decision_id, file=waiter.stdin, flush=True)
        assert waiter.stdout.readline() == "waits\n"
        time.sleep(0.05)  # let the wait arrive, so that it is woken and does not find it done
        approve(hr, ruling)
        woken, ran = waiter.stdout.readline().split()
        if number >= 5:  # the first ones load modules
            awake.append(int(woken) / 1000)
            running.append(int(ran) / 1000)
    waiter.stdin.close()
    waiter.wait()
    return awake, running


def within(hr: Client, rounds: int) -> list[float]:
    """Milliseconds from release to awake in a thread of the owner."""
    found: list[float] = []
    for number in range(rounds + 5):
        ruling = submit(hr, number)

        def wait(ruling: Ruling = ruling, number: int = number) -> None:
            outcome = hr.wait(ruling, timeout=60)
            if number >= 5:
                found.append((time.time_ns() // 1000 - outcome.release_at) / 1000)

        waiter = threading.Thread(target=wait)
        waiter.start()
        time.sleep(0.01)
        approve(hr, ruling)
        waiter.join()
    return found


def cold(folder: Path, *arguments: str, runs: int = 9) -> float:
    """Seconds from nothing to the answer of a command: the median of some runs."""
    program = [sys.executable, "-c", "from handrail.cli import main; main()"]
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run(
            [*program, *arguments],
            check=True,
            capture_output=True,
            env={**os.environ, "HANDRAIL_WORKSPACE": str(folder)},
        )
        took.append(time.perf_counter() - began)
    return percentile(took, 0.5)


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "work"
        (folder / "policies").mkdir(parents=True)
        (folder / "policies" / "refund.yaml").write_text(POLICY)
        yield folder


def main() -> None:
    parser = arguments(str(__doc__).partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200, help="waits a figure (200)")
    options = parser.parse_args()
    rounds = options.rounds
    with workspace() as folder:
        with handrail.open(folder, name="owner") as hr:
            inside = within(hr, rounds)
            awake, running = across(hr, folder, rounds)
        version = cold(folder, "--version")
        listing = cold(folder, "decisions", "list")
    how = f"{rounds} waits, SQLite FULL on disk"
    show(
        [
            Figure.plain(
                "release → awake, other process, p50", percentile(awake, 0.5), "ms", how=how
            ),
            Figure.plain(
                "release → awake, other process, p95", percentile(awake, 0.95), "ms", how=how
            ),
            Figure.plain(
                "release → running, other process, p50", percentile(running, 0.5), "ms", how=how
            ),
            Figure.at_most(
                "release → running, other process, p95",
                percentile(running, 0.95),
                "ms",
                goal=250,
                how=f"{how}; the grant is redeemed",
            ),
            Figure.plain("release → awake, in process, p50", percentile(inside, 0.5), "ms"),
            Figure.at_most(
                "release → awake, in process, p95",
                percentile(inside, 0.95),
                "ms",
                goal=50,
                how=how,
            ),
            Figure.at_most(
                "cold start, handrail --version", version, "s", goal=0.5, how="median of 9"
            ),
            Figure.at_most(
                "cold start, handrail decisions list", listing, "s", goal=0.5, how="median of 9"
            ),
        ],
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
