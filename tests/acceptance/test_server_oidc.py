"""Sign-in through a real identity provider on this machine: issuer and subject, nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest

from handrail.flow import has_admin
from handrail.model.errors import BadInput, Refused, Unavailable
from handrail.server.auth.oidc import Provider
from handrail.settings import Settings
from tests.server import Browser, Net
from tests.server import net as serve_net

mock = pytest.importorskip("oidc_provider_mock")
CLIENT = "handrail"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    import os

    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # the provider's own switch for plain http
    with mock.run_server_in_thread(require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"
    os.environ.pop("AUTHLIB_INSECURE_TRANSPORT")


@pytest.fixture
def net(tmp_path: Path, issuer: str) -> Iterator[Net]:
    secret = tmp_path / "secret"
    secret.write_text("a client's secret\n")
    settings = Settings(
        oidc_issuer=issuer,
        oidc_client=CLIENT,
        oidc_secret_file=str(secret),
        address_rate=0,
        credential_rate=0,
    )
    with serve_net(tmp_path / "work", settings) as found:
        yield found


def begin(browser: Browser, **query: str) -> str:
    """Press the button; returns the provider's address."""
    answer = browser.get("/sign-in/provider", **query)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def agree(address: str, subject: str) -> str:
    """What the provider does once somebody has signed in there: the way back."""
    answer = httpx.post(address, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def come_back(browser: Browser, place: str) -> httpx.Response:
    parts = urlsplit(place)
    return browser.http.get(f"{parts.path}?{parts.query}", headers={"accept": "text/html"})


def test_the_invited_link_themselves_and_come_back(net: Net) -> None:
    secret = net.invite("ann@example.com", "team:ops")
    browser = net.browser()
    assert "localhost instead of a password" in browser.get("/invitation", secret=secret).text
    first = come_back(browser, agree(begin(browser, invitation=secret), "user-1"))
    assert first.status_code == 303, first.text
    me = browser.http.get("/api/v1/session").json()
    assert (me["name"], me["holds"]) == ("ann@example.com", ["team:ops"])
    again = net.browser()
    assert "Sign in with localhost" in again.get("/sign-in").text
    second = come_back(again, agree(begin(again, next="/account"), "user-1"))
    assert second.headers["location"] == "/account"
    assert again.http.get("/api/v1/session").json()["name"] == "ann@example.com"


def test_an_address_the_provider_reports_makes_nobody_anybody(net: Net, issuer: str) -> None:
    net.person("ann@example.com", "role:admin")
    claims = {"email": "ann@example.com", "email_verified": True, "name": "ann@example.com"}
    assert httpx.put(f"{issuer}/users/eve", json=claims).status_code == 204
    browser = net.browser()
    answer = come_back(browser, agree(begin(browser), "eve"))
    assert answer.status_code == 403 and "belongs to nobody here" in answer.text
    answer = come_back(browser, agree(begin(browser), "ann@example.com"))
    assert answer.status_code == 403
    assert browser.http.get("/api/v1/session").status_code == 401
    assert net.workspace.store.read(has_admin)


def test_what_goes_out_is_bound_to_this_sign_in(net: Net) -> None:
    browser = net.browser()
    query = parse_qs(urlsplit(begin(browser)).query)
    assert query["response_type"] == ["code"] and query["scope"] == ["openid"]
    assert query["code_challenge_method"] == ["S256"]
    assert all(len(query[name][0]) >= 43 for name in ("state", "nonce", "code_challenge"))
    assert query["redirect_uri"] == [f"{net.url}/sign-in/provider/return"]
    other = parse_qs(urlsplit(begin(browser)).query)
    for name in ("state", "nonce", "code_challenge"):
        assert other[name] != query[name]


def test_the_way_back_works_once_and_in_this_browser_only(net: Net) -> None:
    secret = net.invite("ann@example.com")
    browser, other = net.browser(), net.browser()
    place = agree(begin(browser, invitation=secret), "user-2")
    begin(other)
    stolen = come_back(other, place)
    assert stolen.status_code == 403 and "not begun in this browser" in stolen.text
    used = come_back(browser, place)
    assert used.status_code == 403, "whoever tried it used it up"
    place = agree(begin(browser, invitation=secret), "user-2")
    assert come_back(browser, place).status_code == 303
    assert come_back(browser, place).status_code == 403
    assert come_back(browser, place.replace("state=", "state=x")).status_code == 403


def test_a_code_of_another_sign_in_has_another_nonce(net: Net) -> None:
    """Somebody's own code cannot be put into another person's sign-in."""
    mine, theirs = net.browser(), net.browser()
    code = parse_qs(urlsplit(agree(begin(mine), "eve")).query)["code"][0]
    state = parse_qs(urlsplit(begin(theirs)).query)["state"][0]
    answer = theirs.get("/sign-in/provider/return", state=state, code=code)
    assert answer.status_code == 403 and "does not hold" in answer.text


def test_no_from_the_provider_is_no(net: Net) -> None:
    browser = net.browser()
    address = begin(browser)
    denied = httpx.post(address, data={"action": "deny"}).headers["location"]
    state = parse_qs(urlsplit(address).query)["state"][0]  # this provider forgets to send it back
    answer = come_back(browser, f"{denied}&state={state}")
    assert answer.status_code == 403 and "did not let you in" in answer.text
    mixed = begin(browser)
    state = parse_qs(urlsplit(mixed).query)["state"][0]
    answer = browser.get(
        "/sign-in/provider/return", state=state, code="x", iss="https://evil.example"
    )
    assert answer.status_code == 403 and "Another identity provider" in answer.text


def test_a_provider_that_is_away_or_another_lets_nobody_in(issuer: str) -> None:
    away = Provider("http://localhost:9", CLIENT, None, "http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="cannot be asked"):
        away.begin("b", "/", None)
    other = Provider(issuer.replace("localhost", "127.0.0.1"), CLIENT, None, "http://127.0.0.1:1")
    metadata = {"issuer": "https://evil.example"}
    other._get = lambda address: metadata  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match=r"not of"):
        other.begin("b", "/", None)


def test_time_is_short(issuer: str) -> None:
    now = 1_000_000.0
    provider = Provider(issuer, CLIENT, None, "http://127.0.0.1:1", clock=lambda: now)
    address = provider.begin("browser", "/", None)
    state = parse_qs(urlsplit(address).query)["state"][0]
    now += 601
    with pytest.raises(Refused, match="too long ago"):
        provider.finish("browser", {"state": state, "code": "x"})


def test_begun_sign_ins_do_not_grow_without_end(
    issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handrail.server.auth.oidc.MOST_BEGUN", 10)
    provider = Provider(issuer, CLIENT, None, "http://127.0.0.1:1")
    threads = [threading.Thread(target=provider.begin, args=("b", "/", None)) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(provider._begun) == 10


@pytest.mark.parametrize("wrong", ["http://login.example", "login.example", "https://"])
def test_only_over_tls(wrong: str) -> None:
    with pytest.raises(BadInput, match="HANDRAIL_OIDC_ISSUER"):
        Provider(wrong, CLIENT, None, "http://127.0.0.1:1")
    with pytest.raises(BadInput, match="HANDRAIL_OIDC_CLIENT"):
        Provider("https://login.example", "", None, "http://127.0.0.1:1")
    settings = msgspec.structs.replace(
        Settings(), oidc_issuer="https://a.example", oidc_client="x", oidc_secret_file="/none"
    )
    with pytest.raises(BadInput, match="SECRET_FILE"):
        Provider.of(settings, "http://127.0.0.1:1")
