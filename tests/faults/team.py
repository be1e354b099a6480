"""A team's installation struck in turn: its servers, its workers, and the database under them.

Two servers (`handrail up --db`) share one PostgreSQL that flushes as it does in production; the
second one reaches it over a wire that can be cut. Worker processes submit, vote, redeem and confirm
over HTTP, with a token as programs do and with sessions as people do, and turn to the other server
where one does not answer. In each round one thing is struck: killed (`KILLS`), stopped and started,
or cut off (`REST`), at a named step or at any moment. What ended is started again at once, as a
supervisor would, and the round goes on until everybody was acknowledged something again.

The judge reads the store after each round, beside the living servers; after each chain of rounds
the servers are stopped in order, and it judges what is left as the next owner finds it.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import select
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec
import psycopg

import handrail.server.network
import handrail.server.web
import handrail.store.postgres  # what forks finds all of it loaded
from handrail.app import Paths, Workspace, open_workspace
from handrail.app.keys import read_secret, read_signer
from handrail.channels import FileAnchor
from handrail.cli.commands import run as command_line
from handrail.client.http import HttpTransport
from handrail.client.transport import Transport, repeatable
from handrail.flow import Ports, Shelf
from handrail.model import commands as c
from handrail.model.errors import Unavailable
from handrail.model.people import Actor
from handrail.settings import Settings
from handrail.store.postgres import SEQUENCER_STEPS, STEPS, PostgresStore
from handrail.store.postgres.transaction import PostgresTransaction
from handrail.store.postgres.units import Units
from tests import postgres
from tests.faults.checker import Finding, History, check
from tests.faults.evidence import collect
from tests.faults.journal import JOURNALED, Journal, Op, effects, ops, world_us
from tests.faults.kills import (
    ANY,
    FLOW_STEPS,
    GRACE_SECONDS,
    PATIENCE_SECONDS,
    RARE,
    Victim,
    apart,
    defects,
    fork,
    judge,
    lines,
    reap,
)
from tests.faults.tally import TEAM, Tally
from tests.faults.wire import Wire
from tests.faults.world import CLIENT_POINTS, PEOPLE, POLICIES, STRANGER, Hand, person
from tests.server import PASSWORD, TOKEN_FIELD, free_port

PROGRAM = Actor(name="worker")
"""The program that submits and runs: a token of this name."""
SCOPES = ("decisions:submit", "decisions:read", "grants:run")
SERVERS, WORKERS, HANDS = 2, 2, 3
WIRED = 1
"""The server whose wire to the database can be cut."""

SERVER_PLACES = (*STEPS, *SEQUENCER_STEPS, *FLOW_STEPS, ANY)
WORKER_PLACES = (*CLIENT_POINTS, ANY)
NOWHERE = ""
"""A place that nobody reaches: an order to strike there takes the one before back."""
KILLS = ("server", "worker", "backend", "postmaster")
"""What is killed with -9. A backend that is killed makes PostgreSQL end all others and recover."""
REST = ("stop server", "stop database", "end connections", "cut wire")
"""SIGTERM and a new start; a fast stop and a new start; the database ends every connection; answers
are lost, and then the connections of one server."""
LOSE_CONNECTIONS = ("backend", "postmaster", "end connections", "cut wire")
"""After these all connections of a server are gone, but it is not."""
TURN = (
    "server",
    "worker",
    "backend",
    "stop server",
    "server",
    "worker",
    "postmaster",
    "end connections",
    "server",
    "worker",
    "backend",
    "cut wire",
    "server",
    "worker",
    "postmaster",
    "stop database",
)
"""What is struck, in turn: three of four are kills. One installation lives through one turn."""

SERVED_SECONDS = 180.0
"""Who is acknowledged nothing for so long after a strike is taken to be shut out for good."""
PARTS = {"server": "servers", "stop server": "servers", "worker": "workers"}
"""What of the installation is away; for all others the database is."""

_CHANGES = frozenset(kind.__name__ for kind in JOURNALED)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One round."""

    number: int
    target: str
    place: str
    after: int
    """The n-th time somebody is at that place; for `ANY`: milliseconds."""
    server: int
    """Which server is struck, or at whose step the database is."""
    seed: int
    lingers: bool = False
    """Whether who stands at the place when its connections are struck goes on only when its own is
    gone: what it does next is sure to meet that, a COMMIT too. Otherwise the two race."""
    patience_seconds: float = PATIENCE_SECONDS
    """Where the place is not reached in this time, it is struck at any moment."""

    @classmethod
    def of(cls, seed: int, number: int) -> Plan:
        """Everything in turn, everywhere."""
        random_ = random.Random(f"team {seed} {number}")
        turn, at = divmod(number, len(TURN))
        target = TURN[at]
        places = WORKER_PLACES if target == "worker" else SERVER_PLACES
        if target in ("stop server", "stop database"):
            places = (ANY,)
        before = turn * TURN.count(target) + TURN[:at].count(target)
        place = places[before % len(places)]
        if place == ANY:
            after = random_.randint(0, 150)
        elif place in RARE:
            after = random_.randint(1, 2)
        else:
            after = random_.choice((1, 2, random_.randint(2, 12)))
        return cls(
            number=number,
            target=target,
            place=place,
            after=after,
            server=WIRED if target == "cut wire" else random_.randrange(SERVERS),
            seed=random_.getrandbits(48),
            lingers=target in LOSE_CONNECTIONS and random_.random() < 0.5,
        )

    @classmethod
    def aimed(cls, target: str, place: str, seed: int, number: int) -> Plan:
        """One thing at one place, whatever the number."""
        random_ = random.Random(f"team {target} {place} {seed} {number}")
        return cls(
            number=number,
            target=target,
            place=place,
            after=random_.randint(1, 3),
            server=random_.randrange(SERVERS),
            seed=random_.getrandbits(48),
            lingers=target in LOSE_CONNECTIONS,
            patience_seconds=30.0,
        )

    @property
    def name(self) -> str:
        return f"{self.target}: {self.place}"


# ------------------------------------------------------------------------------ the clients


class Lines(Transport):
    """A client's ways to the servers: credentials by who acts, and the next server where one does
    not answer. What is safe to repeat is repeated there."""

    def __init__(self, ways: Sequence[Transport], first: int) -> None:
        self._ways = ways
        self._at = first

    def call(self, command: c.Command, actor: Actor) -> Any:
        for left in reversed(range(len(self._ways))):
            way = self._ways[self._at % len(self._ways)]
            try:
                return way.call(command, actor)
            except Unavailable:
                self._at += 1
                if not left or not repeatable(command):
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        pass


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What programs and people show."""

    token: str
    cookie: str
    """Name of the session's cookie."""
    sessions: dict[str, str]
    """Secret of each person's session."""
    forms: dict[str, str]
    """Token of each person's forms."""

    def way(self, url: str, attempts: int) -> HttpTransport:
        """A way to the server at `url`."""

        def sign(request: httpx.Request) -> None:
            name = request.headers.pop("handrail-actor").replace("%40", "@")
            if request.headers.pop("handrail-actor-kind") == "program":
                request.headers["authorization"] = f"Bearer {self.token}"
            else:
                request.headers["cookie"] = f"{self.cookie}={self.sessions[name]}"
                request.headers["x-csrf-token"] = self.forms[name]

        made = HttpTransport(url, attempts=attempts)
        made._http.event_hooks = {"request": [sign]}
        return made


class Heard:
    """A journal that also says when its client was last acknowledged a change."""

    def __init__(self, journal: Journal, slots: Any, slot: int) -> None:
        self._journal = journal
        self._slots = slots
        self._slot = slot
        self._begun: dict[int, int] = {}

    def write(self, line: dict[str, Any]) -> None:
        self._journal.write(line)
        if line["say"] == "intent":
            if line["op"] in _CHANGES:
                self._begun[line["n"]] = line["at"]
            return
        begun = self._begun.pop(line["n"], None)
        if begun is not None and "error" not in line:
            self._slots[self._slot] = max(self._slots[self._slot], begun)

    def close(self) -> None:
        self._journal.close()


class Round:
    """One round's worker processes."""

    def __init__(self, team: Team, plan: Plan) -> None:
        self._team = team
        self._plan = plan
        shared = get_context("fork")
        self._stop = shared.Value("b", 0, lock=False)
        self._slots = shared.Array("q", (WORKERS + 1) * HANDS, lock=False)
        """µs at which the last acknowledged change of each client began."""
        self.pids: list[int] = []
        self._gone: set[int] = set()

    def start(self) -> None:
        """Another worker process."""
        index = len(self.pids)
        self.pids.append(
            fork(self._team.folder, f"{self._plan.number}.{index}", self._worker(index))
        )

    def _worker(self, index: int) -> Callable[[], None]:
        """The work of one process. Number 0 is the victim, where workers are struck."""
        plan, team = self._plan, self._team
        name = f"{plan.number}.{index}"
        parent = os.getpid()

        def work() -> None:
            victim = index == 0 and plan.target == "worker"
            strike: Callable[[str], None] = (
                Victim(plan.place, plan.after) if victim else lambda name: None
            )
            journal = Journal(team.folder / "journals" / f"calls-{name}")
            world = Journal(team.folder / "journals" / f"effects-{name}")
            # One in two leaves every repetition to `Lines`.
            ways = [team.credentials.way(url, (4, 1)[index % 2]) for url in team.urls]
            failed: list[BaseException] = []

            def hand(number: int) -> None:
                hand = Hand(
                    Lines(ways, number),
                    name=f"{name}.{number}",
                    seed=plan.seed + 1000 * index + number,
                    journal=Heard(journal, self._slots, index * HANDS + number),
                    effects=world,
                    point=strike,
                    program=PROGRAM,
                )
                dice = random.Random(plan.seed + number)
                try:
                    while not self._stop.value and os.getppid() == parent and not failed:
                        try:
                            hand.settle_doubt() if dice.random() < 0.05 else hand.step()
                        except Unavailable:
                            time.sleep(0.01)
                except BaseException as error:
                    failed.append(error)

            threads = [threading.Thread(target=hand, args=(number,)) for number in range(HANDS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if failed:
                raise failed[0]

        return work

    def served(self, since: int) -> bool:
        """Whether every living client was acknowledged a change that began after `since`."""
        return all(
            self._slots[index * HANDS + number] > since
            for index in range(len(self.pids))
            if not self.died(index)
            for number in range(HANDS)
        )

    def died(self, index: int) -> bool:
        """Whether this worker was killed, or ended because it met an error."""
        if index not in self._gone and os.waitpid(self.pids[index], os.WNOHANG)[0]:
            self._gone.add(index)
        return index in self._gone

    def kill(self, index: int) -> None:
        os.kill(self.pids[index], signal.SIGKILL)

    def end(self) -> list[Finding]:
        """Have all of them stop; who does not hangs."""
        self._stop.value = 1
        left = [pid for index, pid in enumerate(self.pids) if index not in self._gone]
        ended = reap(left, GRACE_SECONDS + 30)
        found = []
        for pid in left:
            if pid not in ended:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                where = f"worker {self.pids.index(pid)} of round {self._plan.number}"
                found.append(Finding(promise="defect", where=where, what="hangs"))
        return found


# ------------------------------------------------------------------------------ the servers


class Striker:
    """In a server: strikes when a step is reached for the n-th time, as it is told to. What strikes
    is the thread that stands at the step."""

    def __init__(self, team: Team, orders: int) -> None:
        self._team = team
        self._orders = orders
        self._parent = os.getppid()
        self._plan: Plan | None = None
        self._count = 0
        self._lock = threading.Lock()
        self._here = threading.local()
        self._follow()
        threading.Thread(target=self._listen, name="orders", daemon=True).start()

    def _follow(self) -> None:
        """Know the connection that a thread works on."""
        attempt = Units._attempt

        def followed(
            units: Units, transaction: PostgresTransaction, *given: Any, **named: Any
        ) -> None:
            self._here.connection = transaction.session.connection
            attempt(units, transaction, *given, **named)

        Units._attempt = followed  # type: ignore[method-assign]

    def _listen(self) -> None:
        while os.getppid() == self._parent:
            if select.select([self._orders], [], [], 1.0)[0]:
                said = os.read(self._orders, 4096).split(b"\n")
                if len(said) > 1:
                    with self._lock:
                        self._count = 0
                        self._plan = msgspec.json.decode(said[-2], type=Plan)
        os._exit(1)

    def __call__(self, name: str) -> None:
        with self._lock:
            plan = self._plan
            if plan is None or name != plan.place:
                return
            self._count += 1
            if self._count != plan.after:
                return
            self._plan = None
        self._team.strike(plan, os.getpid())
        connection = getattr(self._here, "connection", None)
        if plan.lingers and connection is not None and not connection.closed:
            # It says goodbye first, which is no end yet.
            end = select.poll()
            end.register(connection.fileno(), getattr(select, "POLLRDHUP", 0))
            end.poll(GRACE_SECONDS * 1000)


class Server:
    """One `handrail up --db`."""

    def __init__(self, team: Team, index: int, folder: Path, url: str) -> None:
        self._team = team
        self._index = index
        self.folder = folder
        self._db = url
        self._port = free_port()
        self._said = 0
        self._orders = 0
        self._status: int | None = None
        self.pid = 0
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """A new process; `ready` waits for it."""
        said, says = os.pipe()
        if self._orders:
            os.close(self._orders)
        takes, self._orders = os.pipe()
        if self._said:
            os.close(self._said)
        self._said = said
        self._status = None
        self.pid = fork(self._team.folder, f"server-{self._index}", self._serve(takes, says))
        os.close(says)
        os.close(takes)

    def _serve(self, orders: int, says: int) -> Callable[[], None]:
        def work() -> None:
            log = self._team.folder / f"server-{self._index}.log"
            os.dup2(says, 1)
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
            import logging

            logging.disable(logging.NOTSET)
            os.environ.update(ENVIRONMENT)
            striker = Striker(self._team, orders)
            own = Workspace.own

            def owned(folder: Path, **given: Any) -> Workspace | None:
                return own(folder, steps=striker, channels=(), **given)

            Workspace.own = owned  # type: ignore[method-assign]
            with self._team.broken():
                arguments = ("--json", "up", "--db", self._db, "--port", str(self._port))
                code = command_line(["-w", str(self.folder), *arguments])
            assert code == 0, f"it ended with {code}"

        return work

    def ready(self) -> None:
        """Wait until it serves. Raises where it does not."""
        said = b""
        until = time.monotonic() + GRACE_SECONDS
        while not said.endswith(b"\n"):
            if time.monotonic() > until or not select.select([self._said], [], [], GRACE_SECONDS):
                raise RuntimeError(f"server {self._index} does not start")
            more = os.read(self._said, 4096)
            if not more:
                raise RuntimeError(f"server {self._index} ended: {defects(self._team.folder)}")
            said += more

    def order(self, plan: Plan) -> None:
        """Have it strike."""
        os.write(self._orders, msgspec.json.encode(plan) + b"\n")

    def ended(self, seconds: float = 0.01) -> int | None:
        """Its exit status; None while it lives."""
        if self._status is None:
            self._status = reap([self.pid], seconds).get(self.pid)
        return self._status


ENVIRONMENT = {
    "HANDRAIL_SWEEP_SECONDS": "0.1",
    "HANDRAIL_CHECKPOINT_SECONDS": "0.25",
    "HANDRAIL_ADDRESS_RATE": "0",
    "HANDRAIL_CREDENTIAL_RATE": "0",
    # One name for all servers, as behind a load balancer: a session holds on each of them.
    "HANDRAIL_PUBLIC_URL": "http://handrail.example",
}
COOKIE = "handrail-session-80"


class Team:
    """One installation: a database of its own, two servers, a wire, people and a token."""

    def __init__(
        self,
        folder: Path,
        database: postgres.Server,
        broken: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.folder = folder
        self._database = database
        self._broken = broken
        self.broken: Callable[[], AbstractContextManager[Any]] = nullcontext
        """What the servers run in: nothing, or once everything is set up a broken build."""
        self._name = f"faults_{secrets.token_hex(4)}"
        self.url = self._on(self._socket.parent)
        self.wire = Wire(folder / "wire" / self._socket.name, self._socket)
        news, self._tells = os.pipe()
        self._news = os.fdopen(news, "rb", buffering=0)
        self.servers = [
            Server(self, index, folder / ("work" if index == 0 else f"work-{index}"), url)
            for index, url in enumerate((self.url, self._on(folder / "wire")))
        ]
        self.credentials = Credentials(token="", cookie=COOKIE, sessions={}, forms={})
        self._relay = 0

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    @property
    def _socket(self) -> Path:
        return self._database.socket

    def _on(self, host: Path) -> str:
        parts = urlsplit(self._database.url)
        return urlunsplit((parts.scheme, parts.netloc, f"/{self._name}", f"host={host}", ""))

    # ------------------------------------------------------------------ life

    def begin(self) -> None:
        """Set everything up; it serves afterwards."""
        for name in ("wire", "journals"):
            (self.folder / name).mkdir(parents=True)
        with psycopg.connect(self._database.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {self._name}".encode())
        for server in self.servers:
            policies = server.folder / "policies"
            policies.mkdir(parents=True)
            for name, text in POLICIES.items():
                (policies / f"{name}.yaml").write_text(text)
        self._relay = fork(self.folder, "wire", self.wire.run)
        first, *others = self.servers
        first.start()
        first.ready()
        for server in others:
            shutil.copytree(first.folder / "keys", server.folder / "keys")
            server.start()
            server.ready()
        answer = apart(self.folder, self._introduce)
        if answer.get("found"):
            raise RuntimeError(str(answer["found"]))
        self.credentials = msgspec.convert(answer, Credentials)
        if self._broken is not nullcontext:
            self.broken = self._broken
            self.end()
            for server in self.servers:
                server.start()
                server.ready()

    def _introduce(self) -> dict[str, Any]:
        """Make people and the token known, and sign everybody in."""
        first = self.servers[0]
        sessions: dict[str, str] = {}
        forms: dict[str, str] = {}
        with (
            open_workspace(first.folder) as local,
            contextlib.closing(HttpTransport(first.url)) as remote,
        ):
            token = local.call(c.MakeToken(name=PROGRAM.name, scopes=SCOPES, workflows=("*",)))
            for number, handle in enumerate((*PEOPLE, STRANGER)):
                holds: tuple[str, ...] = () if handle == STRANGER else ("team:money",)
                holds += () if number % 4 else ("role:lead",)
                invited = local.call(c.Invite(handle=handle, holds=holds))
                accept = c.AcceptInvitation(secret=invited.secret, password=PASSWORD)
                sessions[handle] = remote.call(accept, person(handle)).secret
            with httpx.Client(base_url=first.url, headers={"accept": "text/html"}) as browser:
                for handle, session in sessions.items():
                    page = browser.get("/account", headers={"cookie": f"{COOKIE}={session}"})
                    found = TOKEN_FIELD.search(page.text)
                    assert found, page.text
                    forms[handle] = found[1]
        return {"token": token.secret, "cookie": COOKIE, "sessions": sessions, "forms": forms}

    def end(self) -> list[Finding]:
        """Stop the servers in order."""
        found = []
        for server in self.servers:
            os.kill(server.pid, signal.SIGTERM)
        for index, server in enumerate(self.servers):
            if server.ended(GRACE_SECONDS) != 0:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(server.pid, signal.SIGKILL)
                what = "does not stop in order"
                found.append(Finding(promise="defect", where=f"server {index}", what=what))
        return found + defects(self.folder)

    def forget(self) -> None:
        """Remove what is left."""
        for server in self.servers:
            if server.pid and server.ended() is None:
                os.kill(server.pid, signal.SIGKILL)
                server.ended(GRACE_SECONDS)
        if self._relay:
            os.kill(self._relay, signal.SIGKILL)
            os.waitpid(self._relay, 0)
        self._news.close()
        os.close(self._tells)
        with psycopg.connect(self._database.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)".encode())

    # ------------------------------------------------------------------ strikes

    def strike(self, plan: Plan, server: int) -> None:
        """Do it now, and say when. `server`: process of the server that is meant."""
        target = plan.target
        victim = server
        try:
            if target == "backend":
                victim = self._backend()
            elif target == "postmaster":
                victim = self._database.postmaster
        except (OSError, psycopg.OperationalError):
            return  # it is down: whoever was told to strike there did so in this moment
        os.write(self._tells, b"%d %d\n" % (plan.number, world_us()))
        if target == "stop server":
            os.kill(victim, signal.SIGTERM)
        elif target == "stop database":
            self._database.restart("fast")
        elif target == "end connections":
            self._ask("SELECT pg_terminate_backend(pid) FROM handrails")
        elif target == "cut wire":
            self.wire.cut()
        else:
            os.kill(victim, signal.SIGKILL)

    def _backend(self) -> int:
        """One in the middle of a transaction, where there is one."""
        return int(
            self._ask(
                "SELECT coalesce((SELECT pid FROM handrails ORDER BY state = 'idle', random() "
                "LIMIT 1), pg_backend_pid())"
            )
        )

    def _ask(self, query: str) -> Any:
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(
                b"WITH handrails AS (SELECT pid, state FROM pg_stat_activity WHERE "
                b"datname = current_database() AND pid <> pg_backend_pid()) " + query.encode()
            ).fetchone()
        return row[0] if row is not None else None

    def struck(self, plan: Plan, seconds: float) -> int | None:
        """When it was struck (µs); None where that does not happen in this time."""
        until = time.monotonic() + seconds
        while select.select([self._news], [], [], max(0.0, until - time.monotonic()))[0]:
            # A line is written at once, and is read by nobody else.
            number, at = self._news.readline().split()
            if int(number) == plan.number:
                return int(at)
        return None

    def mend(self, plan: Plan) -> list[Finding]:
        """Start again what ended, as a supervisor does."""
        server = self.servers[plan.server]
        if plan.target in ("server", "stop server"):
            status = server.ended(GRACE_SECONDS)
            wanted = signal.SIGKILL if plan.target == "server" else 0
            if status is None:
                os.kill(server.pid, signal.SIGKILL)
                server.ended(GRACE_SECONDS)
            server.start()
            if status != wanted:
                what = f"ended with {status}; expected {wanted}"
                where = f"server {plan.server}"
                return [Finding(promise="defect", where=where, what=what), *defects(self.folder)]
        elif plan.target == "postmaster":
            self._database.restart("fast")
        return []

    def well(self, plan: Plan) -> list[Finding]:
        """What is wrong with the servers after a round."""
        found = []
        if plan.target in ("server", "stop server"):
            server = self.servers[plan.server]
            try:
                server.ready()
            except RuntimeError as error:
                where = f"server {plan.server}"
                found.append(Finding(promise="defect", where=where, what=str(error)))
                server.start()
                server.ready()
        for index, server in enumerate(self.servers):
            status = server.ended()
            if status is not None:
                what = f"ended by itself with {status}"
                found.append(Finding(promise="defect", where=f"server {index}", what=what))
                server.start()
                server.ready()
            said = httpx.get(f"{server.url}/readyz", timeout=GRACE_SECONDS).json()
            if said != {"status": "ok"}:
                where = f"server {index}"
                found.append(Finding(promise="cried-wolf", where=where, what=str(said)))
        return found


# ------------------------------------------------------------------------------ a round


class Outages(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The longest silences after a strike, in seconds."""

    anybody: float = 0.0
    """In which nobody was acknowledged a change."""
    everybody: float = 0.0
    """In which one of the clients was acknowledged none."""
    database: float = 0.0
    """In which the database itself took no connection."""
    beyond: float = 0.0
    """What the silence of everybody was longer than that of the database."""


def one(team: Team, plan: Plan) -> tuple[str, Outages, list[Finding]]:
    """One round: what was struck where, the outage, and what was found."""
    round_ = Round(team, plan)
    for _ in range(WORKERS):
        round_.start()
    found: list[Finding] = []
    if plan.target != "worker":
        _until(lambda: round_.served(0), SERVED_SECONDS)
    server = team.servers[plan.server]
    watch = Watch(team, plan)
    place, at = plan.place, None
    if plan.target == "worker":
        if place == ANY:
            time.sleep(plan.after / 1000)
        elif not _until(lambda: round_.died(0), plan.patience_seconds):
            place = ANY
        at = world_us()
        if not round_.died(0):
            round_.kill(0)
            _until(lambda: round_.died(0), GRACE_SECONDS)
        round_.start()
    else:
        if place == ANY:
            time.sleep(plan.after / 1000)
        else:
            server.order(plan)
            at = team.struck(plan, plan.patience_seconds)
        if at is None:
            place = ANY
            server.order(msgspec.structs.replace(plan, place=NOWHERE))
            team.strike(plan, server.pid)
            at = team.struck(plan, GRACE_SECONDS)
        found += team.mend(plan)
    assert at is not None
    away = watch.away(at)
    if not _until(lambda: round_.served(at), SERVED_SECONDS):
        what = f"after {plan.name} somebody got no answer for {SERVED_SECONDS:.0f} s"
        found.append(Finding(promise="shut-out", where=f"round {plan.number}", what=what))
    found += round_.end() + team.well(plan) + defects(team.folder)
    told = ops(lines(team.folder, f"calls-{plan.number}.*"))
    return f"{plan.target}: {place}", outages(told, at, away), found


class Watch:
    """A connection of our own, which says how long the database is away. Only where it is struck;
    it is made after the forks of a round, which would keep it open."""

    def __init__(self, team: Team, plan: Plan) -> None:
        self._url = team.url
        self._held: psycopg.Connection[Any] | None = None
        if PARTS.get(plan.target) is None and plan.target not in ("end connections", "cut wire"):
            self._held = psycopg.connect(self._url, autocommit=True)

    def away(self, at: int) -> int:
        """µs from the strike until it took a connection again; 0 where it was not struck."""
        if self._held is None:
            return 0
        select.select([self._held.fileno()], [], [], GRACE_SECONDS)
        self._held.close()
        while True:
            try:
                psycopg.connect(self._url).close()
                return world_us() - at
            except psycopg.OperationalError:
                time.sleep(0.01)


def outages(told: Sequence[Op], at: int, away: int) -> Outages:
    """The silences from the strike at `at` to the last acknowledgement of a change begun after.

    `away`: µs of them in which the database took no connection.
    """
    heard: dict[str, list[int]] = {}
    for op in told:
        if op.op in _CHANGES and op.acked and op.began > at and op.ended is not None:
            heard.setdefault(op.client, []).append(op.ended)
    if not heard:
        return Outages(anybody=SERVED_SECONDS, everybody=SERVED_SECONDS)
    anybody = _longest(at, [ended for each in heard.values() for ended in each])
    everybody = max(_longest(at, each) for each in heard.values())
    return Outages(
        anybody=anybody / 1_000_000,
        everybody=everybody / 1_000_000,
        database=away / 1_000_000,
        beyond=max(0, anybody - away) / 1_000_000,
    )


def _longest(at: int, ended: list[int]) -> int:
    return max(later - earlier for earlier, later in pairwise((at, *sorted(ended))))


def _until(done: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


# ------------------------------------------------------------------------------ the judge


def glance(folder: Path, url: str) -> dict[str, Any]:
    """Judge beside the living servers."""
    paths = Paths(folder / "work")
    signer = read_signer(paths.signer)
    store = PostgresStore.open(url, settings=Settings(connections=2))
    try:
        ports = Ports(
            store=store, shelf=Shelf(), secret=read_secret(paths.secret), settings=Settings()
        )
        state = collect(ports, FileAnchor(paths.anchor), [signer.key.verifier])
    finally:
        store.close()
    history = History(
        ops=tuple(ops(lines(folder, "calls-*"))),
        effects=tuple(effects(lines(folder, "effects-*"))),
        state=msgspec.structs.replace(state, swept=False),
    )
    return {"found": msgspec.to_builtins(check(history))}


def verified(team: Team) -> list[Finding]:
    """What `handrail audit verify --against-state` says, with the anchors of each server."""
    import io

    found = []
    for server in team.servers:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = command_line(
                ["-w", str(server.folder), "audit", "verify", "--against-state", "--json"]
            )
        if code:
            where = f"audit verify in {server.folder.name}"
            found.append(Finding(promise="broken-log", where=where, what=said.getvalue()))
    return found


# ------------------------------------------------------------------------------ many


def run(
    folder: Path,
    *,
    seed: int,
    first: int = 0,
    count: int = len(TURN),
    plan: Callable[[int, int], Plan] = Plan.of,
    broken: Callable[[], AbstractContextManager[Any]] = nullcontext,
    stop_at: frozenset[str] = frozenset(),
    told: Callable[[int, list[Finding]], None] = lambda number, found: None,
) -> Tally:
    """`count` rounds from number `first` on; what each does follows from `seed` and its number.

    `plan` makes a round of these two. `broken`: what the servers run in. Ends early where a promise
    of `stop_at` was broken. Must be called in a process that has no threads.
    """
    assert threading.active_count() == 1, "forking needs a process without threads"
    tally = Tally(kind=TEAM)
    with _postgres() as database:
        number = first
        while number < first + count and not tally.promises & stop_at:
            until = min(first + count, number - number % len(TURN) + len(TURN))
            plans = [plan(seed, each) for each in range(number, until)]
            _chain(folder, database, seed, plans, broken, stop_at, tally, told)
            number = until
    return tally


@contextlib.contextmanager
def _postgres() -> Iterator[postgres.Server]:
    """A server that flushes, as one does by itself."""
    server = postgres.Server()
    try:
        yield server
    finally:
        server.stop()


def _chain(
    folder: Path,
    database: postgres.Server,
    seed: int,
    plans: Sequence[Plan],
    broken: Callable[[], AbstractContextManager[Any]],
    stop_at: frozenset[str],
    tally: Tally,
    told: Callable[[int, list[Finding]], None],
) -> None:
    """Rounds on one installation."""
    here = folder / f"team-{seed}-{plans[0].number}"
    team = Team(here, database, broken)
    known: list[Finding] = []
    try:
        team.begin()
        for plan in plans:
            name, outage, found = one(team, plan)
            answer = apart(here, lambda: glance(here, team.url))
            found += msgspec.convert(answer["found"], list[Finding])
            found = [one for one in found if one not in known]
            known += found
            tally.faults += plan.target in KILLS
            tally.others += plan.target in REST
            tally.struck[name] += 1
            tally.longest(PARTS.get(plan.target, "database"), msgspec.to_builtins(outage))
            tally.add(plan.number, found)
            told(plan.number, found)
            if tally.promises & stop_at:
                return
        found = team.end()
        answer = apart(here, lambda: judge(here, 0, lambda history: verified(team)))
        found += msgspec.convert(answer["found"], list[Finding])
        tally.add(plans[-1].number, [one for one in found if one not in known])
        tally.decisions += answer["decisions"]
        tally.effects += answer["effects"]
        tally.in_doubt += answer["in_doubt"]
        known += found
    finally:
        team.forget()
        if not known:
            shutil.rmtree(here, ignore_errors=True)


assert handrail.server.network and handrail.server.web and handrail.store.postgres
