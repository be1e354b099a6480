"""`handrail new`: a first policy from data or from a typed model."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from handrail.cli.screen import counted
from handrail.cli.shell import POLICIES, Shell, shell_of
from handrail.model.errors import BadInput, Conflict

if TYPE_CHECKING:
    from handrail.bulk.read import Row

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def new(
    ctx: typer.Context,
    workflow: Annotated[str, typer.Argument(help="Name of the workflow, such as ad-spend.")],
    origin: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FILE|MODULE:MODEL",
            help="CSV, JSON Lines or Parquet file; or a dataclass, Struct or pydantic model.",
        ),
    ],
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL",
            help="Column that names a row; several together. Found by itself where left out.",
        ),
    ] = None,
    proposal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL", help="Column with what would run: an edit may change it. Several."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write; `-` prints. Default policies/NAME.yaml"),
    ] = None,
) -> None:
    """Write a first policy from data or from a typed model.

    With types, suggested thresholds, a review form, and two cases that come out as written.
    """
    shell = shell_of(ctx)
    printed = output is not None and str(output) == "-"
    place = output or shell.workspace / POLICIES / f"{workflow}.yaml"
    if not printed and place.exists():
        raise Conflict(f"{place} exists; name another file with --output, or change that one")
    if _is_model(origin):
        if key or proposal:
            raise BadInput("--key and --proposal are for files; a model names its fields itself")
        draft = _from_model(workflow, origin)
        follow = ""
    else:
        draft, keys = _from_file(workflow, Path(origin), key or [], proposal or [])
        chosen = "".join(f" --key {_shell_word(k)}" for k in keys or ("@row",))
        where = f" -w {_shell_word(str(named))}" if (named := shell.chosen_workspace) else ""
        follow = f"handrail{where} gate {workflow} --input {_shell_word(origin)} --submit{chosen}"
    if printed:
        print(draft.text, end="")
        for note in draft.notes:
            shell.note(note)
        return
    from handrail.bulk.write import whole_file

    with whole_file(place) as file:
        file.write(draft.text)
    if shell.json:
        shell.document(
            {
                "policy": str(place),
                "workflow": workflow,
                "rules": draft.rules,
                "cases": draft.cases,
                "notes": draft.notes,
                "next": follow or None,
            }
        )
        return
    rules, cases = counted(len(draft.rules), "rule"), counted(draft.cases, "case")
    shell.say(f"{place}: {rules}, {cases}, checked")
    for note in draft.notes:
        shell.say(f"- {note}")
    if follow:
        shell.say(f"next: {follow}")


def _is_model(origin: str) -> bool:
    """`module:Model`, and no file of that name."""
    module, colon, name = origin.partition(":")
    dotted = all(part.isidentifier() for part in module.split("."))
    return bool(colon) and dotted and name.isidentifier() and not Path(origin).exists()


def _from_file(
    workflow: str, path: Path, keys: list[str], proposal: list[str]
) -> tuple[Any, tuple[str, ...]]:
    from handrail.bulk.draft import from_rows
    from handrail.bulk.infer import key_of, look_at
    from handrail.bulk.names import name_columns
    from handrail.bulk.read import open_source

    source = open_source(path)
    bad: list[Row] = []
    rows = _readable(source.rows(), bad)
    columns, sample = look_at(rows, name_columns(source.headers, str(path)))
    if bad and not sample:
        raise BadInput(
            f"{path}:{bad[0].line or 1}:1: {bad[0].problem}; no row can be read: the first line "
            "has to hold the names of all columns"
        )
    found = tuple(keys) or key_of(columns, sample)
    draft = from_rows(workflow, columns, sample, origin=path.name, keys=found, proposal=proposal)
    if bad:
        left_out = (
            f"left out, because they cannot be read: {counted(len(bad), 'row')}; the first begins "
            f"in line {bad[0].line}: {bad[0].problem}"
        )
        draft = msgspec.structs.replace(draft, notes=(left_out, *draft.notes))
    return draft, found


def _readable(rows: Iterable[Row], bad: list[Row]) -> Iterator[Row]:
    """The rows that can be read, of those that are looked at; the others are kept in `bad`."""
    from handrail.bulk.infer import SAMPLE_ROWS

    for row in rows:
        if row.number > SAMPLE_ROWS:
            return
        if row.problem is None:
            yield row
        else:
            bad.append(row)


def _from_model(workflow: str, origin: str) -> Any:
    from handrail.bulk.draft import from_fields
    from handrail.bulk.models import fields_of

    module, _, name = origin.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        model = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise BadInput(f"{module} cannot be imported: {error}; call this beside it") from error
    except AttributeError as error:
        raise BadInput(f"{module} has no {name}; check the name behind the colon") from error
    return from_fields(workflow, fields_of(model, origin), origin=origin)


def _shell_word(text: str) -> str:
    import shlex

    return shlex.quote(text)


def policy_file(shell: Shell, named: str) -> Path:
    """The policy file a person names: a path, or a workflow of the workspace."""
    path = Path(named)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise BadInput(f"{path}: no such file; name a policy file or a workflow")
        return path
    inside = shell.workspace / POLICIES / f"{named}.yaml"
    if not inside.is_file():
        known = sorted(p.stem for p in inside.parent.glob("*.yaml"))
        raise BadInput(
            f"the workspace has no policy {named!r}; it has {', '.join(known) or 'none'}"
        )
    return inside
