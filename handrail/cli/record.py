"""`handrail record`: the rows of a file as observations of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from handrail.cli.screen import progress_bar
from handrail.cli.shell import shell_of
from handrail.model.errors import BadInput

if TYPE_CHECKING:
    from handrail.bulk.read import Source

app = typer.Typer(add_completion=False, rich_markup_mode=None)

ROW = "@row"
_KEY, _AT = " key", " at"  # no field is called so
SHOWN = 5
"""Bad rows that are told on the screen; all of them are in the side file."""


@app.command()
def record(
    ctx: typer.Context,
    stream: Annotated[str, typer.Argument(help="Stream, as policies name it: `over: events:…`.")],
    input: Annotated[
        Path, typer.Option("--input", "-i", metavar="FILE", help="CSV, JSON Lines or Parquet.")
    ],
    key: Annotated[
        list[str],
        typer.Option(
            metavar="COL",
            help="Column that names a row, several together; @row is the row's number.",
        ),
    ],
    at: Annotated[
        str, typer.Option(metavar="COL", help="Column with the time, with a zone, or the day.")
    ] = "at",
) -> None:
    """Record the rows of a file, for the aggregates of policies to read.

    Headers become field names as in `handrail gate`; an empty cell is a missing value. A row that
    was recorded before under its key is not counted again, so a longer file of the same rows is
    simply recorded again. Bad rows go to NAME.bad.jsonl with their number and the reason; the exit
    code is 2 where no row could be recorded.
    """
    from handrail.bulk.read import open_source

    shell = shell_of(ctx)
    source = open_source(input)
    for name in (*key, at):
        if name != ROW and name not in source.headers:
            raise BadInput(
                f"{input} has no column {name!r}; its columns are {', '.join(source.headers)}"
            )
    bad_path = Path(f"{input.stem}.bad.jsonl")
    with shell.open(stays=True) as client, progress_bar(source.size, "recording") as progress:
        rows = _rows(source, key, at, progress)
        answer = client.record(stream, rows, key=_KEY, at=_AT, on_bad="skip")
    bad = [
        {"row": number, "error": one.error}
        for number, one in enumerate(answer.rows, 1)
        if one.error is not None
    ]
    if bad:
        bad_path.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in bad))
    if shell.json:
        counts = {name: getattr(answer, name) for name in ("recorded", "repeated", "late", "bad")}
        shell.document({"stream": stream, **counts, "read_by": answer.read_by})
    else:
        shell.say(
            f"{answer.recorded:,} recorded, {answer.repeated:,} repeated, {answer.late:,} too "
            f"late, {answer.bad:,} bad"
        )
        shell.say("read by " + (", ".join(answer.read_by) or "no policy yet"))
    for one in bad[:SHOWN]:
        error: Any = one["error"]
        shell.complain_line(f"{input}: row {one['row']}: {error['detail']}")
    if bad:
        shell.complain_line(f"{len(bad):,} bad rows with their reasons are in {bad_path}")
    if bad and not answer.recorded and not answer.repeated:
        raise typer.Exit(2)


def _rows(source: Source, key: list[str], at: str, progress: Any) -> Iterator[dict[str, Any]]:
    from handrail.bulk.names import field_name

    names = {header: field_name(header) or header for header in source.headers}
    for row in source.rows(progress):
        if row.problem is not None:
            yield {"problem": row.problem}  # without a key: told as bad, at its place
            continue
        facts = {
            names.get(header, header): value
            for header, value in row.values.items()
            if header != at and value is not None and not _empty(value)
        }
        parts = [str(row.number) if name == ROW else row.values.get(name) for name in key]
        if not any(part is None or _empty(part) for part in parts):
            facts[_KEY] = "/".join(str(part) for part in parts)
        moment = row.values.get(at)
        if moment is not None and not _empty(moment):
            facts[_AT] = moment.strip() if isinstance(moment, str) else moment
        yield facts


def _empty(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()
