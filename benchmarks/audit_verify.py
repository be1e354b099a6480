"""What the audit log costs: verifying 1,000,000 entries, proving one of them, appending one.

    python benchmarks/audit_verify.py [--entries N] [--json]

Verification is `verify_export` over an export in memory: canonical form of every line, leaf
hashes, roots at two checkpoints and an anchor, signatures, proofs. One process.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from _figures import Figure, arguments, show

from handrail.audit import Frontier, encode, events, leaf_hash
from handrail.audit.checkpoint import open_checkpoint, sign_checkpoint
from handrail.audit.export import export_files, verify_export
from handrail.audit.note import SignerKey
from handrail.audit.proof import make_proof, verify_proof
from handrail.audit.tree import next_level
from handrail.model.ids import new_id

KEY = SignerKey.from_seed("handrail.example/log", bytes(range(32)))
PIECE = 1 << 20


class Export:
    """An export in memory, read in pieces as from a file."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def names(self) -> list[str]:
        return list(self.files)

    def pieces(self, name: str) -> Iterator[bytes]:
        data = self.files[name]
        for start in range(0, len(data), PIECE):
            yield data[start : start + PIECE]


def make_entries(count: int) -> list[bytes]:
    """Vote entries as the log holds them, each another vote at another time."""
    now = 1_790_000_000_000_000
    review, person = new_id("r", now), new_id("p", now)
    return [
        encode(
            events.entry(
                "vote.cast",
                at=now + number,
                actor=person,
                vote=new_id("v", now + number),
                review=review,
                round=1,
                person=person,
                said="approve",
                commit=f"{number:064x}",
                ms=number % 60_000,
            )
        )
        for number in range(count)
    ]


def append_cost() -> float:
    """Microseconds an entry: build, encode, leaf hash, tree nodes (the store's write apart)."""
    now = 1_790_000_000_000_000
    ids = {"vote": new_id("v", now), "review": new_id("r", now), "person": new_id("p", now)}
    frontier = Frontier()
    rounds = []
    for _ in range(5):
        started = time.perf_counter()
        for number in range(20_000):
            made = events.entry(
                "vote.cast",
                at=now + number,
                actor=ids["person"],
                round=1,
                said="approve",
                commit=64 * "0",
                **ids,
            )
            frontier, _nodes = frontier.append(leaf_hash(encode(made)))
        rounds.append((time.perf_counter() - started) / 20_000)
    return min(rounds) * 1e6


def run(count: int) -> list[Figure]:
    """Measure at `count` entries."""
    entries = make_entries(count)
    levels = [[leaf_hash(line) for line in entries]]
    while len(levels[-1]) > 1:
        levels.append(next_level(levels[-1]))
    heads = [
        sign_checkpoint(size, Frontier().extend(levels[0][:size]).root(), KEY)
        for size in (count // 2, count)
    ]

    def read(level: int, index: int) -> bytes:
        return levels[level][index]

    files = {
        name: b"".join(pieces)
        for name, pieces in export_files(
            entries=lambda start, end: entries[start:end],
            leaves=lambda start, end: levels[0][start:end],
            nodes=read,
            checkpoint=heads[1],
            key=KEY.verifier,
            earlier=heads[:1],
        )
    }
    times = []
    for _ in range(3):
        started = time.perf_counter()
        report = verify_export(Export(files), keys=[KEY.verifier], anchors=[("anchor", heads[0])])
        times.append(time.perf_counter() - started)
        assert report.ok and report.size == count, report.problems
    size = len(files["entries.jsonl"]) // count
    proofs = []
    for index in range(0, count, max(count // 1000, 1)):
        started = time.perf_counter()
        proof = make_proof(index, heads[1], read)
        proofs.append((time.perf_counter() - started) * 1e3)
        assert verify_proof(proof, entries[index], [KEY.verifier]).size == count
    assert open_checkpoint(heads[1], [KEY.verifier]).size == count
    label = f"{count:,} entries"
    return [
        Figure.at_most(
            f"verify {label}",
            statistics.median(times),
            "s",
            goal=5 * count / 1_000_000,
            how=f"export in memory, {size} bytes an entry, median of 3, one process",
        ),
        Figure.at_most(
            f"inclusion proof at {label}",
            max(proofs),
            "ms",
            goal=5,
            how=f"slowest of {len(proofs)}, nodes in memory",
        ),
        Figure.plain(
            "append one entry",
            append_cost(),
            "us",
            how="build, check, encode, leaf hash, tree nodes; without the database's write",
        ),
    ]


if __name__ == "__main__":
    parser = arguments(__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--entries", type=int, default=1_000_000, metavar="N")
    given = parser.parse_args()
    show(run(given.entries), as_json=given.json)
