"""The stored log of a workflow as frames: facts and proposals by declared field, rulings, truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec
import polars as pl

from handrail.assure.backtest import Looked
from handrail.bulk.backtest import LOOKED, Known, masks
from handrail.gate import Policy
from handrail.model.decoding import decoder
from handrail.model.errors import BadInput
from handrail.model.feedback import Label
from handrail.model.modes import Lane, Mode, Verdict
from handrail.model.policy import Field
from handrail.ports import Past

BATCH = 50_000
"""Decisions read into one frame."""
CONFIDENCE = "confidence"
_RANKS = {mode.value: mode.rank for mode in Mode}
_TYPES: dict[str, Any] = {"bool": pl.Boolean, "double": pl.Float64, "int": pl.Int64}
"""Kind of a field → type of its stored form; all others are stored as text."""


class _Body(msgspec.Struct):
    id: str
    submitted_at: int
    facts: dict[str, Any] = {}
    proposal: dict[str, Any] = {}
    confidence: float | dict[str, float] | None = None
    test: bool = False


class _Rule(msgspec.Struct):
    rule: str


class _Coin(msgspec.Struct):
    kind: str
    probability: float
    drawn: bool


class _Ruling(msgspec.Struct):
    lane: str
    mode: str
    fired: tuple[_Rule, ...] = ()
    coins: tuple[_Coin, ...] = ()
    stopped: str | None = None


_body = decoder(_Body).decode
_ruling = decoder(_Ruling).decode
_label = decoder(Label).decode


class PastFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Some decisions of the log, oldest first."""

    frame: pl.DataFrame
    """One column a declared field, by its dotted name, in the stored form; and `confidence`."""
    known: Known
    times: pl.Series
    """Int64: when they were submitted, µs UTC."""
    ids: tuple[str, ...]
    """The decisions' ids."""
    tests: int
    """Decisions that were left out because they were submitted as tests."""
    reviews: tuple[str, ...]
    """Reviews of these decisions, in their order."""


def headers(policy: Policy) -> list[str]:
    """The columns of the frames of a policy's log."""
    return [*(field.name for field in policy.fields if field.kind != "object"), CONFIDENCE]


def past_frames(past: Iterable[Past], policy: Policy) -> Iterator[PastFrame]:
    """The log in frames of at most `BATCH` decisions."""
    fields = [field for field in policy.fields if field.kind != "object"]
    if any(field.name == CONFIDENCE for field in fields):
        raise BadInput(f"{policy.workflow} has a field named {CONFIDENCE}")
    rows = iter(past)
    while batch := list(islice(rows, BATCH)):
        yield _frame(batch, fields)


def _frame(batch: list[Past], fields: list[Field]) -> PastFrame:
    bodies, rulings, seen = [], [], []
    for one in batch:
        body = _body(one.body)
        if body.test:
            continue
        bodies.append(body)
        rulings.append(_ruling(one.ruling))
        seen.append(one)
    columns = []
    for field in fields:
        side = [body.proposal for body in bodies] if field.proposed else [b.facts for b in bodies]
        columns.append(pl.Series(field.name, _values(side, field), dtype=_type(field), strict=True))
    sure = [
        min(body.confidence.values(), default=None)
        if isinstance(body.confidence, dict)
        else body.confidence
        for body in bodies
    ]
    frame = pl.DataFrame([*columns, pl.Series(CONFIDENCE, sure, dtype=pl.Float64)])
    return PastFrame(
        frame=frame,
        known=_known(seen, bodies, rulings),
        times=pl.Series([body.submitted_at for body in bodies], dtype=pl.Int64),
        ids=tuple(body.id for body in bodies),
        tests=len(batch) - len(bodies),
        reviews=tuple(one.review for one in seen if one.review is not None),
    )


def _values(side: list[dict[str, Any]], field: Field) -> list[Any]:
    *above, last = field.name.split(".")
    if not above:
        return [values.get(last) for values in side]
    found = []
    for values in side:
        inner: Any = values
        for step in above:
            inner = inner.get(step) if isinstance(inner, dict) else None
        found.append(inner.get(last) if isinstance(inner, dict) else None)
    return found


def _type(field: Field) -> Any:
    if field.kind == "list":
        return pl.List(_TYPES.get(field.of or "string", pl.String))
    return _TYPES.get(field.kind, pl.String)


def _known(seen: list[Past], bodies: list[_Body], rulings: list[_Ruling]) -> Known:
    bad: list[bool | None] = []
    looked: list[int] = []
    chance: list[float] = []
    fired: dict[str, list[int]] = {}
    for at, (one, body, ruling) in enumerate(zip(seen, bodies, rulings, strict=True)):
        truth = truth_of(one, body.proposal)
        uniform = next((coin for coin in ruling.coins if coin.kind == "uniform"), None)
        drawable = ruling.lane == Lane.PASS and uniform is not None and uniform.probability > 0
        drawn = drawable and uniform is not None and uniform.drawn
        if truth is not None:
            how = Looked.DRAWN if drawn else Looked.JUDGED
        else:
            how = Looked.SPARED if drawable else Looked.UNSEEN
        bad.append(truth)
        looked.append(LOOKED.index(how))
        chance.append(uniform.probability if drawable and uniform is not None else 0.0)
        for rule in ruling.fired:
            fired.setdefault(rule.rule, []).append(at)
    return Known(
        bad=pl.Series(bad, dtype=pl.Boolean),
        looked=pl.Series(looked, dtype=pl.UInt8),
        chance=pl.Series(chance, dtype=pl.Float64),
        rank=pl.Series([_RANKS[ruling.mode] for ruling in rulings], dtype=pl.UInt8),
        fired=masks(fired, len(seen)),
    )


def truth_of(past: Past, proposal: dict[str, Any]) -> bool | None:
    """Whether it was (or would have been) wrong to let the proposal pass; None: nobody knows.

    The latest label counts first: what it says of `wrong`, else whether its truth differs from the
    proposal. Then what people said: an approval as proposed means right, an edit or a rejection
    means wrong, in a review as in a spot check.
    """
    if past.label is not None:
        label = _label(past.label)
        if label.wrong is not None:
            return label.wrong
        if isinstance(label.truth, dict):
            return any(proposal.get(name) != value for name, value in label.truth.items())
        if len(proposal) == 1:
            [value] = proposal.values()
            return bool(value != label.truth)
    return None if past.said is None else past.said != Verdict.APPROVED
