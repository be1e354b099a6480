"""`handrail start`: lift the stop button."""

from __future__ import annotations

from typing import Annotated

import typer

from handrail.cli.shell import shell_of
from handrail.model.commands import ClearStop

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def start(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option(help="Why it may go on.")],
    workflow: Annotated[
        str | None, typer.Argument(help="Workflow; the stop of every one where left out.")
    ] = None,
) -> None:
    """Lift the stop button. What was held meanwhile stays with the people who have it."""
    shell = shell_of(ctx)
    with shell.open() as client:
        shell.act(client, ClearStop(workflow=workflow or "*", reason=reason))
    if shell.json:
        shell.document({"workflow": workflow or "*", "stopped": False})
    else:
        shell.say(f"goes on: {workflow or 'every workflow'}")
