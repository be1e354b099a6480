"""`handrail backup`: a copy of the workspace, while it is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from handrail.cli.shell import shell_of

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def backup(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="KEYDIR", help="Folder of their own for the keys, kept apart from the backup."
        ),
    ] = None,
) -> None:
    """Copy store, policies and anchors into a folder, beside whoever owns the workspace.

    The copy is one consistent state, checked after it was made. Keys go to KEYDIR or nowhere.
    """
    from handrail.app.backups import make_backup
    from handrail.settings import read_settings

    shell = shell_of(ctx)
    place = None if keys is None else keys.absolute()
    made = make_backup(shell.workspace.absolute(), folder.absolute(), place, read_settings())
    if shell.json:
        shell.document({"folder": str(folder), "keys": keys and str(keys), "backup": made})
        return
    shell.say(f"{folder}: {made.entries:,} entries of the log, {made.bytes / 2**20:.1f} MiB")
    if keys is None:
        shell.say("without the keys; without them nothing can be restored: --keys KEYDIR")
    else:
        shell.say(f"the keys are in {keys}; keep them apart from the backup")
