"""The rooms of ARCHITECTURE.md: who may import whom, what start-up may load, what is public."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import handrail

PURE = {"access", "assure", "audit", "gate", "learn", "model", "review"}
LINT = "from importlinter.cli import lint_imports_command as run; run()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter over the copy of the package in `folder`."""
    return subprocess.run(
        # -c puts the working folder first on the path, before the installed package.
        [sys.executable, "-c", LINT, "--no-cache", "--config", "pyproject.toml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_hold(root: Path) -> None:
    done = lint(root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.fixture(scope="module")
def copy(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("house")
    shutil.copy(root / "pyproject.toml", place)
    shutil.copytree(
        root / "handrail", place / "handrail", ignore=shutil.ignore_patterns("__pycache__")
    )
    return place


@pytest.mark.slow
@pytest.mark.parametrize(
    ("room", "line", "broken"),
    [
        ("gate/_wrong.py", "import socket", "Pure rooms do no input or output"),
        ("model/_wrong.py", "import time", "Pure rooms do no input or output"),
        ("gate/_wrong.py", "import handrail.audit", "Imports go one way"),
        ("flow/_wrong.py", "import handrail.server", "Imports go one way"),
        ("flow/_wrong.py", "import apsw", "Only the store imports a database driver"),
        ("cli/_wrong.py", "import handrail.store", "Only the composition root builds a store"),
        ("client/_wrong.py", "import handrail.gate", "The client knows the nouns"),
        ("server/_wrong.py", "import handrail.testing", "The product never uses the test kit"),
        ("helpers.py", "", "Imports go one way"),
    ],
)
def test_a_forbidden_import_is_caught(copy: Path, room: str, line: str, broken: str) -> None:
    wrong = copy / "handrail" / room
    assert not wrong.exists()
    wrong.write_text(line + "\n")
    try:
        done = lint(copy)
    finally:
        wrong.unlink()
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{broken}" in done.stdout
    verdicts = [text for text in done.stdout.splitlines() if text.startswith(broken)]
    assert any("BROKEN" in text for text in verdicts), done.stdout


def test_every_pure_room_stands_in_the_contract(root: Path) -> None:
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    [pure] = [c for c in contracts["contracts"] if c["id"] == "pure"]
    named = {name.removeprefix("handrail.") for name in pure["source_modules"]}
    here = {name for name in PURE if (root / "handrail" / name / "__init__.py").exists()}
    assert named == here


AUDITORS = "standalone_verify.py"
"""A program for auditors that travels alone. It reads files, and is no part of the pure room."""


def test_the_auditors_program_stands_alone(root: Path) -> None:
    [program] = (root / "handrail").rglob(AUDITORS)
    assert not re.search(r"(?m)^ *(from|import) handrail", program.read_text("utf-8"))
    imports = re.compile(r"(?m)^ *(from|import) .*\bstandalone_verify\b")
    for path in (root / "handrail").rglob("*.py"):
        assert not imports.search(path.read_text("utf-8")), path


WORLDLY = {"input", "open", "print"}
CLOCKS = {"now", "today", "utcnow"}
READS = {"read_bytes", "read_text", "write_bytes", "write_text"}


def worldly(text: str) -> list[str]:
    """Calls in a module's source that touch the world, which no import contract can see."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == "urllib.request":
            found.append(f"line {node.lineno}: urllib.request")
        if isinstance(node, ast.Import) and any(n.name == "urllib.request" for n in node.names):
            found.append(f"line {node.lineno}: urllib.request")
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in WORLDLY:
            found.append(f"line {node.lineno}: {node.func.id}()")
        if isinstance(node.func, ast.Attribute) and node.func.attr in READS:
            found.append(f"line {node.lineno}: .{node.func.attr}()")
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in CLOCKS
            and ast.unparse(node.func.value).split(".")[-1] in {"date", "datetime"}
        ):
            found.append(f"line {node.lineno}: a clock")
    return found


def test_pure_rooms_open_nothing_and_read_no_clock(root: Path) -> None:
    wrong = [
        f"{path.relative_to(root)} {what}"
        for room in PURE
        for path in (root / "handrail" / room).rglob("*.py")
        if path.name != AUDITORS
        for what in worldly(path.read_text("utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "line",
    [
        "open('x')",
        "path.read_text()",
        "datetime.datetime.now(UTC)",
        "date.today()",
        "from urllib.request import urlopen",
    ],
)
def test_a_worldly_call_is_caught(line: str) -> None:
    assert worldly(line)


HEAVY = {
    "altair",
    "numpy",
    "pandas",
    "polars",
    "psycopg",
    "psycopg_pool",
    "pyarrow",
    "scipy",
    "sklearn",
    "vl_convert",
}


@pytest.mark.parametrize("module", ["handrail", "handrail.cli", "handrail.server", "handrail.app"])
def test_the_light_core_loads_no_heavy_library(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert module in loaded
    assert not loaded & HEAVY


def test_the_heavy_check_can_fail() -> None:
    code = "import json, sys, polars; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) & HEAVY


PUBLIC = {
    "Client",
    "Decision",
    "Outcome",
    "Ruling",
    "__version__",
    "connect",
    "errors",
    "open",
    "webhooks",
}
"""The names `import handrail` promises. A change here is a change of the public surface: it needs a
changelog fragment, and a reason in an ADR where a name goes."""


def test_the_public_names_are_pinned() -> None:
    assert set(handrail.__all__) == PUBLIC


def test_every_public_name_is_there_and_documented() -> None:
    for name in PUBLIC - {"__version__"}:
        thing = getattr(handrail, name)
        if callable(thing):
            assert thing.__doc__, f"handrail.{name} has no docstring"


def test_the_package_is_typed(root: Path) -> None:
    assert (root / "handrail" / "py.typed").exists()
