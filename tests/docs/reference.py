"""Reference pages made from the program: `python -m tests.docs.reference --write` (`make fix`).

`docs/reference/commands.md` from the command line, `python.md` from the public names and their
docstrings, `settings.md` from the settings. A test fails where a page is not what this makes.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import typer
import typer.main

import handrail
from handrail.model import errors
from handrail.settings import Settings

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
VERSION = {"--version"}
NOTE = "Made from the program by `make fix`; do not change it by hand."


def cell(text: str) -> str:
    """Text for one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def cleaned(text: str | None) -> str:
    return inspect.cleandoc((text or "").replace("\f", "").replace("\b", "")).strip()


# ------------------------------------------------------------------------------ commands


def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every visible command below `command`, each with its full path, in the program's order."""
    yield path, command
    for name in command.list_commands(typer.Context(command)) if is_group(command) else ():
        inner = command.get_command(typer.Context(command), name)
        if inner is not None and not inner.hidden:
            yield from walk(inner, (*path, name))


def is_group(command: Any) -> bool:
    return hasattr(command, "list_commands")


def parameters(command: Any, known: set[str]) -> Iterator[str]:
    """Rows of a table: arguments and options but those in `known`."""
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        if known & set(parameter.opts):
            continue
        if parameter.param_type_name == "argument":
            name = (parameter.metavar or parameter.name.upper()).strip("[].")
            shown = f"`{name}`"
        else:
            names = ", ".join([*parameter.opts, *parameter.secondary_opts])
            kind = "" if parameter.is_flag else " " + wanted(parameter)
            shown = f"`{names}{kind}`"
        default = parameter.default
        text = cell(getattr(parameter, "help", None) or "")
        if isinstance(default, bool) or callable(default):
            default = None
        if isinstance(default, str | int | float) and default != "":
            text += f" (default `{default}`)"
        if parameter.required:
            text += " (required)"
        if "|" in shown:
            shown = f"<code>{shown.strip('`').replace('|', '&#124;')}</code>"
        yield f"| {cell(shown)} | {text.strip()} |"


def wanted(parameter: Any) -> str:
    if parameter.metavar:
        return str(parameter.metavar)
    kind = parameter.type.name  # such as "int", "integer" or "int range"
    for start, word in (("int", "N"), ("float", "NUMBER")):
        if kind.startswith(start):
            return word
    return str(parameter.name).upper()


def commands() -> str:
    """Every command, its arguments and options."""
    app = importlib.import_module("handrail.cli").app
    lines = [
        "# Commands",
        "",
        NOTE,
        "",
        "Everything that prints for people also prints for programs with `--json`. Exit codes: 0",
        "done or allowed; 1 the answer is no; 2 wrong use or bad input; 3 refused or in conflict;",
        "4 unavailable or timed out.",
    ]
    program = typer.main.get_command(app)
    everywhere = {name for parameter in program.params for name in parameter.opts}
    for path, command in walk(program, ("handrail",)):
        lines += ["", "#" * min(len(path) + 1, 4) + " " + f"`{' '.join(path)}`", ""]
        lines += [markdown(cleaned(command.help) or cleaned(command.short_help))]
        if command is program:
            lines += ["", "`handrail --version` prints the version. Every command takes these:"]
        if rows := list(parameters(command, VERSION if command is program else everywhere)):
            lines += ["", "| argument or option | meaning |", "|---|---|", *rows]
    return "\n".join(lines) + "\n"


def markdown(text: str) -> str:
    """Help text as it stands, with indented examples as blocks."""
    return re.sub(
        r"(?m)(?:^ {2,}\S.*\n?)+",
        lambda m: "```text\n" + inspect.cleandoc(m.group(0)).rstrip() + "\n```\n",
        text,
    ).rstrip()


# ------------------------------------------------------------------------------ Python


def doc(thing: Any) -> str:
    text = cleaned(thing.__doc__)
    return re.sub(
        r"(?m)(?:^>>> .*\n?(?:^(?!>>> |\s*$).+\n?)*)+",
        lambda m: "```pycon\n" + m.group(0).rstrip() + "\n```\n",
        markdown_blocks(text),
    )


def markdown_blocks(text: str) -> str:
    """Literal blocks (`::` and an indented part) as fenced ones."""
    parts = re.split(r"(?m)^((?: {4,}.*\n?|\n(?= {4,}))+)", text)
    return "".join(
        "\n```text\n" + inspect.cleandoc("\n" + part).rstrip() + "\n```\n"
        if index % 2
        else part.replace("::\n", ":\n")
        for index, part in enumerate(parts)
    )


def signature(thing: Callable[..., Any], *, name: str, bound: bool = False) -> list[str]:
    """A fenced block (not run) with the signature, one parameter a line where it is long."""
    found = inspect.signature(thing)
    parameters = list(found.parameters.values())[1 if bound else 0 :]
    shown = str(found.replace(parameters=parameters))
    # Postponed annotations come quoted.
    shown = re.sub(r"""(:|->) (['"])(.*?)\2(?=,|\)| =|$)""", r"\1 \3", shown)
    if len(name + shown) > 88:
        parts = [str(one) for one in parameters]
        star = next((i for i, one in enumerate(parameters) if one.kind is one.KEYWORD_ONLY), None)
        if star is not None:
            parts.insert(star, "*")
        inner = "".join(f"    {part},\n" for part in parts)
        inner = re.sub(r"""(: )(['"])(.*?)\2(?=,\n| =)""", r"\1\3", inner)
        shown = f"(\n{inner})" + shown[shown.rindex(" ->") :]
    return ["```py", name + shown, "```"]


def field_docs(cls: type) -> dict[str, str]:
    """The string that stands below each field of a class in its source."""
    try:
        [node] = ast.parse(inspect.cleandoc("\n" + inspect.getsource(cls))).body
    except (OSError, TypeError, ValueError):
        return {}
    assert isinstance(node, ast.ClassDef)
    found: dict[str, str] = {}
    for one, two in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            text = ""
            if (
                isinstance(two, ast.Expr)
                and isinstance(two.value, ast.Constant)
                and isinstance(two.value.value, str)
            ):
                text = cleaned(two.value.value)
            found[one.target.id] = text
    return found


def members(cls: type) -> Iterator[str]:
    """Sections for the public methods and properties of a class that have a docstring."""
    for name, thing in vars(cls).items():
        if name.startswith("_") or not doc(thing):
            continue
        if callable(thing):
            yield from ("", f"### `{name}`", "")
            yield from signature(thing, name=name, bound=True)
            yield from ("", doc(thing))
        elif isinstance(thing, property | cached_property):
            yield from ("", f"### `.{name}`", "", doc(thing))


def python() -> str:
    """The public names of the package, with their docstrings."""
    lines = ["# Python", "", NOTE]
    for name in sorted(handrail.__all__, key=str.lower):
        thing = getattr(handrail, name)
        if name.startswith("__") or thing is errors or thing.__name__ == "handrail.errors":
            continue
        lines += ["", f"## `handrail.{name}`", ""]
        if inspect.isclass(thing):
            lines += [doc(thing)]
            types = inspect.get_annotations(thing)
            rows = [
                f"| `{field}` | {kind(types[field])} | {cell(text)} |"
                for field, text in field_docs(thing).items()
                if not field.startswith("_")
            ]
            if rows:
                lines += ["", "| field | type | meaning |", "|---|---|---|", *rows]
            lines += members(thing)
        elif inspect.ismodule(thing):
            lines += [doc(thing)]
            for inner, function in vars(thing).items():
                if inspect.isfunction(function) and function.__module__ == thing.__name__:
                    if inner.startswith("_"):
                        continue
                    lines += ["", f"### `{inner}`", "", *signature(function, name=inner)]
                    lines += ["", doc(function)]
        else:
            lines += [*signature(thing, name=f"handrail.{name}"), "", doc(thing)]
    lines += ["", "## `handrail.errors`", "", doc(errors)]
    return "\n".join(lines) + "\n"


def kind(annotation: object) -> str:
    """A field's type for a cell of a table."""
    return "<code>" + str(annotation).replace("|", "&#124;").replace("<", "&lt;") + "</code>"


# ------------------------------------------------------------------------------ settings


def settings() -> str:
    """Every setting with its variable, default and meaning."""
    lines = [
        "# Settings",
        "",
        NOTE,
        "",
        "Settings are read once, when a process starts. A value that cannot be read is an error",
        "that names the variable.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    defaults = Settings()
    for name, text in field_docs(Settings).items():
        value = getattr(defaults, name)
        shown = "none" if value in ((), None, "") else f"`{value}`"
        lines.append(f"| `HANDRAIL_{name.upper()}` | {shown} | {cell(text)} |")
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands,
    "python.md": python,
    "settings.md": settings,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.docs.reference", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the pages")
    options = parser.parse_args()
    stale = 0
    for name, make in PAGES.items():
        path, text = FOLDER / name, make()
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        if options.write:
            path.write_text(text, "utf-8")
            print(f"wrote {path.name}")
        else:
            print(f"{path.name} is not what the program says; run `make fix`", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    raise SystemExit(main())
