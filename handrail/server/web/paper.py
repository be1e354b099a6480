"""What pages are made of: the templates, with autoescape always on, and the static files.

The text of others reaches a page only through `shown` and `value`, which make every character
without a shape visible and leave nothing that a browser could take for markup.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from markupsafe import Markup, escape

from handrail.model.text import value_text, visible, visible_pieces
from handrail.model.wire import time_text
from handrail.server.web.words import Words

if TYPE_CHECKING:
    import jinja2

_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]+)?")

LONG = 400
"""Characters of one text that stand on a card; the whole of a longer one is opened."""

HEAD = 200
"""Characters of the heading, whose parts stand in full below it."""

MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy of every page: no script, style or image but our own files."""


class Asset(msgspec.Struct, frozen=True):
    """A static file."""

    content: bytes
    media: str


class Paper:
    """Templates and static files, read once."""

    def __init__(self, language: str = "en") -> None:
        self.words = Words(language)
        self.for_scripts = {
            **self.words.section("js"),
            **{f"span.{name}": text for name, text in self.words.section("span").items()},
            **{f"due.{name}": text for name, text in self.words.section("due").items()},
            **{f"undo.{name}": text for name, text in self.words.section("undo").items()},
            **{f"verdict.{name}": text for name, text in self.words.section("verdict").items()},
            **{f"flash.{name}": text for name, text in self.words.section("flash").items()},
        }
        """Strings that scripts show; they stand on every page."""
        self.assets = _assets()
        whole = hashlib.sha256()
        for name, asset in sorted(self.assets.items()):
            whole.update(name.encode() + b"\0" + asset.content + b"\0")
        self.version = whole.hexdigest()[:12]
        """Changes with any of the files, and stands in their address."""

    @cached_property
    def _templates(self) -> jinja2.Environment:
        import jinja2  # with the first page: a server for programs never needs it

        made = jinja2.Environment(
            loader=jinja2.FunctionLoader(_template),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        made.filters |= {
            "shown": shown,
            "visible": lambda text: visible(str(text)),
            "value": value,
            "amount": amount,
            "figure": figure,
            "when": self.when,
            "linkable": linkable,
            "is_long": is_long,
            "whole": whole_text,
            "share": share,
        }
        made.globals |= {
            "t": self.told,
            "plain": self.words,
            "span": self.words.span,
            "LONG": LONG,
            "HEAD": HEAD,
            "NUMBERS": ("decimal", "double", "int"),
            "static": f"/static/{self.version}",
        }
        return made

    def render(self, name: str, **values: Any) -> bytes:
        """The page of a template."""
        return self._templates.get_template(name).render(values).encode()

    def told(self, name: str, /, **values: Any) -> Markup:
        """The string `name` with what others wrote set apart in it. For attributes: `plain`."""
        made = {
            key: given if isinstance(given, Markup | int) or given == "" else shown(given)
            for key, given in values.items()
        }
        return Markup(self.words(name, **made))

    def when(self, at: int | None) -> Markup:
        """A moment (µs UTC): in UTC for everybody, in the reader's own time where scripts run."""
        if at is None:
            return Markup("")
        text = time_text(at)
        return Markup('<time datetime="{}">{} UTC</time>').format(text, text[:16].replace("T", " "))


def _template(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text("utf-8")


def _assets() -> dict[str, Asset]:
    found = {}
    for file in (resources.files(__package__) / "static").iterdir():
        dot = file.name.rfind(".")
        if file.is_file() and file.name[dot:] in MEDIA:
            found[file.name] = Asset(file.read_bytes(), MEDIA[file.name[dot:]])
    return found


def shown(text: Any, lines: bool = False) -> Markup:
    """The text of others: isolated from the direction of what stands around it, nothing hidden.

    >>> str(shown("<b>\\u202e"))
    '<bdi>&lt;b&gt;<span class="odd">U+202E</span></bdi>'
    """
    parts = [
        Markup('<span class="odd">{}</span>').format(piece) if odd else escape(piece)
        for piece, odd in visible_pieces(str(text), lines=lines)
    ]
    return Markup("<bdi>{}</bdi>").format(Markup("").join(parts))


def value(stored: Any) -> Markup:
    """A stored value on one line."""
    return shown(stored if isinstance(stored, str) else value_text(stored))


def whole_text(stored: Any) -> str:
    """A stored value as the text that is opened in full: lists and objects with their lines."""
    if isinstance(stored, str):
        return stored
    if isinstance(stored, Mapping | list | tuple):
        return json.dumps(stored, ensure_ascii=False, indent=2)
    return value_text(stored)


def is_long(stored: Any) -> bool:
    """Whether a text or value is cut on a card."""
    text = stored if isinstance(stored, str) else value_text(stored)
    return len(text) > LONG or text.count("\n") > 6


def amount(text: str) -> str:
    """A decimal string with its unit, thousands apart.

    >>> amount("425600.00 USD")
    '425,600.00 USD'
    """
    number, space, unit = text.partition(" ")
    whole, dot, rest = number.partition(".")
    if whole.lstrip("-").isdecimal() and whole.isascii():
        return f"{int(whole):,}{dot}{rest}{space}{visible(unit)}"
    return visible(text)


def figure(stored: Any) -> Markup:
    """A number among reasons: thousands apart, and no more digits than a person reads.

    >>> str(figure("10.769230769230769231")), str(figure("14000.00")), str(figure("c1"))
    ('<bdi>10.7692…</bdi>', '<bdi>14,000.00</bdi>', '<bdi>c1</bdi>')
    """
    if not isinstance(stored, str) or not _NUMBER.fullmatch(stored):
        return value(stored)
    whole, dot, rest = stored.partition(".")
    sign = "-" if whole.startswith("-") else ""
    cut = f"{rest[:4]}…" if len(rest) > 4 else rest
    return shown(f"{sign}{int(whole.lstrip('-')):,}{dot}{cut}")


def share(part: float) -> str:
    """A confidence in per cent.

    >>> share(0.912), share(1)
    ('91.2 %', '100 %')
    """
    return f"{part * 100:.1f}".rstrip("0").rstrip(".") + " %"


def linkable(address: str) -> bool:
    """Whether an address may be a link: http or https, with a host, and nothing hidden in it.

    >>> linkable("https://example.com/x"), linkable("javascript:alert(1)")
    (True, False)
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and parts.username is None
        and address == visible(address)
        and not any(char.isspace() for char in address)
    )
