"""Calls back the programs that asked for it, on a thread of its own: a receiver may be slow."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from handrail.flow import Ports, call_back
from handrail.model.errors import HandrailError
from handrail.ports import Caller

_log = logging.getLogger("handrail.courier")


class Courier:
    """Looks for outcomes to deliver when something was committed, and every `sweep_seconds`."""

    def __init__(self, ports: Ports, make_caller: Callable[[], Caller]) -> None:
        """`make_caller` is asked once, when there is something to deliver."""
        self._ports = ports
        self._make_caller = make_caller
        self._caller: Caller | None = None
        self._woken = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._loop, name="handrail-courier", daemon=True)

    def start(self) -> None:
        """Start the loop."""
        self._thread.start()

    def heard(self) -> None:
        """Something was released."""
        self._woken.set()

    def _deliver(self) -> int:
        if not self._ports.store.read(lambda tx: tx.outbox.due(tx.now(), 1, calls=True)):
            return 0
        if self._caller is None:
            self._caller = self._make_caller()
        return call_back(self._ports, self._caller)

    def stop(self) -> None:
        """End the loop; the call under way is finished (its time is capped)."""
        self._stopped = True
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _loop(self) -> None:
        while not self._stopped:
            self._woken.wait(self._ports.settings.sweep_seconds)
            self._woken.clear()
            try:
                while not self._stopped and self._deliver():
                    pass
            except HandrailError as error:
                _log.warning("outcomes cannot be delivered now: %s", error)
            except Exception:
                _log.exception("the courier met an error of its own; it goes on")
