"""Use cases of many callers that share a transaction.

A thread that is free takes everybody who waits, so that many callers share round trips, flushes and
the log's entry; who comes meanwhile makes up the next company. One caller alone waits for nobody.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from handrail.store.postgres.units import Member

AT_ONCE = 2
"""Companies that run at the same time: while one waits for the disk the next one is at work."""

Job = tuple[Member, "Future[Any]"]


class Company:
    """Runs together what is handed in, and on its own what could not be run with others."""

    def __init__(
        self,
        share: Callable[[list[Member]], bool],
        alone: Callable[[Member], None],
        *,
        most: int,
        threads: int,
    ) -> None:
        """`share` runs use cases, at most `most`, in one transaction; False: it could not. Then
        `alone` runs each, on one of so many further threads: who is in the way of somebody else
        holds up nobody."""
        self._share = share
        self._alone = alone
        self._most = most
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._apart = ThreadPoolExecutor(threads, thread_name_prefix="handrail-alone")
        self._threads = [
            threading.Thread(target=self._run, name=f"handrail-company-{number}", daemon=True)
            for number in range(AT_ONCE)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def add(self, member: Member, future: Future[Any]) -> None:
        """Have a use case run; `future` is done when it is durable."""
        self._queue.put((member, future))

    def close(self) -> None:
        """Finish what was added, and end the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._apart.shutdown(wait=True)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            item = self._queue.get()
            company: list[Job] = []
            while True:
                if item is None:
                    stopping = True
                    break
                if item[1].set_running_or_notify_cancel():
                    company.append(item)
                if len(company) >= self._most:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if company:
                self._together(company)

    def _together(self, company: list[Job]) -> None:
        members = [member for member, _ in company]
        try:
            shared = self._share(members)
        except BaseException as error:
            # Whether it is stored is not known, so nobody runs it again.
            for member in members:
                member.error = error
            shared = True
        for job in company:
            if shared:
                report(job)
            else:
                self._apart.submit(self._on_its_own, job)

    def _on_its_own(self, job: Job) -> None:
        member = job[0]
        try:
            self._alone(member)
        except BaseException as error:
            member.error = error
        report(job)


def report(job: Job) -> None:
    """Tell who waits how it ended."""
    member, future = job
    if member.error is not None:
        future.set_exception(member.error)
    else:
        future.set_result(member.result)
