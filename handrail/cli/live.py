"""The demo that people take part in: a desk in the browser, and samples that keep arriving.

Behind it is a workspace like any other, in a temporary folder. A made-up program hands samples in,
waits, and runs what is allowed. Whoever sits at the desk decides, with real rights in a real
session; nothing here decides by itself.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from handrail import packs
from handrail.app import Service, open_workspace
from handrail.cli.browser import browse, say_how_to_reach, until_ended, wait_to_be_ended
from handrail.cli.samples import Sample, Samples, biopsies, campaigns
from handrail.cli.shell import POLICIES, Shell
from handrail.client import Client
from handrail.model.commands import SetPerson, WaitOutcomes
from handrail.model.errors import HandrailError
from handrail.model.modes import Lane, Verdict
from handrail.model.outcome import Outcome
from handrail.model.people import Actor
from handrail.server.embedded import EmbeddedDesk

YOU = "you@example.com"
HOLDS = (
    "team:budget",
    "team:marketing-ops",
    "role:director",
    "team:pathology",
    "role:head-of-pathology",
)
"""What the person at the desk holds: whatever the two policies ask for."""
PROGRAM = "samples"
AT_ONCE = 6
"""Decisions that are there when the desk opens."""
EVERY_SECONDS = 5.0
"""Between two decisions after that."""
MOST_OPEN = 12
"""Decisions that may wait before no more arrive."""
PART = 8
"""Decisions about one thing before it is the other's turn."""
FIRST = (3, 1, 5, 8, 9, 7)
"""Numbers of the campaigns that come first, a slip of the machine before anything else."""
LOOK_SECONDS = 1.0
"""How long one look for outcomes waits."""


class Topic(msgspec.Struct, frozen=True):
    """What decisions may be about."""

    policy: str
    """Name of the shipped policy."""
    load: Callable[[], Samples]


MARKETING = Topic("marketing/campaign-launch", campaigns)
MEDICAL = Topic("medical/biopsy-triage", biopsies)


def show(shell: Shell, about: str | None, port: int) -> None:
    """Run the demo until Ctrl-C or SIGTERM; nothing is left of it. Raises where `port` is taken."""
    if about is None:
        known = importlib.util.find_spec("sklearn") is not None
        topics = [MARKETING, MEDICAL] if known else [MARKETING]
    else:
        topics = [MEDICAL if about == "medical" else MARKETING]
    feed: Feed | None = None
    with until_ended(), tempfile.TemporaryDirectory(prefix="handrail-demo-") as place:
        folder = Path(place)
        (folder / POLICIES).mkdir()
        for topic in topics:
            name = topic.policy.partition("/")[2]
            (folder / POLICIES / f"{name}.yaml").write_text(packs.read(topic.policy), "utf-8")
        with _workspace(folder, port) as (client, desk):
            client.call(SetPerson(handle=YOU, holds=HOLDS), Actor(name=YOU, program=False))
            feed = Feed(client, topics, shell.say)
            try:
                link = _say_where(shell, desk)
                feed.begin()
                browse(link)
                wait_to_be_ended(shell, desk.link)
            finally:
                feed.stop()
    if feed is not None:
        shell.say(f"\n{feed.in_words()}; the folder it ran in is gone")


@contextmanager
def _workspace(folder: Path, port: int) -> Iterator[tuple[Client, EmbeddedDesk]]:
    """The workspace in this folder, with its desk on that port (0: a free one)."""
    desks: list[EmbeddedDesk] = []

    def desk(service: Service) -> EmbeddedDesk:
        desks.append(EmbeddedDesk(service, port=port, person=YOU))
        desks[0].begin()
        return desks[0]

    client = open_workspace(folder, actor=Actor(name=PROGRAM), desk=desk)
    try:
        yield client, desks[0]
    finally:
        client.close()


def _say_where(shell: Shell, desk: EmbeddedDesk) -> str:
    """Say where the desk is, and the link that opens it."""
    link = desk.link()
    if shell.json:
        shell.document({"url": desk.origin, "link": link, "ready": True})
    else:
        shell.say(
            f"The desk is at {desk.origin}. This link opens it, once:\n\n  {link}\n\n"
            "Samples arrive every few seconds. Approve, edit or reject them there; what becomes of "
            "them\nis told here. Enter prints another link. Ctrl-C ends it and leaves nothing."
        )
        say_how_to_reach(shell, desk.origin)
        shell.say()
    sys.stdout.flush()
    return link


class Feed:
    """The made-up program: hands samples in one after the other, and runs what is allowed."""

    def __init__(self, client: Client, topics: list[Topic], say: Callable[[str], None]) -> None:
        self._client = client
        self._say = say
        self._coming = arriving(topics)
        self._over = threading.Event()
        self._open: dict[str, str] = {}
        """Decision → its sample's key."""
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name="handrail-demo", daemon=True)
            for work in (self._submit, self._run)
        ]
        self.counts: Counter[str] = Counter()
        """Outcomes by verdict, and how many were `submitted` and `ran`."""

    def begin(self) -> None:
        """Hand in what is there at once; the rest arrives on threads."""
        for _ in range(AT_ONCE):
            self._hand_in()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Hand in and run no more."""
        self._over.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except HandrailError as error:
            if not self._over.is_set():
                self._say(f"no more samples arrive: {error}")

    def _submit(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            if len(self._open) < MOST_OPEN:
                self._hand_in()

    def _hand_in(self) -> None:
        samples, sample, key = next(self._coming)
        ruling = self._client.submit(
            samples.workflow,
            key=key,
            facts={name: key if it == sample.key else it for name, it in sample.facts.items()},
            proposal=sample.proposal,
            confidence=sample.confidence,
            model=sample.model,
            current=sample.current,
        )
        self.counts["submitted"] += 1
        if ruling.lane is Lane.HOLD:
            with self._lock:
                self._open[ruling.decision_id] = key
            self._tell(key, f"waits for you: {ruling.why}")
        elif ruling.lane is Lane.PASS:
            self._finish(key, self._client.wait(ruling))
        else:
            self.counts[Verdict.REFUSED.value] += 1
            self._tell(key, f"refused: {ruling.why}")

    def _run(self) -> None:
        while not self._over.is_set():
            with self._lock:
                names = list(self._open)
            if not names:
                self._over.wait(LOOK_SECONDS)
                continue
            outcomes: list[Outcome[Any]] = self._client.call(
                WaitOutcomes(decision_ids=names, wait=LOOK_SECONDS)
            )
            for outcome in outcomes:
                with self._lock:
                    key = self._open.pop(outcome.decision_id)
                self._finish(key, outcome)

    def _finish(self, key: str, outcome: Outcome[Any]) -> None:
        self.counts[outcome.verdict.value] += 1
        if not outcome.allowed:
            self._tell(key, f"{outcome.verdict.value}; nothing runs")
            return
        with self._client.run(outcome) as run:
            if run:
                self.counts["ran"] += 1
                what = ", ".join(f"{name} = {value}" for name, value in run.value.items())
                self._tell(key, f"{outcome.verdict.value}, and ran once: {what}")

    def _tell(self, key: str, text: str) -> None:
        self._say(f"{time.strftime('%H:%M:%S')}  {key:<14}{text}")

    def in_words(self) -> str:
        """What happened, in one sentence."""
        yours = [
            f"{self.counts[one.value]} {one.value}"
            for one in (Verdict.APPROVED, Verdict.EDITED, Verdict.REJECTED)
        ]
        return (
            f"{self.counts['submitted']} samples, {self.counts[Verdict.PASSED.value]} passed, "
            f"{', '.join(yours)} by you, {self.counts['ran']} ran"
        )


def arriving(topics: list[Topic]) -> Iterator[tuple[Samples, Sample, str]]:
    """Samples without end, each with a key of its own; the topics take turns.

    >>> [key for _, _, key in itertools.islice(arriving([MARKETING]), 17)][::8]
    ['sample-03', 'sample-06', 'sample-03-2']
    """
    endless = [_endless(topic) for topic in topics]
    for one in itertools.cycle(endless):
        yield from itertools.islice(one, PART)


def _endless(topic: Topic) -> Iterator[tuple[Samples, Sample, str]]:
    samples = topic.load()
    first = [f"sample-{number:02}" for number in FIRST]
    ordered = sorted(
        samples.samples, key=lambda it: first.index(it.key) if it.key in first else len(first)
    )
    for turn in itertools.count(1):
        for sample in ordered:
            yield samples, sample, sample.key if turn == 1 else f"{sample.key}-{turn}"
