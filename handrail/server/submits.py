"""Submits under way: none of them holds a thread while it waits for its commit.

One thread hands them to the store, which has many of them share a commit; its threads wake the loop
when one is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from handrail.app import Service
from handrail.app.service import placed
from handrail.model.commands import Submit
from handrail.model.people import Actor
from handrail.model.ruling import Ruling


class _Asked:
    """One submit, and the loop that waits for it."""

    __slots__ = ("actor", "command", "context", "loop", "waiting")

    def __init__(self, command: Submit, actor: Actor) -> None:
        self.command, self.actor = command, actor
        self.context = contextvars.copy_context()
        self.loop = asyncio.get_running_loop()
        self.waiting: asyncio.Future[Ruling] = self.loop.create_future()

    def tell(self, begun: Future[Ruling]) -> None:
        """It has ended; called on whatever thread that happened."""
        self._later(self._settle, begun)

    def fail(self, error: BaseException) -> None:
        """It came to nothing before it began."""
        self._later(self._settle_failed, error)

    def _later(self, call: Callable[[Any], None], arg: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
            self.loop.call_soon_threadsafe(call, arg)

    def _settle(self, begun: Future[Ruling]) -> None:
        error = begun.exception()
        if error is not None:
            self._settle_failed(error)
        elif not self.waiting.done():
            self.waiting.set_result(begun.result())

    def _settle_failed(self, error: BaseException) -> None:
        if not self.waiting.done():
            self.waiting.set_exception(error)


class Submits:
    """Hands submits to the service, on a thread that the first one starts and `close` ends."""

    def __init__(self, service: Service, work: Callable[..., Awaitable[Any]]) -> None:
        """`work` runs what may block."""
        self._service = service
        self._work = work
        self._asked: list[_Asked] = []
        self._queue: queue.SimpleQueue[list[_Asked] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def answer(self, command: Submit, actor: Actor) -> Ruling:
        """The ruling, once it is durable. Raises what `Service.call` raises."""
        service = self._service
        if service.slow(command):
            ruling: Ruling = await self._work(service.call, command, actor)
            return ruling
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="handrail-submits", daemon=True)
            self._thread.start()
        asked = _Asked(command, actor)
        self._asked.append(asked)
        if len(self._asked) == 1:
            # Those that arrived at the same time go together.
            asked.loop.call_soon(self._hand_over)
        try:
            ruling = await asked.waiting
        except Exception as error:
            failed = error
        else:
            if service.desk is None:
                return ruling
            ruling = await self._work(placed, ruling, service.desk)
            return ruling
        raise await self._work(service.ended, command, actor, failed)

    def close(self) -> None:
        """End the thread; what was asked before is handed on."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def _hand_over(self) -> None:
        together, self._asked = self._asked, []
        self._queue.put(together)

    def _run(self) -> None:
        while (together := self._queue.get()) is not None:
            for asked in together:
                try:
                    begun = asked.context.run(self._service.begin, asked.command, asked.actor)
                except BaseException as error:
                    asked.fail(error)
                else:
                    begun.add_done_callback(asked.tell)
