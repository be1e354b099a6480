"""Run every benchmark in turn and keep the figures: `make bench`.

Each `benchmarks/NAME.py` is run as `NAME.py --json` in its own process, one after the other, so
that none disturbs another. Its figures replace those it gave before in `results.json`; figures of
benchmarks that were not run, or that failed, stay with their date. `RESULTS.md` is drawn from that
file and from nothing else.

    make bench                      every benchmark
    make bench ARGS="gate store"    these two
    make bench ARGS=--render        only draw RESULTS.md again

Exit codes: 0 all ran and met their goals, 1 a goal is not met, 2 a benchmark failed or is unknown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FIELDS = ("name", "value", "unit", "goal", "met", "how", "date")

TYPES = {"name": str, "value": (int, float), "unit": str, "how": str, "date": str}


class Failed(Exception):
    """A benchmark did not end well or did not print figures."""


def names(folder: Path) -> list[str]:
    """Every benchmark of the folder, in the order they run."""
    own = Path(__file__).stem
    return sorted(
        path.stem
        for path in folder.glob("*.py")
        if not path.stem.startswith("_") and path.stem != own
    )


def machine() -> str:
    """What the figures were measured on, in one line without the machine's name."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def run(folder: Path, name: str) -> list[dict[str, Any]]:
    """The figures of one benchmark, each with the benchmark and the machine it came from."""
    done = subprocess.run(
        [sys.executable, str(folder / f"{name}.py"), "--json"],
        cwd=folder.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    try:
        figures = json.loads(done.stdout)
    except ValueError:
        raise Failed(
            f"{name}: ended with code {done.returncode} and printed no JSON list of figures"
        ) from None
    if not isinstance(figures, list) or not figures:
        raise Failed(f"{name}: printed no figures; `--json` must print a JSON list of them")
    for figure in figures:
        wrong = [key for key, kind in TYPES.items() if not isinstance(figure.get(key), kind)]
        if wrong:
            raise Failed(f"{name}: a figure has no usable {', '.join(wrong)}: {figure}")
    return [
        {"benchmark": name, **{key: figure.get(key) for key in FIELDS}, "machine": machine()}
        for figure in figures
    ]


def merge(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """`old` without the benchmarks that `new` holds, and `new`; ordered by benchmark."""
    fresh = {figure["benchmark"] for figure in new}
    kept = [figure for figure in old if figure["benchmark"] not in fresh]
    return sorted([*kept, *new], key=lambda figure: figure["benchmark"])


def number(value: float) -> str:
    """Three significant digits; whole numbers from 1,000 on, with thousands separated."""
    return f"{value:,.0f}" if value == 0 or abs(value) >= 1000 else f"{value:.3g}"


def render(figures: Sequence[dict[str, Any]]) -> str:
    """RESULTS.md: one table a benchmark."""
    lines = [
        "# Measured figures",
        "",
        "Drawn by `make bench` from `results.json`; change neither by hand. Every figure is from a",
        "run of the program named above it. Figures of different days come from different runs.",
    ]
    for name in dict.fromkeys(figure["benchmark"] for figure in figures):
        own = [figure for figure in figures if figure["benchmark"] == name]
        lines += [
            "",
            f"## `{name}`",
            "",
            "; ".join(dict.fromkeys(f"{figure['date']}: {figure['machine']}" for figure in own)),
            "",
            "| figure | value | unit | goal | met | how |",
            "|---|---:|---|---|---|---|",
        ]
        for figure in own:
            met = "" if figure["met"] is None else "yes" if figure["met"] else "**no**"
            cells = [
                figure["name"],
                number(figure["value"]),
                figure["unit"],
                figure["goal"] or "",
                met,
                figure["how"],
            ]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None, folder: Path = HERE) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", help="benchmarks to run; all where none is named")
    parser.add_argument("--render", action="store_true", help="only draw RESULTS.md again")
    options = parser.parse_args(arguments)

    known = names(folder)
    unknown = [name for name in options.names if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    results = folder / "results.json"
    figures: list[dict[str, Any]] = (
        json.loads(results.read_text("utf-8")) if results.exists() else []
    )
    figures = [figure for figure in figures if figure["benchmark"] in known]
    failed = False
    for name in [] if options.render else options.names or known:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            new = run(folder, name)
        except Failed as error:
            print(error, file=sys.stderr)
            failed = True
            continue
        for figure in new:
            goal = f"  ({figure['goal']}: {'yes' if figure['met'] else 'NO'})"
            print(
                f"  {figure['name']}: {number(figure['value'])} {figure['unit']}"
                + (goal if figure["goal"] else "")
            )
        figures = merge(figures, new)
        results.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (folder / "RESULTS.md").write_text(render(figures), "utf-8")
    short = [
        f"{figure['benchmark']}: {figure['name']}" for figure in figures if figure["met"] is False
    ]
    goals = sum(figure["met"] is not None for figure in figures)
    print(f"{len(figures)} figures, {goals - len(short)} of {goals} goals met")
    for name in short:
        print(f"not met: {name}")
    return 2 if failed else 1 if short else 0


if __name__ == "__main__":
    raise SystemExit(main())
