"""How a noun looks in a notebook: one small table, everything escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any


def html_table(caption: str, rows: Iterable[tuple[str, Any]]) -> str:
    """A table of names and values; rows whose value is None or empty are left out."""
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td>{_text(value)}</td></tr>"
        for name, value in rows
        if value is not None and value != "" and value != () and value != {}
    )
    return f"<table><caption>{escape(caption)}</caption><tbody>{cells}</tbody></table>"


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "<br>".join(_text(item) for item in value)
    if isinstance(value, dict):
        return "<br>".join(f"{escape(str(name))}: {_text(item)}" for name, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(str(value))
