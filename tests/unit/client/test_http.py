"""The HTTP transport: the same errors, and only what is safe to repeat is repeated."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from handrail.client.http import ATTEMPTS, HttpTransport, Interrupted, NotReached
from handrail.errors import (
    AlreadyRun,
    BadInput,
    Conflict,
    HandrailError,
    Held,
    Mistake,
    NotAllowed,
    NotFound,
    PolicyErrors,
    Refused,
    TooMany,
    Unavailable,
    Unknown,
    WaitTimeout,
)
from handrail.model.commands import (
    CastVote,
    Claim,
    Command,
    Confirm,
    GetDecision,
    ListDecisions,
    Preview,
    Redeem,
    SetStop,
    Submit,
    SubmitBatch,
    WaitOutcome,
)
from handrail.model.modes import GrantState, Lane, Mode, Verdict
from handrail.model.outcome import Outcome, Receipt
from handrail.model.people import Actor
from handrail.model.policy import BadRecord
from handrail.model.problem import error_of, problem_of
from handrail.model.ruling import Ruling

ME = Actor(name="tests")
RULING = Ruling(
    decision_id="d_1",
    lane=Lane.HOLD,
    mode=Mode.IN_THE_LOOP,
    policy="p@1",
    gate_digest="sha256:0",
    evaluated_at=1,
)
OUTCOME: Outcome[Any] = Outcome(
    decision_id="d_1", verdict=Verdict.REJECTED, at=1, digest="sha256:0", release_at=1
)
RECEIPT = Receipt(grant_id="g_1", decision_id="d_1", state=GrantState.DONE, started_at=1)


class Scripted:
    """A server that answers each request as its script says; None: it hangs up."""

    def __init__(self, script: list[tuple[int, bytes] | None]) -> None:
        self.script = script
        self.requests: list[str] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536)
                head, _, body = data.partition(b"\r\n\r\n")
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        while len(body) < int(line.split(b":")[1]):
                            body += connection.recv(65536)
                self.requests.append(head.split(b"\r\n")[0].decode())
                answer = self.script.pop(0)
                if answer is not None:
                    status, content = answer
                    connection.sendall(
                        b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
                        % (status, len(content), content)
                    )


@pytest.fixture
def scripted() -> Iterator[Callable[..., tuple[Scripted, HttpTransport, list[float]]]]:
    made: list[Scripted] = []

    def make(*script: Any) -> tuple[Scripted, HttpTransport, list[float]]:
        server, pauses = Scripted(list(script)), []
        made.append(server)
        return server, HttpTransport(server.url, pause=pauses.append), pauses

    yield make
    for server in made:
        server.socket.close()


REPEATED: list[Command] = [
    GetDecision(decision_id="d_1"),
    ListDecisions(),
    WaitOutcome(decision_id="d_1"),
    Preview(workflow="w"),
    Submit(workflow="w", key="k"),
    SubmitBatch(rows=[Submit(workflow="w", key="k")]),
    Redeem(grant_id="g_1", digest="d", run="r"),
    Confirm(grant_id="g_1", run="r", done=True),
    CastVote(review_id="r_1", said="approve", card="c"),
]
ONCE: list[Command] = [
    Submit(workflow="w"),
    SubmitBatch(rows=[Submit(workflow="w", key="k"), Submit(workflow="w")]),
    Claim(),
    SetStop(reason="x"),
]


@pytest.mark.parametrize("command", REPEATED, ids=lambda command: type(command).__name__)
def test_what_is_safe_is_repeated(scripted: Any, command: Command) -> None:
    teapot = (404, b'{"type":"urn:handrail:problem:not-found","detail":"no"}')
    server, transport, pauses = scripted(None, None, teapot)
    with pytest.raises(NotFound):
        transport.call(command, ME)
    assert len(server.requests) == 3
    assert len(set(server.requests)) == 1
    assert 0.05 <= pauses[0] < 0.1 <= pauses[1] < 0.2


@pytest.mark.parametrize("command", REPEATED, ids=lambda command: type(command).__name__)
def test_repeats_are_bounded(scripted: Any, command: Command) -> None:
    server, transport, _ = scripted(*[None] * 20)
    with pytest.raises(Interrupted, match="safe to try again"):
        transport.call(command, ME)
    assert len(server.requests) == ATTEMPTS


@pytest.mark.parametrize("command", ONCE, ids=lambda command: type(command).__name__)
def test_what_is_not_safe_is_sent_once(scripted: Any, command: Command) -> None:
    server, transport, _ = scripted(None, None)
    with pytest.raises(Unavailable, match="whether it happened is not known"):
        transport.call(command, ME)
    assert len(server.requests) == 1


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    pauses: list[float] = []
    transport = HttpTransport(url, pause=pauses.append)
    with pytest.raises(NotReached, match="is it up"):
        transport.call(Claim(), ME)
    assert len(pauses) == ATTEMPTS - 1


ERRORS: list[HandrailError] = [
    BadInput("is wrong", "/facts/a"),
    BadInput("too large", status=413),
    BadRecord([("/facts/a", "is wrong"), ("/proposal/b", "is wrong too")]),
    PolicyErrors([Mistake(path="p.yaml", line=3, column=4, what="is", expected="was", fix="do")]),
    Refused("no right"),
    Held(RULING),
    NotAllowed(OUTCOME),
    WaitTimeout("late"),
    AlreadyRun("was run", RECEIPT),
    AlreadyRun("was run"),
    Conflict("lost", {"by": "ann", "verdict": "approve", "at": 1}),
    NotFound("none"),
    Unknown("nobody"),
    Unavailable("away"),
    TooMany("often", 7),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_arrive_as_they_were_raised(scripted: Any, error: HandrailError) -> None:
    document = problem_of(error)
    _, transport, _ = scripted((error.status, msgspec.json.encode(document)))
    with pytest.raises(type(error)) as caught:
        transport.call(Claim(), ME)
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)
    assert caught.value.status == error.status
    assert msgspec.to_builtins(caught.value.details()) == msgspec.to_builtins(error.details())
    assert getattr(caught.value, "ruling", None) == getattr(error, "ruling", None)
    assert getattr(caught.value, "outcome", None) == getattr(error, "outcome", None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadInput),
        (401, Unknown),
        (403, Refused),
        (404, NotFound),
        (409, Conflict),
        (413, BadInput),
        (429, TooMany),
        (500, Unavailable),
        (502, Unavailable),
        (302, Unavailable),
    ],
)
@pytest.mark.parametrize(
    "content",
    [b"<html>", b"[]", b'{"type":"about:blank"}', b'{"type":"urn:handrail:problem:held"}'],
)
def test_other_answers_are_never_a_yes(
    scripted: Any, status: int, kind: type[HandrailError], content: bytes
) -> None:
    _, transport, _ = scripted((status, content))
    with pytest.raises(HandrailError) as caught:
        transport.call(WaitOutcome(decision_id="d_1"), ME)
    assert type(caught.value) is kind


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b'{"verdict":"approved"}', b"[]"])
def test_an_answer_of_another_shape_is_no_answer(scripted: Any, content: bytes) -> None:
    _, transport, _ = scripted((200, content))
    with pytest.raises(Unavailable, match="same version"):
        transport.call(GetDecision(decision_id="d_1"), ME)


def test_where_a_command_goes(scripted: Any) -> None:
    server, transport, _ = scripted((200, b"null"), (200, b"[]"))
    assert transport.call(WaitOutcome(decision_id="d_é/../x", wait=0.0), ME) is None
    assert transport.call(ListDecisions(workflow="a&b", limit=5), ME) == []
    assert server.requests == [
        "GET /api/v1/decisions/d_%C3%A9%2F..%2Fx/outcome?wait=0.0 HTTP/1.1",
        "GET /api/v1/decisions?workflow=a%26b&mine=false&limit=5 HTTP/1.1",
    ]
    for wrong in ("", ".", ".."):
        with pytest.raises(BadInput, match="expected an id"):
            transport.call(GetDecision(decision_id=wrong), ME)


def test_unknown_problems_keep_their_words() -> None:
    error = error_of({"type": "urn:other:thing", "status": 409, "detail": "words"})
    assert (type(error), str(error)) == (Conflict, "words")
