"""The site builds without a warning and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

LOADS = re.compile(
    r"""<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=["'](?P<what>(?:https?:)?//[^"']+)""",
    re.IGNORECASE,
)


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_elsewhere(root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=root,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 10
    loads = {
        f"{page.relative_to(tmp_path)}: {found['what']}"
        for page in pages
        for found in LOADS.finditer(page.read_text("utf-8"))
    }
    assert not loads
    imports = [path for path in tmp_path.rglob("*.css") if "@import" in path.read_text("utf-8")]
    assert not imports


@pytest.mark.parametrize(
    "text",
    [
        '<script defer src="https://cdn.example/x.js"></script>',
        "<link rel=stylesheet href='//fonts.example/css'>",
    ],
)
def test_the_check_can_fail(text: str) -> None:
    assert LOADS.search(text)
