"""The same gate over files and frames: rows in, rulings out, whatever is wrong with a row beside.

    gate(data, policy)       a Polars, pandas or Arrow table with lane, mode, rules and reasons
    BulkGate(policy)         the same, made once for many batches; `evaluate_arrow(batch)`
    spark.gate(df, policy)   the same plan on a cluster

    names.py     headers of a file → names a policy can use
    read.py      CSV, JSON Lines and Parquet as rows with their numbers
    cells.py     one cell → the value its declared field takes
    judge.py     rows through a policy, one by one, with the tally
    typed.py     cells as typed columns, and which rows are odd
    columns.py   a policy's conditions as Polars expressions (numbers.py, patterns.py)
    frames.py    a frame through a policy: columns where they are certain, else the row path
    ranks.py     the exact rank of rows in a file, for `top: 5%`
    files.py     a file in batches; a run that was cut off goes on
    write.py     results and bad rows
    infer.py     what the columns of a file look like
    draft.py     a first policy from columns or from a typed model

CSV and JSON Lines are read in one own pass, because they have to be exact about rows (line numbers,
ragged rows, keys that stand twice). Polars is loaded only where columns are judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handrail.bulk.frames import BulkGate, gate

__all__ = ["BulkGate", "gate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from handrail.bulk import frames

        return getattr(frames, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
