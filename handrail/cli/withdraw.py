"""`handrail withdraw`: take a decision back."""

from __future__ import annotations

from typing import Annotated

import typer

from handrail.cli.shell import shell_of
from handrail.cli.wait import print_outcome

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def withdraw(
    ctx: typer.Context,
    decision: Annotated[str, typer.Argument(metavar="ID", help="Id of the decision (d_…).")],
    reason: Annotated[str, typer.Option(help="Why it is no longer wanted.")],
) -> None:
    """Take a decision back before it is decided. Exits with 3 where it was decided already."""
    shell = shell_of(ctx)
    with shell.open() as client:
        outcome = client.withdraw(decision, reason=reason)
    if shell.json:
        shell.document(outcome.to_dict())
    else:
        print_outcome(shell, outcome)
