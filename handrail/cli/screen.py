"""Tables and shares on a terminal. The text of others goes through `handrail.model.text`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from handrail.model.text import counted, span, time_of, value_text, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table


def share(count: int, whole: int) -> str:
    """A part of a whole in per cent: `7.3 %`; `-` of nothing."""
    return f"{100 * count / whole:.1f} %" if whole else "-"


ID_COLUMNS = frozenset({"decision", "grant", "id", "review"})
"""Columns whose cells stay whole, because an id is there to be copied."""
WIDE = 96
"""Columns of a terminal from which a table with ids is one. On a narrower one each row is a block
of lines."""


class Listing:
    """Rows of a table, laid out for the width there is. No character is lost in either form."""

    def __init__(self, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        self._headers = [header.rstrip(">") for header in headers]
        self._right = [header.endswith(">") for header in headers]
        self._rows = [[visible(cell, lines=True) for cell in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width < WIDE and ID_COLUMNS & set(self._headers):
            yield from self._blocks()
        else:
            yield self._table()

    def _table(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for header, right in zip(self._headers, self._right, strict=True):
            made.add_column(
                header,
                justify="right" if right else "left",
                overflow="fold",
                no_wrap=header in ID_COLUMNS,
            )
        for row in self._rows:
            made.add_row(*map(Text, row))
        return made

    def _blocks(self) -> Iterator[RenderableType]:
        from rich.padding import Padding
        from rich.text import Text

        for row in self._rows:
            yield Text(f"{self._headers[0]} {row[0]}")
            for header, cell in zip(self._headers[1:], row[1:], strict=True):
                if cell not in ("", "-"):
                    yield Padding(
                        Text(f"{header}: {cell}", overflow="fold"), (0, 0, 0, 2), expand=False
                    )


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Listing:
    """A table whose cells wrap and never lose a character. A header that ends in `>` is right."""
    return Listing(headers, rows)


@contextmanager
def progress_bar(total: int, doing: str) -> Iterator[Callable[[int], None] | None]:
    """A progress bar on the error stream, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn(doing),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda done: bar.update(task, completed=done)


__all__ = ["counted", "progress_bar", "share", "span", "table", "time_of", "value_text", "visible"]
