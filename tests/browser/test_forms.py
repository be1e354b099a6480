"""The desk without scripts: what a page shows, what a form does, what a GET never does."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from handrail.model import commands as c
from handrail.model.modes import GrantState
from handrail.server.web import POLICY
from tests.browser.rig import Site, form_token


def send(http: httpx.Client, path: str, **fields: Any) -> httpx.Response:
    """Send a form as a browser without scripts does: with the token of a page it has loaded."""
    token = form_token(http.get("/").text)
    return http.post(path, data={"csrf_token": token, **fields})


def card_of(html: str) -> str:
    found = re.search(r'name="card" value="([^"]+)"', html)
    assert found is not None
    return found[1]


def outcome(site: Site, decision_id: str) -> Any:
    return site.call(c.WaitOutcome(decision_id=decision_id))


def test_the_inbox_lists_what_asks_me_most_urgent_first(site: Site) -> None:
    site.submit(20, "low", facts={"note": "be nice"})
    high = site.submit(200, "high")
    site.submit(20, "passed")
    with site.http("ann") as http:
        page = http.get("/").text
    assert page.index("Refund high") < page.index("Refund low")
    assert "200 USD is over the approved 100 USD" in page
    assert "Refund passed" not in page
    assert f'href="/reviews/{high.review_id}"' in page
    with site.http("rita") as http:
        assert "Nothing waits for you." in http.get("/").text


def test_the_card_has_its_parts_in_the_fixed_order(site: Site) -> None:
    ruling = site.submit(
        700,
        "order-1",
        confidence=0.91,
        model="payer@2",
        current={"amount": 10},
        links={"Order": "https://shop.example/o/1", "Trap": "javascript:alert(1)"},
    )
    with site.http("ann") as http:
        page = http.get(f"/reviews/{ruling.review_id}").text
    parts = (
        "What happens",
        "Why it is held",
        "700 USD is over the approved 100 USD",
        "amount &gt; 100",
        "Recommendation",
        "confidence <bdi>91 %",
        "If approved",
        "If rejected",
        "At stake",
        "Money: <bdi>700.00 USD",
        "Cannot be reversed",
        "What changes",
        "Deadline",
        "Similar",
    )
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
    assert 'href="https://shop.example/o/1" target="_blank" rel="noopener' in page
    assert 'href="javascript' not in page


def test_approve_reject_and_edit_by_plain_forms(site: Site) -> None:
    first, second, third = (site.submit(200, f"o{n}") for n in range(3))
    with site.http("ann") as http:
        page = http.get(f"/reviews/{first.review_id}").text
        answer = send(
            http, f"/reviews/{first.review_id}/verdict", said="approve", card=card_of(page)
        )
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"/reviews/{second.review_id}?")
        after = http.get(answer.headers["location"]).text
        assert "Approved." in after
        assert f'action="/reviews/{first.review_id}/undo"' in after
        page = http.get(f"/reviews/{second.review_id}").text
        answer = send(
            http,
            f"/reviews/{second.review_id}/verdict",
            said="reject",
            card=card_of(page),
            reason="fraud",
            comment="two\r\nlines",
        )
        assert answer.status_code == 303
        page = http.get(f"/reviews/{third.review_id}").text
        path = f"/reviews/{third.review_id}/verdict"
        edit = {"said": "edit", "card": card_of(page), "reason": "wrong", "edit:text": ""}
        wrong = send(http, path, **edit, **{"edit:amount": "lots"})
        assert wrong.status_code == 422 or wrong.status_code == 400
        assert "lots" in wrong.text and 'role="alert"' in wrong.text
        answer = send(http, path, **edit, **{"edit:amount": "150.5"})
        assert answer.status_code == 303
        answer = send(http, f"/reviews/{first.review_id}/undo")
        assert answer.headers["location"] == f"/reviews/{first.review_id}?did=undone"
    assert site.card(first).status == "open"
    rejected = site.call(c.GetReview(review_id=second.review_id or ""), "ann")
    assert rejected.verdict == "rejected"
    assert rejected.votes[0]["comment"] == "two\nlines"
    assert site.card(third).verdict == "edited"
    assert site.card(third).proposal == {"amount": "150.50"}


def test_who_comes_second_is_told_who_won_what_and_when(site: Site) -> None:
    ruling = site.submit(200, "race")
    path = f"/reviews/{ruling.review_id}"
    with site.http("ann") as ann, site.http("ben") as ben:
        seen = card_of(ann.get(path).text), card_of(ben.get(path).text)
        won = send(ann, f"{path}/verdict", said="approve", card=seen[0])
        lost = send(ben, f"{path}/verdict", said="reject", card=seen[1], reason="fraud")
        assert won.status_code == 303
        assert lost.status_code == 409
        assert "approved by ann@example.org at 20" in lost.text
        page = ben.get(path).text
        assert re.search(r'id="verdict">approved by <bdi>ann@example\.org</bdi>, <time', page)
        assert 'class="acts"' not in page


def test_a_card_that_has_moved_is_shown_anew(site: Site) -> None:
    ruling = site.submit(2000, "moves")
    path = f"/reviews/{ruling.review_id}"
    with site.http("ann") as http:
        old = card_of(http.get(path).text)
        site.vote(ruling, "edit", "ben", edits={"amount": 1500})
        answer = send(http, f"{path}/verdict", said="approve", card=old)
        assert answer.status_code == 409
        assert "has moved since you saw it" in answer.text
        assert card_of(answer.text) != old


@pytest.mark.ledger("A-102")
def test_a_blind_seat_is_never_sent_the_answer(site: Site) -> None:
    ruling = site.submit(
        776.5, "unseen", "blind", confidence=0.987, facts={"note": "plain"}, model="secret@7"
    )
    with site.http("ann") as http:
        for path in ("/", f"/reviews/{ruling.review_id}", "/passed", "/requests"):
            page = http.get(path).text
            for answer in ("776.5", "98.7", "0.987", "secret@7", "over the approved"):
                assert answer not in page, path
        page = http.get(f"/reviews/{ruling.review_id}").text
        assert "You judge first" in page
        assert "plain" in page
        send(
            http,
            f"/reviews/{ruling.review_id}/verdict",
            said="reject",
            card=card_of(page),
            reason="fraud",
        )
        assert "776.50" in http.get(f"/reviews/{ruling.review_id}").text


def test_what_is_cut_has_to_be_opened_before_it_is_approved(site: Site) -> None:
    ruling = site.submit(200, "long", proposal={"text": "word " * 200 + "and the end"})
    path = f"/reviews/{ruling.review_id}"
    with site.http("ann") as http:
        page = http.get(path).text
        assert "Open the full text" in page
        assert "and the end" in page
        said = {"said": "approve", "card": card_of(page)}
        assert send(http, f"{path}/verdict", **said).status_code == 422
        assert site.card(ruling).status == "open"
        assert send(http, f"{path}/verdict", **said, read="on").status_code == 303


@pytest.mark.ledger("A-045")
def test_in_command_there_is_no_approving_as_it_stands(site: Site) -> None:
    ruling = site.submit(9000, "huge")
    path = f"/reviews/{ruling.review_id}"
    with site.http("ben") as http:
        page = http.get(path).text
        assert 'id="approve"' not in page
        assert "<h2>Advice of the machine</h2>" in page and "Recommendation" not in page
        assert 'name="edit:amount" value=""' in page
        assert send(http, f"{path}/verdict", said="approve", card=card_of(page)).status_code == 422
        answer = send(
            http,
            f"{path}/verdict",
            **{"said": "edit", "card": card_of(page), "edit:amount": "9000", "reason": "other"},
        )
        assert answer.status_code == 303


def test_a_vote_that_needs_another_stands(site: Site) -> None:
    ruling = site.submit(2000, "two-eyes")
    path = f"/reviews/{ruling.review_id}"
    with site.http("ann") as ann, site.http("ben") as ben:
        page = ann.get(path).text
        assert "Still needed" in page and "role:head" in page
        answer = send(ann, f"{path}/verdict", said="approve", card=card_of(page))
        assert "Your vote stands" in ann.get(answer.headers["location"]).text
        assert 'id="approve"' not in ann.get(path).text
        page = ben.get(path).text
        assert "<bdi>ann@example.org</bdi> approved" in page
        done = send(ben, f"{path}/verdict", said="approve", card=card_of(page))
        assert done.status_code == 303
    assert site.card(ruling).verdict == "approved"


def test_a_spot_check_asks_whether_it_was_right(site: Site) -> None:
    ruling = site.submit(20, "looked-at-later", "checked")
    assert ruling.passed
    with site.http("ann") as http:
        assert "spot check" in http.get("/").text
        page = http.get(f"/reviews/{ruling.review_id}").text
        assert "Why it is checked" in page and "approve if it was right" in page
        path = f"/reviews/{ruling.review_id}/verdict"
        answer = send(http, path, said="reject", card=card_of(page), reason="wrong")
        assert answer.status_code == 303
    assert outcome(site, ruling.decision_id).verdict == "passed"


def test_every_other_act_by_plain_forms(site: Site) -> None:
    ruling = site.submit(200, "acts", requester="rita@example.org")
    path = f"/reviews/{ruling.review_id}"
    with site.http("ann") as http, site.http("rita") as asker:
        assert send(http, f"{path}/ask", comment="Which account?").status_code == 303
        assert "Which account?" in asker.get(path).text
        back = send(asker, f"{path}/comments", comment="The old one.", back="/requests")
        assert back.headers["location"] == "/requests?did=comment"
        page = http.get(path).text
        assert "The old one." in page and "rita@example.org</bdi> wrote" in page
        assert send(http, f"{path}/snooze", seconds="900").status_code == 303
        assert "1 review rests" in http.get("/").text
        assert send(http, f"{path}/snooze", seconds="soon").status_code == 400
        assert send(http, f"{path}/assign", to="ben@example.org").status_code == 303
    with site.http("ben") as http:
        assert send(http, f"{path}/escalate", reason="other", to="role:head").status_code == 303
        assert "escalated it to" in http.get(path).text


def test_the_requester_sees_where_it_is_and_can_withdraw(site: Site) -> None:
    ruling = site.submit(200, "mine", requester="rita@example.org")
    site.submit(200, "not-mine")
    with site.http("rita") as http:
        page = http.get("/requests").text
        assert "mine" in page and "not-mine" not in page
        assert "Waits for <bdi>team:ops" in page
        card = http.get(f"/reviews/{ruling.review_id}").text
        assert 'id="approve"' not in card and 'id="comment"' in card
        site.call(c.Claim(review_id=ruling.review_id), "ann")
        assert "ann@example.org</bdi> has it" in http.get("/requests").text
        blank = send(http, f"/decisions/{ruling.decision_id}/withdraw", reason=" ")
        assert blank.status_code == 400 and "say why" in blank.text
        done = send(http, f"/decisions/{ruling.decision_id}/withdraw", reason="found it")
        assert done.headers["location"] == "/requests?did=withdrawn"
        assert "withdrawn" in http.get("/requests").text
        decided = site.submit(200, "decided-1", requester="rita@example.org")
        site.vote(decided, "approve", "ann")
        page = http.get("/requests").text
        assert "approved</span>" in page and "final at <time" in page


def test_what_passed_is_watched_and_reversed(site: Site) -> None:
    watched, plain = site.submit(60, "watched-1"), site.submit(20, "plain-1")
    ran = site.submit(70, "watched-2")
    site.run(ran)
    with site.http("ben") as http:
        page = http.get("/passed").text
        assert page.index("On the loop") < page.index("watched-1") < page.index("Automatic")
        assert page.index("Automatic") < page.index("plain-1")
        done = send(http, f"/decisions/{watched.decision_id}/reverse", reason="no such order")
        assert done.headers["location"] == "/passed?did=reversed_void"
        asked = send(http, f"/decisions/{ran.decision_id}/reverse", reason="paid twice")
        assert asked.headers["location"] == "/passed?did=reversed_held"
        page = http.get("/passed").text
        assert "taken back" in page
        found = re.search(r'<a href="(/reviews/[^"]+)">reversal asked for</a>', page)
        assert found is not None
        card = http.get(found[1]).text
        assert "Undo Refund watched-2" in card and "paid twice" in card
        assert 'id="edit"' not in card
    grant = site.call(c.GetDecision(decision_id=watched.decision_id)).grant
    assert grant.state is GrantState.VOID
    with site.http("ann") as http:
        page = http.get("/passed").text
        assert "watched-1" in page and "plain-1" not in page
        inbox = http.get("/").text
        assert "Undo Refund watched-2" in inbox
    assert plain.passed


def test_a_run_in_doubt_is_settled_by_a_person(site: Site) -> None:
    ruling = site.submit(20, "odd")
    failed = site.run(ruling, error="the bank said <maybe>")
    with site.http("ben") as http:
        page = http.get("/doubts").text
        assert "the bank said &lt;maybe&gt;" in page
        path = f"/grants/{failed.grant_id}/resolve"
        assert send(http, path, answer="perhaps", note="x").status_code == 400
        assert send(http, path, answer="happened", note="").status_code == 400
        assert send(http, path, answer="happened", note="it is on the statement").status_code == 303
        assert "odd" not in http.get("/doubts").text
    with site.http("ann") as http:
        assert http.get("/doubts").status_code == 403


def test_the_stop_button_stands_on_every_page_for_who_may(site: Site) -> None:
    paths = ("/", "/passed", "/requests", "/doubts")
    with site.http("ben") as http, site.http("ann") as other:
        assert all('action="/stops"' in http.get(path).text for path in paths)
        assert 'action="/stops"' not in other.get("/").text
        done = send(http, "/stops", workflow="refund", reason="fraud <wave>")
        assert done.status_code == 303
        page = other.get("/").text
        assert "<bdi>refund</bdi> is stopped" in page
        assert "fraud &lt;wave&gt;" in page and "ben@example.org" in page
        assert 'action="/stops/clear"' not in page
        assert site.submit(20, "stopped").lane == "hold"
        assert send(other, "/stops/clear", workflow="refund", reason="x").status_code == 403
        assert send(http, "/stops/clear", workflow="refund", reason="over").status_code == 303
        assert "is stopped" not in other.get("/").text


def test_looking_changes_nothing(site: Site) -> None:
    ruling = site.submit(200, "looked-at", requester="rita@example.org")
    paths = ["/", "/passed", "/requests", "/doubts", f"/reviews/{ruling.review_id}"]
    before = site.log_size()
    with site.http("ben") as http:
        for _ in range(5):
            for path in paths:
                assert http.get(path).status_code == 200
                assert http.head(path).status_code in (200, 405)
        for verb in ("verdict", "seat", "undo", "escalate", "snooze", "assign", "comments", "ask"):
            assert http.get(f"/reviews/{ruling.review_id}/{verb}").status_code in (404, 405)
    assert site.log_size() == before
    assert site.card(ruling).holder is None


def test_a_form_from_elsewhere_does_nothing(site: Site) -> None:
    ruling = site.submit(200, "forged")
    path = f"/reviews/{ruling.review_id}/verdict"
    with site.http("ann") as http:
        card = card_of(http.get(f"/reviews/{ruling.review_id}").text)
        fields = {"said": "approve", "card": card}
        assert http.post(path, data=fields).status_code == 403
        token = form_token(http.get("/").text)
        forged = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        assert (
            http.post(path, data={**fields, "csrf_token": token}, headers=forged).status_code == 403
        )
        with site.http("ben") as other:
            foreign = form_token(other.get("/").text)
        assert http.post(path, data={**fields, "csrf_token": foreign}).status_code == 403
        twice = f"said=approve&said=reject&card={card}&csrf_token={token}"
        kind = {"content-type": "application/x-www-form-urlencoded"}
        assert http.post(path, content=twice, headers=kind).status_code == 400
        assert http.post(path, json=fields, headers={"x-csrf-token": token}).status_code == 415
    assert site.card(ruling).status == "open"


def test_who_is_not_signed_in_is_sent_to_sign_in(site: Site) -> None:
    with httpx.Client(base_url=site.origin, headers={"accept": "text/html"}) as http:
        for path in ("/", "/passed", "/reviews/r_x?y=1"):
            answer = http.get(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/sign-in")


def test_what_one_may_not_see_is_not_there(site: Site) -> None:
    ruling = site.submit(200, "hidden-order")
    with site.http("rita") as http:
        answer = http.get(f"/reviews/{ruling.review_id}")
        made_up = http.get("/reviews/r_" + "0" * 26)
    assert answer.status_code == made_up.status_code == 404
    assert "hidden-order" not in answer.text
    assert answer.text.replace(ruling.review_id or "", "r_" + "0" * 26) == made_up.text


def test_every_page_carries_the_policy_and_may_not_be_kept(site: Site) -> None:
    ruling = site.submit(200, "headers")
    with site.http("ben") as http:
        pages = ["/", "/passed", "/requests", "/doubts", f"/reviews/{ruling.review_id}"]
        for path in [*pages, "/reviews/r_none"]:
            answer = http.get(path)
            assert answer.headers["content-security-policy"] == POLICY, path
            assert answer.headers["cache-control"] == "no-store", path
            assert answer.headers["x-content-type-options"] == "nosniff", path
            assert "style=" not in answer.text and "onclick" not in answer.text, path
            for script in re.findall(r"<script([^>]*)>", answer.text):
                assert "src=" in script or 'type="application/json"' in script, path
    assert "unsafe" not in POLICY


def test_static_files_are_small_and_kept_for_ever(site: Site) -> None:
    with site.http("ann") as http:
        page = http.get("/").text
        found = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
        kept = [http.get(path) for path in dict.fromkeys(found)]
        assert all(answer.status_code == 200 for answer in kept)
        assert all("immutable" in answer.headers["cache-control"] for answer in kept)
        version = found[0].split("/")[2]
        scripts = re.findall(r'from "\./(\w+\.js)"', http.get(f"/static/{version}/desk.js").text)
        size = sum(len(http.get(f"/static/{version}/{name}").content) for name in scripts)
        assert 0 < size < 150_000
        assert http.get("/static/other/desk.css").headers["cache-control"] == "no-store"
        assert http.get(f"/static/{version}/..%2f__init__.py").status_code == 404
        assert http.get(f"/static/{version}/nothing.js").status_code == 404


def test_a_json_schema_is_a_form_of_fitting_fields(site: Site) -> None:
    ruling = site.submit(200, "shape", "shaped", proposal={"channel": "display"})
    path = f"/reviews/{ruling.review_id}"
    with site.http("ann") as http:
        page = http.get(path).text
        for part in (
            (
                r'<input name="edit:amount" value="200.00" type="number"[^>]* step="0.01" '
                r'min="10" max="500"'
            ),
            r'<input name="edit:start" value="" type="date"',
            r"Daily budget",
            r"What a day may cost",
            r'<option value="display" selected disabled><bdi>display</bdi></option>',
            r'<option value="search"><bdi>Search ads</bdi></option>',
            (
                r'<select name="edit:paused">\s*<option value=""></option>\s*'
                r'<option value="true">yes</option>'
            ),
        ):
            assert re.search(part, page), part
        vote = {"said": "edit", "card": card_of(page), "reason": "wrong", "edit:channel": "social"}
        wrong = send(http, f"{path}/verdict", **vote, **{"edit:amount": "400"})
        assert wrong.status_code == 422
        assert "is missing; the schema requires it" in wrong.text
        assert 'value="400"' in wrong.text, "what was entered stays"
        assert site.card(ruling).status == "open"
        fits = {"edit:amount": "400", "edit:start": "2027-03-01", "edit:paused": "false"}
        assert send(http, f"{path}/verdict", **vote, **fits).status_code == 303
    assert site.card(ruling).proposal == {
        "amount": "400.00",
        "channel": "social",
        "start": "2027-03-01",
        "paused": False,
    }


def test_a_form_of_who_is_signed_out_says_that_nothing_was_saved(site: Site) -> None:
    ruling = site.submit(200, "late-form")
    page = f"/reviews/{ruling.review_id}"
    site.join("uma", "team:ops")
    with site.http("uma") as http:
        token = form_token(http.get(page).text)
        site.call(c.SetPerson(handle="uma@example.org", holds=(), active=False))
        fields = {"csrf_token": token, "comment": "x"}
        answer = http.post(f"{page}/comments", data=fields, headers={"referer": site.origin + page})
    assert answer.status_code == 401
    assert "What you sent was not saved." in answer.text
    assert f'href="/sign-in?next={page}"' in answer.text
