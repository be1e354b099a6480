"""A workspace on a port with people who are signed in, and a browser for each of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from playwright.sync_api import Browser, BrowserContext, Page

from handrail.app import Paths, Workspace
from handrail.flow.passwords import Passwords
from handrail.model import commands as c
from handrail.model.outcome import Outcome
from handrail.model.people import Actor, Via
from handrail.model.ruling import Ruling
from handrail.server.local import serve
from handrail.server.network import NetworkServer
from handrail.settings import Settings
from tests.workspace import make_workspace

PASSWORD = "three grey herons wait"
PROGRAM = Actor(name="shop")
NOBODY = Actor(name="somebody", via=Via.NOBODY)
RUN = "run-0123456789abcdef"

DESKTOP = {"width": 1280, "height": 720}
PHONE = {"width": 390, "height": 844}

CHROMIUM = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

REFUND = """\
handrail: 1
workflow: refund
title: Refund
owners: [team:ops]
subject: order
if_open: queue
requester: asked_by
fields:
  order: string
  asked_by: {type: person, optional: true}
  note: {type: string, optional: true}
  amount: {type: decimal, places: 2, unit: USD, min: 0, from: proposal}
  text: {type: string, optional: true, from: proposal}
stakes: {money: amount, reversible: false}
otherwise: auto
rules:
  - id: over-limit
    when: amount > 100
    severity: high
    because: "{amount} is over the approved 100 USD"
  - id: has-note
    when: has(note)
    severity: low
    because: "It comes with a note: {note}"
  - id: watched
    when: amount > 50
    then: on_the_loop
    because: "{amount} is watched"
  - id: large
    when: amount > 5000
    then: in_command
    severity: high
    because: "{amount} is entered by a person"
  - id: twice
    when: amount > 1000
    approve: [team:ops, role:head]
    severity: high
    because: "{amount} takes a head too"
route:
  - {severity: high, to: team:ops, sla: 30m, clock: always, silence: block}
  - {to: team:ops, sla: 4h, clock: always, silence: block}
review:
  reasons: {wrong: Wrong amount, fraud: Fraud, other: Something else}
  edit: [amount, text]
  if_approved: "{amount} is paid back"
  if_rejected: Nothing is paid
  undo: 30s
cases:
  - {name: small, facts: {order: a}, proposal: {amount: 20}, fires: [], lane: pass}
"""
"""Passes up to 50, is watched up to 100, held up to 1,000, takes two up to 5,000, then a value."""

BLIND = REFUND.replace("workflow: refund", "workflow: blind").replace(
    "review:", "sampling: {blind: 100%}\nreview:"
)
QUICK = REFUND.replace("workflow: refund", "workflow: quick").replace("undo: 30s", "undo: 0s")
CHECKED = REFUND.replace("workflow: refund", "workflow: checked").replace(
    "review:", "sampling: {spot_check: 100%}\nreview:"
)
"""All of the first is blind; verdicts of the second are released at once; of the third everything
that passes is checked."""
SHAPED = """\
handrail: 1
workflow: shaped
title: Launch
owners: [team:ops]
subject: order
fields:
  order: string
  amount: {type: decimal, places: 2, unit: USD, min: 0, from: proposal}
  start: {type: string, optional: true, from: proposal}
  channel: {enum: [search, social, display], optional: true, from: proposal}
  paused: {type: bool, optional: true, from: proposal}
stakes: {money: amount, reversible: true}
otherwise: in_the_loop
route:
  - {to: team:ops, sla: 4h, clock: always, silence: block}
review:
  reasons: {wrong: Wrong amount, other: Something else}
  edit:
    properties:
      amount: {minimum: 10, maximum: 500, title: Daily budget, description: What a day may cost}
      start: {format: date}
      channel: {oneOf: [{const: search, title: Search ads}, {const: social, title: Social media}]}
      paused: {type: boolean}
    if: {properties: {amount: {minimum: 300}}}
    then: {required: [start]}
  undo: 30s
cases:
  - {name: one, facts: {order: a}, proposal: {amount: 20}, fires: [], lane: hold}
"""
"""Everything is held, and what may be edited is a JSON Schema."""


class Site:
    """A running server with its people."""

    def __init__(self, folder: Path) -> None:
        make_workspace(
            folder, refund=REFUND, blind=BLIND, quick=QUICK, checked=CHECKED, shaped=SHAPED
        )
        Paths(folder).make()
        settings = msgspec.structs.replace(Settings(), sweep_seconds=0.1)
        workspace = Workspace.own(folder, settings=settings, channels=(), serve=serve)
        assert workspace is not None
        self.folder, self.workspace = folder, workspace
        self.service = workspace.service
        self.service.ports = msgspec.structs.replace(
            self.service.ports, passwords=Passwords(memory_kib=8, rounds=1)
        )
        self.server = NetworkServer(self.service, port=0)
        self.server.start()
        self.origin = self.server.origin
        self.secrets: dict[str, str] = {}
        for name, holds in (
            ("ann", ("team:ops",)),
            ("ben", ("team:ops", "role:head", "role:lead")),
            ("rita", ()),
        ):
            self.join(name, *holds)

    def close(self) -> None:
        self.server.stop()
        self.workspace.close()

    def join(self, name: str, *holds: str, handle: str | None = None) -> None:
        """Somebody who is invited, accepts, and is signed in."""
        link = self.call(c.Invite(handle=handle or f"{name}@example.org", holds=holds))
        signed = self.service.call(
            c.AcceptInvitation(secret=link.secret, password=PASSWORD), NOBODY
        )
        self.secrets[name] = signed.secret

    # ------------------------------------------------------------------ what programs do

    def call(self, command: c.Command, who: str | None = None) -> Any:
        """As a person of this workspace's own user, or as the program."""
        actor = PROGRAM if who is None else Actor(name=f"{who}@example.org", program=False)
        return self.service.call(command, actor)

    def submit(self, amount: float, order: str, workflow: str = "refund", **more: Any) -> Ruling:
        facts = {"order": order} | more.pop("facts", {})
        proposal = {"amount": amount} | more.pop("proposal", {})
        ruling = self.call(c.Submit(workflow=workflow, facts=facts, proposal=proposal, **more))
        assert isinstance(ruling, Ruling)
        return ruling

    def card(self, ruling: Ruling, who: str = "ann") -> Any:
        return self.call(c.GetReview(review_id=ruling.review_id or ""), who)

    def vote(self, ruling: Ruling, said: str, who: str = "ann", **more: Any) -> Any:
        card = self.card(ruling, who)
        reason = None if said == "approve" else "wrong"
        return self.call(
            c.CastVote(review_id=card.review, said=said, card=card.digest, reason=reason, **more),  # type: ignore[arg-type]
            who,
        )

    def run(self, ruling: Ruling, *, error: str | None = None, end: bool = True) -> Outcome[Any]:
        """Redeem the grant and say how it ended."""
        outcome = self.call(c.WaitOutcome(decision_id=ruling.decision_id))
        grant = outcome.grant_id
        self.call(c.Redeem(grant_id=grant, digest=outcome.digest, run=RUN))
        if end:
            self.call(c.Confirm(grant_id=grant, run=RUN, done=error is None, error=error))
        return outcome  # type: ignore[no-any-return]

    def clear(self) -> None:
        """Withdraw everything that is open, so that the next test begins with an empty inbox."""
        for view in self.call(c.ListDecisions(state="open", limit=1000)):
            self.call(c.Withdraw(decision_id=view.decision["id"], reason="next test"))

    def log_size(self) -> int:
        return self.workspace.store.read(lambda tx: tx.audit.size())

    # ------------------------------------------------------------------ what browsers do

    def http(self, who: str) -> httpx.Client:
        """A browser without scripts: cookies and forms."""
        return httpx.Client(
            base_url=self.origin,
            cookies={self.server.front.cookie: self.secrets[who]},
            headers={"accept": "text/html", "origin": self.origin},
            timeout=120,
        )

    def context(self, browser: Browser, who: str, **options: Any) -> BrowserContext:
        """A browser in which somebody is signed in; what it must not do is written down."""
        options.setdefault("viewport", DESKTOP)
        context = browser.new_context(base_url=self.origin, **options)
        context.set_default_timeout(60_000)
        context.add_cookies(
            [
                {
                    "name": self.server.front.cookie,
                    "value": self.secrets[who],
                    "url": self.origin,
                }
            ]
        )
        context.add_init_script(
            "window.violations = [];"
            "addEventListener('securitypolicyviolation', (event) => window.violations.push("
            "`${event.violatedDirective}: ${event.blockedURI}`));"
        )
        return context


class Watch:
    """What a page did that it must not."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", lambda request: self._request(request.url, origin))
        page.on("console", self._console)

    def _dialog(self, dialog: Any) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, url: str, origin: str) -> None:
        if not url.startswith((origin, "data:", "about:", "blob:")):
            self.problems.append(f"outside: {url}")

    def _console(self, message: Any) -> None:
        if "Content Security Policy" in message.text:
            self.problems.append(f"policy: {message.text}")

    def check(self) -> list[str]:
        """Everything that went wrong on the page now in view."""
        found = self.page.evaluate(
            "() => [...(window.violations || []), ...(window.fired ? ['fired'] : [])]"
        )
        return [*self.problems, *found]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium with a fresh profile."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path is not None
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=CHROMIUM)
        try:
            yield browser
        finally:
            browser.close()


def painted(page: Page, review: str | None = None) -> None:
    """Wait until a card is in view and counts as looked at: painted 300 ms ago, the seat taken."""
    if review is not None:
        page.wait_for_selector(f'article.card[data-review="{review}"]')
    page.wait_for_function(
        "() => Number(document.body.dataset.painted) > 0"
        " && performance.now() - Number(document.body.dataset.painted) > 320"
    )


def looked_at(page: Page) -> None:
    """Wait until the page knows what is in view now: it is told with the frames it paints."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def approve(page: Page) -> None:
    """Press the key once it counts: a card that is longer than the screen is read to its end."""
    page.keyboard.press("a")
    while "Not everything was in view" in page.inner_text("#say"):
        page.keyboard.press("n")
        looked_at(page)
        page.keyboard.press("a")


def form_token(html: str) -> str:
    """The form token of a page."""
    found = re.search(r'data-csrf="([^"]+)"', html)
    assert found is not None
    return found[1]
