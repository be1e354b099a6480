"""What stands before every handler: names, sizes, rates, forged forms, headers."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import msgspec
import pytest

from handrail.model.commands import RevokeToken
from handrail.model.errors import BadInput, Refused, Unavailable
from handrail.model.wire import MAX_BODY_BYTES
from handrail.server.front import Front, Tokens, make_front
from handrail.server.network import NetworkServer
from handrail.settings import Settings
from tests.server import Net
from tests.server import net as serve_net

SMALL = {"workflow": "refund", "facts": {"order": "1"}, "proposal": {"amount": 5}}
ALWAYS = {
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "permissions-policy",
    "cache-control",
    "x-request-id",
}


def test_every_answer_is_dressed(net: Net) -> None:
    http = net.program()
    secret = net.token("writer", "decisions:submit")
    for answer in (
        http.get("/healthz"),
        http.get("/sign-in"),
        http.get("/nowhere"),
        http.get("/api/v1/decisions"),
        http.post("/sign-in", data={"handle": "x"}),
        http.get("/healthz", headers={"host": "evil.example"}),
        http.post("/api/v1/decisions", json=SMALL, headers={"authorization": f"Bearer {secret}"}),
    ):
        assert set(answer.headers) >= ALWAYS, answer
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "script-src" not in policy


def test_over_tls_it_says_so(tmp_path: Path) -> None:
    settings = Settings(public_url="https://handrail.example", address_rate=0)
    with serve_net(tmp_path / "work", settings) as net:
        http = net.program(host="handrail.example")
        answer = http.get("/sign-in")
        assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
        kept = answer.headers["set-cookie"]
        assert kept.startswith("__Host-handrail-form=")
        assert "; Secure" in kept and "; HttpOnly" in kept and "; Path=/" in kept
        assert "Domain" not in kept


@pytest.mark.parametrize(
    "host", ["evil.example", "", "127.0.0.1.evil.example", "localhost@evil.example", "[::2]:80"]
)
def test_it_answers_to_its_own_names_only(net: Net, host: str) -> None:
    answer = net.program().get("/healthz", headers={"host": host})
    assert answer.status_code in (400, 421)


def test_two_hosts_are_none(net: Net) -> None:
    with socket.create_connection(("127.0.0.1", net.server.port)) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n")
        assert b" 421 " in raw.recv(200).split(b"\r\n")[0]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:9"])
def test_loopback_names_are_its_own(net: Net, host: str) -> None:
    assert net.program().get("/healthz", headers={"host": host}).status_code == 200


def test_a_large_body_is_refused_before_it_is_sent(net: Net) -> None:
    with socket.create_connection(("127.0.0.1", net.server.port), timeout=10) as raw:
        raw.sendall(
            b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\n"
            + f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()
        )
        assert raw.recv(200).startswith(b"HTTP/1.1 413 ")


# ------------------------------------------------------------------------------ who asks


def test_nobody_is_told_so(net: Net) -> None:
    http = net.program()
    for answer in (
        http.get("/api/v1/decisions"),
        http.post("/api/v1/decisions", json=SMALL),
        http.get("/api/v1/stream"),
        http.get("/metrics"),
        http.get("/schema"),
        http.get("/api/v1/session", headers={"authorization": "Bearer hrt_wrong"}),
        http.get("/api/v1/session", headers={"authorization": "Basic eDp5"}),
    ):
        assert answer.status_code == 401, answer.url
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:handrail:problem:unknown"


def test_what_a_request_says_of_itself_is_not_believed(net: Net) -> None:
    named = {"handrail-actor": "boss%40example.com", "handrail-actor-kind": "person"}
    assert net.program(**named).get("/api/v1/session").status_code == 401
    token = net.token("writer", "decisions:submit")
    me = net.program(token, **named).get("/api/v1/session").json()
    assert (me["name"], me["program"], me["via"]) == ("writer", True, "token")


def test_a_revoked_token_is_worth_nothing_at_once(net: Net) -> None:
    """Although the server remembers for a moment whose it is."""
    http = net.program(net.token("writer", "decisions:submit"))
    assert http.get("/api/v1/session").status_code == 200
    [token] = net.workspace.store.read(lambda tx: tx.access.tokens())
    net.send(RevokeToken(token_id=token.id))
    assert http.get("/api/v1/session").status_code == 401
    assert http.post("/api/v1/decisions", json=SMALL).status_code == 401


def test_pages_send_to_sign_in_and_programs_are_told(net: Net) -> None:
    browser = net.browser()
    answer = browser.get("/account", x="1")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Faccount%3Fx%3D1"
    assert browser.http.get("/account").status_code == 401
    assert browser.get("/api/v1/decisions").status_code == 401


# ------------------------------------------------------------------------------ rates


def test_strangers_may_ask_so_often(tmp_path: Path) -> None:
    settings = Settings(address_rate=0.5, credential_rate=0)
    with serve_net(tmp_path / "work", settings) as net:
        http = net.program()
        answers = [http.get("/healthz") for _ in range(8)]
        assert [one.status_code for one in answers[:5]] == [200] * 5
        refused = answers[-1]
        assert refused.status_code == 429
        assert refused.json()["type"] == "urn:handrail:problem:too-many"
        assert int(refused.headers["retry-after"]) == refused.json()["retry_after"] >= 1


def test_a_known_token_is_counted_for_itself(tmp_path: Path) -> None:
    settings = Settings(address_rate=0.5, credential_rate=0.5)
    with serve_net(tmp_path / "work", settings) as net:
        http = net.program(net.token("writer", "decisions:submit"))
        other = net.program(net.token("other", "decisions:submit"))
        assert other.get("/api/v1/session").status_code == 200
        answers = [http.get("/api/v1/session").status_code for _ in range(6)]
        assert answers[0] == 200 and answers[-1] == 429
        assert other.get("/api/v1/session").status_code == 200


# ------------------------------------------------------------------------------ forged forms


def test_a_form_needs_its_token(net: Net) -> None:
    browser = net.person("ann@example.com")
    fields = {"old": "x", "new": "four brown bears sleep", "again": "four brown bears sleep"}
    token = browser.token("/account")
    assert browser.http.post("/account", data=fields).status_code == 403
    wrong = {**fields, "csrf_token": token[:-2] + "xx"}
    assert browser.http.post("/account", data=wrong).status_code == 403
    other = net.person("ben@example.com").token("/account")
    assert browser.http.post("/account", data={**fields, "csrf_token": other}).status_code == 403
    right = {**fields, "csrf_token": token}
    assert browser.http.post("/account", data=right).status_code == 403  # wrong old password …
    assert "old password" in browser.http.post("/account", data=right).text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_what_another_site_sends_is_refused(net: Net, headers: dict[str, str]) -> None:
    browser = net.person("ann@example.com")
    form = {"csrf_token": browser.token("/account")}
    answer = browser.http.post("/sign-out", data=form, headers=headers)
    assert answer.status_code == 403
    assert browser.get("/account").status_code == 200


def test_a_script_with_a_session_needs_the_token_and_a_program_does_not(net: Net) -> None:
    ann = net.person("ann@example.com", "role:lead")
    stop = {"workflow": "refund", "reason": "a test"}
    assert ann.http.post("/api/v1/stops", json=stop).status_code == 403
    assert ann.send("/api/v1/stops", stop).status_code == 200
    token = net.token("switch", "stops:write")
    assert net.program(token).post("/api/v1/stops/clear", json=stop).status_code == 200


def test_tokens_are_bound_to_one_cookie() -> None:
    tokens, others = Tokens(b"a" * 32), Tokens(b"b" * 32)
    made = tokens.of("hrs_1")
    assert tokens.fits("hrs_1", made)
    assert not tokens.fits("hrs_2", made)
    assert not others.fits("hrs_1", made)
    assert not tokens.fits("hrs_1", None)
    assert not tokens.fits("hrs_1", "\udcff")


# ------------------------------------------------------------------------------ where it listens


def test_only_this_machine_until_there_is_an_admin(net: Net) -> None:
    with pytest.raises(Refused, match="first admin"):
        NetworkServer(net.workspace.service, "0.0.0.0", 0)
    net.person("ann@example.com", "role:admin")
    with pytest.raises(BadInput, match="HANDRAIL_PUBLIC_URL"):
        NetworkServer(net.workspace.service, "0.0.0.0", 0)
    with pytest.raises(BadInput, match="--dev"):
        NetworkServer(net.workspace.service, "0.0.0.0", 0, dev=True)
    with pytest.raises(Unavailable, match="is taken"):
        NetworkServer(net.workspace.service, "127.0.0.1", net.server.port)


def test_a_front_is_an_address_without_a_path() -> None:
    front = make_front("127.0.0.1", 8421)
    assert front == Front(
        origin="http://127.0.0.1:8421",
        hosts=frozenset({"localhost", "127.0.0.1", "[::1]"}),
        cookie="handrail-session-8421",
        form_cookie="handrail-form-8421",
    )
    assert make_front("127.0.0.1", 1, public_url="https://a.example").cookie == (
        "__Host-handrail-session"
    )
    assert make_front("::1", 1).origin == "http://[::1]:1"
    assert make_front("127.0.0.1", 1, public_url="https://a.example/").secure
    for wrong in ("ftp://a.example", "https://a.example/x", "a.example", "https://"):
        with pytest.raises(BadInput, match="PUBLIC_URL"):
            make_front("127.0.0.1", 1, public_url=wrong)


def test_no_request_forges_a_line_in_the_log(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "handrail.server"):
        net.program().get("/x%0a%7b%22event%22:%22forged%22%7d?secret=hri_hidden")
    lines = [r.getMessage() for r in caplog.records if r.name == "handrail.server"]
    assert all("\n" not in line and msgspec.json.decode(line) for line in lines)
    assert not any("hri_hidden" in line for line in lines)


def test_a_person_is_shown_a_page_and_a_program_the_problem(net: Net) -> None:
    browser, program = net.person("ann@example.com"), net.program()
    page = browser.get("/nowhere")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "There is nothing here" in page.text
    forged = browser.http.post(
        "/sign-in",
        data={"handle": "ann"},
        headers={"accept": "text/html", "origin": "https://evil.example"},
    )
    assert forged.status_code == 403
    assert "This was sent from another site, and nothing was done" in forged.text
    for path in ("/nowhere", "/api/v1/nowhere"):
        answer = program.get(path)
        assert answer.status_code == 404
        assert answer.json()["title"] == "No such address"
    api = program.get("/api/v1/nowhere", headers={"accept": "text/html"})
    assert api.headers["content-type"] == "application/problem+json"
