"""Text from strangers cannot act on a terminal."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from handrail.cli.screen import share, span, table, time_of, value_text, visible

HOSTILE = [
    "\x1b[2J\x1b[H approved",
    "\x1b]0;title\x07",
    "a\rb",
    "pay\u202e001$",
    "zero\u200bwidth\u2060joiner\ufeff",
    "\u2066isolate\u2069",
    "\x9b31m C1",
    "line\u2028separator",
    "tag\U000e0041",
    "\u3164filler\u00ad",
    "\ud800",
    "z" + "\u0301" * 40,
    "under\x08\x08over",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_visible(text: str) -> None:
    shown = visible(text)
    assert shown != text
    assert "<U+" in shown
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)


@given(st.text())
def test_what_is_shown_never_has_a_character_without_a_shape(text: str) -> None:
    shown = visible(text)
    assert "\x1b" not in shown
    for char in shown:
        assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    run = 0
    for char in shown:
        run = run + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        assert run <= 4


@given(st.text())
def test_showing_twice_changes_nothing(text: str) -> None:
    assert visible(visible(text)) == visible(text)


def test_ordinary_text_stays_as_it_is() -> None:
    for text in ("Größe 12 m²", "日本語", "naïve café", "5 % of 3 µm", "10 000 €"):
        assert visible(text) == text


def test_lines_are_kept_only_where_asked() -> None:
    assert visible("a\nb", lines=True) == "a\nb"
    assert visible("a\nb") == "a<U+000A>b"


def test_values_in_words() -> None:
    assert value_text(1234567) == "1,234,567"
    assert value_text(True) == "yes"
    assert value_text(None) == "-"
    assert value_text(0.125) == "0.125"
    assert value_text({"a": "\x1b"}) == '{"a": "\\u001b"}'


def test_times_and_shares_in_words() -> None:
    assert time_of(1_795_262_327_416_331) == "2026-11-21 11:58:47Z"
    assert time_of(None) == "-"
    assert span(3_600_000_000 * 3) == "3 h"
    assert share(1, 3) == "33.3 %"
    assert share(0, 0) == "-"


ID = "r_01m7z06fjtajzajrv9sekgnhrt"


@pytest.mark.parametrize("width", [40, 80, 95, 96, 200])
def test_an_id_is_never_broken_and_nothing_is_lost(width: int) -> None:
    rows = [(ID, "high", "refund 4711: amount = 250.00", "over 100 USD", "in 4 h", "team:support")]
    console = Console(width=width, file=io.StringIO(), markup=False, highlight=False)
    console.print(table(("review", "severity", "what", "why", "due", "asked"), rows))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert any(ID in line for line in printed.splitlines())
    assert all(len(line) <= width for line in printed.splitlines())
    words = printed.split()
    for cell in rows[0]:
        assert set(cell.split()) <= set(words), cell


def test_a_table_without_ids_stays_a_table_on_a_narrow_terminal() -> None:
    console = Console(width=40, file=io.StringIO(), markup=False, highlight=False)
    console.print(table(("rule", "rows>"), [("large", "12"), ("small", "3")]))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert printed.splitlines()[0].split() == ["rule", "rows"]
    assert printed.splitlines()[-1].endswith(" 3")
