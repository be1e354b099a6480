"""A program that asked to be called gets its outcome, signed, over a real connection."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import handrail
from handrail.model import commands as c
from handrail.model.errors import BadInput
from handrail.model.people import Actor
from handrail.settings import Settings
from handrail.webhooks import receive

POLICY = """
handrail: 1
workflow: refund
title: Refund
owners: [team:owners]
subject: order
fields:
  order: string
  amount: {type: decimal, places: 2, unit: EUR, min: 0, from: proposal}
otherwise: auto
rules:
  - id: large
    when: amount > 100
    because: Refund {amount} is over 100
route:
  - {to: team:refunds, sla: 4h, silence: block}
review:
  reasons: {wrong: Wrong amount}
  edit: [amount]
  undo: 0s
cases:
  - name: small
    facts: {order: o1}
    proposal: {amount: 20}
    fires: []
    lane: pass
"""


def wait_for(truth: Any, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not truth():
        if time.monotonic() > until:
            pytest.fail("it did not happen")
        time.sleep(0.01)


@pytest.mark.ledger("A-091")
def test_an_approved_decision_calls_back_and_a_failure_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[tuple[dict[str, str], bytes]] = []
    answers = iter([500, 200, 200])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(next(answers))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("HANDRAIL_CALLBACK_ALLOW", "127.0.0.1/32")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "refund.yaml").write_text(POLICY)
    address = f"http://127.0.0.1:{server.server_address[1]}/hook"
    with handrail.open(tmp_path) as hr:
        ruling = hr.submit(
            "refund", facts={"order": "1"}, proposal={"amount": 200}, callback=address
        )
        card = hr.call(c.GetReview(review_id=ruling.review_id))
        hr.call(
            c.CastVote(review_id=ruling.review_id or "", said="approve", card=card.digest),
            Actor(name="ann", program=False),
        )
        outcome = hr.wait(ruling, timeout=120)
        wait_for(lambda: len(got) == 2)
        secret = (tmp_path / "keys" / "webhook").read_text().strip()
        (first, body), (second, again) = got
        assert first["webhook-id"] == second["webhook-id"]
        assert body == again
        assert receive(again, second, secret=secret) == outcome
        with pytest.raises(BadInput, match="no web address"):
            hr.submit("refund", facts={"order": "2"}, proposal={"amount": 2}, callback="ftp://x/")
    server.shutdown()
    server.server_close()


def test_the_allow_list_is_a_setting() -> None:
    from handrail.settings import read_settings

    read = read_settings({"HANDRAIL_CALLBACK_ALLOW": "10.0.0.0/8, hooks.internal"})
    assert read.callback_allow == ("10.0.0.0/8", "hooks.internal")
    assert read_settings({}) == Settings()
