"""What a command works with: the workspace, who acts, and how it prints."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from handrail.cli.screen import visible
from handrail.model.errors import BadInput, HandrailError
from handrail.model.people import Actor
from handrail.settings import own_name

if TYPE_CHECKING:
    from rich.console import Console

    from handrail.client import Client
    from handrail.model.commands import Command

POLICIES = "policies"
"""Folder of a workspace with its policy files; its presence makes a folder a workspace."""


PROGRAM = "handrail-cli"
"""Name under which the command line submits."""


class Shell:
    """One run of the command line."""

    def __init__(self) -> None:
        self.chosen_workspace: Path | None = None
        self.chosen_person: str | None = None
        self.json = False

    # ------------------------------------------------------------------ where and who

    @property
    def workspace(self) -> Path:
        """The folder to work in. Raises `BadInput` where none is named and this one is none."""
        chosen = self.chosen_workspace
        if chosen is None and (named := os.environ.get("HANDRAIL_WORKSPACE")):
            chosen = Path(named)
        if chosen is not None:
            if not is_workspace(chosen):
                raise BadInput(
                    f"{chosen} is no workspace (it has no folder {POLICIES}/); "
                    f"make one with `handrail init {chosen}`"
                )
            return chosen
        here = Path.cwd()
        if is_workspace(here):
            return here
        raise BadInput(
            f"no workspace is named and the current folder has no folder {POLICIES}/; "
            "name one with --workspace DIR, or make one with `handrail init DIR`"
        )

    @property
    def person(self) -> str:
        """Handle of the person who acts."""
        return self.chosen_person or own_name()

    @contextmanager
    def open(self, *, stays: bool = False) -> Iterator[Client]:
        """The workspace as a client for programs: it submits, waits and looks.

        `stays` is for commands that go on for a while: where nobody owns the workspace they start
        the server by which others join. A short command does without; others wait for it.
        """
        from handrail.app import open_workspace

        serve: Any = None
        if stays:
            from handrail.server.local import serve
        client = open_workspace(self.workspace, actor=Actor(name=PROGRAM), serve=serve)
        try:
            yield client
        finally:
            client.close()

    def act(self, client: Client, command: Command) -> Any:
        """Send a command of a person: it decides, or looks with that person's rights."""
        return client.call(command, Actor(name=self.person, program=False))

    # ------------------------------------------------------------------ printing

    def console(self, *, stderr: bool = False) -> Console:
        """A console that takes no markup from text and folds nothing away in a pipe."""
        from rich.console import Console

        stream = sys.stderr if stderr else sys.stdout
        width = None if stream.isatty() or os.environ.get("COLUMNS") else 200
        return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)

    def say(self, text: str = "") -> None:
        """Print a line for people. Left out with `--json`."""
        if not self.json:
            print(visible(text, lines=True))

    def note(self, text: str) -> None:
        """Say something beside the output."""
        print(visible(f"handrail: {text}", lines=True), file=sys.stderr)

    def document(self, value: Any) -> None:
        """Print one JSON value on one line, ASCII only: safe on a terminal too."""
        print(json.dumps(msgspec.to_builtins(value, str_keys=True), ensure_ascii=True))

    def printed(self, value: Any) -> bool:
        """Print `value` as a document where programs asked for one; whether they did."""
        if self.json:
            self.document(value)
        return self.json

    def complain(self, error: HandrailError) -> None:
        """Print an error for whoever called: one line a problem, or a problem document."""
        if self.json:
            from handrail.model.problem import problem_of

            print(json.dumps(problem_of(error), ensure_ascii=True), file=sys.stderr)
            return
        for line in str(error).splitlines() or [type(error).__name__]:
            self.complain_line(line)

    def complain_line(self, line: str) -> None:
        """One line to the error stream, whatever the output is for."""
        print(visible(line), file=sys.stderr)

    def complain_text(self, text: str) -> None:
        """As `complain`, for what is no error of ours."""
        if self.json:
            print(json.dumps({"title": "Error", "detail": text}), file=sys.stderr)
        else:
            self.note(text)


def is_workspace(folder: Path) -> bool:
    """Whether the folder holds a workspace."""
    return (folder / POLICIES).is_dir()


def shell_of(ctx: typer.Context) -> Shell:
    """The shell of this run."""
    root = ctx.find_root()
    if not isinstance(root.obj, Shell):
        root.obj = Shell()
    return root.obj
