"""Text from strangers made visible; times, lengths of time and values in words.

Facts, proposals, comments and names come from outside. On a terminal a control character can move
the cursor and rewrite what a person has just read, and a bidirectional override can show a sentence
in another order than it has. So every character that has an effect but no shape is shown as its
number: `<U+202E>`. Every surface shows the text of others through here.
"""

from __future__ import annotations

import itertools
import json
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

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


def counted(number: int, word: str) -> str:
    """A number of things: `1 rule`, `1,200 rules`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean …?` for a misspelt name, or nothing."""
    import difflib

    lowered = {item.lower(): item for item in itertools.islice(known, 600)}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f"did you mean `{lowered[close[0]]}`?" if close else ""


def visible(text: str, *, lines: bool = False) -> str:
    """`text` as it may be shown; keeps line ends where `lines` says so.

    >>> visible("pay \\x1b[2K\\u202etxt")
    'pay <U+001B>[2K<U+202E>txt'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"<{piece}>" if odd else piece for piece, odd in visible_pieces(text, lines=lines)
    )


def visible_pieces(text: str, *, lines: bool = False) -> list[tuple[str, bool]]:
    """What `visible` shows, in runs: text as it is, and (True) the number of what has no shape.

    For surfaces that can set the numbers apart, so that nobody writes them into the text.

    >>> visible_pieces("pay\\u202etxt")
    [('pay', False), ('U+202E', True), ('txt', False)]
    """
    found: list[tuple[str, bool]] = []
    run: list[str] = []
    marks = 0
    for char in text:
        kind = unicodedata.category(char)
        if kind in ("Mn", "Me"):
            marks += 1
        else:
            marks = 0
        if char == "\n" and lines:
            run.append(char)
        elif char in ODD_SPACES:
            run.append(" ")
        elif kind in SHAPELESS or char in BLANK or marks > MARKS or _selector(char):
            if run:
                found.append(("".join(run), False))
                run = []
            found.append((f"U+{ord(char):04X}", True))
        else:
            run.append(char)
    if run:
        found.append(("".join(run), False))
    return found


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
