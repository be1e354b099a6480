"""The ledger tool finds marks, counts them and refuses ids that no row has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import ledger

TESTS = """
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.ledger("A-1")]

@pytest.mark.ledger("A-1", "A-2")
def test_one(): ...

@pytest.mark.ledger("{third}")
class TestTwo:
    @pytest.mark.ledger("B-1")
    async def test_three(self): ...
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "ledger.csv").write_text(
        'id,source,area,item,acceptance\nA-1,s,gate,"one, with comma",x\nA-2,s,gate,two,x\n'
        "B-1,s,audit,three,x\nB-2,s,audit,four,x\n"
    )
    (tmp_path / "tests" / "deep").mkdir(parents=True)
    return tmp_path


def run(place: Path, third: str, *more: str) -> int:
    (place / "tests" / "deep" / "test_it.py").write_text(TESTS.replace("{third}", third))
    return ledger.main(
        ["--file", str(place / "ledger.csv"), "--tests", str(place / "tests"), *more]
    )


def test_counts_rows_with_and_without_a_test(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place, "A-2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["covered"]) == ["A-1", "A-2", "B-1"]
    assert found["missing"] == ["B-2"]
    assert found["areas"]["audit"] == {"covered": 1, "total": 2}
    assert found["covered"]["B-1"] == ["tests/deep/test_it.py:11 test_three"]


def test_names_every_row_without_a_test(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "A-2", "--missing") == 0
    printed = capsys.readouterr().out
    assert "missing B-2" in printed
    assert printed.endswith("covered 3, missing 1, total 4\n")


def test_an_id_without_a_row_is_an_error(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "Q-9") == 1
    assert "tests/deep/test_it.py:9 TestTwo: the ledger has no row Q-9" in capsys.readouterr().err


def test_no_ledger_is_said_and_not_taken_for_success(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ledger.main(["--file", str(place / "none.csv")]) == 4
    assert "NOT CHECKED" in capsys.readouterr().err


@pytest.mark.skipif(not ledger.LEDGER.is_file(), reason="the ledger is not here")
def test_every_mark_of_our_tests_names_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert ledger.main([]) == 0, capsys.readouterr().err
