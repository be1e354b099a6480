"""The wire between a server and its database: a relay that falls silent, and is cut.

What falls silent first loses answers: a COMMIT sent meanwhile reaches the database, which carries
it out, and nobody hears of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path

SILENT_SECONDS = 0.03
"""How long answers are lost before the connections are."""
CHUNK = 65_536


class Wire:
    """Relays one Unix socket to another until its parent ends; `cut` is told through `order`."""

    def __init__(self, at: Path, to: Path) -> None:
        self._at = at
        self._to = to
        self._order, self._told = socket.socketpair()
        self._silent = False
        self._ends: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Lose answers from now on, and all connections in a moment. For any process that was
        forked after the wire was made."""
        self._order.send(b"c")
        self._order.recv(1)

    def run(self) -> None:
        """Relay; the work of a process of its own."""
        self._order.close()
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._told.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._told, self._ordered)
        parent = os.getppid()
        orphaned = asyncio.Event()

        def look() -> None:
            if os.getppid() != parent:
                orphaned.set()
            loop.call_later(1, look)

        look()
        async with await asyncio.start_unix_server(self._relay, os.fspath(self._at)):
            await orphaned.wait()

    def _ordered(self) -> None:
        if self._told.recv(1):
            self._silent = True
            self._told.send(b"k")
            asyncio.get_running_loop().call_later(SILENT_SECONDS, self._cut)

    def _cut(self) -> None:
        for end in self._ends:
            end.transport.abort()
        self._silent = False

    async def _relay(self, near: asyncio.StreamReader, near_end: asyncio.StreamWriter) -> None:
        try:
            far, far_end = await asyncio.open_unix_connection(os.fspath(self._to))
        except OSError:
            near_end.transport.abort()
            return
        self._ends |= {near_end, far_end}
        try:
            await asyncio.gather(
                self._pump(near, far_end, answers=False), self._pump(far, near_end, answers=True)
            )
        finally:
            self._ends -= {near_end, far_end}

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(CHUNK):
                if answers and self._silent:
                    continue
                sink.write(chunk)
                await sink.drain()
        sink.transport.abort()
