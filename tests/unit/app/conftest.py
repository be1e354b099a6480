from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handrail.app import Paths, Workspace
from tests.workspace import make_workspace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = make_workspace(tmp_path / "work")
    Paths(place).make()
    return place


@pytest.fixture
def workspace(folder: Path) -> Iterator[Workspace]:
    found = Workspace.own(folder)
    assert found is not None
    with found:
        yield found
