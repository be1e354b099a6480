"""Which commands there are, the options all of them take, and what they exit with.

Exit codes: 0 done or allowed; 1 the answer is no; 2 wrong use or bad input; 3 refused or in
conflict; 4 unavailable, timed out, or an error nobody expected; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from handrail.cli.shell import Shell, shell_of
from handrail.model.errors import HandrailError

COMMANDS = (
    "demo",
    "init",
    "new",
    "up",
    "check",
    "gate",
    "backtest",
    "record",
    "submit",
    "wait",
    "withdraw",
    "decisions",
    "reviews",
    "desk",
    "doubts",
    "policy",
    "stop",
    "start",
    "users",
    "tokens",
    "audit",
    "backup",
    "restore",
    "doctor",
)
"""Each is the module `handrail.cli.NAME` with an `app`. The order is the one `--help` shows."""


# ------------------------------------------------------------------------ options of every command


def _take_workspace(ctx: typer.Context, value: Path | None) -> None:
    if value is not None:
        shell_of(ctx).chosen_workspace = value


def _take_person(ctx: typer.Context, value: str | None) -> None:
    if value is not None:
        shell_of(ctx).chosen_person = value


def _take_json(ctx: typer.Context, value: bool) -> None:
    if value:
        shell_of(ctx).json = True


def _shared(
    workspace: Annotated[
        Path | None,
        typer.Option(
            "--workspace",
            "-w",
            metavar="DIR",
            help="Folder of the workspace; else HANDRAIL_WORKSPACE, else the current folder.",
            expose_value=False,
            callback=_take_workspace,
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="PERSON",
            help="Who decides; else HANDRAIL_PERSON, else the user of this machine.",
            expose_value=False,
            callback=_take_person,
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print for programs: one JSON document, or JSON Lines for a stream.",
            expose_value=False,
            callback=_take_json,
        ),
    ] = False,
) -> None:
    """Carries the shared options; never called."""


def _with_shared(command: Any) -> Any:
    """The command with the shared options on it and on everything below it."""
    maker = typer.Typer(add_completion=False, rich_markup_mode=None)
    maker.command()(_shared)
    taken = {name for param in command.params for name in param.opts}
    for param in typer.main.get_command(maker).params:
        if not taken & set(param.opts):
            command.params.append(param)
    for inner in getattr(command, "commands", {}).values():
        _with_shared(inner)
    return command


# ------------------------------------------------------------------------------------- the group


class _Loaded(MutableMapping[str, Any]):
    """Commands by name; a module is imported when its command is asked for."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            if name not in COMMANDS:
                raise KeyError(name)
            module = importlib.import_module(f"handrail.cli.{name}")
            command = typer.main.get_command(module.app)
            command.name = name
            self._found[name] = _with_shared(command)
        return self._found[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._found[name] = command

    def __delitem__(self, name: str) -> None:
        del self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Commands(typer.core.TyperGroup):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands = _Loaded()
        maker = typer.Typer(add_completion=False, rich_markup_mode=None)
        maker.command()(_shared)
        self.params.extend(typer.main.get_command(maker).params)


app = typer.Typer(
    cls=_Commands,
    name="handrail",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        from handrail import __version__

        print(f"handrail {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Puts people exactly where they change outcomes, and proves it."""


# --------------------------------------------------------------------------------------- the end

_CLICK_ERROR: Any = typer.BadParameter.__mro__[2]
"""`ClickException`, which Typer brings along without a public name."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit the process with its code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its number, never a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    shell = Shell()
    try:
        done = typer.main.get_command(app).main(
            args=arguments, prog_name="handrail", standalone_mode=False, obj=shell
        )
        sys.stdout.flush()
        return done if isinstance(done, int) else 0
    except HandrailError as error:
        shell.complain(error)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        shell.note("interrupted; nothing was left half done")
        return 130
    except _CLICK_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            return 2
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "handrail"
        shell.complain_text(f"{error.format_message()} Try `{path} --help`.")
        return 2
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more when it exits.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if os.environ.get("HANDRAIL_DEBUG"):
            traceback.print_exc()
            return 4
        shell.complain_text(
            f"an error nobody expected: {type(error).__name__}: {error}. "
            f"The traceback is in {_keep_traceback()}; HANDRAIL_DEBUG=1 prints it"
        )
        return 4


def _keep_traceback() -> str:
    descriptor, name = tempfile.mkstemp(prefix="handrail-traceback-", suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        traceback.print_exc(file=file)
    return name
