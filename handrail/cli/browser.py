"""The desk in a browser, for commands that serve it until they are ended."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from handrail.cli.shell import Shell


def has_browser() -> bool:
    """Whether this machine shows a browser to whoever started this.

    On a machine without a screen `webbrowser` would start one in the terminal.
    """
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))


def browse(link: str) -> None:
    """Open the link in the browser, where there is one."""
    if has_browser():
        threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()


def say_how_to_reach(shell: Shell, origin: str | None) -> None:
    """Say what somebody does who sits elsewhere; nothing where they sit here."""
    if os.environ.get("SSH_CONNECTION"):
        port = (origin or "").rpartition(":")[2]
        shell.say(f"To reach it from where you sit: ssh -L {port}:127.0.0.1:{port} HOST")


class Ended(Exception):
    """Ctrl-C, or SIGTERM."""


@contextmanager
def until_ended() -> Iterator[None]:
    """Ctrl-C and SIGTERM end what is inside in order; a second one changes nothing."""

    def end(number: int, frame: FrameType | None) -> None:
        for again in before:
            signal.signal(again, signal.SIG_IGN)
        raise Ended

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    except Ended:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait_to_be_ended(shell: Shell, link: Callable[[], str]) -> None:
    """Wait; each Enter on a terminal prints another link."""
    asks = sys.stdin.isatty() and sys.platform != "win32" and not shell.json
    while True:
        if not asks:
            time.sleep(3600)
        elif select.select([sys.stdin], [], [])[0]:
            if os.read(sys.stdin.fileno(), 4096):
                shell.say(f"  {link()}")
            else:
                asks = False  # the terminal is gone; the desk is not
