"""`handrail wait`: the outcome of a decision."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from handrail.cli.screen import time_of, value_text, visible
from handrail.cli.shell import Shell, shell_of
from handrail.model.outcome import Outcome

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def wait(
    ctx: typer.Context,
    decision: Annotated[str, typer.Argument(metavar="ID", help="Id of the decision (d_…).")],
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Give up then; else wait for ever.")
    ] = None,
) -> None:
    """Wait for the outcome. Exits with 0 where it is allowed, 1 where not, 4 when time is up."""
    shell = shell_of(ctx)
    with shell.open(stays=True) as client:
        outcome = client.wait(decision, timeout=timeout)
    if shell.json:
        shell.document(outcome.to_dict())
    else:
        print_outcome(shell, outcome)
    if not outcome.allowed:
        raise typer.Exit(1)


def print_outcome(shell: Shell, outcome: Outcome[Any]) -> None:
    """The outcome for people."""
    by = f" by {visible(outcome.by)}" if outcome.by else ""
    shell.say(
        f"{outcome.decision_id} {outcome.verdict}{by} at {time_of(outcome.at)}: "
        f"{visible(outcome.why)}"
    )
    if outcome.allowed:
        shell.say(f"value: {value_text(outcome.value)}")
        if outcome.grant_id:
            shell.say(f"grant: {outcome.grant_id} (single use)")
