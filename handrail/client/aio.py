"""The client's names, awaitable. One implementation: each call runs in a thread of its own.

A pool would be shorter, and a pool's worth of waits would hold up every other call; a waiting
thread costs some tens of kilobytes. A cancelled task is done at once; its thread ends with the
command it had sent, and sends no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from handrail.client.runs import Run
from handrail.client.transport import HERE
from handrail.model.outcome import Outcome, Receipt

if TYPE_CHECKING:
    from handrail.client.client import Client, Ref

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")


def _start(call: Callable[[], R]) -> asyncio.Future[R]:
    """Run `call` in a new thread; the future is done when it is."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[R] = loop.create_future()

    def settle(result: R | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def work() -> None:
        HERE.abandoned = future.cancelled
        result, error = None, None
        try:
            result = call()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="handrail-aio", daemon=True).start()
    return future


def _awaitable(call: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    async def awaited(*args: P.args, **kwargs: P.kwargs) -> R:
        return await _start(lambda: call(*args, **kwargs))

    awaited.__doc__ = call.__doc__
    awaited.__name__ = getattr(call, "__name__", "awaited")
    return awaited


class AsyncClient:
    """`hr.aio`: the same names as `Client`, awaitable."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.submit = _awaitable(client.submit)
        self.submit_many = _awaitable(client.submit_many)
        self.preview = _awaitable(client.preview)
        self.wait = _awaitable(client.wait)
        self.withdraw = _awaitable(client.withdraw)
        self.label = _awaitable(client.label)
        self.record = _awaitable(client.record)
        self.decisions = _awaitable(client.decisions)
        self.feedback = _awaitable(client.feedback)
        self.call = _awaitable(client.call)
        self.close = _awaitable(client.close)
        self.guard = client.guard

    async def do(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run any blocking call that uses this client, awaited."""
        return await _start(lambda: call(*args, **kwargs))

    async def as_decided(
        self, refs: Iterable[Ref], *, timeout: float | None = None
    ) -> AsyncIterator[Outcome[Any]]:
        """As `Client.as_decided`, with `async for`."""
        outcomes = self._client.as_decided(refs, timeout=timeout)
        while (outcome := await _start(lambda: next(outcomes, None))) is not None:
            yield outcome

    def run(self, outcome: Outcome[V], *, lease_seconds: float = 300.0) -> AsyncRun[V]:
        """As `Client.run`, with `async with`."""
        return AsyncRun(self._client.run(outcome, lease_seconds=lease_seconds))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncRun(Generic[V]):
    """A `Run` as an asynchronous context manager; the same properties."""

    def __init__(self, run: Run[V]) -> None:
        self._run = run

    def __bool__(self) -> bool:
        return bool(self._run)

    @property
    def value(self) -> V:
        """What was approved, edits included. Raises `NotAllowed` where nothing may run."""
        return self._run.value

    @property
    def key(self) -> str:
        """The grant's id: hand it to the effect as its idempotency key."""
        return self._run.key

    @property
    def digest(self) -> str:
        """Digest of what was approved, which is what runs."""
        return self._run.digest

    @property
    def receipt(self) -> Receipt | None:
        """Record of the run; None until it has ended."""
        return self._run.receipt

    async def __aenter__(self) -> AsyncRun[V]:
        entering = _start(self._run.__enter__)
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError as error:
            # The grant may be spent by now and nothing will run: say so when the answer is in.
            cancelled = error

            def leave(entered: asyncio.Future[Run[V]]) -> None:
                if not entered.cancelled() and entered.exception() is None:
                    _start(lambda: self._run.__exit__(type(cancelled), cancelled, None))

            entering.add_done_callback(leave)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.shield(_start(lambda: self._run.__exit__(kind, error, trace)))
