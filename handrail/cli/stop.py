"""`handrail stop`: the stop button."""

from __future__ import annotations

from typing import Annotated

import typer

from handrail.cli.screen import time_of, visible
from handrail.cli.shell import shell_of
from handrail.model.commands import ListStops, SetStop
from handrail.model.errors import BadInput

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def stop(
    ctx: typer.Context,
    workflow: Annotated[
        str | None, typer.Argument(help="Workflow to stop; every one where left out.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; needed to press it.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Only list what is stopped.")] = False,
) -> None:
    """Press the stop button: nothing passes by itself any more.

    From the next decision on, until `handrail start`, restarts included. Decisions are still
    taken in, and held for people.
    """
    shell = shell_of(ctx)
    with shell.open() as client:
        if show:
            stops = client.call(ListStops())
            if shell.json:
                shell.document(stops)
                return
            for one in stops:
                name = "every workflow" if one.workflow == "*" else one.workflow
                shell.say(
                    f"{visible(name)} since {time_of(one.at)} by {visible(one.by)}: "
                    f"{visible(one.reason)}"
                )
            if not stops:
                shell.say("nothing is stopped")
            return
        if not reason:
            raise BadInput("say why with --reason; those who wonder will read it")
        made = shell.act(client, SetStop(workflow=workflow or "*", reason=reason))
    if shell.json:
        shell.document(made)
    else:
        shell.say(f"stopped: {workflow or 'every workflow'}; `handrail start` lifts it")
