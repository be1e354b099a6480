"""Packs: the policies of one field, each with its cases. Data; code only for a new trigger.

names()                        ("marketing/campaign-launch", "medical/biopsy-triage")
read("marketing/campaign-launch")              the text of the policy file
reader("marketing/campaign-launch")            reads the list files beside it, for `gate.load`
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from importlib.resources.abc import Traversable

from handrail.model.errors import NotFound


def names() -> tuple[str, ...]:
    """Every shipped policy as `pack/workflow`, sorted."""
    found = [
        f"{pack.name}/{policy.name.removesuffix('.yaml')}"
        for pack in files(__name__).iterdir()
        if pack.is_dir()
        for policy in pack.iterdir()
        if policy.name.endswith(".yaml")
    ]
    return tuple(sorted(found))


def read(name: str) -> str:
    """The text of a policy file; raises `NotFound` with the names there are."""
    return _folder(name).joinpath(name.partition("/")[2] + ".yaml").read_text("utf-8")


def reader(name: str) -> Callable[[str], bytes]:
    """A function that reads a file beside the policy, such as `lists/sources.csv`."""
    folder = _folder(name)

    def read_file(path: str) -> bytes:
        parts = path.split("/")
        if ".." in parts or path.startswith("/"):
            raise FileNotFoundError(f"{path}: expected a path below the pack's folder")
        return folder.joinpath(*parts).read_bytes()

    return read_file


def _folder(name: str) -> Traversable:
    if name not in names():
        raise NotFound(f"no shipped policy {name!r}; expected one of {', '.join(names())}")
    return files(__name__).joinpath(name.partition("/")[0])
