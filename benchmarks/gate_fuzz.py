"""Random policies over random records: five engines must say the same about every cell.

    python benchmarks/gate_fuzz.py --cells 10000000 --seed 1

A cell is one rule of one record, true, false or unknown. The reference evaluates every one; the
generated program, columns, DuckDB and Google's CEL are held against it (`tests/gate_oracles.py`
says which cells each of them answers for). The seed of every policy is `--seed` and onwards, and
stands before each difference.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from _figures import Figure, arguments, show  # noqa: E402

from tests.gate_oracles import Counts, compare  # noqa: E402

RULES, RECORDS = 30, 4_000


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--cells", type=int, default=600_000, help="how many; default 600,000")
    parser.add_argument("--seed", type=int, default=1, help="of the first policy; default 1")
    given = parser.parse_args()
    total, seed = Counts(), given.seed
    while total.cells["generated"] < given.cells:
        # Every fourth policy is one that CEL can be asked about.
        total.add(compare(seed, rules=RULES, records=RECORDS, plain=seed % 4 == 0))
        seed += 1
        print(
            f"seed {seed - 1}: {total.cells['generated']:,} cells, "
            f"{total.differ.total()} differences",
            file=sys.stderr,
            flush=True,
        )
    for example in total.examples:
        print(example, file=sys.stderr)
    policies = f"{seed - given.seed} policies, seeds {given.seed} to {seed - 1}"
    cells = total.cells
    share = 100 * total.unknown / cells["generated"]
    figures = [
        Figure.at_most("differences", total.differ.total(), "cells", goal=0, how=policies),
        Figure.plain("cells", cells["generated"], "cells", how=f"{share:.0f} % unknown"),
    ]
    for name in ("generated", "columns", "sql", "cel"):
        how = "compared with the reference"
        if name == "columns":
            how += f"; {cells['columns: judged alone']:,} more went to the exact evaluator"
        figures.append(Figure.plain(f"cells_{name}", cells[name], "cells", how=how))
    show(figures, as_json=given.json)
    raise SystemExit(1 if total.differ else 0)


if __name__ == "__main__":
    main()
