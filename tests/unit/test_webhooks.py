"""Receiving a webhook: only what is signed, fresh and an outcome."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook

from handrail import webhooks
from handrail.errors import BadInput, Refused
from handrail.model.modes import Verdict
from handrail.model.outcome import Outcome

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
OUTCOME: Outcome[Any] = Outcome(
    decision_id="d_1",
    verdict=Verdict.APPROVED,
    approved={"amount": "5.00"},
    at=1,
    digest="sha256:0",
    release_at=1,
    released=True,
    grant_id="g_1",
)


def body(data: Any = OUTCOME, type_: str = "decision.outcome") -> bytes:
    return msgspec.json.encode({"type": type_, "timestamp": "2026-11-21T08:00:00Z", "data": data})


def signed(content: bytes, *, secret: str = SECRET, age: float = 0.0) -> dict[str, str]:
    at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age)
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("msg_1", at, content.decode()),
    }


def test_a_signed_outcome_is_read() -> None:
    content = body()
    for given in (content, content.decode()):
        outcome = webhooks.receive(given, signed(content), secret=SECRET)
        assert outcome == OUTCOME
        assert outcome.value == {"amount": "5.00"}


def test_one_of_two_signatures_is_enough() -> None:
    content = body()
    headers = signed(content)
    old = signed(content, secret="whsec_" + base64.b64encode(b"o" * 24).decode())
    headers["Webhook-Signature"] = f"{old['Webhook-Signature']} {headers['Webhook-Signature']}"
    assert webhooks.receive(content, headers, secret=SECRET) == OUTCOME


@pytest.mark.parametrize(
    "change",
    [
        {"Webhook-Signature": ""},
        {"Webhook-Signature": "v1,AAAA"},
        {"Webhook-Signature": "v1,not base64"},
        {"Webhook-Signature": "v1"},
        {"Webhook-Signature": "v1,a,b"},
        {"Webhook-Timestamp": "soon"},
        {"Webhook-Timestamp": "nan"},
        {"Webhook-Id": "msg_2"},
    ],
)
def test_a_signature_that_does_not_hold(change: dict[str, str]) -> None:
    content = body()
    with pytest.raises(Refused, match="not signed as it must be"):
        webhooks.receive(content, {**signed(content), **change}, secret=SECRET)


def test_tampered_old_early_or_of_another() -> None:
    content = body()
    other = "whsec_" + base64.b64encode(b"o" * 24).decode()
    for given, headers in [
        (content.replace(b"5.00", b"9.00"), signed(content)),
        (content, signed(content, age=400)),
        (content, signed(content, age=-400)),
        (content, signed(content, secret=other)),
        (content, {}),
        (b"\xff", signed(content)),
    ]:
        with pytest.raises(Refused):
            webhooks.receive(given, headers, secret=SECRET)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"not json", "not JSON"),
        (b"[]", "is no outcome"),
        (body(type_="review.opened"), "expected 'decision.outcome'"),
        (body({"verdict": "approved"}), "is no outcome"),
        (body()[:-1] + b',"type":"x"}', "stands twice"),
    ],
)
def test_signed_but_no_outcome(content: bytes, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        webhooks.receive(content, signed(content), secret=SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_é", b""])
def test_a_secret_that_cannot_be_one(secret: Any) -> None:
    with pytest.raises(BadInput, match="secret cannot be read"):
        webhooks.receive(body(), {}, secret=secret)
