"""Every visible string comes from the catalogue, and every string of the catalogue is used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from handrail.server.web.paper import Paper
from handrail.server.web.words import Words

WEB = Path(__file__).resolve().parents[2] / "handrail" / "server" / "web"
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
SCRIPTS = sorted((WEB / "static").glob("*.js"))

SPOKEN = ("aria-label", "alt", "content", "placeholder", "title", "value")
"""Attributes that people read or hear."""
KEY = re.compile(r"<kbd>[^<]*</kbd>")


def literal_text(source: str) -> list[str]:
    """Words that stand in a template itself."""
    bare = re.sub(r"\{% block kind %\}\w+\{% endblock %\}", "", source)
    bare = re.sub(r"\{#.*?#\}|\{%.*?%\}", "", bare, flags=re.DOTALL)
    bare = re.sub(r"\{\{.*?\}\}", "", bare, flags=re.DOTALL)
    bare = re.sub(r"<script.*?</script>|<!doctype[^>]*>", "", bare, flags=re.DOTALL)
    bare = KEY.sub("", bare)
    found = []
    for tag in re.findall(r"<[a-zA-Z][^>]*>", bare):
        for name, text in re.findall(r'([\w-]+)="([^"]*)"', tag):
            if name in SPOKEN and re.search(r"[A-Za-z]{2}", text):
                found.append(f'{name}="{text}"')
    found += [text for text in re.split(r"<[^>]*>", bare) if re.search(r"[A-Za-z]", text)]
    return [text.strip() for text in found]


ALLOWED = {
    'content="width=device-width, initial-scale=1"',
    'content="light dark"',
    'content="same-origin"',
    *(f'value="{said}"' for said in ("approve", "edit", "reject", "happened", "again", "never")),
    'value="/requests"',
}
"""What no person reads."""


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_speaks_by_itself(path: Path) -> None:
    assert set(literal_text(path.read_text("utf-8"))) <= ALLOWED


@pytest.mark.parametrize(
    "source",
    ["<p>Hello {{ name }}</p>", '<input placeholder="Your name">', "{% if x %}no{% endif %}"],
)
def test_the_check_can_fail(source: str) -> None:
    assert literal_text(source)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_speaks_by_itself(path: Path) -> None:
    source = re.sub(r"//[^\n]*", "", path.read_text("utf-8"))
    source = re.sub(r'\b(querySelector(All)?|closest|matches)(\?\.)?\("[^"]*"\)', "", source)
    for text in re.findall(r'"([^"\n]*)"', source):
        sentence = re.search(r"[A-Za-z]{2,} [a-z]{2,}", text)
        selector = re.search(r"[\[\]#.=:>,]", text)
        assert not sentence or selector, text
    assert "innerHTML" not in source and "eval(" not in source
    assert "document.write" not in source and "insertAdjacentHTML" not in source


def used() -> set[str]:
    """Names asked for in templates, Python and scripts; those built of parts as their prefix."""
    found: set[str] = set()
    for path in [*TEMPLATES, *WEB.glob("*.py")]:
        source = path.read_text("utf-8")
        found |= set(re.findall(r'"([a-z_]+\.[a-z_]*)"', source))
    for path in SCRIPTS:
        source = path.read_text("utf-8")
        found |= {f"js.{name}" for name in re.findall(r'\bt\("([a-z_]+)"', source)}
        found |= set(re.findall(r'"([a-z_]+\.[a-z_]+)"', source))
        found |= {f"{name}." for name in re.findall(r"`([a-z_]+)\.\$", source)}
    return found


def test_every_string_is_used_and_every_name_is_there() -> None:
    words = Words("en")
    names = used()
    whole = {name for name in names if not name.endswith((".", "_"))}
    parts = tuple(name for name in names if name.endswith((".", "_")))
    known = set(words)
    unused = {name for name in known - whole if not name.startswith(parts)}
    assert not unused
    sections = {name.split(".")[0] for name in known}
    wrong = {name for name in whole - known if name.split(".")[0] in sections}
    wrong -= {"help.html", "keys.html", "card.py"}
    assert not {name for name in wrong if not name.endswith((".html", ".py", ".js"))}


def test_the_text_of_others_cannot_become_markup() -> None:
    paper = Paper()
    hostile = '<b onclick="x">&\u202e\x00</b>'
    for html in (
        paper.told("inbox.with", name=hostile),
        paper.told("card.rule", rule=hostile, severity="x"),
    ):
        assert "<b " not in html and 'onclick="' not in html
        assert '<span class="odd">U+202E</span>' in html
        assert '<span class="odd">U+0000</span>' in html
    assert "<" not in paper.words("nav.me", name="\u202e").replace("<U+202E>", "")
