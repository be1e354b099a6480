"""`handrail check`: parse, type-check, run the cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from handrail.cli.screen import counted
from handrail.cli.shell import POLICIES, shell_of
from handrail.model.errors import BadInput, Mistake, PolicyErrors

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def check(
    ctx: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH…", help="Policy files or folders; the workspace's policies if none."
        ),
    ] = None,
) -> None:
    """Check policies: types, cases and cost, every mistake at once.

    A mistake is a line `file:line:col: what is, what was expected, what to do`. Cost is the
    number of AST node visits one evaluation takes at most. Exits with 1 where a policy has a
    mistake, and with 2 where there is none to check.
    """
    from handrail.gate import load
    from handrail.packs.checks import CHECKS

    shell = shell_of(ctx)
    mistakes: list[Mistake] = []
    found: list[dict[str, Any]] = []
    for path in policy_files(paths or [shell.workspace / POLICIES]):
        try:
            text = path.read_bytes()
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror or error}; check the path") from error
        try:
            policy = load(
                text, path=str(path), read_file=reader(path), require_cases=True, checks=CHECKS
            )
        except PolicyErrors as error:
            mistakes += error.mistakes
            found.append({"path": str(path), "mistakes": error.details()["mistakes"]})
            continue
        found.append(
            {
                "path": str(path),
                "workflow": policy.workflow,
                "version": policy.version,
                "gate_digest": policy.gate_digest,
                "cost": policy.cost,
                "rules": len(policy.rules),
                "cases": len(policy.cases),
                "mistakes": [],
            }
        )
    if shell.json:
        shell.document({"policies": found, "mistakes": len(mistakes)})
    else:
        for one in found:
            if not one["mistakes"]:
                shell.say(
                    f"{one['path']}: ok, {counted(one['rules'], 'rule')}, "
                    f"{counted(one['cases'], 'case')} {'comes' if one['cases'] == 1 else 'come'} "
                    f"out as written, cost {counted(one['cost'], 'node visit')}"
                )
        for mistake in mistakes:
            shell.complain_line(str(mistake))
    if mistakes:
        raise typer.Exit(1)


def policy_files(paths: list[Path]) -> list[Path]:
    """The named files, and every policy in the named folders. Raises `BadInput` for none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix in (".yaml", ".yml"))
            if not inside:
                raise BadInput(f"{path} holds no policy (*.yaml); write one with `handrail new`")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise BadInput(f"{path}: no such file or folder; check the path")
    return list(dict.fromkeys(found))


def reader(path: Path) -> Callable[[str], bytes]:
    """Reads the list files a policy names, from beside it and nowhere else."""
    folder = path.parent.resolve()

    def read(name: str) -> bytes:
        wanted = (folder / name).resolve()
        if not wanted.is_relative_to(folder):
            raise FileNotFoundError(f"{name} lies outside the folder of the policy")
        return wanted.read_bytes()

    return read
