"""Which rows of the requirements ledger have a test: `python -m tests.ledger` (`make ledger`).

A test says what it proves with `@pytest.mark.ledger("M-065")` on a function, a class, or a whole
file (`pytestmark = pytest.mark.ledger("M-065")`). The marks are read from the source, so this
runs nothing and needs nothing but the ledger, a CSV file with the columns id, area and item.

Exit codes: 0 done, 1 a mark names an id the ledger does not have, 4 there is no ledger.
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEDGER = ROOT.parent / "shared" / "design" / "ledger.csv"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One id on one test: `place` is `path:line`, `test` the marked name."""

    id: str
    place: str
    test: str


def _ids(node: ast.expr) -> Iterator[str]:
    """The ids of `pytest.mark.ledger("A", "B")`, or of a list of marks."""
    if isinstance(node, ast.List | ast.Tuple):
        for element in node.elts:
            yield from _ids(element)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "ledger"
        and isinstance(node.func.value, ast.Attribute)
        and node.func.value.attr == "mark"
    ):
        for argument in node.args:
            if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                raise SystemExit(f"line {node.lineno}: a ledger mark takes plain text ids")
            yield argument.value


def marks_in(path: Path, name: str) -> Iterator[Mark]:
    """Every ledger mark of one test file; `name` is how its places are printed."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            expressions, test = node.decorator_list, node.name
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
        ):
            expressions, test = [node.value], "(whole file)"
        else:
            continue
        for expression in expressions:
            for id_ in _ids(expression):
                yield Mark(id=id_, place=f"{name}:{expression.lineno}", test=test)


def collect(tests: Path) -> list[Mark]:
    """The marks of every `test_*.py` below `tests`."""
    return [
        mark
        for path in sorted(tests.rglob("test_*.py"))
        for mark in marks_in(path, str(path.relative_to(tests.parent)))
    ]


def report(rows: list[dict[str, str]], marks: list[Mark]) -> dict[str, object]:
    """What is covered, what is missing and which marks name no row, as one plain document."""
    known = {row["id"]: row for row in rows}
    places: dict[str, list[str]] = defaultdict(list)
    for mark in marks:
        places[mark.id].append(f"{mark.place} {mark.test}")
    covered = [id_ for id_ in known if id_ in places]
    missing = [id_ for id_ in known if id_ not in places]
    total = Counter(row["area"] for row in rows)
    done = Counter(known[id_]["area"] for id_ in covered)
    return {
        "total": len(known),
        "covered": {id_: places[id_] for id_ in covered},
        "missing": missing,
        "unknown": {id_: found for id_, found in places.items() if id_ not in known},
        "areas": {area: {"covered": done[area], "total": total[area]} for area in sorted(total)},
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.ledger", description=__doc__)
    parser.add_argument("--file", type=Path, default=LEDGER, help="the ledger, a CSV file")
    parser.add_argument("--tests", type=Path, default=ROOT / "tests", help="where the tests are")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--missing", action="store_true", help="print every row without a test")
    options = parser.parse_args(arguments)

    if not options.file.is_file():
        print(
            f"NOT CHECKED: there is no ledger at {options.file}; give its place with --file",
            file=sys.stderr,
        )
        return 4
    with options.file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    found = report(rows, collect(options.tests))
    unknown = found["unknown"]
    assert isinstance(unknown, dict)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        _print(rows, found, options.missing)
    for id_, places in unknown.items():
        for place in places:
            print(f"{place}: the ledger has no row {id_}; correct the mark", file=sys.stderr)
    return 1 if unknown else 0


def _print(rows: list[dict[str, str]], found: dict[str, object], missing: bool) -> None:
    areas, covered, without = found["areas"], found["covered"], found["missing"]
    assert isinstance(areas, dict)
    assert isinstance(covered, dict)
    assert isinstance(without, list)
    for area, count in areas.items():
        if count["covered"]:
            print(f"{area:20} {count['covered']:4} of {count['total']:4}")
    if missing:
        wanted = set(without)
        for row in rows:
            if row["id"] in wanted:
                print(f"missing {row['id']:8} {row['area']:16} {row['item']}")
    print(f"covered {len(covered)}, missing {len(without)}, total {found['total']}")


if __name__ == "__main__":
    raise SystemExit(main())
