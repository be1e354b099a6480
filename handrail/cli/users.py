"""`handrail users`: who may decide."""

from __future__ import annotations

from typing import Annotated

import typer

from handrail.cli.screen import table, time_of
from handrail.cli.shell import shell_of
from handrail.model.commands import ListPeople, SetPerson
from handrail.model.errors import BadInput, NotFound

app = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)


@app.callback()
def users(ctx: typer.Context) -> None:
    """Who may decide, and for which teams and roles.

    Alone it lists them.
    """
    if ctx.invoked_subcommand is None:
        list_(ctx)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Registered persons."""
    shell = shell_of(ctx)
    with shell.open() as client:
        people = shell.act(client, ListPeople())
    if shell.json:
        shell.document(people)
        return
    if not people:
        shell.say("nobody is registered: one person holds every role, and votes say so")
        return
    shell.console().print(
        table(
            ("person", "holds", "active", "since", "id"),
            [
                (
                    one.handle,
                    ", ".join(one.holds),
                    "yes" if one.active else "no",
                    time_of(one.added_at),
                    one.id,
                )
                for one in people
            ],
        )
    )


@app.command()
def add(
    ctx: typer.Context,
    handle: Annotated[str, typer.Argument(help="How people call them, such as ann@example.com.")],
    holds: Annotated[
        list[str] | None,
        typer.Option(metavar="team:X,role:Y", help="Teams and roles; replaces what they held."),
    ] = None,
) -> None:
    """Register a person, or replace what they hold."""
    shell = shell_of(ctx)
    names = tuple(name.strip() for part in holds or () for name in part.split(",") if name.strip())
    wrong = [name for name in names if not name.startswith(("team:", "role:"))]
    if wrong:
        raise BadInput(f"{', '.join(wrong)}: expected team:NAME or role:NAME")
    with shell.open() as client:
        person = shell.act(client, SetPerson(handle=handle, holds=names))
    if shell.json:
        shell.document(person)
    else:
        shell.say(f"{person.handle} holds {', '.join(person.holds) or 'nothing'}")


@app.command()
def remove(
    ctx: typer.Context,
    handle: Annotated[str, typer.Argument(help="Person who may decide no longer.")],
) -> None:
    """Let a person decide no longer. What they decided stays theirs."""
    shell = shell_of(ctx)
    with shell.open() as client:
        people = shell.act(client, ListPeople())
        known = next((p for p in people if p.handle.casefold() == handle.casefold()), None)
        if known is None:
            raise NotFound(f"nobody is registered as {handle!r}; `handrail users` lists them")
        person = shell.act(client, SetPerson(handle=known.handle, holds=known.holds, active=False))
    if shell.json:
        shell.document(person)
    else:
        shell.say(f"{person.handle} may decide no longer")
