"""The desk on a real terminal: raw keys in, frames out, everything put back at the end."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from types import FrameType

from rich.console import Console
from rich.text import Text

from handrail.cli.keys import split_keys
from handrail.cli.terminal_desk import Desk

_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"


def sit_at(desk: Desk) -> None:
    """Run the desk on the terminal of this process until the person quits."""
    with _raw(sys.stdin.fileno()) as screen:
        desk.start(time.monotonic())
        while not desk.done:
            screen.paint(desk)
            keys = screen.keys(desk.next_tick(time.monotonic()))
            now = time.monotonic()
            if len(keys) > 1:
                desk.paste(keys, now)
            elif keys:
                desk.press(keys[0], now)
            desk.tick(now)


class _Screen:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self.resized = False

    def paint(self, desk: Desk) -> None:
        """Show the frame. What was typed before a new card was in view is thrown away."""
        width, height = shutil.get_terminal_size((80, 24))
        fresh = desk.fresh
        lines = desk.frame(width, height)
        text = "\x1b[H" + "\r\n".join(self._ansi(line, width) + "\x1b[K" for line in lines)
        sys.stdout.write(text + "\x1b[J")
        sys.stdout.flush()
        if fresh:
            termios.tcdrain(sys.stdout.fileno())
            termios.tcflush(self._descriptor, termios.TCIFLUSH)
        desk.was_painted(time.monotonic())

    def _ansi(self, line: Text, width: int) -> str:
        if self._plain:
            return line.plain
        out = StringIO()
        console = Console(
            file=out, width=width + 1, force_terminal=True, color_system="standard", markup=False
        )
        console.print(line, end="", soft_wrap=True)
        return out.getvalue()

    def keys(self, timeout: float) -> list[str]:
        """Keys that were pressed, within `timeout` seconds."""
        try:
            ready, _, _ = select.select([self._descriptor], [], [], timeout)
        except InterruptedError:
            return []
        if not ready:
            return []
        data = os.read(self._descriptor, 4096)
        if not data:
            return ["interrupt"]  # the terminal has gone
        return split_keys(data.decode("utf-8", "ignore"))


@contextmanager
def _raw(descriptor: int) -> Iterator[_Screen]:
    """The terminal in raw mode on its second screen; put back whatever happens."""
    before = termios.tcgetattr(descriptor)
    screen = _Screen(descriptor)

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    old = {name: signal.signal(name, end) for name in (signal.SIGTERM, signal.SIGHUP)}
    winch = signal.signal(signal.SIGWINCH, lambda number, frame: None)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)
        sys.stdout.write(_ENTER)
        sys.stdout.flush()
        yield screen
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        for name, handler in old.items():
            signal.signal(name, handler)
        signal.signal(signal.SIGWINCH, winch)
