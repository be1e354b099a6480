from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handrail.app import open_workspace
from handrail.client import Client
from handrail.model.people import Actor
from tests.workspace import make_workspace


@pytest.fixture
def hr(tmp_path: Path) -> Iterator[Client]:
    """A client of a workspace that this process owns, without a socket."""
    folder = make_workspace(tmp_path / "work")
    with open_workspace(folder, actor=Actor(name="tests")) as client:
        yield client
