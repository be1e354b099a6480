"""Text from strangers through every field of every page: nothing runs, nothing is hidden.

The same strings on a raw page are the control: there they do run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from handrail.model import commands as c
from handrail.model.errors import HandrailError
from tests.browser.rig import Site, Watch, approve, painted

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow]

RUNS = [
    "<script>window.fired=1</script>",
    "<img src=x onerror=window.fired=1>",
    '"><svg onload=window.fired=1>',
    "<svg/onload=window.fired=1>",
    "<details open ontoggle=window.fired=1>x</details>",
    "<iframe srcdoc='<script>parent.fired=1</script>'></iframe>",
    "<video><source onerror=window.fired=1></video>",
    "<input autofocus onfocus=window.fired=1>",
    "<style>@keyframes x{}</style><b style=animation-name:x onanimationstart=window.fired=1>x</b>",
    "</script><script>window.fired=1</script>",
    "<math><mtext><img src=x onerror=window.fired=1></mtext></math>",
    "<template><script>1</script></template><img src=x onerror=window.fired=1>",
]
"""Each of these runs on a raw page."""

QUIET = [
    "javascript:window.fired=1",
    "' onmouseover=window.fired=1 x='",
    '" autofocus onfocus=window.fired=1 x="',
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<form action=https://evil.example><button>Approve</button>",
    "<!-- </textarea></title></style></noscript> -->",
    "pay\u202e001$ \u2066\u200b\U000e0041\ufeff\u0000\x1b[2K",
    "Z" + "\u0301" * 30,
]
EVERYTHING = " ".join([*RUNS, *QUIET])


def test_on_a_raw_page_they_run(browser: Browser) -> None:
    for payload in RUNS:
        context = browser.new_context()
        page = context.new_page()
        page.route(
            "http://raw.example/**",
            lambda route, request, text=payload: route.fulfill(
                status=200 if request.url.endswith("/") else 404,
                body=f"<!doctype html><p>{text}</p>" if request.url.endswith("/") else "",
                content_type="text/html",
            ),
        )
        page.goto("http://raw.example/")
        page.wait_for_function("() => window.fired === 1")
        context.close()


@pytest.fixture(scope="module")
def hostile(running: Site) -> dict[str, str]:
    """A hostile string in every field there is; the pages that show them."""
    site = running
    for number, payload in enumerate(RUNS[:4]):
        site.submit(200, payload, facts={"note": payload}, proposal={"text": payload})
        handle = f"{payload[:150]}{number}"
        try:
            site.join(f"odd-{number}", "team:ops", handle=handle)
        except HandrailError:
            continue
    ruling = site.submit(
        200,
        EVERYTHING[:480],
        facts={"note": EVERYTHING, EVERYTHING[:100]: EVERYTHING},
        proposal={"text": EVERYTHING},
        requester=EVERYTHING[:190],
        confidence=0.5,
        model=EVERYTHING[:400],
        current={"amount": EVERYTHING, "text": EVERYTHING, EVERYTHING[:80]: 1},
        context={EVERYTHING: [EVERYTHING, {"x": EVERYTHING}]},
        links={EVERYTHING[:90]: EVERYTHING, "a": "javascript:window.fired=1", "b": 'https://e/"x'},
        alternatives=(EVERYTHING, {EVERYTHING: EVERYTHING}),
        key=EVERYTHING[:300],
    )
    review = ruling.review_id or ""
    site.call(c.Comment(review_id=review, comment=EVERYTHING), "ann")
    site.call(c.Ask(review_id=review, comment=EVERYTHING), "ben")
    site.call(c.Assign(review_id=review, to="team:ops"), "ann")
    two = site.submit(2000, "two", facts={"note": EVERYTHING})
    site.call(
        c.CastVote(
            review_id=two.review_id or "",
            said="approve",
            card=site.card(two).digest,
            comment=EVERYTHING,
        ),
        "ann",
    )
    failed = site.submit(20, EVERYTHING[:460])
    site.run(failed, error=EVERYTHING)
    watched = site.submit(60, EVERYTHING[:450], proposal={"text": EVERYTHING})
    outcome = site.run(watched)
    assert outcome.allowed
    site.call(c.Reverse(decision_id=watched.decision_id, reason=EVERYTHING[:900]), "ben")
    asked = site.submit(300, "asked", requester="rita@example.org", facts={"note": EVERYTHING})
    gone = site.submit(300, "gone", requester="rita@example.org", proposal={"text": EVERYTHING})
    site.call(c.Withdraw(decision_id=gone.decision_id, reason=EVERYTHING))
    site.call(c.SetStop(workflow="quick", reason=EVERYTHING[:990]), "ben")
    blind = site.submit(200, EVERYTHING[:440], "blind", facts={"note": EVERYTHING})
    return {
        "inbox": "/",
        "hostile": f"/reviews/{review}",
        "two": f"/reviews/{two.review_id}",
        "asked": f"/reviews/{asked.review_id}",
        "gone": f"/reviews/{gone.review_id}",
        "blind": f"/reviews/{blind.review_id}",
        "passed": "/passed",
        "doubts": "/doubts",
        "requests": "/requests",
        "nothing": "/reviews/%3Cimg%20src=x%20onerror=window.fired=1%3E",
        "flash": "/?did=%3Cscript%3E&was=%3Cscript%3E",
    }


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_nothing_runs_on_any_page(
    running: Site, browser: Browser, hostile: dict[str, str], scripts: bool
) -> None:
    wrong = []
    for who in ("ben", "rita"):
        context = running.context(browser, who, java_script_enabled=scripts)
        for name, path in hostile.items():
            page = context.new_page()
            watch = Watch(page, running.origin)
            page.goto(path)
            if scripts:
                for fold in page.query_selector_all("details"):
                    fold.evaluate("(fold) => { fold.open = true; }")
                page.wait_for_timeout(150)
                wrong += [f"{who} {name}: {problem}" for problem in watch.check()]
                odd = page.evaluate(ODD)
                wrong += [f"{who} {name}: {one}" for one in odd]
            else:
                wrong += [f"{who} {name}: {problem}" for problem in watch.problems]
            assert page.url.startswith(running.origin)
            page.close()
        context.close()
    assert not wrong, "\n".join(wrong)


ODD = """() => {
    const wrong = [];
    const hidden = new RegExp("[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad"
        + "\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]|\\udb40[\\udc00-\\udc7f]");
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode;
        if (node.parentElement.closest("textarea, input, script")) continue;
        const found = hidden.exec(node.data);
        if (found) wrong.push("hidden character " + found[0].codePointAt(0).toString(16));
    }
    for (const one of document.querySelectorAll("iframe, object, embed, base, video, math, style"))
        wrong.push("element " + one.outerHTML.slice(0, 80));
    for (const one of document.querySelectorAll("*"))
        for (const attribute of one.attributes)
            if (attribute.name.startsWith("on") || attribute.name === "style"
                || /^\\s*javascript:/i.test(attribute.value) && attribute.name === "href")
                wrong.push("attribute " + attribute.name);
    return wrong;
}"""


def test_what_is_typed_there_stays_text_in_what_scripts_show(
    running: Site, browser: Browser, hostile: dict[str, str]
) -> None:
    """Messages, undo bar and repainted cards, which scripts put on the page."""
    context = running.context(browser, "ben")
    page = context.new_page()
    watch = Watch(page, running.origin)
    ruling = running.submit(200, EVERYTHING[:430])
    page.goto(f"/reviews/{ruling.review_id}")
    painted(page, ruling.review_id)
    page.keyboard.press("c")
    page.wait_for_selector("#comment[open]")
    page.fill("#comment textarea", EVERYTHING)
    page.click("#comment button")
    page.wait_for_function("() => document.getElementById('say').textContent.includes('added')")
    painted(page, ruling.review_id)
    page.keyboard.press("m")
    page.wait_for_selector("#assign[open]")
    page.fill("#assign input[name=to]", "person:" + "<img src=x onerror=window.fired=1>\u202e")
    page.click("#assign button")
    page.wait_for_selector("#alert:not([hidden])")
    other = running.submit(200, EVERYTHING[:420])
    page.goto(f"/reviews/{other.review_id}")
    painted(page, other.review_id)
    approve(page)
    page.wait_for_selector("#undo:not([hidden])")
    page.wait_for_timeout(300)
    assert watch.check() == []
    assert page.evaluate(ODD) == []
    context.close()
