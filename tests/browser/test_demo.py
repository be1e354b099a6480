"""From typing `handrail demo` to a verdict that counts: what somebody sees who tries it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from handrail.model.commands import MakeFirstAdmin
from tests.browser.rig import DESKTOP, PHONE, Watch, approve, painted
from tests.server import PASSWORD, net

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium")]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`handrail demo marketing`, started as from a shell without a terminal or a screen."""
    with subprocess.Popen(
        [sys.executable, "-c", "from handrail.cli import main; main()", "demo", "marketing"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "TMPDIR": str(tmp_path),
            "DISPLAY": "",
            "BROWSER": "",
            "PYTHONUNBUFFERED": "1",
        },
    ) as process:
        yield process
        process.kill()


def hear(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """The next line that fits."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"it never said {pattern!r}")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_first_verdict(
    demo: subprocess.Popen[str], browser: Browser, size: dict[str, int], tmp_path: Path
) -> None:
    """One link, no form to fill in, the first card, one key: confirmed, and run once."""
    link = hear(demo, r"(http://\S+/open\?key=\S+)")[1]
    origin = link.partition("/open")[0]
    context = browser.new_context(viewport=size)  # type: ignore[arg-type]
    page = context.new_page()
    watch = Watch(page, origin)
    page.goto(link)
    page.wait_for_url(f"{origin}/")
    page.locator("#main a.item").first.click()
    painted(page)
    heading = page.locator("#what").inner_text()
    first = page.get_attribute("article.card", "data-review")
    approve(page)  # on a phone the card is longer than the screen
    page.wait_for_selector(f'article.card:not([data-review="{first}"])')
    page.wait_for_function("() => !document.getElementById('undo').hidden")
    assert "approved" in page.locator("#undo [data-said]").inner_text().lower()
    subject = re.search(r"sample-\d\d", heading)
    assert subject is not None
    hear(demo, rf"{subject[0]} +approved, and ran once")
    assert watch.check() == []

    # The link was good for one sign-in; this browser goes on without it.
    page.goto(link)
    page.wait_for_url(f"{origin}/")
    stranger = browser.new_context()
    other = stranger.new_page()
    other.goto(link)
    assert "was used" in other.locator("main").inner_text()
    other.goto(origin)
    assert "on your own machine" in other.locator("main").inner_text()
    stranger.close()
    context.close()

    demo.send_signal(signal.SIGINT)
    hear(demo, "1 approved, 0 edited, 0 rejected by you")
    assert demo.wait(300) == 0
    assert list(tmp_path.iterdir()) == []


def test_people_sign_in_by_form(tmp_path: Path, browser: Browser) -> None:
    """The first admin's link, out, and in again with the password: as a browser sends forms."""
    with net(tmp_path) as served:
        context = browser.new_context()
        page = context.new_page()
        link = served.send(MakeFirstAdmin())
        page.goto(f"{served.url}/invitation?secret={link.secret}")
        page.fill("#handle", "ann@example.org")
        page.fill("#password", PASSWORD)
        page.fill("#again", PASSWORD)
        page.click("button")
        page.wait_for_url(f"{served.url}/")
        page.goto(f"{served.url}/account")
        assert "ann@example.org" in page.locator("main").inner_text()
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.wait_for_selector("text=You are signed out.")
        page.goto(f"{served.url}/passed")
        page.fill("#handle", "ann@example.org")
        page.fill("#password", PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{served.url}/passed")
        context.close()
