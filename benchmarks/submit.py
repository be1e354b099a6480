"""What a durable submit costs in process, beside bare inserts of the very same rows.

    python benchmarks/submit.py [--decisions N] [--json]

The product submits campaign launches under the packaged policy (one in eight is held for a
person) into a store on disk: gate, ruling, review or outcome and grant, audit entries, tree. Then
the rows it wrote are read back and inserted by `executemany` into an empty database of the same
schema and settings, as many decisions a commit: the raw rate. Every figure is the best of three
runs, product and raw in turn, so that both meet the same machine. What the log costs a vote is the
difference in CPU of votes cast with it and without it, portion by portion in turn.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import apsw
from _figures import Figure, arguments, show

from handrail.flow import USE_CASES, Ports, Shelf, activate
from handrail.flow import close as flow_close
from handrail.flow import records as flow_records
from handrail.flow.submit import submit, submit_batch
from handrail.gate import load
from handrail.model.commands import CastVote, GetReview, Submit, SubmitBatch
from handrail.model.people import Actor
from handrail.settings import Settings
from handrail.store.clock import now_us
from handrail.store.sqlite import SqliteStore
from handrail.store.sqlite.connection import connect
from handrail.store.sqlite.schema import migrate
from handrail.store.sqlite.writer import CHECKPOINT_PAGES

POLICY = Path(flow_records.__file__).parents[1] / "packs" / "marketing" / "campaign-launch.yaml"
PROGRAM = Actor(name="planner")
PERSON = Actor(name="ana@example.org", program=False)
GROUP = Settings().group_commit_max
THREADS = 32
RUNS = 3
CONTEXT = {"brief": "Spring sale, second wave; same audience as in March. " * 16}


def commands(count: int, *, held: int) -> list[Submit]:
    """Campaign launches of about 2 KB as stored; every `held`-th is over the cap."""
    return [
        Submit(
            workflow="campaign-launch",
            key=f"k{number}",
            facts={
                "campaign_id": f"c{number}",
                "channel": ("search", "social", "display")[number % 3],
                "utm_source": "google",
                "median_budget": 4000,
            },
            proposal={"daily_budget": 12_000 if number % held == 0 else 500 + number % 7000},
            confidence=0.97,
            model="planner@3",
            context=CONTEXT,
        )
        for number in range(count)
    ]


@contextmanager
def product(folder: Path, *, group: int = GROUP) -> Iterator[Ports]:
    """The verbs over a new store on disk, the packaged policy active."""
    policy = load(POLICY.read_bytes(), path=POLICY.name, read_file=lambda name: b"")
    store = SqliteStore.open(str(folder / "store.db"), settings=Settings(group_commit_max=group))
    ports = Ports(store=store, shelf=Shelf(), secret=bytes(32))
    try:
        activate(policy, {}, PERSON, ports)
        yield ports
    finally:
        store.close()


@contextmanager
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="handrail-bench-", dir=os.environ.get("HANDRAIL_BENCH")))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def rate(count: int, run: Callable[[], object]) -> float:
    """Per second of wall clock."""
    start = time.perf_counter()
    run()
    return count / (time.perf_counter() - start)


def submit_many(ports: Ports, asked: list[Submit]) -> None:
    """As `Client.submit_many` hands them in."""
    for start in range(0, len(asked), 1000):
        rows = asked[start : start + 1000]
        answers = submit_batch(SubmitBatch(rows=rows), PROGRAM, ports)
        if any(answer.ruling is None for answer in answers):
            raise SystemExit(f"a submit failed: {answers}")


def submit_threads(ports: Ports, asked: list[Submit]) -> None:
    """32 callers, each waiting for its answer before the next."""
    with ThreadPoolExecutor(THREADS) as pool:
        parts = [asked[part::THREADS] for part in range(THREADS)]
        list(pool.map(lambda part: [submit(one, PROGRAM, ports) for one in part], parts))


# ------------------------------------------------------------------------------------ raw rows

Rows = dict[str, tuple[str, list[tuple[Any, ...]]]]


def written(path: Path) -> Rows:
    """By table: the insert and the rows, in the order they were made."""
    connection = connect(str(path), vfs=None, writing=False)
    orders = {
        "review_asks": "review",
        "subject_keys": "made_at",
    }
    found: Rows = {}
    tables = "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
    for table, without_rowid in connection.execute(tables).fetchall():
        if str(table).startswith("sqlite_") or table == "schema_version":
            continue
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        order = orders.get(str(table), "1" if without_rowid else "rowid")
        columns = ", ".join(map(str, names))
        places = ", ".join("?" * len(names))
        rows = connection.execute(f"SELECT {columns} FROM {table} ORDER BY {order}").fetchall()
        if rows:
            found[str(table)] = (f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)
    connection.close()
    return found


def raw_batch_rate(rows: Rows, decisions: int, batch: int, folder: Path) -> float:
    """Decisions a second when `rows` are inserted with `batch` decisions a commit.

    Same schema, indexes, foreign keys and pragmas as the product; nothing else.
    """
    connection = connect(str(folder / "raw.db"), vfs=None, writing=True)
    migrate(connection, now_us())
    pages = 0

    def grew(_: apsw.Connection, __: str, count: int) -> int:
        nonlocal pages
        pages = count
        return apsw.SQLITE_OK

    connection.set_wal_hook(grew)
    commits = -(-decisions // batch)
    # Parents first: foreign keys hold here as well.
    order = ("policy_versions", "decisions", "reviews")
    tables = sorted(rows, key=lambda table: order.index(table) if table in order else len(order))

    def until(table: str, made: list[tuple[Any, ...]], number: int) -> int:
        """How many rows of a table stand after `number` commits.

        Parents go a little ahead: what hangs on them does not come in even steps.
        """
        ahead = {"decisions": 400, "reviews": 20}.get(table, 0) if number else 0
        return min(len(made), len(made) * number // commits + ahead)

    plan = [
        [
            (sql, made[until(table, made, number) : until(table, made, number + 1)])
            for table, (sql, made) in ((table, rows[table]) for table in tables)
        ]
        for number in range(commits)
    ]

    def insert() -> None:
        for parts in plan:
            connection.execute("BEGIN IMMEDIATE")
            for sql, part in parts:
                if part:
                    connection.executemany(sql, part)
            connection.execute("COMMIT")
            if pages >= CHECKPOINT_PAGES:
                connection.wal_checkpoint(None, apsw.SQLITE_CHECKPOINT_PASSIVE)

    try:
        return rate(decisions, insert)
    finally:
        connection.close()


# ------------------------------------------------------------------------------------ the log


@contextmanager
def without_log() -> Iterator[None]:
    """The verbs with neither entries nor commitments: what the log costs is the difference."""

    def note(*given: object, **fields: object) -> None:
        return None

    def commit(*given: object) -> str:
        return "0" * 64

    stand_ins: dict[Any, Any] = {
        flow_records.note: note,
        flow_records.commit: commit,
        flow_records.commit_bytes: commit,
        flow_records.field_key: lambda *given: b"",
        flow_close.seal_round: commit,
        flow_close._sealed: commit,
    }
    patched: list[tuple[Any, str, Any]] = []
    for name, module in list(sys.modules.items()):
        if name.startswith("handrail.flow"):
            for word, real in list(vars(module).items()):
                if callable(real) and real in stand_ins:
                    patched.append((module, word, real))
                    setattr(module, word, stand_ins[real])
    try:
        yield
    finally:
        for module, word, real in patched:
            setattr(module, word, real)


def vote_cpu(count: int, threads: int) -> tuple[float, float, float]:
    """µs of CPU (all threads) a durable vote that decides a review: with the log, without it, and
    the share of the log.

    In pairs of small portions, each way first in turn. All three are medians: of the portions, and
    of the shares pair by pair. So neither what else runs on the machine nor a long checkpoint that
    falls into one portion moves them.
    """
    with folder() as where, product(where) as ports:
        submit_many(ports, commands(count, held=1))
        opened = ports.store.read(
            lambda tx: tx.reviews.open_list(workflow=None, status="open", to=None, limit=count)
        )
        votes = []
        for review in opened:
            card = USE_CASES[GetReview](GetReview(review_id=review.id), PERSON, ports)
            votes.append(CastVote(review_id=card.review, said="approve", card=card.digest))
        if len(votes) != count:
            raise SystemExit(f"{len(votes)} reviews are open, expected {count}")
        cast = USE_CASES[CastVote]
        portion = 2 * threads if threads > 1 else 20
        spent: tuple[list[float], list[float]] = ([], [])
        with ThreadPoolExecutor(threads) as pool:

            def run(some: list[CastVote]) -> float:
                parts = [some[part::threads] for part in range(threads)]
                start = time.process_time()
                list(pool.map(lambda part: [cast(vote, PERSON, ports) for vote in part], parts))
                return (time.process_time() - start) / len(some) * 1e6

            for turn in range(count // portion // 2 * 2):
                some = votes[turn * portion : (turn + 1) * portion]
                if turn % 4 in (0, 3):
                    spent[0].append(run(some))
                else:
                    with without_log():
                        spent[1].append(run(some))
        shares = [1 - bare / logged for logged, bare in zip(*spent, strict=True)]
        return median(spent[0]), median(spent[1]), median(shares)


# ------------------------------------------------------------------------------------ figures


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--decisions", type=int, default=4000)
    count = parser.parse_args().decisions
    asked = commands(count, held=8)
    best: dict[str, float] = {}
    size = 0.0

    def keep(name: str, value: float) -> None:
        best[name] = max(best.get(name, 0.0), value)

    for _ in range(RUNS):
        with folder() as where:
            with product(where) as ports:
                keep("many", rate(count, lambda p=ports: submit_many(p, asked)))  # type: ignore[misc]
            rows = written(where / "store.db")
            size = (where / "store.db").stat().st_size / count
            keep("raw", raw_batch_rate(rows, count, GROUP, where))
        with folder() as where:
            keep("raw each", raw_batch_rate(rows, count, 1, where))
        with folder() as where, product(where) as ports:
            keep("threads", rate(count, lambda p=ports: submit_threads(p, asked)))  # type: ignore[misc]
        with folder() as where, product(where, group=1) as ports:
            keep("each", rate(count, lambda p=ports: submit_many(p, asked)))  # type: ignore[misc]
    cost = {threads: vote_cpu(count, threads) for threads in (1, THREADS)}

    def share(threads: int) -> float:
        return 100 * cost[threads][2]

    rows_each = sum(len(made) for _, made in rows.values()) / count
    how = f"{count} decisions of {size / 1024:.1f} KB and {rows_each:.1f} rows each"
    show(
        [
            Figure.plain("durable submit, submit_many", best["many"], "/s", how=how),
            Figure.plain(
                "durable submit, 32 threads", best["threads"], "/s", how="one caller, one answer"
            ),
            Figure.plain(
                "raw batches of the same rows", best["raw"], "/s", how=f"{GROUP} a commit"
            ),
            Figure.plain("raw, one commit each", best["raw each"], "/s", how="the same rows"),
            Figure.at_least(
                "submit_many ÷ raw batches",
                best["many"] / best["raw"],
                "ratio",
                goal=0.3,
                how="same rows, same database settings",
            ),
            Figure.at_least(
                "32 threads ÷ raw batches",
                best["threads"] / best["raw"],
                "ratio",
                goal=0.3,
                how="same rows, same database settings",
            ),
            Figure.at_least(
                "submit_many ÷ one commit each",
                best["many"] / best["each"],
                "ratio",
                goal=2,
                how=f"the product with groups of 1: {best['each']:.0f}/s",
            ),
            Figure.at_most(
                "the log's share of a vote, ungrouped",
                share(1),
                "% of CPU",
                goal=15,
                how="{:.0f} µs with, {:.0f} without".format(*cost[1]),
            ),
            Figure.at_most(
                "the log's share of a vote, 32 threads",
                share(THREADS),
                "% of CPU",
                goal=15,
                how="{:.0f} µs with, {:.0f} without".format(*cost[THREADS]),
            ),
        ]
    )


if __name__ == "__main__":
    main()
