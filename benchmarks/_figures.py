"""How every benchmark prints its figures: one table for people, `--json` for programs.

A benchmark measures, builds one `Figure` a number and hands them to `show`::

    from _figures import Figure, show

    show([Figure.at_most("verify 1 M entries", 2.1, "s", goal=5, how="one process, best of 3")])

Run alone (`python benchmarks/NAME.py`) it prints a table; with `--json` it prints one JSON list of
`{name, value, unit, goal, met, how, date}`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number.

    `value` is in `unit`; `goal` is the wanted bound as text (`"<= 5"`), or None where there is no
    goal; `met` is None exactly where `goal` is; `how` says in one line what was run; `date` is the
    UTC day of the run.
    """

    name: str
    value: float
    unit: str
    goal: str | None = None
    met: bool | None = None
    how: str = ""
    date: str = field(default_factory=_today)

    @classmethod
    def plain(cls, name: str, value: float, unit: str, *, how: str = "") -> Figure:
        """A figure without a goal."""
        return cls(name=name, value=value, unit=unit, how=how)

    @classmethod
    def at_most(cls, name: str, value: float, unit: str, *, goal: float, how: str = "") -> Figure:
        """A figure that meets its goal when `value <= goal` (times, costs)."""
        return cls(
            name=name,
            value=value,
            unit=unit,
            goal=f"<= {goal:g}",
            met=value <= goal,
            how=how,
        )

    @classmethod
    def at_least(cls, name: str, value: float, unit: str, *, goal: float, how: str = "") -> Figure:
        """A figure that meets its goal when `value >= goal` (rates, shares)."""
        return cls(
            name=name,
            value=value,
            unit=unit,
            goal=f">= {goal:g}",
            met=value >= goal,
            how=how,
        )


def arguments(description: str) -> argparse.ArgumentParser:
    """The parser every benchmark starts from; it carries `--json`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of text")
    return parser


def number(value: float) -> str:
    """A figure as people read it: three significant digits, thousands separated."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def show(figures: Sequence[Figure], *, as_json: bool | None = None) -> None:
    """Print `figures` to standard output; `as_json=None` looks for `--json` in `sys.argv`."""
    if as_json is None:
        as_json = "--json" in sys.argv[1:]
    if as_json:
        print(json.dumps([asdict(figure) for figure in figures], indent=2))
        return
    rows = [("figure", "value", "unit", "goal", "met", "how")]
    for figure in figures:
        met = "" if figure.met is None else "yes" if figure.met else "NO"
        rows.append(
            (
                figure.name,
                number(figure.value),
                figure.unit,
                figure.goal or "",
                met,
                figure.how,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if column == 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
