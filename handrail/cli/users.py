"""`handrail users`: who may decide."""

from __future__ import annotations

from typing import Annotated

import typer

from handrail.cli.screen import table, time_of
from handrail.cli.shell import shell_of
from handrail.model.commands import Invite, ListPeople, SetPerson
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
            ("person", "holds", "decides up to", "active", "since", "id"),
            [
                (
                    one.handle,
                    ", ".join(one.holds),
                    ", ".join(f"{name} {amount}" for name, amount in sorted(one.limits.items())),
                    "yes" if one.active else "no",
                    time_of(one.added_at),
                    one.id,
                )
                for one in people
            ],
        )
    )


LIMIT = (
    "Most money this person may decide there, `*` for other workflows; replaces their limits. "
    "`none` takes all limits away."
)


def _names(given: list[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for part in given for name in part.split(",") if name.strip())
    wrong = [name for name in names if not name.startswith(("team:", "role:"))]
    if wrong:
        raise BadInput(f"{', '.join(wrong)}: expected team:NAME or role:NAME")
    return names


def _limits(given: list[str] | None) -> dict[str, str] | None:
    if given is None or given == ["none"]:
        return None if given is None else {}
    found = {}
    for text in given:
        workflow, equals, amount = text.rpartition("=")
        if not equals or not workflow:
            raise BadInput(f"--limit {text}: expected WORKFLOW=AMOUNT, such as refund=500")
        found[workflow] = amount
    return found


@app.command()
def add(
    ctx: typer.Context,
    handle: Annotated[str, typer.Argument(help="How people call them, such as ann@example.com.")],
    holds: Annotated[
        list[str] | None,
        typer.Option(metavar="team:X,role:Y", help="Teams and roles; replaces what they held."),
    ] = None,
    limits: Annotated[
        list[str] | None, typer.Option("--limit", metavar="WORKFLOW=AMOUNT", help=LIMIT)
    ] = None,
) -> None:
    """Register a person, or replace what they hold."""
    shell = shell_of(ctx)
    command = SetPerson(handle=handle, holds=_names(holds or []), limits=_limits(limits))
    with shell.open() as client:
        person = shell.act(client, command)
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


@app.command()
def invite(
    ctx: typer.Context,
    handle: Annotated[str, typer.Argument(help="Whom, such as ann@example.com.")],
    holds: Annotated[
        list[str] | None,
        typer.Option(metavar="team:X,role:Y", help="Teams and roles they will hold."),
    ] = None,
    limits: Annotated[
        list[str] | None, typer.Option("--limit", metavar="WORKFLOW=AMOUNT", help=LIMIT)
    ] = None,
    hours: Annotated[float, typer.Option(help="How long the link works.")] = 72.0,
) -> None:
    """Make a link with which somebody sets a password and signs in. Prints its secret this once.

    What is not named stays as it is; so this is also how somebody gets a new password.
    """
    shell = shell_of(ctx)
    command = Invite(
        handle=handle,
        holds=None if holds is None else _names(holds),
        limits=_limits(limits),
        hours=hours,
    )
    with shell.open() as client:
        invited = shell.act(client, command)
    if shell.json:
        shell.document(invited)
        return
    shell.say(invited.secret)
    shell.note(f"for {invited.handle}, once, until {time_of(invited.until)}; it is shown only now")
