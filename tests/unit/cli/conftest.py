"""A workspace, and the command line on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handrail.cli.commands import run
from tests.workspace import make_workspace


class Line:
    """The command line in one workspace."""

    def __init__(self, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.workspace = workspace
        self._capfd = capfd
        self.out = ""
        self.err = ""

    def __call__(self, *arguments: str, person: str = "ann@example.com") -> int:
        """Run it; returns the exit code and keeps what was printed."""
        self._capfd.readouterr()
        code = run(["-w", str(self.workspace), "--as", person, *map(str, arguments)])
        self.out, self.err = self._capfd.readouterr()
        return code

    def json(self, *arguments: str, code: int = 0, person: str = "ann@example.com") -> Any:
        """Run it with --json; returns what it printed: a document, or a list for a stream."""
        assert self("--json", *arguments, person=person) == code, self.out + self.err
        lines = [json.loads(line) for line in self.out.splitlines()]
        return lines[0] if len(lines) == 1 else lines

    def held(self, order: str = "o1", amount: float = 120) -> tuple[str, str]:
        """Submit one that is held: (decision id, review id)."""
        ruling = self.json("submit", "refund", f"order={order}", f"amount={amount}", code=1)
        return ruling["decision_id"], ruling["review_id"]


@pytest.fixture
def line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Line:
    return Line(make_workspace(tmp_path / "work"), capfd)
