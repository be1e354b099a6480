"""`handrail up`: run the workspace for others."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from handrail.cli.shell import shell_of
from handrail.model.errors import Conflict, HandrailError

if TYPE_CHECKING:
    from handrail.app import Workspace
    from handrail.cli.shell import Shell
    from handrail.server.network import NetworkServer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def up(
    ctx: typer.Context,
    db: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="postgresql://… for a team; else HANDRAIL_DB, else the workspace's own file.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="H", help="Address to listen on; others once an admin exists.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 8421,
    dev: Annotated[
        bool,
        typer.Option("--dev", help="On this machine alone: the schema open, requests shown."),
    ] = False,
) -> None:
    """Run the workspace: store, deadlines, webhooks, and the server for people and programs.

    Ends on Ctrl-C or SIGTERM; what is under way is finished first. While no admin can sign in it
    prints a link that makes one, once. The first start with --db moves what the workspace's own
    file holds into the database, which must be empty; the file stays as it is.
    """
    from handrail.app import Paths, Workspace, owner_of
    from handrail.server.local import serve
    from handrail.server.network import NetworkServer
    from handrail.settings import read_settings

    shell = shell_of(ctx)
    folder = shell.workspace.absolute()
    settings = read_settings()
    if db is not None:
        settings = replace(settings, db=db)
    with _log_to_stderr(plain=dev):
        Paths(folder).make()
        workspace = Workspace.own(folder, serve=serve, settings=settings, moves=True)
        if workspace is None:
            owner = owner_of(folder)
            who = f"process {owner.pid}" if owner is not None else "another process"
            raise Conflict(f"{who} owns {folder}; end it first, or use what it serves")
        with workspace:
            if workspace.moved is not None:
                shell.note(
                    f"moved the store to {workspace.paths.elsewhere.read_text().strip()}: "
                    f"{workspace.moved.size:,} entries of the log; {workspace.paths.store} is as "
                    "it was, and no longer used"
                )
            workspace.policies.refresh(now=True)

            def started(server: NetworkServer) -> None:
                _say_hello(shell, workspace, server)

            NetworkServer(workspace.service, host, port, dev=dev, started=started).run()
    shell.say("ended; what was accepted is stored")


def _say_hello(shell: Shell, workspace: Workspace, server: NetworkServer) -> None:
    link = _first_admin(workspace, server.origin)
    if shell.json:
        shell.document({"url": server.origin, "first_admin": link, "ready": True})
    else:
        shell.say(f"{workspace.paths.folder} is at {server.origin}")
        if link is not None:
            shell.say(f"nobody can sign in yet; this link makes the first admin, once:\n  {link}")
        if workspace.service.only_reads is not None:
            shell.note(f"only reads: {workspace.service.only_reads}")
    if not server.front.secure and not server.local:
        shell.note(
            "people's passwords travel unprotected: set HANDRAIL_TLS_CERTIFICATE and "
            "HANDRAIL_TLS_KEY, or put a proxy with TLS before it and set HANDRAIL_PUBLIC_URL"
        )
    sys.stdout.flush()


def _first_admin(workspace: Workspace, origin: str) -> str | None:
    """The link of the first admin; None where there is an admin, or nothing can be written."""
    from handrail.app import LOCAL
    from handrail.flow import has_admin
    from handrail.model.commands import MakeFirstAdmin

    if workspace.store.read(has_admin):
        return None
    try:
        invited = workspace.service.call(MakeFirstAdmin(), LOCAL)
    except HandrailError as error:
        logging.getLogger("handrail.server").warning("no link for the first admin: %s", error)
        return None
    return f"{origin}/invitation?secret={invited.secret}"


@contextmanager
def _log_to_stderr(*, plain: bool) -> Iterator[None]:
    """The server's own log: JSON lines; with `--dev` also what is otherwise not worth a line.

    Afterwards logging is as it was: who runs the command within a program of theirs keeps theirs.
    """
    from handrail.server.logs import Lines

    handler = logging.StreamHandler()
    handler.setFormatter(
        logging.Formatter("%(name)s %(levelname)s %(message)s") if plain else Lines()
    )
    log, pool = logging.getLogger("handrail"), logging.getLogger("psycopg.pool")
    before = log.level, log.propagate, pool.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if plain else logging.INFO)
    log.propagate = False
    # Of a database that is away the store speaks itself; the pool does at each attempt.
    pool.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = before[1]
        log.setLevel(before[0])
        pool.setLevel(before[2])
