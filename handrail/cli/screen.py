"""Tables and shares on a terminal. The text of others goes through `handrail.model.text`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.model.text import span, time_of, value_text, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table


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


__all__ = ["share", "span", "table", "time_of", "value_text", "visible"]
