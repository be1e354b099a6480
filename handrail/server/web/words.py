"""The string catalogue: every visible string of the desk by its name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Any

from handrail.model.text import visible


def _filled(value: Any) -> Any:
    if type(value) is int:
        return f"{value:,}"
    return visible(value) if type(value) is str else value


class Words:
    """The strings of one language. Calling it gives one, filled in.

    >>> words = Words("en")
    >>> words("due.in", span="5 min"), words("card.reach", n=1200)
    ('in 5 min', 'Reach: 1,200 decisions')
    """

    def __init__(self, language: str) -> None:
        text = (resources.files(__package__) / "strings" / f"{language}.toml").read_text("utf-8")
        self._strings: dict[str, str | dict[str, str]] = {}
        for section, entries in tomllib.loads(text).items():
            for name, entry in entries.items():
                self._strings[f"{section}.{name}"] = entry

    def __call__(self, name: str, /, **values: Any) -> str:
        """The string `name`, what is filled in made visible. A wrong name is a mistake of ours."""
        entry = self._strings[name]
        if isinstance(entry, dict):
            entry = entry["one" if values.get("n") == 1 else "other"]
        return entry.format_map({key: _filled(value) for key, value in values.items()})

    def __contains__(self, name: str) -> bool:
        return name in self._strings

    def __iter__(self) -> Iterator[str]:
        return iter(self._strings)

    def section(self, name: str) -> dict[str, str]:
        """The plain strings of a section, for scripts."""
        prefix = f"{name}."
        return {
            key.removeprefix(prefix): entry
            for key, entry in self._strings.items()
            if key.startswith(prefix) and isinstance(entry, str)
        }

    def span(self, us: int) -> str:
        """A length of time (µs), rounded to what matters."""
        seconds = abs(us) // 1_000_000
        if seconds < 90:
            return self("span.seconds", n=seconds)
        minutes = round(seconds / 60)
        if minutes < 90:
            return self("span.minutes", n=minutes)
        hours, minutes = divmod(minutes, 60)
        if hours < 48:
            return self("span.hours_minutes" if minutes else "span.hours", h=hours, m=minutes)
        days, hours = divmod(hours, 24)
        return self("span.days_hours" if hours else "span.days", d=days, h=hours)
