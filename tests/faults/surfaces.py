"""One review, answered on three surfaces at the same moment: the API, the desk's page, the shell.

A person with a session calls the API, one sends the form of the desk's page as their browser would,
and one runs `handrail reviews …`, which reaches the server through the workspace's own socket. On
PostgreSQL the page is another server's. Each round has one verdict and one effect, and both losers
are told who won, with what, and when.
"""

from __future__ import annotations

import contextlib
import html
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

from handrail.app import LOCAL, Workspace, open_workspace
from handrail.cli.commands import run as command_line
from handrail.client import Client
from handrail.client.http import HttpTransport
from handrail.model import commands as c
from handrail.model.people import Actor
from tests.faults.checker import Finding, History, check
from tests.faults.evidence import collect
from tests.faults.journal import Journaled, Memory, effects, ops, world_us
from tests.faults.kills import GRACE_SECONDS, SETTINGS
from tests.faults.races import Racer, shape, submit_one, together
from tests.faults.tally import SURFACES, Tally
from tests.faults.world import PAY
from tests.server import PASSWORD, Browser, free_port

PROGRAM = Actor(name="worker")
"""The program that submits and runs: a token of this name."""
SCOPES = ("decisions:submit", "decisions:read", "grants:run")
WORKERS = 2
ORIGIN = "http://handrail.example"
"""One name for all servers, as behind a load balancer: a session holds on each of them."""
ENVIRONMENT = {
    "HANDRAIL_PUBLIC_URL": ORIGIN,
    "HANDRAIL_ADDRESS_RATE": "0",
    "HANDRAIL_CREDENTIAL_RATE": "0",
}
DONE = {
    "Approved.": "approved",
    "Approved with your changes.": "edited",
    "Rejected.": "rejected",
}
"""What the desk's page says to who decided, and the verdict it means."""
SAID = ("approve", "edit", "reject")
_TOLD = re.compile(r"(\w+) by (\S+) at (\S+Z)")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a surface told its person."""

    status: int
    """HTTP status, or exit code."""
    verdict: str | None = None
    """The verdict, where their vote decided."""
    winner: Mapping[str, Any] | None = None
    """Who won, with what and when, where somebody else did."""


class Surface(ABC):
    """One person at one surface."""

    name = ""
    lost = 409
    """Status of who comes second."""

    def __init__(self, dice: random.Random) -> None:
        self.handle = f"{self.name}@example.org"
        self._dice = dice
        self.said = ""
        self.card = ""
        self.edits: dict[str, int] = {}
        self.took = 0.0
        """Seconds its last answer took."""
        self._wait = 0.0

    def look(self, review: str, slowest: float) -> None:
        """Look at the card, and choose. `slowest`: how long the slowest surface took last time; the
        others give it about that start, or it would never win."""
        self.card = self._digest(review)
        self.said = self._dice.choice(SAID)
        self.edits = {"amount": self._dice.randint(101, 900)} if self.said == "edit" else {}
        self._wait = (slowest - self.took) * self._dice.uniform(0.6, 1.4)

    def press(self, review: str) -> Answer:
        """Answer, now."""
        time.sleep(self._wait)
        began = time.monotonic()
        answer = self._send(review)
        self.took = time.monotonic() - began
        return answer

    @property
    def reason(self) -> str | None:
        return None if self.said == "approve" else "wrong"

    @abstractmethod
    def _digest(self, review: str) -> str:
        """The digest of the card as this surface shows it."""

    @abstractmethod
    def _send(self, review: str) -> Answer:
        """Send the answer this surface has chosen."""


class Api(Surface):
    """A person's own program, with their session."""

    name = "api"

    def __init__(self, dice: random.Random, browser: Browser) -> None:
        super().__init__(dice)
        self._browser = browser
        self._form = browser.token("/account")

    def _digest(self, review: str) -> str:
        return str(self._browser.http.get(f"/api/v1/reviews/{review}").json()["digest"])

    def _send(self, review: str) -> Answer:
        vote = {"said": self.said, "card": self.card, "reason": self.reason, "edits": self.edits}
        given = self._browser.http.post(
            f"/api/v1/reviews/{review}/verdict", json=vote, headers={"x-csrf-token": self._form}
        )
        body = given.json()
        return Answer(
            status=given.status_code, verdict=body.get("verdict"), winner=body.get("winner")
        )


class Page(Surface):
    """The desk, by its forms."""

    name = "web"

    def __init__(self, dice: random.Random, browser: Browser) -> None:
        super().__init__(dice)
        self._browser = browser
        self._fields: dict[str, str] = {}

    def _digest(self, review: str) -> str:
        page = self._browser.get(f"/reviews/{review}").text
        self._fields = dict(
            re.findall(r'type="hidden" name="(csrf_token|card)" value="(.*?)"', page)
        )
        return self._fields["card"]

    def _send(self, review: str) -> Answer:
        form = {**self._fields, "said": self.said, "reason": self.reason or ""}
        form |= {f"edit:{name}": str(value) for name, value in self.edits.items()}
        given = self._browser.http.post(
            f"/reviews/{review}/verdict",
            data=form,
            headers={"accept": "text/html", "origin": ORIGIN, "sec-fetch-site": "same-origin"},
        )
        if given.status_code == 303:
            after = self._browser.http.get(
                given.headers["location"], headers={"accept": "text/html"}
            )
            shown = re.search(r'role="status"[^>]*>(.*?)<', after.text, re.DOTALL)
            return Answer(status=303, verdict=DONE.get(shown[1] if shown else ""))
        told = _TOLD.search(html.unescape(given.text))
        winner = dict(zip(("verdict", "by", "at"), told.groups(), strict=True)) if told else None
        return Answer(status=given.status_code, winner=winner)


class Shell(Surface):
    """`handrail reviews …`, through the workspace's socket."""

    name = "cli"
    lost = 3

    def __init__(self, dice: random.Random, folder: Path) -> None:
        super().__init__(dice)
        self._folder = folder

    def _digest(self, review: str) -> str:
        code, said, _ = self._run("show", review)
        assert code == 0, said
        return str(json.loads(said)["digest"])

    def _send(self, review: str) -> Answer:
        more = [] if self.reason is None else ["--reason", self.reason]
        changes = [f"{name}={value}" for name, value in self.edits.items()]
        code, said, errors = self._run(self.said, review, *changes, *more, "--card", self.card)
        if code:
            return Answer(status=code, winner=json.loads(errors).get("winner"))
        return Answer(status=code, verdict=json.loads(said).get("verdict"))

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        said, errors = io.StringIO(), io.StringIO()
        given = ["-w", str(self._folder), "--as", self.handle, "--json", "reviews", *arguments]
        # The only surface that prints in this process.
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
            code = command_line(given)
        return code, said.getvalue(), errors.getvalue()


# ------------------------------------------------------------------------------ the servers


@contextlib.contextmanager
def up(folder: Path, db: str | None) -> Iterator[str]:
    """A server process on this workspace; its address on this machine. It is ended in order."""
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from handrail.cli import main; main()"),
            *("-w", str(folder), "--json", "up", "--port", str(port)),
            *(("--db", db) if db else ()),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **ENVIRONMENT},
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "the server does not start"
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(GRACE_SECONDS) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def run(
    folder: Path,
    *,
    seed: int,
    rounds: int,
    db: str | None = None,
    told: Callable[[int, list[Finding]], None] = lambda number, found: None,
) -> Tally:
    """So many rounds on the embedded store, or on the empty database at `db`."""
    here = folder / f"surfaces-{seed}-{'postgresql' if db else 'sqlite'}"
    work, other = here / "work", here / "other"
    for place in (work, other) if db else (work,):
        (place / "policies").mkdir(parents=True)
        (place / "policies" / "pay.yaml").write_text(PAY)
    tally = Tally(kind=f"{SURFACES} {'PostgreSQL' if db else 'SQLite'}", faults=rounds)
    journal, world = Memory(), Memory()
    with contextlib.ExitStack() as stack:
        url = page_url = stack.enter_context(up(work, db))
        if db:
            shutil.copytree(work / "keys", other / "keys")
            page_url = stack.enter_context(up(other, db))
        secret, browsers = _introduce(stack, work, {Api.name: url, Page.name: page_url})
        surfaces: list[Surface] = [
            Api(random.Random(f"{seed} api"), browsers[Api.name]),
            Page(random.Random(f"{seed} web"), browsers[Page.name]),
            Shell(random.Random(f"{seed} cli"), work),
        ]
        ways = [stack.enter_context(_way(address, secret)) for address in (url, page_url)]
        client = Client(Journaled(ways[0], journal, "submitter"), PROGRAM)
        racers = [
            Racer(ways[number % 2], f"runner{number}", journal, world, seed, PROGRAM)
            for number in range(WORKERS)
        ]
        for number in range(rounds):
            review, decision = submit_one(client, number)
            slowest = max(surface.took for surface in surfaces)
            for surface in surfaces:
                surface.look(review, slowest)
            began = world_us()
            answers: list[Answer] = together([_pressing(one, review) for one in surfaces])
            found = []
            for index, (surface, answer) in enumerate(zip(surfaces, answers, strict=True)):
                _note(journal, 10 * number + index, surface, review, answer, began)
                if answer.verdict is None and answer.status != surface.lost:
                    what = f"{surface.name} answered {answer.status}, {answer.winner}"
                    found.append(Finding(promise="loser-misled", where=review, what=what))
                if answer.verdict is not None:
                    tally.struck[f"{surface.name} won"] += 1
            together([_running(racer, decision, number) for racer in racers])
            tally.add(number, found)
            told(number, found)
    with Workspace.own(work, settings=SETTINGS, channels=()) or contextlib.nullcontext() as left:
        assert left is not None, "somebody still owns the workspace"
        state = collect(left.ports, left.anchor, [left.signer.key.verifier])
    history = History(
        ops=tuple(ops(journal.lines)), effects=tuple(effects(world.lines)), state=state
    )
    tally.decisions, tally.effects = len(state.decisions), len(history.effects)
    tally.add(rounds, check(history) + shape(history) + _closings(history))
    return tally


def _closings(history: History) -> list[Finding]:
    """Reviews with another number of closing entries than one."""
    ends = [entry["review"] for entry in history.entries("review.decided", "review.closed")]
    return [
        Finding(
            promise="decided-twice",
            where=review.id,
            what=f"the log has {ends.count(review.id)} entries that close it",
        )
        for review in history.state.reviews
        if ends.count(review.id) != 1
    ]


def _introduce(
    stack: contextlib.ExitStack, folder: Path, urls: Mapping[str, str]
) -> tuple[str, dict[str, Browser]]:
    """Make the people and the token known; sign in who uses a browser."""
    browsers = {}
    with open_workspace(folder) as local:
        token = local.call(c.MakeToken(name=PROGRAM.name, scopes=SCOPES, workflows=("*",)), LOCAL)
        for kind in (Api, Page, Shell):
            handle = f"{kind.name}@example.org"
            local.call(c.SetPerson(handle=handle, holds=("team:money",)), LOCAL)
            if kind.name in urls:
                invited = local.call(c.Invite(handle=handle), LOCAL)
                http = stack.enter_context(httpx.Client(base_url=urls[kind.name], timeout=300))
                browsers[kind.name] = Browser(http)
                fields = {"secret": invited.secret, "password": PASSWORD, "again": PASSWORD}
                answer = browsers[kind.name].submit("/invitation", fields)
                assert answer.status_code == 303, answer.text
    return token.secret, browsers


@contextlib.contextmanager
def _way(url: str, secret: str) -> Iterator[HttpTransport]:
    way = HttpTransport(url, token=secret)
    try:
        yield way
    finally:
        way.close()


def _note(
    journal: Memory, number: int, surface: Surface, review: str, answer: Answer, began: int
) -> None:
    """Write down what was asked and told, as `Journaled` would."""
    line = {"client": "surfaces", "n": number}
    asked = {"review_id": review, "said": surface.said, "card": surface.card}
    told: dict[str, Any] = {"error": {"type": "urn:handrail:conflict", "winner": answer.winner}}
    if answer.verdict is not None:
        told = {"answer": {"decided": True, "verdict": answer.verdict}}
    intent = {"say": "intent", "op": "CastVote", "actor": surface.handle, "args": asked}
    journal.write({**line, **intent, "at": began})
    journal.write({**line, "say": "end", "at": world_us(), **told})


def _pressing(surface: Surface, review: str) -> Callable[[], Answer]:
    return lambda: surface.press(review)


def _running(racer: Racer, decision: str, number: int) -> Callable[[], bool]:
    return lambda: racer.run(decision, number)
