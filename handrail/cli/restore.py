"""`handrail restore`: put a backup back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from handrail.cli.shell import shell_of

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def restore(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Backup to put back.")],
    keys: Annotated[
        Path | None,
        typer.Option(metavar="KEYDIR", help="Folder with the keys; else those that are there."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Set the store that is there aside; it is kept.")
    ] = False,
) -> None:
    """Put the store of a backup into the workspace; nothing is deleted.

    Where the log was anchored further than the backup goes, nothing is written until a person says
    so with `handrail audit accept-restore`.
    """
    from handrail.app.backups import restore_backup
    from handrail.settings import read_settings

    shell = shell_of(ctx)
    place = shell.chosen_workspace or Path(os.environ.get("HANDRAIL_WORKSPACE") or Path.cwd())
    made = restore_backup(
        place.absolute(),
        folder.absolute(),
        None if keys is None else keys.absolute(),
        read_settings(),
        force=force,
    )
    if shell.json:
        shell.document({"workspace": str(place), "rolled_back": made.rolled_back, "restored": made})
        return
    shell.say(f"{place}: {made.backup.entries:,} entries of the log are back")
    if made.set_aside is not None:
        shell.say(f"what was there before lies in {made.set_aside}")
    if made.rolled_back:
        shell.say(
            f"{made.anchored:,} entries were anchored: the store went back in time. It only reads "
            "until a person accepts that: handrail audit accept-restore --reason …"
        )
