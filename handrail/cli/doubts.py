"""`handrail doubts`: runs nobody can vouch for."""

from __future__ import annotations

from typing import Annotated

import typer

from handrail.cli.screen import table, time_of, value_text
from handrail.cli.shell import shell_of
from handrail.model.commands import ListDoubts, Resolve
from handrail.model.errors import BadInput

app = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)


@app.callback()
def doubts(ctx: typer.Context) -> None:
    """Runs that are in doubt or failed and wait for a person. Alone it lists them."""
    if ctx.invoked_subcommand is None:
        list_(ctx)


@app.command("list")
def list_(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Most of them.")] = 100,
) -> None:
    """Runs that nobody can vouch for, oldest first."""
    shell = shell_of(ctx)
    with shell.open() as client:
        found = shell.act(client, ListDoubts(limit=limit))
    if shell.json:
        shell.document(found)
        return
    if not found:
        shell.say("no run is in doubt")
        return
    shell.console().print(
        table(
            ("grant", "state", "workflow", "subject", "value", "started", "by", "error"),
            [
                (
                    one.grant.id,
                    str(one.grant.state),
                    one.workflow,
                    one.subject or "-",
                    value_text(one.value),
                    time_of(one.grant.redeemed_at),
                    one.grant.by or "-",
                    one.grant.error or "-",
                )
                for one in found
            ],
        )
    )
    shell.say("look whether the effect happened, then: handrail doubts resolve GRANT --happened")


@app.command()
def resolve(
    ctx: typer.Context,
    grant: Annotated[str, typer.Argument(help="Id of the grant (g_…).")],
    note: Annotated[str, typer.Option(help="How you know.")],
    happened: Annotated[bool, typer.Option("--happened", help="The effect took place.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="It did not; mint a new grant to try again.")
    ] = False,
    never: Annotated[
        bool, typer.Option("--never", help="It did not, and it shall not any more.")
    ] = False,
) -> None:
    """Settle a run in doubt: a person says what happened. It is never repeated by itself."""
    shell = shell_of(ctx)
    said = [
        word
        for word, chosen in (("happened", happened), ("again", again), ("never", never))
        if chosen
    ]
    if len(said) != 1:
        raise BadInput("say exactly one of --happened, --again, --never")
    with shell.open() as client:
        result = shell.act(client, Resolve(grant_id=grant, answer=said[0], note=note))  # type: ignore[arg-type]
    if shell.json:
        shell.document(result)
        return
    shell.say(f"{result.id} is {result.state}")
    if result.replaced_by:
        shell.say(f"new grant: {result.replaced_by}")
