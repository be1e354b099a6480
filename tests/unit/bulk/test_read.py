"""Files as rows: exact about lines, and never ended by one bad row."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pytest

from handrail.bulk.read import Row, open_source
from handrail.model.errors import BadInput


def rows_of(path: Path) -> list[Row]:
    return list(open_source(path).rows())


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_rows_with_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", '\n\nid,note\n1,"two\nlines"\n\n2,last\n')
    source = open_source(path)
    assert source.headers == ("id", "note")
    rows = list(source.rows())
    assert [(r.number, r.values) for r in rows] == [
        (1, {"id": "1", "note": "two\nlines"}),
        (2, {"id": "2", "note": "last"}),
    ]
    assert [row.line for row in rows] == [4, 7]


def test_a_byte_order_mark_is_no_part_of_the_first_header(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b"\xef\xbb\xbfid,name\n1,x\n")
    assert open_source(path).headers == ("id", "name")


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_delimiters(tmp_path: Path, mark: str) -> None:
    path = write(tmp_path, "a.csv", f'id{mark}"a,b;c"{mark}n\n1{mark}x{mark}2\n')
    [row] = rows_of(path)
    assert row.values == {"id": "1", "a,b;c": "x", "n": "2"}


def test_ragged_rows_are_bad_rows_and_the_others_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "id,n\n1,2\n3\n4,5,6\n7,8\n")
    rows = rows_of(path)
    assert [row.problem for row in rows] == [
        None,
        "the row has 1 values; expected 2, one a column",
        "the row has 3 values; expected 2, one a column",
        None,
    ]
    assert [row.line for row in rows] == [2, 3, 4, 5]


def test_a_quote_that_never_closes_is_named_and_swallows_nothing_silently(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'id,n\n1,2\n3,"open\n5,6\n')
    rows = rows_of(path)
    assert rows[0].problem is None
    assert any(row.problem and "quotes" in row.problem for row in rows[1:])


def test_other_encodings_are_named_with_their_place(tmp_path: Path) -> None:
    latin = write(tmp_path, "a.csv", "id,n\n1,Größe\n".encode("latin-1"))
    with pytest.raises(BadInput, match=r"a\.csv:\d+:1: byte 0xf6 is not UTF-8"):
        rows_of(latin)
    wide = write(tmp_path, "b.csv", "id,n\n".encode("utf-16"))
    with pytest.raises(BadInput, match="UTF-16"):
        open_source(wide)


def test_json_lines_are_read_strictly(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a.jsonl",
        '\ufeff{"id": 1, "n": 2.50}\n\n[1]\n{"id": 2, "id": 3}\n{"id": NaN}\n{"a": 1}\nnot\n',
    )
    rows = rows_of(path)
    assert [row.line for row in rows] == [1, 3, 4, 5, 6, 7]
    assert rows[0].values == {"id": 1, "n": 2.5}
    assert [row.problem is None for row in rows] == [True, False, False, False, True, False]
    assert "stands twice" in (rows[2].problem or "")
    assert "expected one JSON object a line" in (rows[1].problem or "")
    assert open_source(path).headers == ("id", "n", "a")


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    path = tmp_path / "a.parquet"
    polars.DataFrame(
        {
            "id": [1, 2],
            "at": [dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), None],
            "price": [Decimal("1.50"), Decimal("2.25")],
        }
    ).write_parquet(path)
    source = open_source(path)
    assert (source.headers, source.size, source.textual) == (("id", "at", "price"), 2, False)
    rows = list(source.rows())
    assert [(row.number, row.line) for row in rows] == [(1, None), (2, None)]
    assert rows[0].values["price"] == Decimal("1.50")
    assert rows[1].values["at"] is None


def test_what_is_no_file_of_a_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected one of"):
        open_source(write(tmp_path, "a.xlsx", b"PK"))
    with pytest.raises(BadInput, match="check the path"):
        open_source(tmp_path / "none.csv")
    with pytest.raises(BadInput, match="empty"):
        open_source(write(tmp_path, "e.csv", ""))
    with pytest.raises(BadInput, match="not a Parquet file"):
        open_source(write(tmp_path, "p.parquet", b"nope"))
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(BadInput, match="folder"):
        open_source(tmp_path / "d.csv")


def test_progress_reaches_towards_the_size(tmp_path: Path) -> None:
    text = "".join(json.dumps({"id": n}) + "\n" for n in range(2000))
    source = open_source(write(tmp_path, "a.jsonl", text))
    seen: list[int] = []
    assert len(list(source.rows(seen.append))) == 2000
    assert seen == sorted(seen)
    assert 0.5 * source.size < seen[-1] <= source.size


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PK\x03\x04" + bytes(50), "a workbook or an archive"),
        (b"\xd0\xcf\x11\xe0" + bytes(50), "a workbook or an archive"),
        (b"sep=;\r\na;b\r\n1;2\r\n", "delete that line"),
        (b"\xef\xbb\xbfsep=,\na,b\n1,2\n", "delete that line"),
    ],
)
def test_what_a_spreadsheet_leaves_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=told):
        open_source(path)
