"""The desk in a browser: keys, undo, who was first, what is live, and who can use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from handrail.model import commands as c
from tests.browser.rig import DESKTOP, PHONE, Site, Watch, looked_at, painted

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow]


@pytest.fixture
def ann(site: Site, browser: Browser) -> Iterator[Page]:
    """Ann's browser, which must not do anything it should not."""
    context = site.context(browser, "ann")
    page = context.new_page()
    watch = Watch(page, site.origin)
    yield page
    assert watch.check() == []
    context.close()


def is_in_view(page: Page, selector: str) -> bool:
    """Whether all of an element can be seen, above the bar of buttons."""
    return page.evaluate(  # type: ignore[no-any-return]
        """(selector) => {
            const box = document.querySelector(selector).getBoundingClientRect();
            const bar = document.querySelector(".acts");
            const bottom = bar ? bar.getBoundingClientRect().top : innerHeight;
            return box.top >= 0 && box.left >= 0 && box.bottom <= bottom + 1
                && box.right <= innerWidth + 1;
        }""",
        selector,
    )


def status(site: Site, review: str | None) -> str:
    return str(site.call(c.GetReview(review_id=review or ""), "ben").status)


def wait_said(page: Page, text: str) -> None:
    page.wait_for_function(
        "(text) => document.getElementById('say').textContent.includes(text)", arg=text
    )


def wait_alert(page: Page, text: str) -> str:
    page.wait_for_function(
        "(text) => document.getElementById('alert').textContent.includes(text)", arg=text
    )
    return page.inner_text("#alert")


# ------------------------------------------------------------------------------ keys


def test_the_keyboard_alone_opens_approves_rejects_edits_and_undoes(site: Site, ann: Page) -> None:
    one, two, three, four = (site.submit(200 + n, f"walk-{n}") for n in range(4))
    ann.goto("/")
    ann.keyboard.press("j")
    ann.keyboard.press("Enter")
    painted(ann, one.review_id)

    ann.keyboard.press("a")
    painted(ann, two.review_id)
    wait_said(ann, "Approved.")
    assert site.card(one).verdict == "approved"
    assert site.card(one).votes[0]["by"] == "ann@example.org"
    assert ann.is_visible("#undo")

    ann.keyboard.press("r")
    ann.wait_for_selector("#reject[open]")
    ann.keyboard.press("2")
    painted(ann, three.review_id)
    wait_said(ann, "Rejected.")
    rejected = site.card(two)
    assert (rejected.verdict, rejected.votes[0]["reason"]) == ("rejected", "fraud")

    ann.keyboard.press("e")
    ann.wait_for_selector("#edit[open]")
    ann.keyboard.type("150.5")
    ann.keyboard.press("Control+Enter")
    ann.keyboard.press("1")
    painted(ann, four.review_id)
    wait_said(ann, "Approved with your changes.")
    edited = site.card(three)
    assert (edited.verdict, edited.proposal) == ("edited", {"amount": "150.50"})

    ann.keyboard.press("z")
    painted(ann, three.review_id)
    wait_said(ann, "Taken back.")
    assert status(site, three.review_id) == "open"
    assert site.card(three).proposal == {"amount": "202.00"}
    ann.keyboard.press("z")
    painted(ann, two.review_id)
    assert status(site, two.review_id) == "open"
    assert status(site, one.review_id) == "decided"
    votes = site.call(c.ListFeedback(workflow="refund"))
    assert all(vote.seconds is None or vote.seconds > 0.3 for vote in votes)


def test_a_key_counts_only_on_a_card_that_was_looked_at(site: Site, ann: Page) -> None:
    one, two, three = (site.submit(300, f"slow-{n}") for n in range(3))
    ann.goto(f"/reviews/{one.review_id}")
    painted(ann, one.review_id)
    # Held down: the first press decides, no repetition does.
    ann.keyboard.down("a")
    for _ in range(40):
        ann.keyboard.down("a")
    painted(ann, two.review_id)
    for _ in range(40):
        ann.keyboard.down("a")
    ann.keyboard.up("a")
    assert status(site, one.review_id) == "decided"
    assert status(site, two.review_id) == "open"
    # At once after the next card came: before anybody saw it.
    ann.evaluate(
        "(review) => new MutationObserver((changes, observer) => {"
        "  if (document.querySelector('article.card')?.dataset.review !== review) return;"
        "  observer.disconnect();"
        "  for (const type of ['keydown', 'keyup']) document.body.dispatchEvent("
        "    new KeyboardEvent(type, {key: 'a', code: 'KeyA', bubbles: true}));"
        "  document.body.dataset.pressed = review;"
        "}).observe(document.body, {childList: true, subtree: true})",
        three.review_id,
    )
    ann.keyboard.press("j")
    ann.wait_for_selector(f'body[data-pressed="{three.review_id}"]')
    assert status(site, three.review_id) == "open"
    painted(ann, three.review_id)
    # With a modifier, or while typing, a letter is a letter.
    ann.keyboard.press("Control+a")
    ann.keyboard.press("c")
    ann.wait_for_selector("#comment[open]")
    ann.keyboard.type("a1r3")
    ann.keyboard.press("Escape")
    assert status(site, three.review_id) == "open"
    ann.keyboard.press("1")
    ann.wait_for_url(re.compile("/(reviews/.*)?"))
    wait_said(ann, "Approved.")
    assert status(site, three.review_id) == "decided"


def test_what_was_not_in_view_is_not_decided(site: Site, browser: Browser) -> None:
    ruling = site.submit(200, "tall", facts={"note": "n"}, proposal={"text": "line " * 60})
    context = site.context(browser, "ann", viewport={"width": 390, "height": 460})
    page = context.new_page()
    page.goto(f"/reviews/{ruling.review_id}")
    painted(page, ruling.review_id)
    page.keyboard.press("a")
    wait_said(page, "Not everything was in view yet")
    page.click("#approve button")
    assert status(site, ruling.review_id) == "open"
    for _ in range(6):
        page.keyboard.press("n")
        looked_at(page)
    page.keyboard.press("a")
    page.wait_for_url(re.compile(r"/\?did=approve"))
    assert status(site, ruling.review_id) == "decided"
    context.close()


def test_what_is_cut_is_opened_before_it_is_approved(site: Site, ann: Page) -> None:
    ruling = site.submit(200, "cut", proposal={"text": "word " * 200})
    other = site.submit(200, "after-cut")
    ann.goto(f"/reviews/{ruling.review_id}")
    painted(ann, ruling.review_id)
    assert ann.get_attribute("#approve button", "aria-disabled") == "true"
    ann.keyboard.press("a")
    wait_said(ann, "Open the full text before you approve.")
    assert status(site, ruling.review_id) == "open"
    ann.keyboard.press("Enter")  # the text that has to be opened is in focus
    ann.wait_for_selector("#approve button[aria-disabled=false]")
    while ann.evaluate("() => scrollY + innerHeight < document.body.scrollHeight"):
        ann.keyboard.press("PageDown")
        looked_at(ann)
    ann.keyboard.press("a")
    painted(ann, other.review_id)
    assert status(site, ruling.review_id) == "decided"


def test_single_keys_can_be_switched_off(site: Site, ann: Page) -> None:
    ruling = site.submit(200, "no-keys")
    ann.goto(f"/reviews/{ruling.review_id}")
    ann.keyboard.press("?")
    ann.wait_for_selector("#help[open]")
    painted(ann)
    ann.keyboard.press("a")
    ann.uncheck("#keys-on")
    ann.keyboard.press("Escape")
    ann.keyboard.press("a")
    assert status(site, ruling.review_id) == "open"
    ann.click("#approve button")
    ann.wait_for_url(re.compile("did=approve"))
    assert status(site, ruling.review_id) == "decided"


def test_the_next_card_is_there_at_once_and_nobody_was_seated_before(site: Site, ann: Page) -> None:
    rulings = [site.submit(200, f"ahead-{n}") for n in range(4)]
    with ann.expect_response("**/seat"):
        ann.goto(f"/reviews/{rulings[0].review_id}")
        painted(ann, rulings[0].review_id)
    assert site.card(rulings[0]).holder == "ann@example.org"
    assert [site.card(ruling).holder for ruling in rulings[1:]] == [None] * 3
    # Going through cards takes no seat either: one is taken of what stays in view for 200 ms. The
    # keys are pressed in the page, so that a busy machine does not make each look a long one.
    looks = ann.evaluate(
        """async (reviews) => {
          const looks = {};
          for (const review of reviews) {
            const before = performance.now();
            const left = document.querySelector('article.card').dataset.review;
            dispatchEvent(new KeyboardEvent('keydown', { key: 'j', code: 'KeyJ' }));
            dispatchEvent(new KeyboardEvent('keyup', { key: 'j', code: 'KeyJ' }));
            while (document.querySelector('article.card').dataset.review !== review) {
              await new Promise((done) => setTimeout(done));
            }
            looks[left] = performance.now() - before;
          }
          return looks;
        }""",
        [ruling.review_id for ruling in (*rulings[1:], rulings[0])],
    )
    for ruling in rulings[1:]:
        if looks[ruling.review_id] < 200:
            assert site.card(ruling).holder is None


# ------------------------------------------------------------------------------ with others


def test_of_two_who_answer_at_once_the_second_is_told_who_won(
    site: Site, browser: Browser, ann: Page
) -> None:
    ruling, after = site.submit(200, "both"), site.submit(200, "both-after")
    context = site.context(browser, "ben")
    ben = context.new_page()
    # Ben's page hears of nothing and takes no seat: what two fast people look like to each other.
    ben.route("**/api/v1/stream*", lambda route: route.abort())
    ben.route("**/seat", lambda route: route.abort())
    for page in (ann, ben):
        page.goto(f"/reviews/{ruling.review_id}")
        painted(page, ruling.review_id)
    ann.keyboard.press("a")
    painted(ann, after.review_id)
    wait_said(ann, "Approved.")
    ben.keyboard.press("r")
    ben.wait_for_selector("#reject[open]")
    ben.keyboard.press("1")
    told = wait_alert(ben, "was not counted")
    assert "approved by ann@example.org" in told
    assert re.search(r"20\d\d", told)
    ben.wait_for_selector("#verdict")
    assert "ann@example.org" in ben.inner_text("#verdict")
    assert ben.query_selector(".acts") is None
    assert site.card(ruling).verdict == "approved"
    context.close()


def test_what_somebody_else_does_is_seen_at_once(site: Site, browser: Browser, ann: Page) -> None:
    ann.goto("/")
    ann.wait_for_selector("body[data-live=on]")
    ruling = site.submit(200, "live-1")
    ann.wait_for_selector(f'li[data-review="{ruling.review_id}"]')
    wait_said(ann, "The list has changed: 1 wait.")
    site.call(c.Claim(review_id=ruling.review_id), "ben")
    ann.wait_for_selector("text=ben@example.org has it")
    ann.click(f'li[data-review="{ruling.review_id}"] a')
    painted(ann, ruling.review_id)
    wait_said(ann, "You have no seat at this card: ben@example.org has")
    ann.keyboard.press("a")
    assert "ben@example.org has" in wait_alert(ann, "You have no seat")
    assert status(site, ruling.review_id) == "open"
    site.vote(ruling, "reject", "ben")
    wait_alert(ann, "This was closed while you looked at it.")
    ann.wait_for_selector("#verdict.rejected")
    assert "Rejected by ben@example.org" in ann.inner_text("#verdict")


def test_a_card_that_changes_under_ones_eyes_says_so(site: Site, ann: Page) -> None:
    ruling = site.submit(2000, "changes")
    ann.goto(f"/reviews/{ruling.review_id}")
    painted(ann, ruling.review_id)
    ann.wait_for_selector("body[data-live=on]")
    site.vote(ruling, "edit", "ben", edits={"amount": 1500})
    wait_alert(ann, "This card has changed since you looked")
    assert "1,500.00" in ann.inner_text(".machine")


def test_a_wrong_value_is_said_beside_the_form_which_stays(site: Site, ann: Page) -> None:
    ruling = site.submit(200, "typo")
    ann.goto(f"/reviews/{ruling.review_id}")
    painted(ann, ruling.review_id)
    ann.keyboard.press("e")
    ann.wait_for_selector("#edit[open]")
    ann.keyboard.type("-5")
    ann.keyboard.press("Control+Enter")
    ann.keyboard.press("1")
    wait_alert(ann, "Not saved:")
    assert ann.input_value('[name="edit:amount"]') == "-5"
    assert status(site, ruling.review_id) == "open"


def test_fields_of_a_json_schema_are_filled_as_they_look(site: Site, ann: Page) -> None:
    ruling = site.submit(200, "shape", "shaped", proposal={"channel": "search"})
    ann.goto(f"/reviews/{ruling.review_id}")
    painted(ann, ruling.review_id)
    ann.keyboard.press("e")
    ann.wait_for_selector("#edit[open]")
    ann.keyboard.type("900")
    ann.fill('[name="edit:start"]', "2027-03-01")
    ann.select_option('[name="edit:channel"]', label="Social media")
    ann.keyboard.press("Control+Enter")
    ann.keyboard.press("1")
    wait_alert(ann, "amount is 900.00; expected at most 500")
    assert ann.input_value('[name="edit:start"]') == "2027-03-01"
    ann.fill('[name="edit:amount"]', "300.50")
    ann.click("#edit >> text=Wrong amount")
    wait_said(ann, "Approved with your changes.")
    assert site.card(ruling).proposal == {
        "amount": "300.50",
        "start": "2027-03-01",
        "channel": "social",
    }


def test_an_answer_that_never_arrived_is_taken_back_visibly(site: Site, ann: Page) -> None:
    ruling = site.submit(200, "offline")
    site.submit(200, "offline-next")
    ann.goto(f"/reviews/{ruling.review_id}")
    painted(ann, ruling.review_id)
    ann.route("**/verdict", lambda route: route.abort())
    ann.keyboard.press("a")
    wait_alert(ann, "The server does not answer")
    ann.wait_for_selector(f'article[data-review="{ruling.review_id}"]')
    assert status(site, ruling.review_id) == "open"
    ann.unroute("**/verdict")
    painted(ann, ruling.review_id)
    ann.keyboard.press("a")
    wait_said(ann, "Approved.")
    assert status(site, ruling.review_id) == "decided"


def test_what_was_typed_comes_back_where_nothing_can_be_fetched(site: Site, ann: Page) -> None:
    ruling = site.submit(200, "gone")
    site.submit(200, "gone-next")
    ann.goto(f"/reviews/{ruling.review_id}")
    painted(ann, ruling.review_id)
    ann.route(re.compile("/(verdict|reviews/.*)$"), lambda route: route.abort())
    ann.keyboard.press("r")
    ann.fill("#reject [name=comment]", "paid twice already")
    ann.click('#reject [data-digit="1"]')
    assert "whether this was saved is not known" in wait_alert(ann, "The server does not answer")
    ann.wait_for_selector(f'article[data-review="{ruling.review_id}"]')
    assert ann.input_value("#reject [name=comment]") == "paid twice already"
    ann.unroute(re.compile("/(verdict|reviews/.*)$"))
    painted(ann, ruling.review_id)
    ann.click('#reject [data-digit="1"]')
    wait_said(ann, "Rejected.")
    assert status(site, ruling.review_id) == "decided"


def test_a_verdict_of_who_is_signed_out_by_now_is_not_lost_silently(
    site: Site, browser: Browser
) -> None:
    ruling = site.submit(200, "late")
    after = site.submit(200, "late-next")
    site.join("una", "team:ops")
    context = site.context(browser, "una")
    page = context.new_page()
    page.goto(f"/reviews/{ruling.review_id}")
    painted(page, ruling.review_id)
    page.wait_for_function("document.body.dataset.live === 'on'")
    site.call(c.SetPerson(handle="una@example.org", holds=(), active=False))
    page.keyboard.press("a")
    assert "Not saved: You are signed in no longer." in wait_alert(page, "Not saved")
    page.wait_for_selector(f'article[data-review="{ruling.review_id}"]')
    way = page.get_attribute("#alert a", "href") or ""
    assert way == f"/sign-in?next=%2Freviews%2F{ruling.review_id}"
    assert status(site, ruling.review_id) == status(site, after.review_id) == "open"
    page.click("#alert a")
    page.wait_for_url("**/sign-in?next=*")
    context.close()


def test_news_come_again_where_a_proxy_answered_for_the_server(site: Site, ann: Page) -> None:
    ann.route("**/api/v1/stream*", lambda route: route.fulfill(status=502, body="Bad Gateway"))
    ann.goto("/")
    ann.wait_for_selector("body[data-live=off]")
    ann.unroute("**/api/v1/stream*")
    ann.wait_for_selector("body[data-live=on]")
    ruling = site.submit(200, "live-again")
    ann.wait_for_selector(f'li[data-review="{ruling.review_id}"]')


def test_without_scripts_the_forms_do_the_same(site: Site, browser: Browser) -> None:
    ruling, after = site.submit(200, "plain"), site.submit(200, "plain-after")
    context = site.context(browser, "ann", java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/reviews/{ruling.review_id}")
    page.click("#reject summary")
    page.click("#reject >> text=Fraud")
    page.wait_for_url(re.compile(f"/reviews/{after.review_id}"))
    assert "Rejected." in page.inner_text("#say")
    page.click("#undo button")
    page.wait_for_url(re.compile(f"/reviews/{ruling.review_id}"))
    assert "Taken back" in page.inner_text("#say")
    page.click("#edit summary")
    page.fill('#edit [name="edit:amount"]', "120")
    page.click("#edit >> text=Wrong amount")
    page.wait_for_url(re.compile(f"/reviews/{after.review_id}"))
    assert site.card(ruling).proposal == {"amount": "120.00"}
    context.close()


# ------------------------------------------------------------------------------ for everybody


@pytest.fixture
def everything(site: Site) -> dict[str, str]:
    """One of everything that a page can show; the pages by name."""
    for n, amount in enumerate((140, 320, 990, 2500)):
        site.submit(
            amount,
            f"order-{n}",
            confidence=0.6 + n / 10,
            model="payer@2.1",
            requester="rita@example.org",
            current={"amount": 25},
            context={"customer": "since 2019", "history": ["paid", "paid", "late"]},
            links={"Order": f"https://shop.example/orders/{n}"},
        )
    main = site.submit(
        700,
        "order-main",
        confidence=0.91,
        model="payer@2.1",
        current={"amount": 70},
        facts={"note": "Customer called twice"},
    )
    blind = site.submit(200, "order-blind", "blind")
    long = site.submit(200, "order-long", proposal={"text": "Dear customer, " * 60})
    huge = site.submit(9000, "order-huge", facts={"note": "by hand"})
    decided = site.submit(150, "order-decided", requester="rita@example.org")
    site.vote(decided, "reject", "ann")
    site.call(c.Comment(review_id=main.review_id or "", comment="Looks odd to me."), "ann")
    site.submit(60, "order-watched")
    site.run(site.submit(60, "order-ran"))
    site.run(site.submit(20, "order-failed"), error="timeout after 30 s")
    return {
        "inbox": "/",
        "card": f"/reviews/{main.review_id}",
        "blind": f"/reviews/{blind.review_id}",
        "long": f"/reviews/{long.review_id}",
        "in-command": f"/reviews/{huge.review_id}",
        "decided": f"/reviews/{decided.review_id}",
        "passed": "/passed",
        "requests": "/requests",
        "doubts": "/doubts",
        "nothing-there": "/reviews/r_none",
    }


@pytest.mark.parametrize(
    ("device", "scheme"), [("desktop", "light"), ("phone", "light"), ("desktop", "dark")]
)
def test_every_page_is_accessible_and_nothing_is_cut(
    site: Site,
    browser: Browser,
    everything: dict[str, str],
    shots: Path,
    device: str,
    scheme: Any,
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    viewport = DESKTOP if device == "desktop" else PHONE
    context = site.context(browser, "ben", viewport=viewport, color_scheme=scheme)
    rita = site.context(browser, "rita", viewport=viewport, color_scheme=scheme)
    site.call(c.SetStop(workflow="quick", reason="Fraud wave, see the chat"), "ben")
    wrong = []
    for name, path in everything.items():
        page = (rita if name == "requests" else context).new_page()
        watch = Watch(page, site.origin)
        page.goto(path)
        if path.startswith("/reviews/r_") and name != "nothing-there":
            page.wait_for_function("() => document.body.dataset.painted")
        page.screenshot(path=shots / f"{device}-{scheme}-{name}.png")
        page.screenshot(path=shots / f"{device}-{scheme}-{name}-whole.png", full_page=True)
        for fold in page.query_selector_all("details.fold:not([open]) > summary"):
            fold.click()
        panels = ("edit", "reject", "snooze", "comment") if scheme == "light" else ()
        for panel in panels if name in ("card", "in-command") else ():
            if page.query_selector(f"#{panel} > summary"):
                page.evaluate("(id) => { document.getElementById(id).open = true; }", panel)
                page.screenshot(path=shots / f"{device}-{scheme}-{name}-{panel}.png")
                found = Axe().run(page)
                wrong += [f"{name}/{panel}: {one['id']}" for one in found.response["violations"]]
        found = Axe().run(page)
        wrong += [
            f"{name}: {one['id']} {one['nodes'][0]['html'][:120]}"
            for one in found.response["violations"]
        ]
        wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            wrong.append(f"{name}: {wide} px too wide")
        wrong += [f"{name}: {problem}" for problem in watch.check()]
        page.close()
    site.call(c.ClearStop(workflow="quick", reason="over"), "ben")
    context.close()
    rita.close()
    assert not wrong, "\n".join(wrong)


@pytest.mark.ledger("M-078", "R-066")
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_key_facts_are_in_view_without_scrolling(
    site: Site, browser: Browser, viewport: Any, everything: dict[str, str]
) -> None:
    context = site.context(browser, "ann", viewport=viewport)
    page = context.new_page()
    page.goto(everything["card"])
    painted(page)
    parts = page.query_selector_all("[data-key]")
    assert len(parts) == 6
    for n in range(1, 7):
        assert is_in_view(page, f".facts-first > :nth-child({n})"), n
    assert page.is_visible("#approve button") and page.is_visible("#reject summary")
    context.close()


def test_a_page_is_walked_by_tab_and_shows_where_one_is(site: Site, ann: Page) -> None:
    ruling = site.submit(200, "tabs", current={"amount": 3})
    ann.goto(f"/reviews/{ruling.review_id}")
    ann.wait_for_function("() => document.body.dataset.painted")
    ann.evaluate("() => { document.activeElement.blur(); }")
    seen = []
    for _ in range(40):
        ann.keyboard.press("Tab")
        at = ann.evaluate(
            """() => {
                const at = document.activeElement;
                const { outlineStyle, outlineWidth } = getComputedStyle(at);
                return [at.innerText.trim().split("\\n")[0], outlineStyle, outlineWidth];
            }"""
        )
        if at[0] in seen and at[0].startswith("Skip"):
            break
        assert at[1] != "none" and at[2] != "0px", at
        seen.append(at[0])
    text = " ".join(seen)
    assert seen[0] == "Skip to the page"
    for name in ("Inbox", "Passed", "Approve", "Edit", "Reject", "Escalate", "Snooze", "Ask"):
        assert name in text, name
    landmarks = ann.evaluate(
        "() => ['header', 'nav', 'main', 'h1'].map("
        "(name) => document.querySelectorAll(name).length)"
    )
    assert landmarks == [1, 1, 1, 1]
    assert ann.get_attribute("#say", "aria-live") == "polite"
    assert ann.get_attribute("#alert", "role") == "alert"
