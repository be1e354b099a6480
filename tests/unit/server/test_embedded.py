"""The desk that an open workspace serves itself: when it begins, whom it lets in, what it costs."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import handrail
from handrail.client import Client
from handrail.model import commands as c
from handrail.model.people import Actor
from tests.workspace import make_workspace

LINK = re.compile(r"(http://127\.0\.0\.1:\d+)/open\?key=(hrl_[\w-]+)(?:&next=(\S+))?")
ANN = Actor(name="ann@example.org", program=False)


@pytest.fixture(autouse=True)
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDRAIL_PERSON", ANN.name)


def submit(hr: Client, key: str, amount: float) -> handrail.Ruling:
    return hr.submit("refund", key=key, facts={"order": key}, proposal={"amount": amount})


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """A script with `submit`, in a process of its own."""
    head = (
        "import sys, handrail\n"
        "def submit(hr, key, amount):\n"
        "    return hr.submit('refund', key=key, facts={'order': key},"
        " proposal={'amount': amount})\n"
        "folder = sys.argv[1]\n"
    )
    return subprocess.run(
        [sys.executable, "-c", head + code, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HANDRAIL_PERSON": ANN.name},
    )


@contextmanager
def follow(link: str) -> Iterator[httpx.Client]:
    """A browser without scripts that has followed the link."""
    with httpx.Client(headers={"accept": "text/html"}, timeout=60) as browser:
        page = browser.get(link)
        assert page.status_code == 200, page.text
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
        answer = browser.post(link.partition("?")[0], data=fields)
        assert answer.status_code == 303, answer.text
        yield browser


def test_what_passes_says_nothing_and_loads_nothing(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path)
    done = run(
        folder,
        "with handrail.open(folder) as hr:\n"
        "    ruling = submit(hr, 'a', 20)\n"
        "    print(ruling.lane, ruling.review_url, [name for name in"
        " ('litestar', 'uvicorn', 'jinja2', 'httpx') if name in sys.modules])\n",
    )
    assert done.stdout == "pass None []\n"
    assert done.stderr == ""


def test_the_first_held_decision_says_one_link_and_still_loads_nothing(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path)
    done = run(
        folder,
        "with handrail.open(folder) as hr:\n"
        "    for key in 'abc':\n"
        "        print(submit(hr, key, 250).review_url)\n"
        "    print('litestar' in sys.modules)\n",
    )
    [(origin, _, place)] = LINK.findall(done.stderr)
    *urls, loaded = done.stdout.split()
    assert loaded == "False"
    assert [url.startswith(f"{origin}/reviews/r_") for url in urls] == [True] * 3
    assert urls[0] == origin + place


def test_the_link_leads_to_the_review_once_and_the_person_decides(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with handrail.open(make_workspace(tmp_path)) as hr:
        ruling = submit(hr, "a", 250)
        found = LINK.search(capfd.readouterr().err)
        assert found is not None
        with follow(found[0]) as browser:
            assert ruling.review_url == found[1] + found[3]
            card = browser.get(ruling.review_url)
            assert card.status_code == 200
            form = dict(re.findall(r'name="(csrf_token|card)" value="([^"]*)"', card.text))
            done = browser.post(f"{ruling.review_url}/verdict", data={**form, "said": "approve"})
            assert done.status_code == 303, done.text
            assert hr.wait(ruling, timeout=120).verdict == "approved"
            again = browser.get(found[0])
            assert again.headers["location"] == found[3], "who is in goes on"
        late = httpx.get(found[0], headers={"accept": "text/html"})
        assert late.status_code == 404
        assert "handrail desk" in late.text
        stranger = httpx.get(ruling.review_url, headers={"accept": "text/html"})
        assert stranger.headers["location"].startswith("/sign-in?next=")


def test_looking_at_a_link_does_not_use_it_up(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with handrail.open(make_workspace(tmp_path), desk=True):
        found = LINK.search(capfd.readouterr().err)
        assert found is not None and not found[3], "desk=True begins at once"
        for _ in range(5):
            assert httpx.get(found[0], timeout=60).status_code == 200
            assert httpx.head(found[0]).status_code in (200, 405)
        with follow(found[0]) as browser:
            assert browser.get(found[1] + "/").status_code == 200


def test_two_workspaces_have_two_desks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one, two = make_workspace(tmp_path / "one"), make_workspace(tmp_path / "two")
    with handrail.open(one) as first, handrail.open(two) as second:
        rulings = submit(first, "a", 250), submit(second, "a", 250)
        links = LINK.findall(capfd.readouterr().err)
        assert len({origin for origin, _, _ in links}) == 2
        for ruling, (origin, secret, place) in zip(rulings, links, strict=True):
            with follow(f"{origin}/open?key={secret}&next={place}") as browser:
                assert browser.get(ruling.review_url or "").status_code == 200
        [mine, other] = links
        with httpx.Client() as browser:
            assert browser.get(f"{mine[0]}/open?key={other[1]}").status_code == 404


def test_no_desk_where_none_is_wanted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_workspace(tmp_path)
    with handrail.open(folder, desk=False) as hr:
        ruling = submit(hr, "a", 250)
        assert ruling.review_url == f"/reviews/{ruling.review_id}"
    monkeypatch.setenv("HANDRAIL_DESK", "false")
    with handrail.open(folder) as hr:
        assert submit(hr, "b", 250).desk is None
    assert capfd.readouterr().err == ""


def test_what_is_decided_already_asks_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = make_workspace(tmp_path)
    with handrail.open(folder, desk=False) as hr:
        ruling = submit(hr, "a", 250)
        card = hr.call(c.GetReview(review_id=ruling.review_id or ""), ANN)
        hr.call(c.CastVote(review_id=card.review, said="approve", card=card.digest), ANN)
    with handrail.open(folder) as hr:
        assert submit(hr, "a", 250).decision_id == ruling.decision_id
        assert capfd.readouterr().err == ""


def test_batches_and_lists_say_where_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with handrail.open(make_workspace(tmp_path)) as hr:
        rows = [{"order": str(n), "amount": 250 * n} for n in range(3)]
        rulings = list(hr.submit_many("refund", rows, key="order", proposal=["amount"]))
        found = LINK.search(capfd.readouterr().err)
        assert found is not None
        assert [ruling.desk for ruling in rulings if ruling.review_id] == [found[1]] * 2
        [view] = hr.decisions(state="open", limit=1)
        assert view.ruling.desk == found[1]


def test_another_process_prints_a_link_to_the_owners_desk(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path)
    with handrail.open(folder):
        done = subprocess.run(
            [
                *(sys.executable, "-c", "from handrail.cli import main; main()"),
                *("-w", str(folder), "desk", "--json"),
            ],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "DISPLAY": "", "BROWSER": ""},
        )
        found = LINK.search(done.stdout)
        assert found is not None
        assert '"serves": false' in done.stdout
        with follow(found[0]) as browser:
            assert ANN.name in browser.get(found[1] + "/account").text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_lets_go_of_the_desk(tmp_path: Path) -> None:
    done = run(
        make_workspace(tmp_path),
        "import os\n"
        "hr = handrail.open(folder)\n"
        "url = submit(hr, 'a', 250).review_url\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    print(os.getppid(), url, flush=True)\n"
        "    sys.stdin.read()\n"
        "    os._exit(0)\n"
        "os._exit(0)\n",
    )
    port = int(re.findall(r"127\.0\.0\.1:(\d+)/", done.stdout)[0])
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
