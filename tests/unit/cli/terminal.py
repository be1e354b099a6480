"""A person at a terminal, for tests: a pty, keys in, the screen as text out."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PATIENCE = 120.0
"""Seconds after which a screen that never comes is a failure."""


class Terminal:
    """A command on a pty of a fixed size."""

    def __init__(
        self,
        arguments: list[str],
        *,
        cwd: Path,
        columns: int = 80,
        rows: int = 24,
        **environment: str,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        base = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from handrail.cli import main; main()", *arguments],
            cwd=cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**base, "TERM": "xterm", "LANG": "C.UTF-8", **environment},
            start_new_session=True,
        )
        self.raw = ""

    def _read(self, timeout: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], timeout)
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)

    @property
    def screen(self) -> list[str]:
        """Lines of the last whole frame."""
        frames = self.raw.split("\x1b[H")[1:]
        whole = [frame for frame in frames if "\x1b[J" in frame]
        return _ANSI.sub("", whole[-1].split("\x1b[J")[0]).split("\r\n") if whole else []

    @property
    def text(self) -> str:
        return "\n".join(self.screen)

    def until(self, wanted: str) -> str:
        """Wait until the screen (or what was printed after it) shows `wanted`."""
        give_up = time.monotonic() + PATIENCE
        while wanted not in self.text and wanted not in _ANSI.sub("", self.raw[-2000:]):
            if time.monotonic() > give_up or (
                self.process.poll() is not None and not self._read(0.2)
            ):
                raise AssertionError(f"never saw {wanted!r}; the screen is\n{self.text}")
            self._read(0.2)
        return self.text

    def settle(self, seconds: float) -> None:
        """Read on for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(left)

    def press(self, keys: str, *, after: float = 0.4) -> None:
        """Press keys together, after the card has been in view long enough."""
        self.settle(after)
        os.write(self._master, keys.encode())

    def line_settings(self) -> list[Any]:
        """How the terminal is set up now."""
        return termios.tcgetattr(self._slave)

    def kill(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for the command to end; returns its code."""
        give_up = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < give_up:
            self._read(0.1)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            raise AssertionError(f"the command did not end; the screen is\n{self.text}")
        self._read(0.1)
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
        os.close(self._slave)
