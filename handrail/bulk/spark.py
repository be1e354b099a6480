"""The gate on a cluster: the same plan in every Spark worker, one Arrow batch at a time.

There is no translation into Spark's own expressions, so nothing can mean something else there. The
policy's text, the files it reads and what its stored lists hold are shipped with the job and loaded
in the worker, which needs `handrail[spark]` installed and has to be the Python that Spark starts
(`PYSPARK_PYTHON`). Frames of Structured Streaming work as they are.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from handrail.bulk.write import RESULTS
from handrail.gate import Policy, load
from handrail.model.errors import BadInput
from handrail.packs.checks import CHECKS

if TYPE_CHECKING:
    from handrail.bulk.frames import BulkGate


def gate(
    df: Any,
    policy: Policy | str | Path,
    *,
    proposal: Sequence[str] = (),
    confidence: str | None = None,
    why: bool = True,
    lists: Mapping[str, Sequence[str]] | None = None,
) -> Any:
    """The Spark frame with lane, mode, rules and reasons behind its columns.

    `df` may be a batch or a stream. `policy` is the path of a policy file (files it names are read
    from beside it, here and now), or a loaded policy that names no files; `lists` says what its
    stored lists hold, as for `handrail.bulk.gate`, and goes with the job. The rest is as for
    `handrail.bulk.BulkGate`. Raises `BadInput` where Spark would start a Python without Handrail.
    """
    shipped = _shipped(policy, lists, tuple(proposal), confidence, why)
    import polars as pl

    # Here already, so that a column that is named and not there is said before a job begins.
    _loaded(shipped).judge(pl.DataFrame(schema=dict.fromkeys(df.columns, pl.String)))
    _same_python(df)
    return df.mapInArrow(_Worker(shipped), _schema(df.schema, why))


class _Shipped(NamedTuple):
    """What goes with a job: all that a worker needs to make the same gate."""

    text: str
    path: str
    files: tuple[tuple[str, bytes], ...]
    lists: tuple[tuple[str, tuple[str, ...]], ...]
    """What the stored lists hold."""
    checks: tuple[str, ...]
    """Installed checks that the policy runs."""
    proposal: tuple[str, ...]
    confidence: str | None
    why: bool


class _Worker:
    """What runs in a worker: from batches to batches."""

    def __init__(self, shipped: _Shipped) -> None:
        self._shipped = shipped

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        made = _loaded(self._shipped)
        for batch in batches:
            yield made.evaluate_arrow(batch)


@lru_cache(maxsize=8)
def _loaded(shipped: _Shipped) -> BulkGate:
    """A worker process serves many tasks: it loads a policy once."""
    from handrail.bulk.frames import BulkGate

    policy = load(
        shipped.text,
        path=shipped.path,
        read_file=dict(shipped.files).__getitem__,
        run_cases=False,
        checks={name: CHECKS[name] for name in shipped.checks},
    )
    if policy.stored_lists:
        policy = policy.with_lists(dict(shipped.lists), {})
    return BulkGate(
        policy, proposal=shipped.proposal, confidence=shipped.confidence, why=shipped.why
    )


def _shipped(
    policy: Policy | str | Path,
    lists: Mapping[str, Sequence[str]] | None,
    proposal: tuple[str, ...],
    confidence: str | None,
    why: bool,
) -> _Shipped:
    from handrail.bulk.frames import with_lists

    files: dict[str, bytes] = {}
    if isinstance(policy, Policy):
        if policy.draft.file_digests:
            raise BadInput(
                f"the policy {policy.workflow} reads files; give the path of the policy instead, "
                "so that they can be shipped with it"
            )
        loaded = policy if lists is None else with_lists(policy, lists)
    else:
        place = Path(policy)

        def read(name: str) -> bytes:
            files[name] = (place.parent / name).read_bytes()
            return files[name]

        try:
            text = place.read_bytes()
        except OSError as error:
            raise BadInput(f"{place}: {error.strerror or error}; name a policy file") from error
        loaded = load(text, path=str(place), read_file=read, checks=CHECKS)
        loaded = with_lists(loaded, lists or {})
    checks = tuple(name for name in loaded.checks if name in loaded.installed)
    for name in checks:
        if loaded.installed[name] is not CHECKS.get(name):
            raise BadInput(
                f"the code of the check {name} is of this program, and a worker would not have it; "
                "run checks that a pack installs"
            )
    return _Shipped(
        text=loaded.text,
        path=loaded.path,
        files=tuple(sorted(files.items())),
        lists=tuple((name, loaded.lists[name]) for name in loaded.stored_lists),
        checks=checks,
        proposal=proposal,
        confidence=confidence,
        why=why,
    )


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
