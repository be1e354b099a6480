"""The gate on a cluster: the same plan in every Spark worker, one Arrow batch at a time.

There is no translation into Spark's own expressions, so nothing can mean something else there. The
policy's text and the files it reads are shipped with the job and loaded in the worker, which needs
`handrail[spark]` installed and has to be the Python that Spark starts (`PYSPARK_PYTHON`). Frames of
Structured Streaming work as they are.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handrail.bulk.write import RESULTS
from handrail.gate import Policy, load
from handrail.model.errors import BadInput

if TYPE_CHECKING:
    from handrail.bulk.frames import BulkGate


def gate(
    df: Any,
    policy: Policy | str | Path,
    *,
    proposal: Sequence[str] = (),
    confidence: str | None = None,
    why: bool = True,
) -> Any:
    """The Spark frame with lane, mode, rules and reasons behind its columns.

    `df` may be a batch or a stream. `policy` is the path of a policy file (files it names are read
    from beside it, here and now), or a loaded policy that names no files. The rest is as for
    `handrail.bulk.BulkGate`. Raises `BadInput` where Spark would start a Python without Handrail.
    """
    text, path, files = _shipped(policy)
    made = _loaded(text, path, files, tuple(proposal), confidence, why)
    import polars as pl

    made.judge(pl.DataFrame(schema=dict.fromkeys(df.columns, pl.String)))  # columns that are named
    _same_python(df)
    worker = _Worker(text, path, files, tuple(proposal), confidence, why)
    return df.mapInArrow(worker, _schema(df.schema, why))


class _Worker:
    """What runs in a worker: from batches to batches."""

    def __init__(self, *told: Any) -> None:
        self._told = told

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        made = _loaded(*self._told)
        for batch in batches:
            yield made.evaluate_arrow(batch)


@lru_cache(maxsize=8)
def _loaded(
    text: str,
    path: str,
    files: tuple[tuple[str, bytes], ...],
    proposal: tuple[str, ...],
    confidence: str | None,
    why: bool,
) -> BulkGate:
    """A worker process serves many tasks: it loads a policy once."""
    from handrail.bulk.frames import BulkGate

    policy = load(text, path=path, read_file=dict(files).__getitem__, run_cases=False)
    return BulkGate(policy, proposal=proposal, confidence=confidence, why=why)


def _shipped(policy: Policy | str | Path) -> tuple[str, str, tuple[tuple[str, bytes], ...]]:
    """The text of a policy, its name, and the content of the files it reads."""
    if isinstance(policy, Policy):
        if policy.draft.file_digests:
            raise BadInput(
                f"the policy {policy.workflow} reads files; give the path of the policy instead, "
                "so that they can be shipped with it"
            )
        return policy.text, policy.path, ()
    place = Path(policy)
    files: dict[str, bytes] = {}

    def read(name: str) -> bytes:
        files[name] = (place.parent / name).read_bytes()
        return files[name]

    try:
        text = place.read_bytes()
    except OSError as error:
        raise BadInput(f"{place}: {error.strerror or error}; name a policy file") from error
    loaded = load(text, path=str(place), read_file=read)
    return loaded.text, str(place), tuple(sorted(files.items()))


def _schema(shape: Any, why: bool) -> Any:
    from pyspark.sql.types import ArrayType, StringType, StructField, StructType

    kinds = [StringType(), StringType(), ArrayType(StringType()), ArrayType(StringType())]
    if why:
        kinds.append(StringType())
    made = [StructField(name, kind) for name, kind in zip(RESULTS, kinds, strict=False)]
    return StructType([*shape.fields, *made])


def _same_python(df: Any) -> None:
    """On one machine, refuse what would fail in the worker with a missing module."""
    try:
        context = df.sparkSession.sparkContext
        local, name = str(context.master).startswith("local"), str(context.pythonExec)
    except Exception:
        return  # a remote session: its workers cannot be seen from here
    found = shutil.which(name)
    if local and (found is None or Path(found).parent != Path(sys.executable).parent):
        raise BadInput(
            f"Spark would start {found or name!r} in its workers, and this program runs in "
            f"{sys.executable}; set PYSPARK_PYTHON to that before the session is made"
        )
