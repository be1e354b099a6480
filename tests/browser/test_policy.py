"""A change of policy on the desk: proposed in a shell, seen, decided, undone, and marked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import handrail
from handrail.cli import commands
from handrail.model import commands as c
from tests.browser.rig import REFUND, Site, Watch, painted
from tests.workspace import make_workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow]

LOOSER = (
    REFUND.replace("when: amount > 100\n", "when: amount > 150\n")
    .replace("over the approved 100", "over the approved 150")
    .replace(
        "cases:\n",
        "cases:\n  - {name: at 120, facts: {order: a}, proposal: {amount: 120}, "
        "fires: [watched], lane: pass}\n",
    )
)
WORDS = REFUND.replace("Nothing is paid\n", "Nothing is paid back\n")
LONELY = REFUND.replace("approve: [team:ops, role:head]", "approve: [team:ops, role:chief]")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server of its own, whose policies change. Ben proposes; ann owns the policy too."""
    found = Site(tmp_path / "work")
    found.workspace.policies.refresh(now=True)
    yield found
    found.close()


@pytest.fixture
def pages(site: Site, browser: Browser) -> Iterator[dict[str, Page]]:
    """The browsers of ann and ben, which must not do anything they should not."""
    contexts = {who: site.context(browser, who) for who in ("ann", "ben")}
    made = {who: context.new_page() for who, context in contexts.items()}
    watches = [Watch(page, site.origin) for page in made.values()]
    yield made
    assert [problem for watch in watches for problem in watch.check()] == []
    for context in contexts.values():
        context.close()


def shell(site: Site, *words: str, who: str = "ben", code: int = 0) -> None:
    """The command line beside the server, in its workspace."""
    place = ["-w", str(site.folder), "--as", f"{who}@example.org"]
    assert commands.run([*place, *words]) == code


def rules(site: Site) -> str:
    version: str = site.call(c.GetPolicy(workflow="refund"), "ann").version
    return version


def propose(
    site: Site, text: str | None, reason: str, version: str = "", who: str = "ben"
) -> c.PolicyLine | Any:
    """Write the draft and ask, as somebody does in a shell; the line of history it makes."""
    if text is not None:
        path = site.folder / "policies" / "refund.yaml"
        path.write_text(text, encoding="utf-8")
    name = f"refund@{version[:12]}" if version else "refund"
    shell(site, "policy", "propose", name, "--reason", reason, who=who)
    return next(
        line
        for line in site.call(c.PolicyHistory(workflow="refund"), "ann")
        if line.state == "open"
    )


def released(site: Site, line: Any) -> None:
    """Wait, as a program does, until the undo time of the verdict is over."""
    shell(site, "wait", line.decision_id)


def test_a_change_goes_from_the_shell_over_the_card_to_ruling(
    site: Site, pages: dict[str, Page]
) -> None:
    ann, ben = pages["ann"], pages["ben"]
    before = rules(site)
    line = propose(site, LOOSER, "half of the holds were approved as they were")

    ann.goto("/")
    ann.wait_for_selector(f'a[href="/reviews/{line.review_id}"]')
    assert "Change of the policy refund" in ann.inner_text("main")
    ann.keyboard.press("j")
    ann.keyboard.press("Enter")
    painted(ann, line.review_id)
    assert ann.inner_text("#what") == "Change of the policy refund", "no hash in the heading"
    words = ann.locator("#changes li").all_inner_texts()
    assert any(re.search(r"rule over-limit: threshold 100 → 150", said) for said in words), words
    assert any("case at 120 added" in said for said in words), "one line for each change"
    assert "1 of 2 cases comes out otherwise" in ann.inner_text("#effects")
    [effect] = ann.locator("#effects li").all_inner_texts()
    assert "at 120: hold" in effect and "→ pass" in effect
    card = ann.inner_text("article.card")
    assert "half of the holds were approved as they were" in card
    assert "by ben@example.org" in card
    assert "This version rules refund from then on" in card
    assert f"instead of {before[:12]}" in card

    ben.goto("/")
    assert "Nothing waits for you" in ben.inner_text("main"), "the author is not asked"
    ben.goto(f"/reviews/{line.review_id}")
    ben.wait_for_selector("#no-vote")
    assert "You asked for this, so somebody else decides it." in ben.inner_text("#no-vote")
    assert ben.locator("#approve").count() == 0 and ben.locator("#reject").count() == 0
    ben.keyboard.press("a")
    forged = ben.evaluate(
        """async (review) => (await fetch(`/reviews/${review}/verdict`, {
            method: "POST",
            headers: {"content-type": "application/x-www-form-urlencoded",
                      "x-csrf-token": document.body.dataset.csrf},
            body: new URLSearchParams({said: "approve", card: "",
                                       csrf_token: document.body.dataset.csrf})})).status""",
        line.review_id,
    )
    assert forged == 403, "nor can the author send it past the page"
    assert site.call(c.GetReview(review_id=line.review_id), "ann").status == "open"

    ann.keyboard.press("a")
    ann.wait_for_url(re.compile(r"/\?did=approve"))
    assert ann.is_visible("#undo"), "it can be taken back for a while"
    assert rules(site) == before
    released(site, line)
    assert rules(site) == line.version
    last = site.call(c.PolicyHistory(workflow="refund"), "ann")[0]
    assert (last.version, last.state, last.proposed_by, last.approved_by) == (
        line.version, "active", "ben@example.org", ("ann@example.org",),
    )  # fmt: skip
    ann.goto(f"/reviews/{line.review_id}")
    assert "by ann@example.org" in ann.inner_text("#verdict")
    assert site.submit(120, "o1").passed, "the new cap rules"


def test_a_change_is_rejected_with_a_reason_and_the_author_reads_it(
    site: Site, pages: dict[str, Page]
) -> None:
    ann, ben = pages["ann"], pages["ben"]
    before = rules(site)
    line = propose(site, LOOSER, "to be quicker")
    ann.goto(f"/reviews/{line.review_id}")
    painted(ann, line.review_id)
    ann.keyboard.press("r")
    ann.wait_for_selector("#reject[open]")
    choices = ann.locator("#reject .choices button").all_inner_texts()
    assert any("Not tested enough" in said for said in choices)
    ann.keyboard.press("4")
    ann.wait_for_url(re.compile(r"/\?did=reject"))
    shell(site, "wait", line.decision_id, code=1)
    assert rules(site) == before
    ben.goto("/requests")
    said = ben.inner_text("main")
    assert "rejected" in said and "Not tested enough" in said and "ann@example.org" in said
    history = site.call(c.PolicyHistory(workflow="refund"), "ben")
    assert [one.state for one in history if one.version == line.version] == ["rejected"]


def test_one_goes_back_to_a_version_that_ruled(site: Site, pages: dict[str, Page]) -> None:
    ann = pages["ann"]
    first = rules(site)
    line = propose(site, WORDS, "clearer words")
    ann.goto(f"/reviews/{line.review_id}")
    painted(ann, line.review_id)
    assert "Which decisions pass stays as it was." in ann.inner_text("#changes")
    assert "Nothing: 1 case comes out as before." in ann.inner_text("#effects")
    ann.keyboard.press("a")
    ann.wait_for_url(re.compile(r"/\?did=approve"))
    released(site, line)
    assert rules(site) == line.version != first

    back = propose(site, None, "the old words were better", version=first)
    ann.goto(f"/reviews/{back.review_id}")
    painted(ann, back.review_id)
    assert "This version has ruled before." in ann.inner_text("#changes")
    ann.keyboard.press("a")
    ann.wait_for_url(re.compile(r"/\?did=approve"))
    released(site, back)
    assert rules(site) == first


def test_what_nobody_can_carry_by_then_says_so_instead_of_ruling(
    site: Site, pages: dict[str, Page]
) -> None:
    ann, ben = pages["ann"], pages["ben"]
    before = rules(site)
    site.call(c.SetPerson(handle="cyd@example.org", holds=("role:chief",)))
    line = propose(site, LONELY, "the chief should know")
    ann.goto(f"/reviews/{line.review_id}")
    painted(ann, line.review_id)
    ann.keyboard.press("a")
    ann.wait_for_url(re.compile(r"/\?did=approve"))
    site.call(c.SetPerson(handle="cyd@example.org", holds=(), active=False))
    released(site, line)
    assert rules(site) == before
    ann.goto(f"/reviews/{line.review_id}")
    assert "Nothing came of it" in ann.inner_text("#taken-back")
    assert "the rule twice asks for role:chief" in ann.inner_text("article.card")
    ben.goto("/requests")
    assert "Nothing came of it" in ben.inner_text("main")


def test_who_is_alone_is_marked(
    tmp_path: Path, browser: Browser, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nobody else could have decided; history, card and log say so."""
    folder = make_workspace(tmp_path / "work", refund=REFUND)
    with handrail.open(folder, desk=True) as hr:
        found = re.search(r"http://\S+/open\?key=\S+", capfd.readouterr().err)
        assert found is not None
        ruling = hr.submit("refund", facts={"order": "o1"}, proposal={"amount": 500})
        page = browser.new_page()
        page.goto(found[0])
        page.locator("#main a.item").first.click()
        painted(page, ruling.review_id)
        page.keyboard.press("a")
        page.wait_for_url(re.compile(r"did=approve"))
        page.goto(f"/reviews/{ruling.review_id}" if page.url == "" else
                  f"{page.url.split('/?')[0]}/reviews/{ruling.review_id}")  # fmt: skip
        assert "single person: nobody else could decide" in page.inner_text("article.card")
        page.close()
        (folder / "policies" / "refund.yaml").write_text(LOOSER, encoding="utf-8")
        place = ["-w", str(folder), "--as", "ann@example.org"]
        assert commands.run([*place, "policy", "list"]) == 0
        capfd.readouterr()
        assert commands.run([*place, "policy", "history", "refund"]) == 0
        said = capfd.readouterr().out
        assert said.count("single person: nobody else could approve") == 2
