"""The page that fixes the public surface (`interfaces.md` of the design), read for the tests.

The page lies beside the repository, not in it; tests that read it say `needs("shared")`. It is
taken as it stands: what it leaves open (`…`, `FILE`, `ID`) is filled in by the tests, where all can
see it. `LATER` is the one list of what it promises and this version does not have.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[3] / "shared" / "design" / "interfaces.md"

LATER: dict[str, str] = {
    "handrail certify": "certificates come with the step of evidence",
    "handrail monitor": "monitors of a certificate come with the step of evidence",
    "handrail report": "the report of rates comes with the step of evidence",
    "handrail reconcile": "effects against decisions come with the step of evidence",
    "handrail pack": "packs of a field come with the step of packs",
    "handrail export": "label formats come with the step of learning",
    "handrail import": "label formats come with the step of learning",
    "handrail learn": "learning from labels comes with the step of learning",
    "handrail selfcheck": "the check of one's own evidence comes with the step of evidence",
}
"""What stands on the page and is not there yet: a name as the page writes it, and why. A test
fails as soon as one of them begins to work, so that nothing stays listed by mistake."""


@cache
def text() -> str:
    return PAGE.read_text("utf-8")


def section(title: str) -> str:
    """The text under a heading `## title…`, without it."""
    found = re.search(rf"^## {re.escape(title)}.*?\n(.*?)(?=^## |\Z)", text(), re.M | re.S)
    assert found, f"the page has no section {title!r} any more"
    return found[1]


def spans(part: str) -> list[str]:
    """What stands between backticks, blocks of code left out."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", part, flags=re.M | re.S))


def block(part: str, language: str) -> str:
    """The first block of code in that language."""
    found = re.search(rf"^```{language}\n(.*?)^```", part, re.M | re.S)
    assert found, f"no block of {language}"
    return found[1]


# ------------------------------------------------------------------------------------ the shell


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One command as the page shows it: `handrail decisions [list|show ID --proof FILE]`."""

    shown: str

    @property
    def name(self) -> str:
        """`handrail decisions`."""
        return " ".join(self.shown.split()[:2])

    @property
    def options(self) -> set[str]:
        return set(re.findall(r"--[a-z-]+", self.shown))

    @property
    def words(self) -> set[str]:
        """What is to be chosen from: the first word of each alternative in brackets."""
        return {
            choice.split()[0]
            for group in re.findall(r"\[([^\]-][^\]]*\|[^\]]*)\]", self.shown)
            for choice in group.split("|")
        }


def usages() -> list[Usage]:
    """Every command of the shell's table."""
    found = []
    for line in section("Shell").splitlines():
        cells = re.split(r"(?<!\\)\|", line.strip())
        if len(cells) < 3 or not cells[1].strip().startswith("`"):
            continue
        for shown in spans(cells[1].replace("\\|", "|")):
            found.append(
                Usage(shown=shown if shown.startswith("handrail") else f"handrail {shown}")
            )
    assert len(found) > 25, "the table of the shell was not read"
    return found


# --------------------------------------------------------------------------------------- Python


def signatures() -> dict[str, ast.arguments]:
    """The calls that the page writes out, `wait(ref, *, timeout=None, …)`: name to arguments.

    One that ends in `...` is named only: it has no arguments here.
    """
    found: dict[str, ast.arguments] = {}
    for shown in spans(section("Python")):
        call = re.fullmatch(r"([a-z_]+)\((.*?)\)(?: -> \w+)?", shown)
        if call is None or "(" in call[2].replace("()", ""):
            continue
        inside = "" if call[2] == "..." else call[2]
        made = ast.parse(f"def {call[1]}({inside}): pass").body[0]
        assert isinstance(made, ast.FunctionDef)
        found.setdefault(call[1], made.args)
    assert {"submit", "submit_many", "wait", "label", "guard"} <= set(found)
    return found


def choices(node: ast.expr | None) -> list[Any]:
    """The values of a default such as `"raise"|"hold"|"skip"`, the default first."""
    if isinstance(node, ast.BinOp):
        return choices(node.left) + choices(node.right)
    return [] if node is None else [ast.literal_eval(node)]


def names_of(noun: str) -> list[str]:
    """The attributes that the page lists behind `Noun`: without what stands in brackets."""
    found = re.search(rf"`{re.escape(noun)}`: `([^`]+)`", section("Python"))
    assert found, f"the page does not say what {noun} has"
    return re.findall(r"[a-z_]+", re.sub(r"\([^)]*\)", "", found[1]))


# ----------------------------------------------------------------------------------------- HTTP


@dataclass(frozen=True, kw_only=True)
class Route:
    """One operation as the page names it; `path` is below `/api/v1`, ids as `{}`."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def routes() -> list[Route]:
    """Every operation of the HTTP paragraph. A path without a method has the one before it."""
    method = ""
    found: list[Route] = []
    for shown in spans(section("HTTP")):
        given = re.fullmatch(r"(?:(GET|POST) )?(/\S*)", shown)
        if given is None:
            continue
        method = given[1] or method
        path = re.sub(r"\?.*", "", given[2])
        parts = [
            group[1:-1].split(",") if "," in group else ["{}" if group[0] == "{" else group]
            for group in re.findall(r"\{[^}]*\}|[^{}]+", path)
        ]
        found += [Route(method=method, path="".join(made)) for made in product(*parts)]
    assert len(found) > 25, "the routes were not read"
    return found
