"""Wakes who waits for a topic, after the commit that concerns it.

No wake-up is lost: who waits subscribes first, then reads, and waits only if nothing was there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from handrail.ports import MISSED

Wake = Callable[[str], None]
"""Called with the topic, on the writer's thread: quick, and never calls the store."""


class Signals:
    """Topics and who listens to them. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, set[Wake]] = {}
        self.closed = False
        """True once nobody will be woken any more; every listener was woken then."""

    def subscribe(self, topics: Iterable[str], wake: Wake) -> Callable[[], None]:
        """Call `wake` for each of `topics` that is notified; returns how to stop that."""
        names = tuple(topics)
        with self._lock:
            for name in names:
                self._listeners.setdefault(name, set()).add(wake)

        def stop() -> None:
            with self._lock:
                for name in names:
                    listeners = self._listeners.get(name)
                    if listeners is not None:
                        listeners.discard(wake)
                        if not listeners:
                            del self._listeners[name]

        return stop

    def notify(self, topics: frozenset[str]) -> None:
        """Wake the listeners of these topics; of all, where news may be missing."""
        with self._lock:
            names = tuple(self._listeners) if MISSED in topics else topics
            found = [(name, wake) for name in names for wake in self._listeners.get(name, ())]
        for name, wake in found:
            wake(name)

    def close(self) -> None:
        """Wake everybody for the last time."""
        self.closed = True
        self.notify(frozenset((MISSED,)))
