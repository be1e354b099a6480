"""Signed, repeated under one id, and never sent to a private address that nobody allowed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from handrail.callers import Guard, WebhookCaller
from handrail.callers.webhook import Blocked, Failed
from handrail.model.errors import BadInput, Refused
from handrail.model.feedback import Notice
from handrail.model.modes import Verdict
from handrail.model.outcome import Outcome
from handrail.model.wire import check_address
from handrail.webhooks import receive

SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
OUTCOME: Outcome[Any] = Outcome(
    decision_id="d_1",
    verdict=Verdict.APPROVED,
    approved={"amount": "12.50"},
    at=1_790_000_000_000_000,
    digest="sha256:0",
    release_at=1_790_000_000_000_000,
    released=True,
)


class Listener:
    """A receiver on loopback that keeps what it got and answers as told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                body = self.rfile.read(size)
                outer.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.server.shutdown()
    made.server.server_close()


NOTICE = Notice(id="n_1", topic="outcome.released", to=(), decision_id="d_1", made_at=1)


def test_the_receiver_gets_a_signed_outcome_it_can_check(listener: Listener) -> None:
    caller = WebhookCaller(SECRET, guard=Guard(["127.0.0.1/32"]))
    caller.call(NOTICE, f"http://127.0.0.1:{listener.port}/hook", OUTCOME)
    caller.call(NOTICE, f"http://127.0.0.1:{listener.port}/hook", OUTCOME)
    (first, body), (second, _) = listener.got
    assert receive(body, first, secret=SECRET) == OUTCOME
    assert first["webhook-id"] == second["webhook-id"] == "n_1", "a repeat is recognisable"
    with pytest.raises(Refused):
        receive(body.replace(b"12.50", b"99.50"), first, secret=SECRET)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 409, 500, 503])
def test_anything_but_2xx_is_tried_again_and_redirects_are_not_followed(
    listener: Listener, status: int
) -> None:
    listener.status = status
    listener.headers = {"location": f"http://127.0.0.1:{listener.port}/elsewhere"}
    caller = WebhookCaller(SECRET, guard=Guard(["127.0.0.0/8"]))
    with pytest.raises(Failed, match=str(status)):
        caller.call(NOTICE, f"http://127.0.0.1:{listener.port}/hook", OUTCOME)
    assert len(listener.got) == 1


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "[fe80::1]",
        "[fc00::1]",
        "224.0.0.1",
        "2130706433",
        "0x7f.1",
    ],
)
def test_private_addresses_are_never_connected_to(listener: Listener, host: str) -> None:
    caller = WebhookCaller(SECRET, timeout_seconds=30)
    with pytest.raises((Blocked, Failed)) as refused:
        caller.call(NOTICE, f"http://{host}:{listener.port}/hook", OUTCOME)
    assert listener.got == []
    assert isinstance(refused.value, Blocked), refused.value


def test_a_name_server_that_changes_its_mind_is_asked_once(listener: Listener) -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    asked = []

    def lying(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    guard = Guard(resolve=lying)
    assert guard.addresses("evil.example", 80) == ["93.184.216.34"]
    with pytest.raises(Blocked):
        guard.addresses("evil.example", 80)
    assert len(asked) == 2


def test_one_private_address_among_public_ones_blocks_the_name() -> None:
    guard = Guard(resolve=lambda host, port: ["93.184.216.34", "10.0.0.5"])
    with pytest.raises(Blocked, match="10.0.0.5"):
        guard.addresses("mixed.example", 443)


def test_the_operator_allows_networks_and_names() -> None:
    resolve = lambda host, port: ["10.1.2.3"]  # noqa: E731
    assert Guard(["10.1.0.0/16"], resolve).addresses("x.internal", 80) == ["10.1.2.3"]
    assert Guard(["X.internal."], resolve).addresses("x.internal", 80) == ["10.1.2.3"]
    with pytest.raises(Blocked):
        Guard(["10.2.0.0/16"], resolve).addresses("x.internal", 80)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/x",
        "file:///etc/passwd",
        "https://",
        "https://user:pw@example.com/",
        "javascript:alert(1)",
        "https://example.com/\r\nX: y",
        "https://exa mple.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://exämple.com/",
        "http:\\\\127.0.0.1\\",
        "https://example.com/" + "a" * 3000,
    ],
)
def test_what_is_no_address_is_refused_at_submit(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_address(url)
    assert refused.value.pointer == "/callback"


def test_a_receiver_that_is_away_is_a_failure_with_a_sentence() -> None:
    caller = WebhookCaller(SECRET, guard=Guard(["127.0.0.1/32"]), timeout_seconds=30)
    with pytest.raises(Failed, match="ConnectError"):
        caller.call(NOTICE, "http://127.0.0.1:9/hook", OUTCOME)
