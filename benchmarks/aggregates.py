"""What an aggregate costs: in memory, in a store, and in a decision.

    python benchmarks/aggregates.py [--rounds N] [--json]

In memory: `History`, one update and one read of a 24-hour window of 2,000 keys (96 buckets each),
for counts and sums and for each function that keeps more. In the store: the same update and read
on SQLite (WAL, synchronous=FULL), 100 in a transaction and one in each, CPU of the process; one in
each includes the commit. In a decision: durable submits under a policy with four aggregates and
under the same policy without them, side by side in turn, the difference divided by four.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from _figures import Figure, arguments, show

from handrail.flow import Ports, Shelf, activate
from handrail.flow.aggregates import add_all
from handrail.flow.submit import submit_batch
from handrail.gate import History, Policy, load
from handrail.model.commands import Submit, SubmitBatch
from handrail.model.people import Actor
from handrail.settings import Settings
from handrail.store.sqlite import SqliteStore

KEYS = 2_000
DAY = 86_400_000_000
START = 20_000 * DAY
PROGRAM = Actor(name="planner")
HEAD = """
handrail: 1
workflow: w
owners: [team:x]
fields:
  account: string
  risk: {type: double, min: 0, max: 1}
  amount: {type: decimal, places: 2}
otherwise: auto
route: [{to: team:x, silence: block}]
"""
FOUR = """
aggregates:
  spent: {sum: amount, over: decisions:submitted, by: [account], window: 24h}
  before: {like: spent, offset: 24h}
  asked: {count: decisions, over: decisions:submitted, by: [account], window: 1h}
  granted: {sum: amount, over: decisions:released, by: [account], window: 7d}
rules:
  - {id: jump, when: before > 0 and spent > before * 100}
  - {id: often, when: asked > 1000000}
  - {id: much, when: granted > 1000000000}
"""


def policy(function: str) -> Policy:
    return load(
        HEAD + f"aggregates: {{a: {{{function}, over: 'decisions:submitted', by: [account], "
        "window: 24h}}\n",
        path="w.yaml",
    )


def cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def in_memory(function: str, rounds: int, *, keys: int = KEYS) -> float:
    """µs of one update and one read."""
    made = policy(function)
    chance = random.Random(1)
    past = History()
    at = START
    records = [
        made.ingest({"account": f"a{n % keys}", "risk": chance.random(), "amount": "12.34"})
        for n in range(4 * keys)
    ]

    def one(record: object) -> None:
        nonlocal at
        at += DAY // (40 * keys)
        past.decided(made, record, "submitted", at)  # type: ignore[arg-type]

    for number in range(40 * keys):  # a day of traffic
        one(records[number % len(records)])
    (read,) = made.aggregate_reads(records[0], at)
    adds = [made.aggregate_adds(record, "submitted", at)[0] for record in records]
    lines = past._lines
    name = read.name

    def work() -> None:
        for number in range(rounds):
            add = adds[number % len(adds)]
            past.take(add)
            line = lines[add.series, add.key]
            if read.summed:
                line.sums(read.start, read.end)
            else:
                made.aggregate_value(name, -(2**62), line.rows(read.start, read.end), at)

    return median(cpu(work) for _ in range(5)) / rounds * 1e6


def in_store(folder: Path, rounds: int, group: int) -> float:
    """µs of CPU of one update and one read in SQLite, so many in a transaction."""
    made = policy("sum: amount")
    at = START
    store = SqliteStore.open(str(folder / f"g{group}.db"), settings=Settings())
    records = [made.ingest({"account": f"a{n}", "risk": 0.5, "amount": "1"}) for n in range(KEYS)]
    series = made.series[0]
    store.write(lambda tx: tx.buckets.start(series.id, series.source, 0))
    moments = range(at - DAY, at, DAY // 40)

    def fill(moment: int) -> None:
        adds = [made.aggregate_adds(record, "submitted", moment)[0] for record in records]
        store.write(lambda tx: add_all(tx.buckets, adds))

    for moment in moments:
        fill(moment)
    adds = [made.aggregate_adds(record, "submitted", at) for record in records]
    reads = [made.aggregate_reads(record, at)[0] for record in records]

    def work() -> None:
        for first in range(0, rounds, group):
            many = range(first, min(first + group, rounds))

            def use_case(tx: object, many: range = many) -> None:
                for number in many:
                    read = reads[number % KEYS]
                    tx.buckets.total(read.series, read.key, read.start, read.end)  # type: ignore[attr-defined]
                    add_all(tx.buckets, adds[number % KEYS])  # type: ignore[attr-defined]

            store.write(use_case)

    try:
        return median(cpu(work) for _ in range(5)) / rounds * 1e6
    finally:
        store.close()


def in_decisions(folder: Path, rounds: int) -> tuple[float, float]:
    """µs of CPU of a submit without aggregates, and what each of four adds to it."""
    stores = []
    for name, text in (("none", HEAD), ("four", HEAD + FOUR)):
        store = SqliteStore.open(str(folder / f"{name}.db"), settings=Settings())
        ports = Ports(store=store, shelf=Shelf(), secret=b"s" * 32)
        activate(load(text, path="w.yaml"), {}, PROGRAM, ports)
        stores.append(ports)
    spent: list[list[float]] = [[], []]
    number = 0
    for _ in range(9):
        for place, ports in enumerate(stores):
            rows = [
                Submit(
                    workflow="w",
                    key=f"k{number + n}",
                    facts={"account": f"a{n % KEYS}", "risk": 0.5, "amount": "12.34"},
                )
                for n in range(rounds)
            ]
            command = SubmitBatch(rows=rows)
            spent[place].append(cpu(lambda c=command, p=ports: submit_batch(c, PROGRAM, p)))  # type: ignore[misc]
        number += rounds
    for ports in stores:
        ports.store.close()
    pairs = [(b - a) / 4 for a, b in zip(*spent, strict=True)]
    return median(spent[0]) / rounds * 1e6, median(pairs) / rounds * 1e6


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=20_000, help="updates and reads")
    given = parser.parse_args()
    rounds = given.rounds
    folder = Path(tempfile.mkdtemp(prefix="handrail-aggregates-"))
    try:
        how = f"{KEYS:,} keys, a window of 24 h, one update and one read, thread CPU"
        figures = [
            Figure.at_most("count or sum in memory", in_memory("sum: amount", rounds), "µs",
                           goal=2, how=how),
            *(
                Figure.plain(f"{name} in memory", in_memory(said, rounds // 20, keys=50), "µs",
                             how="50 keys, as above, 24 buckets with bodies")
                for name, said in (
                    ("stddev", "stddev: amount"),
                    ("largest", "largest: amount"),
                    ("last", "last: amount"),
                    ("distinct", "distinct: account"),
                    ("quantile", "quantile: 0.95, of: risk"),
                )
            ),
            Figure.at_most("sum in SQLite, 100 a transaction", in_store(folder, rounds, 100), "µs",
                           goal=25, how="CPU of the process, the commit included"),
            Figure.plain("sum in SQLite, one a transaction", in_store(folder, rounds // 10, 1),
                         "µs", how="as above; mostly the commit and the hand-over to the writer"),
        ]  # fmt: skip
        bare, each = in_decisions(folder, rounds // 10)
        figures += [
            Figure.plain("a submit without aggregates", bare, "µs", how="batch, CPU"),
            Figure.at_most("an aggregate in a submit", each, "µs", goal=25,
                           how="four of them: a read each and an update each, beside none"),
        ]  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(figures, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
