"""Observations: what was recorded in a stream, for aggregates to read."""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.model.noun import Noun


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a stream, as it is stored."""

    stream: str
    submitter: str
    key: str
    """What names it: the same submitter and key is the same observation."""
    batch: str
    """Id of the batch it came in (b_…)."""
    at: int
    """When it happened, µs UTC. For a day without a time: the start of that day in UTC."""
    day: bool
    """True for a day without a time: it lies where an aggregate's own zone has that day."""
    recorded_at: int
    """µs UTC."""
    facts: dict[str, Any]


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to one row of a batch."""

    status: str
    """`recorded`; `repeated` (it was there before); `late` (older than what is kept: not stored);
    `bad` (not stored)."""
    late: tuple[str, ...] = ()
    """Aggregates (`workflow/name`) that it came too late for."""
    error: dict[str, Any] | None = None
    """What was wrong with a bad row, as a problem document; see `handrail.model.problem`."""


class Recorded(Noun, frozen=True, kw_only=True):
    """What became of the rows of a batch."""

    stream: str
    recorded: int
    repeated: int
    late: int
    bad: int
    read_by: tuple[str, ...]
    """Aggregates (`workflow/name`) that read the stream now; none may mean a misspelt name."""
    rows: tuple[Recording, ...]
    """One a row, in order."""

    def _repr_html_(self) -> str:
        from handrail.model.html import html_table

        return html_table(
            f"Stream {self.stream}",
            [(name, str(getattr(self, name))) for name in ("recorded", "repeated", "late", "bad")]
            + [("read by", ", ".join(self.read_by) or "nobody")],
        )


__all__ = ["Observation", "Recorded", "Recording"]
