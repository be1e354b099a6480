"""What `import handrail` costs and gives."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import handrail

SLOW = ("apsw", "asyncio", "handrail.store.sqlite", "httpx", "litestar", "pydantic", "uvicorn")


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import handrail", ()),
        ("import handrail; handrail.errors.BadInput; handrail.Client", ()),
        ("import handrail.app", ()),
        (
            "import tempfile, handrail.app as a; a.open_workspace(tempfile.mkdtemp()).close()",
            ("apsw", "handrail.store.sqlite"),
        ),
    ],
)
def test_what_is_loaded(code: str, loaded: tuple[str, ...]) -> None:
    code += "; import json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) & set(SLOW) == set(loaded)


def test_names() -> None:
    for name in handrail.__all__:
        assert getattr(handrail, name)
        assert name in dir(handrail)
    with pytest.raises(AttributeError, match="no attribute 'desk'"):
        handrail.desk  # noqa: B018
