"""Files are judged with what the workspace's stored lists hold, and it is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handrail.cli.commands import run
from tests.workspace import make_workspace

from .conftest import Line

LAUNCH = """\
handrail: 1
workflow: launch
owners: [team:ops]
subject: name
fields:
  name: string
  source: {type: string, normal: lower}
lists:
  sources: {stored: true}
  blocked: {stored: true}
otherwise: auto
rules:
  - {id: unlisted, when: not (source in lists.sources)}
  - {id: blocked, when: source in lists.blocked, then: refuse}
route: [{to: team:ops, silence: block}]
"""
ROWS = "name,source\na,Google\nb,bing\nc,spam\n"


@pytest.fixture
def launches(line: Line, tmp_path: Path) -> Callable[..., Any]:
    make_workspace(line.workspace, launch=LAUNCH)
    (tmp_path / "rows.csv").write_text(ROWS)

    def judge(*arguments: str) -> Any:
        return line.json(*arguments, "--input", str(tmp_path / "rows.csv"))

    return judge


def test_a_file_is_judged_with_what_stored_lists_hold(
    line: Line, launches: Callable[..., Any]
) -> None:
    empty = launches("gate", "launch")
    assert empty["lanes"] == {"pass": 0, "hold": 3, "refuse": 0}
    assert empty["stored_lists"] == [
        {"list": "sources", "version": 0, "entries": 0},
        {"list": "blocked", "version": 0, "entries": 0},
    ]
    line.json("policy", "add", "launch", "sources", "google", "spam", "--reason", "known")
    line.json("policy", "add", "launch", "blocked", "spam", "--reason", "bad")
    filled = launches("gate", "launch")
    assert filled["lanes"] == {"pass": 1, "hold": 1, "refuse": 1}
    assert filled["stored_lists"][0] == {"list": "sources", "version": 1, "entries": 2}
    rows = line.workspace.parent / "rows.csv"
    assert line("gate", "launch", "--input", str(rows)) == 0
    assert "stored list sources: 2 values (version 1)" in line.out


def test_a_back_test_reads_them_too(line: Line, launches: Callable[..., Any]) -> None:
    line.json("policy", "add", "launch", "sources", "google", "--reason", "known")
    found = launches("backtest", "launch")
    assert found["result"]["held_after"]["count"] == 2
    assert found["stored_lists"][0] == {"list": "sources", "version": 1, "entries": 1}


def test_the_log_is_tested_with_the_lists_as_they_were(line: Line) -> None:
    make_workspace(line.workspace, launch=LAUNCH)
    line.json("submit", "launch", "name=a", "source=google", code=1)
    line.json("policy", "add", "launch", "sources", "google", "--reason", "known")
    line.json("submit", "launch", "name=b", "source=google")
    result = line.json("backtest", "launch", "--log")["result"]
    assert result["held_before"]["count"] == result["held_after"]["count"] == 1
    assert result["moves"] == {}


def test_where_no_workspace_is_named_nothing_is_guessed(
    line: Line,
    launches: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HANDRAIL_WORKSPACE", raising=False)
    (tmp_path / "alone.yaml").write_text(LAUNCH)
    assert run(["gate", "alone.yaml", "--input", "rows.csv"]) == 2
    said = capfd.readouterr().err
    assert "alone.yaml reads the stored list sources and blocked, which a workspace keeps" in said
    assert "--workspace" in said
    inside = line.workspace / "policies" / "launch.yaml"
    assert run(["gate", str(inside), "--input", "rows.csv"]) == 0, "its own workspace"
