"""The command line: one command a file, loaded when it is called.

commands.py   which commands there are, the options all of them take, exit codes
shell.py      what a command works with: workspace, person, printing
screen.py     text from strangers made visible, times, tables
"""

from __future__ import annotations

from handrail.cli.commands import app, main

__all__ = ["app", "main"]
