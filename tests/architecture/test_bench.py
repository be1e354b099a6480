"""The benchmark runner: merges, draws, and tells a failed run from a goal that is not met."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

FIGURE = {"value": 2.0, "unit": "s", "how": "once", "date": "2026-01-02"}
PROGRAM = "import json, sys\nassert sys.argv[1:] == ['--json']\nprint(json.dumps({figures}))\n"


@pytest.fixture
def bench(root: Path) -> dict[str, Any]:
    return runpy.run_path(str(root / "benchmarks" / "run_all.py"))


def program(folder: Path, name: str, *figures: dict[str, Any]) -> None:
    text = PROGRAM.replace("{figures}", repr(list(figures)))
    (folder / f"{name}.py").write_text(text)


def test_figures_are_merged_and_drawn(bench: dict[str, Any], tmp_path: Path) -> None:
    main = bench["main"]
    (tmp_path / "_figures.py").write_text("raise SystemExit('never run')")
    program(tmp_path, "gate", {**FIGURE, "name": "a|b", "goal": "<= 5", "met": True})
    program(tmp_path, "store", {**FIGURE, "name": "rate", "value": 12345.6, "goal": None})
    assert main([], tmp_path) == 0
    program(tmp_path, "gate", {**FIGURE, "name": "new", "goal": "<= 1", "met": False})
    assert main(["gate"], tmp_path) == 1
    figures = json.loads((tmp_path / "results.json").read_text())
    assert [(f["benchmark"], f["name"], f["met"]) for f in figures] == [
        ("gate", "new", False),
        ("store", "rate", None),
    ]
    assert {"value", "unit", "goal", "how", "date", "machine"} < set(figures[0])
    drawn = (tmp_path / "RESULTS.md").read_text()
    assert "| new | 2 | s | <= 1 | **no** | once |" in drawn
    assert "| rate | 12,346 | s |  |  | once |" in drawn


@pytest.mark.parametrize("text", ["raise SystemExit(3)", "print('[]')", "print('[{}]')"])
def test_a_failed_run_keeps_the_old_figures(
    bench: dict[str, Any], tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program(tmp_path, "gate", {**FIGURE, "name": "a"})
    assert bench["main"]([], tmp_path) == 0
    (tmp_path / "gate.py").write_text(text)
    assert bench["main"]([], tmp_path) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("gate: ")
    assert "| a | 2 | s |" in (tmp_path / "RESULTS.md").read_text()


def test_an_unknown_name_is_refused(bench: dict[str, Any], tmp_path: Path) -> None:
    assert bench["main"](["none"], tmp_path) == 2


def test_the_table_in_the_repository_is_drawn_from_the_figures(
    bench: dict[str, Any], root: Path
) -> None:
    results = root / "benchmarks" / "results.json"
    if not results.exists():
        pytest.skip("no figures yet")
    figures = json.loads(results.read_text("utf-8"))
    assert (root / "benchmarks" / "RESULTS.md").read_text("utf-8") == bench["render"](figures)
