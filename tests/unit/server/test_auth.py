"""Signing in and out, invitations, one's own account: in a browser without scripts."""

from __future__ import annotations

import pytest

from handrail.app import LOCAL
from handrail.flow import has_admin
from handrail.model.commands import MakeFirstAdmin, SetPerson
from handrail.server.auth import safe_next
from tests.server import PASSWORD, Net

NEW = "four brown bears sleep"


def test_the_first_admin_follows_a_link_that_works_once(net: Net) -> None:
    assert not net.workspace.store.read(has_admin)
    link = net.send(MakeFirstAdmin(), LOCAL)
    browser = net.browser()
    for _ in range(20):  # scanners look at links; looking uses nothing up
        page = browser.get("/invitation", secret=link.secret)
        assert page.status_code == 200
        assert browser.http.head("/invitation", params={"secret": link.secret}).status_code in (
            200,
            405,
        )
    assert "first admin" in page.text
    fields = {
        "secret": link.secret,
        "handle": "ann@example.com",
        "password": PASSWORD,
        "again": PASSWORD,
    }
    answer = browser.submit("/invitation", fields)
    assert answer.status_code == 303
    assert net.workspace.store.read(has_admin)
    me = browser.http.get("/api/v1/session").json()
    assert me["name"] == "ann@example.com" and "role:admin" in me["holds"]
    gone = net.browser().get("/invitation", secret=link.secret)
    assert gone.status_code == 404 and "was used" in gone.text


def test_an_invitation_says_for_whom_it_is_and_mistakes_keep_it(net: Net) -> None:
    secret = net.invite("ben@example.com", "team:ops")
    browser = net.browser()
    assert "ben@example.com" in browser.get("/invitation", secret=secret).text
    short = {"secret": secret, "password": "short", "again": "short"}
    answer = browser.submit("/invitation", short)
    assert answer.status_code == 400 and "12 to 200" in answer.text
    differ = {"secret": secret, "password": PASSWORD, "again": NEW}
    assert "not the same" in browser.submit("/invitation", differ).text
    right = {"secret": secret, "password": PASSWORD, "again": PASSWORD}
    assert browser.submit("/invitation", right).status_code == 303


def test_sign_in_sets_a_cookie_no_script_can_read(net: Net) -> None:
    net.person("ann@example.com")
    browser = net.browser()
    answer = browser.sign_in("Ann@Example.com", next="/reviews/r_1?a=b")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/reviews/r_1?a=b"
    kept = answer.headers["set-cookie"]
    assert kept.startswith(f"handrail-session-{net.server.port}=hrs_")
    assert "; HttpOnly" in kept and "; SameSite=Lax" in kept and "; Path=/" in kept
    assert browser.http.get("/api/v1/session").json()["via"] == "session"


def test_each_sign_in_is_a_new_session_and_ends_the_one_before(net: Net) -> None:
    browser = net.person("ann@example.com")
    name = f"handrail-session-{net.server.port}"
    before = browser.http.cookies[name]
    assert browser.sign_in("ann@example.com").status_code == 303
    assert browser.http.cookies[name] != before
    old = net.program(cookie=f"{name}={before}")
    assert old.get("/api/v1/session").status_code == 401


@pytest.mark.parametrize(
    ("handle", "password"),
    [
        ("ann@example.com", NEW),
        ("nobody@example.com", PASSWORD),
        ("", ""),
        ("\u202eann", "x" * 500),
    ],
)
def test_wrong_is_wrong_whatever_was_wrong(net: Net, handle: str, password: str) -> None:
    net.person("ann@example.com")
    browser = net.browser()
    answer = browser.sign_in(handle, password)
    assert answer.status_code == 401
    assert "The handle or the password is wrong" in answer.text
    assert "session" not in answer.headers.get("set-cookie", "")
    assert "\u202e" not in answer.text or "value=" in answer.text


def test_what_was_typed_is_no_markup(net: Net) -> None:
    answer = net.browser().sign_in('"><script>alert(1)</script>', "x")
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_sign_out_ends_the_session_here_or_everywhere(net: Net) -> None:
    first, second = net.person("ann@example.com"), net.browser()
    second.sign_in("ann@example.com")
    token = second.token("/account")
    answer = second.http.post("/sign-out", data={"csrf_token": token})
    assert answer.status_code == 200 and "Max-Age=0" in answer.headers["set-cookie"]
    assert second.get("/account").status_code == 303
    assert first.get("/account").status_code == 200
    second.sign_in("ann@example.com")
    form = {"csrf_token": first.token("/account"), "everywhere": "yes"}
    first.http.post("/sign-out", data=form)
    assert second.get("/account").status_code == first.get("/account").status_code == 303


def test_another_password_ends_the_other_sessions(net: Net) -> None:
    here, elsewhere = net.person("ann@example.com"), net.browser()
    elsewhere.sign_in("ann@example.com")
    wrong = here.submit("/account", {"old": "x", "new": NEW, "again": NEW})
    assert wrong.status_code == 403 and "old password is wrong" in wrong.text
    done = here.submit("/account", {"old": PASSWORD, "new": NEW, "again": NEW})
    assert done.status_code == 200 and "was changed" in done.text
    assert elsewhere.get("/account").status_code == 303
    assert here.get("/account").status_code == 200
    assert net.browser().sign_in("ann@example.com").status_code == 401
    assert net.browser().sign_in("ann@example.com", NEW).status_code == 303


def test_who_is_switched_off_is_out_at_once(net: Net) -> None:
    browser = net.person("ann@example.com", "team:ops")
    assert browser.get("/account").status_code == 200
    net.send(SetPerson(handle="ann@example.com", holds=("team:ops",), active=False))
    assert browser.get("/account").status_code == 303
    assert browser.sign_in("ann@example.com").status_code == 401


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\tevil",
        "evil",
        "///evil.example",
        "/" + "x" * 3000,
        "",
        None,
    ],
)
def test_the_way_on_stays_here(place: str | None) -> None:
    assert safe_next(place) == "/"


def test_pages_bring_nothing_from_elsewhere(net: Net) -> None:
    browser = net.person("ann@example.com")
    for path in ("/sign-in", "/account"):
        text = browser.get(path).text
        assert "<script" not in text and "style=" not in text and " on" + "click" not in text
        assert "http://" not in text and "https://" not in text
    style = browser.http.get("/sign-in/style.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert "url(" not in style.text


def test_without_a_provider_there_is_none(net: Net) -> None:
    assert net.browser().get("/sign-in/provider").status_code == 404
    assert "provider" not in net.browser().get("/sign-in").text
