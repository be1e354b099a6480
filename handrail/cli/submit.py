"""`handrail submit`: one decision from the shell."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from handrail.cli.screen import time_of, visible
from handrail.cli.shell import Shell, shell_of
from handrail.model.errors import BadInput
from handrail.model.ruling import Ruling
from handrail.model.wire import read_json

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def submit(
    ctx: typer.Context,
    workflow: Annotated[str, typer.Argument(help="Workflow, which is the name of its policy.")],
    fields: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FIELD=VALUE…",
            help="Facts and proposed values by field; the policy says which is which.",
        ),
    ] = None,
    facts: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE|-", help="Facts as a JSON object.")
    ] = None,
    proposal: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE|-", help="What would run, as a JSON object."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Repeats with this key are one decision.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="The object, where no field names it.")
    ] = None,
    requester: Annotated[
        str | None, typer.Option(help="Person on whose behalf; may never decide it.")
    ] = None,
    confidence: Annotated[float | None, typer.Option(help="0 to 1.")] = None,
    model: Annotated[str | None, typer.Option(help="Name and version of what proposed.")] = None,
    current: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE|-", help="State now, to show what changes.")
    ] = None,
    context: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE|-", help="Shown to people, read by no rule.")
    ] = None,
    expires_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="After this it is of no use (RFC 3339).")
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Mark as a test: left out of rates.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only say what the gate would answer.")
    ] = False,
) -> None:
    """Hand in a decision. Exits with 0 where it passes, 1 where it is held, 3 where it is refused.

    FIELD=VALUE reads VALUE as the declared type of the field; FIELD:=JSON takes JSON as it is.
    """
    from handrail.model.commands import Preview, Submit

    shell = shell_of(ctx)
    given_facts = _object(facts, "--facts")
    given_proposal = _object(proposal, "--proposal")
    for name, value, proposed in _read_fields(shell, workflow, fields or []):
        target = given_proposal if proposed else given_facts
        if name in target:
            raise BadInput(f"{name} is given twice; give it once")
        target[name] = value
    with shell.open() as client:
        ruling: Ruling
        if preview:
            ruling = client.call(
                Preview(
                    workflow=workflow,
                    facts=given_facts,
                    proposal=given_proposal or None,
                    subject=subject,
                    confidence=confidence,
                )
            )
        else:
            ruling = client.call(
                Submit(
                    workflow=workflow,
                    facts=given_facts,
                    proposal=given_proposal or None,
                    key=key or secrets.token_hex(16),
                    subject=subject,
                    requester=requester,
                    confidence=confidence,
                    model=model,
                    current=_object(current, "--current") or None,
                    context=_json(context, "--context") if context is not None else None,
                    expires_at=expires_at,
                    test=test,
                )
            )
    if shell.json:
        shell.document(ruling.to_dict())
    else:
        print_ruling(shell, ruling, preview=preview)
    raise typer.Exit({"pass": 0, "hold": 1}.get(str(ruling.lane), 3))


def print_ruling(
    shell: Shell, ruling: Ruling, *, preview: bool = False, settled: bool = False
) -> None:
    """The ruling for people; `settled`: its outcome is there, so nobody waits for it."""
    word = {"pass": "passes", "hold": "is held", "refuse": "is refused"}[str(ruling.lane)]
    name = "it" if preview else ruling.decision_id
    shell.say(f"{name} {word} ({ruling.mode}): {visible(ruling.why)}")
    for fired in ruling.fired:
        shell.say(f"- {fired.rule} ({fired.severity}): {visible(fired.because)}")
    for unknown in ruling.unknown:
        shell.say(
            f"- {unknown.rule} is unknown: {visible(unknown.why)}; so it acts: {unknown.acted}"
        )
    if ruling.undeclared:
        shell.say(f"- the policy declares no {', '.join(map(visible, ruling.undeclared))}")
    if not preview and str(ruling.lane) == "hold":
        asked = ", ".join(map(visible, ruling.approvers))
        due = f", until {time_of(ruling.due)}" if ruling.due else ""
        shell.say(f"review {ruling.review_id}, asked: {asked or 'anybody'}{due}")
        if not settled:
            shell.say(f"next: handrail wait {ruling.decision_id}")


def _json(given: str, option: str) -> Any:
    """JSON from the command line, from a file (@FILE) or from the input (-)."""
    try:
        if given == "-":
            text: str | bytes = sys.stdin.buffer.read()
        elif given.startswith("@"):
            text = Path(given[1:]).read_bytes()
        else:
            text = given
    except OSError as error:
        raise BadInput(f"{option}: {given[1:]}: {error.strerror or error}") from error
    try:
        return read_json(text)
    except BadInput as error:
        raise BadInput(f"{option}: {error}") from error


def _object(given: str | None, option: str) -> dict[str, Any]:
    value = {} if given is None else _json(given, option)
    if not isinstance(value, dict):
        raise BadInput(f"{option} is a {type(value).__name__}; expected a JSON object")
    return value


def _read_fields(shell: Shell, workflow: str, given: list[str]) -> list[tuple[str, Any, bool]]:
    """(name, wire value, proposed) of each FIELD=VALUE, typed by the workspace's policy file."""
    if not given:
        return []
    from handrail.bulk.cells import read_cell
    from handrail.cli.check import reader
    from handrail.cli.new import policy_file
    from handrail.gate import load

    path = policy_file(shell, workflow)
    policy = load(path.read_bytes(), path=str(path), read_file=reader(path), run_cases=False)
    fields = {field.name: field for field in policy.fields}
    found: list[tuple[str, Any, bool]] = []
    for entry in given:
        name, equals, text = entry.partition("=")
        raw = name.endswith(":")
        name = name.removesuffix(":")
        if not equals or not name:
            raise BadInput(f"{entry!r} is no FIELD=VALUE; write such as channel=search")
        field = fields.get(name)
        if raw:
            value = _json(text, name)
        else:
            value = text if field is None else read_cell(field, text)
        found.append((name, value, field is not None and field.proposed))
    return found
