"""The reference pages are what the program says, and name everything a user can type."""

from __future__ import annotations

import pytest

from handrail.settings import Settings
from tests.docs import reference


@pytest.mark.parametrize("name", reference.PAGES)
def test_the_page_is_what_the_program_says(name: str) -> None:
    written = (reference.FOLDER / name).read_text("utf-8")
    assert written == reference.PAGES[name](), f"{name} is out of date; run `make fix`"


def test_every_setting_has_a_meaning() -> None:
    meanings = reference.field_docs(Settings)
    assert set(meanings) == set(Settings.__struct_fields__)
    assert all(meanings.values()), [name for name, text in meanings.items() if not text]


def test_every_command_and_option_says_what_it_does() -> None:
    empty = [
        line
        for line in reference.commands().splitlines()
        if line.startswith("| `") and line.endswith("|  |")
    ]
    assert not empty, empty
