"""Which key presses count: nothing decides that a person did not mean.

A decision key counts only on a card that has been in view for 300 ms. A key that repeats by itself
(held down, stuck, pasted) never decides: the same decision key must rest 0.7 s before it counts
again, and up to 2 s after its last press it waits 120 ms for a repetition before it is believed.
"""

from __future__ import annotations

SETTLE = 0.3
"""Seconds a card must have been painted before a decision key counts."""
REST = 0.7
"""Seconds the same decision key must have been silent."""
SUSPECT = 2.0
"""Up to so many seconds after its last press the same key could be the first of repetitions."""
PROOF = 0.12
"""Seconds without a repetition that prove a press."""


class KeyGuard:
    """Takes decision keys with their times; says which of them count. Times are monotonic."""

    def __init__(self) -> None:
        self._painted: float | None = None
        self._last: dict[str, float] = {}
        self._pending: tuple[str, float] | None = None

    def painted(self, at: float) -> None:
        """A new card is in view since `at`; presses that wait for proof are dropped."""
        self._painted = at
        self._pending = None

    def hidden(self) -> None:
        """No card is in view: no decision key counts."""
        self._painted = None
        self._pending = None

    @property
    def pending_until(self) -> float | None:
        """When `due` has to be asked; None where nothing waits for proof."""
        return None if self._pending is None else self._pending[1]

    def press(self, key: str, at: float) -> bool:
        """Whether a decision key counts now. One that has to prove itself comes out of `due`."""
        last = self._last.get(key)
        self._last[key] = at
        if self._pending is not None:
            self._pending = None  # a second press at once: neither was meant
            return False
        if self._painted is None or at - self._painted < SETTLE:
            return False
        if last is None or at - last >= SUSPECT:
            return True
        if at - last < REST:
            return False
        self._pending = (key, at + PROOF)
        return False

    def due(self, at: float) -> str | None:
        """The key that has proved itself by `at`, once."""
        if self._pending is None or at < self._pending[1]:
            return None
        key, self._pending = self._pending[0], None
        return key


def split_keys(data: str) -> list[str]:
    """Key names of what a terminal sent: characters, and `up`, `down`, `pageup`, `escape` ….

    >>> split_keys("a\\x1b[A\\r\\x1b")
    ['a', 'up', 'enter', 'escape']
    """
    keys: list[str] = []
    at = 0
    while at < len(data):
        for sequence, name in _SEQUENCES:
            if data.startswith(sequence, at):
                keys.append(name)
                at += len(sequence)
                break
        else:
            if data[at] == "\x1b" and data[at + 1 : at + 2] in ("[", "O"):
                at += 2  # an unknown sequence: skipped up to its final letter
                while at < len(data) and not "@" <= data[at] <= "~":
                    at += 1
                at += 1
                continue
            keys.append(_NAMES.get(data[at], data[at]))
            at += 1
    return keys


_SEQUENCES = (
    ("\x1b[A", "up"),
    ("\x1b[B", "down"),
    ("\x1bOA", "up"),
    ("\x1bOB", "down"),
    ("\x1b[5~", "pageup"),
    ("\x1b[6~", "pagedown"),
)
_NAMES = {
    "\r": "enter",
    "\n": "enter",
    "\x1b": "escape",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x03": "interrupt",
    "\x04": "escape",
    "\x15": "clear",
}
