"""The receiving end of Handrail's webhooks: check the signature, read the outcome.

Messages follow Standard Webhooks 1.0 (https://www.standardwebhooks.com): headers `webhook-id`,
`webhook-timestamp` and `webhook-signature`, body `{"type", "timestamp", "data"}`. They are
delivered at least once: the same outcome may arrive twice, and its grant is still single-use.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
import standardwebhooks

from handrail.model.decoding import convert
from handrail.model.errors import BadInput, Refused
from handrail.model.outcome import Outcome
from handrail.model.wire import read_json

OUTCOME = "decision.outcome"
"""`type` of a message that carries an outcome."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a webhook."""

    type: str
    timestamp: str
    data: Any


def receive(body: bytes | str, headers: Mapping[str, str], *, secret: str | bytes) -> Outcome[Any]:
    """The outcome of a webhook whose signature holds.

    `body` is the request's body exactly as it came, `headers` its headers, `secret` the one the
    receiver was given (`whsec_…`). Raises `Refused` where the signature is missing, wrong or older
    than five minutes, and `BadInput` where what was signed is not an outcome.
    """
    try:
        check = standardwebhooks.Webhook(secret)
    except (ValueError, RuntimeError, standardwebhooks.webhooks.EmptyWebhookSecretError) as error:
        raise BadInput(
            "the webhook secret cannot be read; expected whsec_ and base64, as it was handed out",
            "/secret",
        ) from error
    try:
        check.verify(body, dict(headers), json_parse=False)
    except (standardwebhooks.WebhookVerificationError, ValueError, binascii.Error) as error:
        # ValueError: a header that is not even in the form of a signature.
        raise Refused(
            f"the webhook is not signed as it must be ({error}); nothing in it was used: check "
            "the secret, the clocks, and that the body is passed on unchanged"
        ) from error
    document = read_json(body)
    try:
        message = convert(document, Message)
        if message.type != OUTCOME:
            raise BadInput(f"the message is a {message.type!r}; expected {OUTCOME!r}", "/type")
        return convert(message.data, Outcome[Any])
    except msgspec.ValidationError as error:
        raise BadInput(f"the signed body is no outcome: {error}") from error


__all__ = ["receive"]
