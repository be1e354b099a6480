"""`handrail tokens`: keys of programs that reach the server over the network."""

from __future__ import annotations

from typing import Annotated

import typer

from handrail.cli.screen import table, time_of
from handrail.cli.shell import shell_of
from handrail.model.commands import ListTokens, MakeToken, RevokeToken

app = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)


@app.callback()
def tokens(ctx: typer.Context) -> None:
    """Keys of programs: what each may do, and in which workflows.

    Alone it lists them.
    """
    if ctx.invoked_subcommand is None:
        list_(ctx)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Tokens, the revoked ones too."""
    shell = shell_of(ctx)
    with shell.open() as client:
        found = shell.act(client, ListTokens())
    if shell.json:
        shell.document(found)
        return
    if not found:
        shell.say("there are no tokens; `handrail tokens make NAME` makes one")
        return
    shell.console().print(
        table(
            ("program", "begins", "scopes", "workflows", "used", "until", "id"),
            [
                (
                    one.name,
                    one.prefix,
                    ", ".join(one.scopes),
                    ", ".join(one.workflows),
                    time_of(one.last_used_at) if one.last_used_at else "never",
                    "revoked"
                    if one.revoked_at
                    else time_of(one.expires_at)
                    if one.expires_at
                    else "no end",
                    one.id,
                )
                for one in found
            ],
        )
    )


def _parts(given: list[str]) -> tuple[str, ...]:
    return tuple(name.strip() for part in given for name in part.split(",") if name.strip())


@app.command()
def make(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The program's name: it hands in under it.")],
    scopes: Annotated[
        list[str],
        typer.Option("--scope", metavar="SCOPE", help="What it may do, such as decisions:submit."),
    ],
    workflows: Annotated[
        list[str],
        typer.Option("--workflow", metavar="NAME", help="Where it may do so; * is everywhere."),
    ],
    days: Annotated[int, typer.Option(help="It expires after so many days; 0: never.")] = 365,
) -> None:
    """Make a token, and print it this once.

    Scopes: decisions:submit, decisions:read, grants:run, events:record, reviews:read, labels:write,
    feedback:read, stops:write, policies:propose, policies:apply, audit:read, export:read,
    metrics:read. No token decides.
    """
    shell = shell_of(ctx)
    command = MakeToken(
        name=name, scopes=_parts(scopes), workflows=_parts(workflows), days=days or None
    )
    with shell.open() as client:
        made = shell.act(client, command)
    if shell.json:
        shell.document(made)
        return
    shell.say(made.secret)
    shell.note(f"{made.token.id}; it is shown only now: keep it where {name} finds it")


@app.command()
def revoke(
    ctx: typer.Context,
    token: Annotated[str, typer.Argument(help="Id of the token (t_…).")],
) -> None:
    """Let nobody in with this token from now on."""
    shell = shell_of(ctx)
    with shell.open() as client:
        revoked = shell.act(client, RevokeToken(token_id=token))
    if shell.json:
        shell.document(revoked)
    else:
        shell.say(f"the token of {revoked.name} lets nobody in any more")
