"""Text from strangers made visible, times and amounts in words, tables.

Facts, proposals, comments and names come from outside. On a terminal a control character can move
the cursor and rewrite what a person has just read, and a bidirectional override can show a sentence
in another order than it has. So every character that has an effect but no shape is shown as its
number: `<U+202E>`.
"""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

SHAPELESS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories without a shape of their own."""
BLANK = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that look like nothing."""
ODD_SPACES = frozenset(
    "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u202f\u205f\u3000"
)
"""Spaces that are not the space: shown as one, because they only look like one."""
MARKS = 4
"""Most combining marks on one letter; more of them paint over the lines around."""


def visible(text: str, *, lines: bool = False) -> str:
    """`text` as it may go to a terminal; keeps line ends where `lines` says so.

    >>> visible("pay \\x1b[2K\\u202etxt")
    'pay <U+001B>[2K<U+202E>txt'
    """
    if text.isascii() and text.isprintable():
        return text
    out: list[str] = []
    marks = 0
    for char in text:
        kind = unicodedata.category(char)
        if kind in ("Mn", "Me"):
            marks += 1
        else:
            marks = 0
        if char == "\n" and lines:
            out.append(char)
        elif char in ODD_SPACES:
            out.append(" ")
        elif kind in SHAPELESS or char in BLANK or marks > MARKS or _selector(char):
            out.append(f"<U+{ord(char):04X}>")
        else:
            out.append(char)
    return "".join(out)


def _selector(char: str) -> bool:
    """Variation selectors beyond the two that choose text or colour of an emoji."""
    code = ord(char)
    return 0xFE00 <= code <= 0xFE0D or 0xE0100 <= code <= 0xE01EF


def value_text(value: Any) -> str:
    """A stored value as a person reads it, on one line."""
    if isinstance(value, str):
        return visible(value)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return f"{int(value):,}" if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return f"{value:,.6g}"
    return visible(json.dumps(value, ensure_ascii=False))


def time_of(at: int | None) -> str:
    """µs since 1970 UTC as a person reads it: `2026-11-21 08:00:00Z`; `-` for none."""
    if at is None:
        return "-"
    return datetime.fromtimestamp(at / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def span(us: int) -> str:
    """A length of time, rounded to what matters: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`.

    >>> span(45_000_000), span(12_000_000_000), span(-187_200_000_000)
    ('45 s', '3 h 20 min', '-2 d 4 h')
    """
    sign = "-" if us < 0 else ""
    seconds = abs(us) // 1_000_000
    if seconds < 90:
        return f"{sign}{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{sign}{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{sign}{hours} h" + (f" {minutes} min" if minutes else "")
    days, hours = divmod(hours, 24)
    return f"{sign}{days} d" + (f" {hours} h" if hours else "")


def share(count: int, whole: int) -> str:
    """A part of a whole in per cent: `7.3 %`; `-` of nothing."""
    return f"{100 * count / whole:.1f} %" if whole else "-"


ID_COLUMNS = frozenset({"decision", "grant", "id", "review"})


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table whose cells wrap and never lose a character. A header that ends in `>` is right.

    The columns of ids stay whole, because an id is there to be copied.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for header in headers:
        right = header.endswith(">")
        made.add_column(
            header.rstrip(">"),
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=header in ID_COLUMNS,
        )
    for row in rows:
        made.add_row(*(Text(visible(cell, lines=True)) for cell in row))
    return made
