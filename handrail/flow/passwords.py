"""Hashing passwords: argon2id, outside every transaction, a few at a time.

One hash takes 19 MiB and tens of milliseconds on purpose. So at most `at_once` run side by side,
and few may wait: sign-in can be made slow by whoever tries it, the rest of the server cannot.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from handrail.model.errors import BadInput, TooMany

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

LEAST, MOST = 12, 200
"""Characters of a password."""


class Passwords:
    """Makes and checks password hashes. Threads may share it.

    Memory in KiB, rounds and lanes are those OWASP names for argon2id (password storage cheat
    sheet: m=19456, t=2, p=1).
    """

    def __init__(
        self,
        *,
        memory_kib: int = 19_456,
        rounds: int = 2,
        lanes: int = 1,
        at_once: int = 2,
        waiting: int = 6,
    ) -> None:
        self._parameters = memory_kib, rounds, lanes
        self._running = threading.BoundedSemaphore(at_once)
        self._places = threading.BoundedSemaphore(at_once + waiting)
        self._lock = threading.Lock()
        self._made: tuple[PasswordHasher, str] | None = None
        self.calls = 0
        """How many hashes were computed so far."""

    def _hasher(self) -> tuple[PasswordHasher, str]:
        """The hasher, and a hash that no password fits."""
        with self._lock:
            if self._made is None:
                from argon2 import PasswordHasher, Type

                memory, rounds, lanes = self._parameters
                hasher = PasswordHasher(
                    time_cost=rounds, memory_cost=memory, parallelism=lanes, type=Type.ID
                )
                nothing = (
                    f"$argon2id$v=19$m={memory},t={rounds},p={lanes}$" + "A" * 22 + "$" + "A" * 43
                )
                self._made = hasher, nothing
            return self._made

    def hash(self, password: str) -> str:
        """The hash to store. Raises `TooMany` where too many wait already."""
        hasher, _ = self._hasher()
        return self._work(lambda: hasher.hash(password))

    def fits(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed.

        Takes one hash in every case, also where there is nothing to compare with, so that the
        time of an answer does not tell whether somebody has an account.
        """
        from argon2.exceptions import Argon2Error, InvalidHashError

        hasher, nothing = self._hasher()

        def verify() -> bool:
            try:
                return hasher.verify(stored or nothing, password) and stored is not None
            except (Argon2Error, InvalidHashError):
                return False

        return self._work(verify)

    def _work(self, hashing: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise TooMany("too many people sign in at this moment; try again in a few seconds", 5)
        try:
            with self._running:
                self.calls += 1
                return hashing()
        finally:
            self._places.release()


def check_password(password: str, handle: str, pointer: str) -> None:
    """Raise `BadInput` unless this can be a password: long enough, and nothing obvious."""
    if not LEAST <= len(password) <= MOST:
        raise BadInput(f"expected {LEAST} to {MOST} characters; a few words do well", pointer)
    plain = password.casefold()
    name = handle.casefold().partition("@")[0]
    if len(set(plain)) < 5 or (len(name) > 3 and name in plain):
        raise BadInput("too easy to guess: it repeats itself, or has your name in it", pointer)
