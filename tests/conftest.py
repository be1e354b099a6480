"""What every test may use. Fixtures of one area stand in the conftest of its folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from tests import postgres

# No test is about time: a slow machine must not fail one.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "quick", hypothesis.settings.get_profile("patient"), max_examples=20
)
# A change is judged by the same examples each time; everybody's `make test` looks for new ones.
hypothesis.settings.register_profile(
    "steady", hypothesis.settings.get_profile("patient"), derandomize=True
)
hypothesis.settings.load_profile("patient")

# A job in the background is deaf to Ctrl-C, and one under nohup to the end of its terminal. Being
# deaf is handed on to the programs that tests start and signal; a handler that does nothing is not.
for _number in {getattr(signal, _name, signal.SIGINT) for _name in ("SIGINT", "SIGHUP")}:
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda number, frame: None)

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
"""Public data sets that tests read where they exist; never part of the repository."""


def _go() -> bool:
    return bool(shutil.which("go")) or any(Path("/usr/lib").glob("go-1.*/bin/go"))


def _aics_tlog() -> bool:
    place = Path(os.environ.get("HANDRAIL_STRANGERS", ROOT / ".strangers"))
    return (place / "aics_tlog").is_dir() or importlib.util.find_spec("aics_tlog") is not None


PARTS: dict[str, Callable[[], bool]] = {
    "aics-tlog": _aics_tlog,
    "chromium": lambda: bool(shutil.which("chromium") or shutil.which("chromium-browser")),
    "data": DATA.is_dir,
    "go": _go,
    "postgres": postgres.is_here,
    "shared": (ROOT.parent / "shared" / "design" / "interfaces.md").is_file,
    "spark": lambda: bool(shutil.which("java") and importlib.util.find_spec("pyspark")),
}
"""Parts of the outside world a test may need, each with the question whether it is here."""


def required() -> set[str]:
    """Parts whose absence fails a test instead of skipping it: `HANDRAIL_REQUIRE=go,data`."""
    return {part.strip() for part in os.environ.get("HANDRAIL_REQUIRE", "").split(",")} - {""}


SLOW = frozenset({"acceptance", "browser", "docs", "faults", "statistics"})
"""Folders whose tests start programs, browsers or many rounds: left out of the fast loop."""

HEAVY = frozenset({"data", "postgres"})
"""Parts that make a test slow: databases that are started, and files as large as real ones are."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The fast loop does not even read what it leaves out."""
    quick = config.option.markexpr == "not slow"
    return True if quick and collection_path.name in SLOW and collection_path.is_dir() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        asks = {part for mark in item.iter_markers("needs") for part in mark.args}
        if SLOW & set(item.path.relative_to(ROOT).parts) or HEAVY & asks:
            item.add_marker("slow")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for part in mark.args:
            if part not in PARTS:
                raise pytest.UsageError(
                    f"{item.nodeid} needs {part!r}; known parts: {', '.join(sorted(PARTS))}"
                )
            if PARTS[part]():
                continue
            if part in required():
                pytest.fail(f"{part} is not here, and HANDRAIL_REQUIRE says it must be")
            pytest.skip(f"{part} is not here")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT
