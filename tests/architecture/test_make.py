"""The Makefile and the scripts around it can be read by the programs that run them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

TARGETS = ["demo", "test", "check", "fix", "docs", "bench", "faults", "ledger", "lock", "dist"]


def make(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["make", "--dry-run", "VENV=no-such-folder", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_makes_its_own_environment(root: Path, target: str) -> None:
    steps = make(root, target)
    assert "-m venv no-such-folder" in steps
    assert "--require-hashes" in steps


def test_arguments_are_handed_on(root: Path) -> None:
    assert "handrail demo --once" in make(root, "demo", "ARGS=--once")
    faults = make(root, "faults", "SEED=7", "FROM=3")
    assert "tests.faults.run --seed 7 --from 3" in faults


def test_help_names_the_targets(root: Path) -> None:
    shown = subprocess.run(
        ["make", "help"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    for target in TARGETS:
        assert re.search(rf"make {target}\b", shown), target


def test_scripts_parse(root: Path) -> None:
    for script in (root / ".ci").iterdir():
        if script.read_text().startswith("#!/usr/bin/env bash"):
            subprocess.run(["bash", "-n", str(script)], check=True)


def test_what_is_set_for_other_projects_does_not_reach_ours(root: Path) -> None:
    foreign = {"PYTHONPATH": "/else", "VIRTUAL_ENV": "/else", "PYTHONDONTWRITEBYTECODE": "1"}
    seen = subprocess.run(
        ["make", "--eval", "show: ; @env", "show"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **foreign},
    ).stdout
    assert "PATH=" in seen
    assert not [name for name in foreign if f"\n{name}=" in f"\n{seen}"]
