"""`handrail desk`: the desk in the browser, for whoever sits at this machine."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from handrail.cli.shell import PROGRAM, shell_of
from handrail.model.errors import Conflict

if TYPE_CHECKING:
    from handrail.app import Service
    from handrail.server.embedded import EmbeddedDesk

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def desk(
    ctx: typer.Context,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 0,
) -> None:
    """Open the desk of this workspace in the browser, for you alone and without a password.

    Where a program has the workspace open, it is the desk of that program; else it is served here
    until Ctrl-C. The link works once, on this machine. For a team there is `handrail up`.
    """
    from handrail.app import open_workspace, owner_of
    from handrail.cli.browser import browse, say_how_to_reach, until_ended, wait_to_be_ended
    from handrail.model.commands import Invited, MakeLink
    from handrail.model.people import Actor
    from handrail.server.embedded import EmbeddedDesk
    from handrail.server.local import serve

    shell = shell_of(ctx)
    folder = shell.workspace.absolute()

    def own(service: Service) -> EmbeddedDesk:
        return EmbeddedDesk(service, port=port, person=shell.person)

    with until_ended():
        client = open_workspace(folder, actor=Actor(name=PROGRAM), serve=serve, desk=own)
        try:

            def link() -> str:
                made: Invited = client.call(MakeLink(handle=shell.person))
                if made.link is None:
                    raise Conflict(
                        "the process that has this workspace serves no desk by link: where it is "
                        "`handrail up`, sign in there; else end it and say this again"
                    )
                return made.link

            owner = owner_of(folder)
            here = owner is not None and owner.pid == os.getpid()
            first = link()
            if shell.json:
                shell.document({"link": first, "serves": here})
            else:
                shell.say(f"This link opens the desk as {shell.person}, once:\n\n  {first}\n")
                if here:
                    shell.say("Enter prints another link. Ctrl-C ends the desk.")
                say_how_to_reach(shell, first.partition("/open")[0])
            sys.stdout.flush()
            browse(first)
            if here:
                wait_to_be_ended(shell, link)
        finally:
            client.close()
