"""Counts of a run of faults."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from tests.faults.checker import Finding

TEAM = "kills on PostgreSQL"
"""Kind of the runs that strike a team's installation."""
SURFACES = "competing surfaces on"
"""What the kind of such a run begins with."""
LOST = frozenset(("lost", "half", "unstored"))
TWICE = frozenset(("decided-twice", "ran-twice", "undone-too-late"))


class Tally(msgspec.Struct, kw_only=True):
    """What a run did and found."""

    kind: str
    faults: int = 0
    decisions: int = 0
    effects: int = 0
    in_doubt: int = 0
    struck: Counter[str] = msgspec.field(default_factory=Counter)
    """Faults at each named step."""
    others: int = 0
    """Restarts and cuts among the rounds, which are no kills."""
    outages: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)
    """Longest outages in seconds, by what was away and whose outage it was."""
    found: list[tuple[int, Finding]] = msgspec.field(default_factory=list)
    """Number of the fault, and the broken promise."""

    def add(self, number: int, found: list[Finding]) -> None:
        self.found += [(number, finding) for finding in found]

    def longest(self, what: str, seconds: dict[str, float]) -> None:
        """Count outages of `what`."""
        known = self.outages.setdefault(what, {})
        for whose, lasted in seconds.items():
            known[whose] = max(round(lasted, 3), known.get(whose, 0.0))

    @property
    def promises(self) -> set[str]:
        """Promises that were broken."""
        return {finding.promise for _, finding in self.found}

    def figures(self) -> dict[str, Any]:
        """For the result file."""
        broken = Counter(finding.promise for _, finding in self.found)
        figures: dict[str, Any] = {
            "kind": self.kind,
            "faults": self.faults,
            "decisions": self.decisions,
            "effects": self.effects,
            "in_doubt": self.in_doubt,
            "lost": sum(many for promise, many in broken.items() if promise in LOST),
            "twice": sum(many for promise, many in broken.items() if promise in TWICE),
            "other": sum(many for promise, many in broken.items() if promise not in LOST | TWICE),
            "struck": dict(sorted(self.struck.items())),
        }
        if self.others:
            figures["restarts_and_cuts"] = self.others
        if self.outages:
            figures["longest_outage_seconds"] = dict(sorted(self.outages.items()))
        return figures
