"""`handrail init`: a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from handrail.cli.shell import POLICIES, is_workspace, shell_of
from handrail.model.errors import BadInput

app = typer.Typer(add_completion=False, rich_markup_mode=None)

README = """\
# A workspace of Handrail

`policies/` holds one policy a file. A file here is a draft until it is active in the store.

    handrail new ad-spend --from spend.csv --key campaign_id     a first policy from data
    handrail check policies                                      type-check, run the cases
    handrail gate ad-spend --input spend.csv                     what would be held
    handrail submit ad-spend campaign_id=4711 spend=120          one decision
    handrail reviews                                             the desk, in the terminal
    handrail doctor                                              is everything well

The other files are the store, its log and its keys. Keep a copy of the signing key elsewhere, and
never copy a database file while a process uses the folder.
"""


@app.command()
def init(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make or to complete.")],
) -> None:
    """Make a workspace: policies/, a README, the store and its keys. Overwrites nothing."""
    shell = shell_of(ctx)
    before = is_workspace(folder)
    try:
        (folder / POLICIES).mkdir(parents=True, exist_ok=True)
        readme = folder / "README.md"
        if not readme.exists():
            readme.write_text(README, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror or error}; name another folder") from error
    shell.chosen_workspace = folder
    with shell.open():
        pass  # opening makes the store and the keys, and says where it cannot
    if shell.json:
        shell.document({"workspace": str(folder), "made": not before})
        return
    shell.say(f"{folder} {'is a workspace already' if before else 'is a workspace now'}")
    if not before:
        shell.say(f"next: handrail -w {folder} new WORKFLOW --from data.csv")
