"""News as they happen: to whom they concern, from where they left off."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from handrail.access import Who
from handrail.model.commands import RevokeToken, SetPerson, SetStop, Submit
from handrail.model.people import Via
from handrail.model.ruling import Ruling
from handrail.server.stream import _Audience, _Listener
from tests.server import Net


class Events:
    """An open stream, read event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self._lines = response.iter_lines()

    def next(self) -> dict[str, Any]:
        """The next event: `event`, `id` and `data`; comments are skipped."""
        found: dict[str, Any] = {}
        for line in self._lines:
            if line == "":
                if found:
                    return found
                continue
            name, _, value = line.partition(": ")
            if name:
                found[name] = json.loads(value) if name == "data" else value
        return {"event": "end"}

    def until(self, kind: str) -> list[str]:
        """Types of the events up to and with one of this type."""
        seen: list[str] = []
        while not seen or seen[-1] != kind:
            event = self.next()
            assert event.get("event") != "end", f"the stream ended after {seen}"
            if "data" in event and "type" in event["data"]:
                seen.append(event["data"]["type"])
        return seen


@contextmanager
def listening(http: httpx.Client, **query: Any) -> Iterator[Events]:
    headers = {}
    if "last" in query:
        headers["last-event-id"] = str(query.pop("last"))
    with http.stream("GET", "/api/v1/stream", params=query, headers=headers) as response:
        events = Events(response)
        if events.status == 200:
            first = events.next()
            assert first["event"] in ("ready", "reset"), first
        yield events


def submit(net: Net, amount: int, order: str = "1") -> Ruling:
    ruling: Ruling = net.send(
        Submit(workflow="refund", facts={"order": order}, proposal={"amount": amount})
    )
    return ruling


def test_who_is_asked_hears_of_it_and_a_stranger_does_not(net: Net) -> None:
    asked, stranger = net.person("ann@example.com", "team:ops"), net.person("eve@example.com")
    with listening(asked.http) as heard, listening(stranger.http) as unheard:
        ruling = submit(net, 500)
        net.send(SetStop(workflow="refund", reason="a test"))
        event = heard.next()
        assert event["data"]["type"] == "decision.submitted"
        assert event["data"]["decision"] == ruling.decision_id
        assert event["data"]["workflow"] == "refund"
        assert "review.opened" in heard.until("stop.set")
        assert unheard.until("stop.set") == ["stop.set"]


def test_a_token_hears_of_what_is_its_own(net: Net) -> None:
    mine, other = (net.program(net.token(name, "decisions:submit")) for name in ("a", "b"))
    body = {"workflow": "refund", "facts": {"order": "1"}, "proposal": {"amount": 5}}
    with listening(mine) as heard, listening(other) as unheard:
        decision = mine.post("/api/v1/decisions", json=body).json()["decision_id"]
        assert heard.next()["data"]["decision"] == decision
        theirs = other.post("/api/v1/decisions", json=body).json()["decision_id"]
        event = unheard.next()
        assert (event["data"]["type"], event["data"]["decision"]) == ("decision.submitted", theirs)


def test_nothing_is_lost_between_two_connections(net: Net) -> None:
    auditor = net.program(net.token("auditor", "audit:read", "decisions:read", "reviews:read"))
    with listening(auditor) as heard:
        submit(net, 5)
        last = int(heard.next()["id"])
    for number in range(20):
        submit(net, 500, str(number))
    indices = []
    with listening(auditor, last=last) as heard:
        size = net.workspace.store.read(lambda tx: tx.audit.size())
        while not indices or indices[-1] < size - 1:
            event = heard.next()
            indices.append(int(event["id"]))
            assert event["data"]["index"] == indices[-1]
    assert indices == list(range(last + 1, size))


def test_one_who_was_away_for_long_starts_anew(net: Net, monkeypatch: Any) -> None:
    monkeypatch.setattr("handrail.server.stream.MOST_BACK", 3)
    http = net.program(net.token("auditor", "audit:read"))
    submit(net, 500)
    with http.stream("GET", "/api/v1/stream", params={"after": 0}) as response:
        assert Events(response).next()["event"] == "reset"


def test_a_stream_ends_with_the_right_to_it(net: Net) -> None:
    secret = net.token("auditor", "audit:read")
    [token] = net.workspace.store.read(lambda tx: tx.access.tokens())
    with listening(net.program(secret)) as heard:
        net.send(RevokeToken(token_id=token.id))
        while (event := heard.next()).get("event") != "end":
            assert event["data"]["type"] in ("token.revoked",)
    ann = net.person("ann@example.com", "team:ops")
    with listening(ann.http) as heard:
        net.send(SetPerson(handle="ann@example.com", holds=(), active=False))
        assert heard.next()["event"] == "end"


def test_a_stop_of_the_server_ends_every_stream(net: Net) -> None:
    ended = threading.Event()
    http = net.program(net.token("auditor", "audit:read"))
    with listening(http) as heard:

        def read() -> None:
            while heard.next().get("event") != "end":
                pass
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        net.server.stop()
        reader.join(30)
    assert ended.is_set()


def test_streams_of_one_token_hear_each_from_their_own_beginning(net: Net) -> None:
    http = net.program(net.token("auditor", "audit:read", "decisions:read", "reviews:read"))
    with listening(http) as first:
        submit(net, 5)
        begun = first.next()["data"]["index"]
        first.until("outcome.released")
        with listening(http) as second, listening(http, last=begun - 1) as third:
            ruling = submit(net, 500)
            decisions = [stream.next()["data"]["decision"] for stream in (first, second)]
            assert decisions == [ruling.decision_id] * 2
            assert third.next()["data"]["index"] == begun
    stream = net.server.app.state.stream
    until = time.monotonic() + 120
    while stream.listeners and time.monotonic() < until:
        time.sleep(0.01)  # the server sees the ends of its connections one by one
    assert stream.listeners == 0


def test_who_does_not_read_starts_anew(monkeypatch: Any) -> None:
    monkeypatch.setattr("handrail.server.stream.MOST_WAITING", 3)

    async def run() -> tuple[list[bytes | None], list[bytes | None]]:
        audience = _Audience(Who(name="a", via=Via.TOKEN, program=True, rights=frozenset()))
        slow, quick = (_Listener(audience, 0, 0.0) for _ in range(2))
        read: list[bytes | None] = []
        for number in range(3):
            for listener in (slow, quick):
                listener.put(f"{number};".encode(), 2, 0.0)
            read.append(await quick.take())
        return [await slow.take(), await slow.take()], read

    left, read = asyncio.run(run())
    assert left == [b'event: reset\ndata: {"why":"too slow"}\n\n', None]
    assert read == [b"0;", b"1;", b"2;"]


def test_where_to_begin_is_a_number(net: Net) -> None:
    http = net.program(net.token("auditor", "audit:read"))
    for query in ({"after": "-1"}, {"after": "x"}, {"after": "9" * 30}, {"since": "1"}):
        with listening(http, **query) as refused:
            assert refused.status == 400
