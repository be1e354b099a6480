"""The desk of an embedded workspace: on loopback, for whoever sits at this machine.

It begins to listen when the first decision waits, and loads when the first browser comes. A link
that works once signs in; it is said when it is made, and is otherwise to be had from the owner of
the workspace only (`handrail desk`).
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from handrail.app import LOCAL, OpenDesk, Service
from handrail.model.commands import Invited, MakeLink
from handrail.model.errors import HandrailError
from handrail.model.modes import ReviewStatus
from handrail.server.doorbell import Doorbell, listen
from handrail.settings import Settings, own_name

if TYPE_CHECKING:
    from handrail.server.network import NetworkServer

HOST = "127.0.0.1"

_log = logging.getLogger("handrail.server")


def to_stderr(text: str) -> None:
    """Say it beside what the program prints."""
    print(f"handrail: {text}", file=sys.stderr, flush=True)


def desk_of(asked: bool | None, settings: Settings) -> OpenDesk | None:
    """What `handrail.open(desk=…)` means: a desk at once, when it is needed, or none."""
    if asked is False or (asked is None and not settings.desk):
        return None

    def make(service: Service) -> EmbeddedDesk:
        desk = EmbeddedDesk(service)
        if asked and desk.begin():
            desk.say_link()
        return desk

    return make


class EmbeddedDesk:
    """See the module. Threads may share it."""

    def __init__(
        self,
        service: Service,
        *,
        port: int = 0,
        person: str | None = None,
        say: Callable[[str], None] = to_stderr,
    ) -> None:
        """`person` is whom the links sign in: by default whoever this machine's user is."""
        self._service = service
        self._port = port
        self._person = person
        self._say = say
        self._lock = threading.Lock()
        self._bell: Doorbell | None = None
        self._server: NetworkServer | None = None
        self._thread: threading.Thread | None = None
        self._over = False
        self.origin: str | None = None
        """Its address; None while it does not listen."""

    def held(self, review_id: str) -> str | None:
        """Somebody has to decide this: the desk's address. The first time, a link is said."""
        if self.origin is None and self._waits(review_id) and self.begin():
            self.say_link(f"/reviews/{review_id}")
        return self.origin

    def say_link(self, place: str = "/") -> None:
        """Say a new link."""
        what = "decide here" if place == "/" else "a decision waits for a person; decide here"
        self._say(f"{what} (works once, on this machine):\n  {self.link(place)}")

    def _waits(self, review_id: str) -> bool:
        # The same submit once more is answered as it was, when the review may be decided.
        review = self._service.ports.store.read(lambda tx: tx.reviews.get(review_id))
        return review is not None and review.status is ReviewStatus.OPEN

    def begin(self) -> bool:
        """Listen. False where it did already, or cannot. Raises where a port was asked for."""
        with self._lock:
            if self._bell is not None or self._over:
                return False
            try:
                listening = listen(HOST, self._port)
            except HandrailError as error:
                if self._port:
                    raise
                self._over = True
                _log.warning("no desk on this machine: %s", error)
                return False
            self._bell = Doorbell(listening)
            self.origin = f"http://{HOST}:{listening.getsockname()[1]}"
            self._thread = threading.Thread(target=self._serve, name="handrail-desk", daemon=True)
            self._thread.start()
            return True

    def link(self, place: str = "/") -> str:
        """A new link that signs in once and leads to `place`.

        The bare address where none can be made, as in a workspace that only reads.
        """
        self.begin()
        try:
            made: Invited = self._service.call(MakeLink(handle=self._person or own_name()), LOCAL)
        except HandrailError as error:
            _log.warning("no link to the desk: %s", error)
            return f"{self.origin}{place}"
        going = "" if place == "/" else "&" + urlencode({"next": place}, safe="/")
        return f"{self.link_for(made.secret)}{going}"

    def link_for(self, secret: str) -> str | None:
        """The link with this secret; the desk listens from now on."""
        self.begin()
        return None if self.origin is None else f"{self.origin}/open?key={secret}"

    def _serve(self) -> None:
        bell = self._bell
        assert bell is not None
        if not bell.wait():
            return
        try:
            from handrail.server.network import NetworkServer

            server = NetworkServer(self._service, HOST, own=bell.socket)
            with self._lock:
                if self._over:
                    return
                self._server = server
            bell.loaded()
            server.serve()
        except Exception:
            # At the interpreter's end a thread can load nothing any more.
            if threading.main_thread().is_alive():
                _log.exception("the desk of this machine ended; decide with `handrail reviews`")
        finally:
            bell.loaded()

    def stop(self) -> None:
        """Answer what is under way, and go."""
        with self._lock:
            self._over = True
            server, bell, self.origin = self._server, self._bell, None
        if bell is None:
            return
        bell.stop()
        if server is not None:
            server.stop()
        if self._thread is not None:
            self._thread.join()
        with contextlib.suppress(OSError):
            bell.close()
