"""How fast the desk is in a real browser: the first verdict of a newcomer, and key to painted.

    python benchmarks/desk.py [--open N] [--verdicts N] [--json]

First verdict: from starting `handrail demo marketing` in a new process until the page says that the
verdict counts. The link is followed, the first card opened, one key pressed; nothing is installed
or warmed up before. A person would add the time they read.

Key to painted: N reviews are open (10,000). Approve is pressed on one card after the other, and the
time runs in the page from the key's own time stamp until the frame with the next card has been
painted. Needs Playwright and Debian's chromium.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _figures import Figure, arguments, show
from playwright.sync_api import Browser, sync_playwright

from handrail.app import Service, open_workspace
from handrail.server.embedded import EmbeddedDesk

POLICY = """\
handrail: 1
workflow: refund
title: Refund
owners: [team:ops]
subject: order
fields:
  order: string
  note: {type: string, optional: true}
  amount: {type: decimal, places: 2, unit: USD, from: proposal}
stakes: {money: amount, reversible: false}
otherwise: auto
rules:
  - {id: large, when: amount > 100, because: "{amount} is over the approved 100 USD"}
route:
  - {to: team:ops, sla: 4h, clock: always, silence: block}
review:
  reasons: {wrong: Wrong amount}
  edit: [amount]
  if_approved: "{amount} is paid back"
  if_rejected: Nothing is paid
  undo: 10s
cases:
  - {name: any, facts: {order: a}, proposal: {amount: 101}, fires: [large], lane: hold}
"""
WARM = 5
"""Verdicts that are not counted: the first ones of a browser compile its scripts."""

MEASURE = """() => {
  window.times = [];
  let pressed = 0;
  let review = document.querySelector('article.card').dataset.review;
  addEventListener('keydown', (event) => { pressed = event.timeStamp; }, { capture: true });
  new MutationObserver(() => {
    const now = document.querySelector('article.card')?.dataset.review;
    if (!now || now === review || !pressed) return;
    review = now;
    const began = pressed;
    pressed = 0;
    // A task after the frame's callbacks runs once the frame has been handed to the screen.
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => window.times.push(performance.now() - began);
      after.port2.postMessage(null);
    });
  }).observe(document.getElementById('main'), { childList: true });
}"""

SETTLED = """() => Number(document.body.dataset.painted) > 0
  && performance.now() - Number(document.body.dataset.painted) > 330"""


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=path, args=["--headless=new", "--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


def first_verdict(browser: Browser) -> float:
    """Seconds from the command to the verdict that counts."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", "from handrail.cli import main; main()", "demo", "marketing"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DISPLAY": "", "BROWSER": "", "PYTHONUNBUFFERED": "1"},
    ) as demo:
        assert demo.stdout is not None
        link = next(
            found[0] for line in demo.stdout if (found := re.search(r"http://\S+key=\S+", line))
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(link)
        page.locator("#main a.item").first.click()
        page.wait_for_function(SETTLED)
        page.keyboard.press("a")
        page.wait_for_function("() => !document.getElementById('undo').hidden")
        seconds = time.perf_counter() - begun
        page.close()
        demo.send_signal(signal.SIGINT)
        demo.stdout.read()
    return seconds


def key_to_painted(browser: Browser, reviews: int, verdicts: int) -> list[float]:
    """Milliseconds from each key to the next card painted."""
    desks: list[EmbeddedDesk] = []

    def desk(service: Service) -> EmbeddedDesk:
        desks.append(EmbeddedDesk(service, person="ann@example.com", say=lambda text: None))
        return desks[0]

    with tempfile.TemporaryDirectory(prefix="handrail-bench-") as place:
        folder = Path(place)
        (folder / "policies").mkdir()
        (folder / "policies" / "refund.yaml").write_text(POLICY, "utf-8")
        client = open_workspace(folder, desk=desk)
        try:
            rows = [
                {"order": f"o-{n:05}", "note": "came by post " * (n % 12), "amount": 101 + n % 900}
                for n in range(reviews)
            ]
            client.submit_many("refund", rows, key="order", proposal=["amount"])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(desks[0].link())
            page.locator("#main a.item").first.click()
            page.wait_for_function(SETTLED)
            page.evaluate(MEASURE)
            for number in range(verdicts + WARM):
                while page.evaluate("() => window.times.length") <= number:
                    # A key on a card that was painted anew a moment ago does not count.
                    page.wait_for_function(SETTLED)
                    page.keyboard.press("a")
                    page.wait_for_timeout(250)
            found: list[float] = page.evaluate("() => window.times")
            page.close()
            return found[WARM:]
        finally:
            client.close()


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--open", type=int, default=10_000, help="open reviews")
    parser.add_argument("--verdicts", type=int, default=60)
    options: Any = parser.parse_args()
    with chromium() as browser:
        seconds = first_verdict(browser)
        times = key_to_painted(browser, options.open, options.verdicts)
    how = f"{len(times)} verdicts by one key, {options.open:,} reviews open, headless chromium"
    show(
        [
            Figure.at_most(
                "command to first verdict",
                seconds,
                "s",
                goal=60,
                how="`handrail demo marketing`, link, first card, one key; no time to read",
            ),
            Figure.plain("key to painted, p50", percentile(times, 0.5), "ms", how=how),
            Figure.at_most("key to painted, p95", percentile(times, 0.95), "ms", goal=50, how=how),
        ],
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
