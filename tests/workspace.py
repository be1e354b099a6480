"""A workspace with one small policy, for tests that open one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from handrail.client import Client
from handrail.model.commands import CastVote, GetReview, Voted
from handrail.model.people import Actor
from handrail.model.ruling import Ruling

REFUND = """\
handrail: 1
workflow: refund
title: Refund
owners: [team:ops]
subject: order
if_open: queue
fields:
  order: string
  note: {type: string, optional: true}
  amount: {type: decimal, places: 2, unit: USD, min: 0, from: proposal}
stakes: {money: amount, reversible: false}
otherwise: auto
rules:
  - id: over-limit
    when: amount > 100
    because: "{amount} is over the approved 100 USD"
  - id: absurd
    when: amount > 100000
    then: refuse
    because: "{amount} is more than any order"
route:
  - {to: team:ops, sla: 4h, clock: always, silence: block}
review:
  reasons: {wrong: Wrong amount, fraud: Fraud}
  edit: [amount]
  if_approved: "{amount} is paid back"
  if_rejected: Nothing is paid
  undo: 0s
cases:
  - {name: small, facts: {order: a}, proposal: {amount: 100}, fires: [], lane: pass}
  - {name: large, facts: {order: a}, proposal: {amount: 100.01}, fires: [over-limit], lane: hold}
"""
"""Passes up to 100, holds up to 100,000, refuses above."""

ANN = Actor(name="ann@example.com", program=False)


def make_workspace(folder: Path, **policies: str) -> Path:
    """A workspace folder with these policies, or `REFUND`."""
    place = folder / "policies"
    place.mkdir(parents=True, exist_ok=True)
    for name, text in (policies or {"refund": REFUND}).items():
        (place / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def vote(hr: Client, ruling: Ruling, said: str, *, by: Actor = ANN, **more: Any) -> Voted:
    """Decide a held decision as a person does: look at the card, then say."""
    assert ruling.review_id is not None
    card = hr.call(GetReview(review_id=ruling.review_id), by)
    more.setdefault("reason", None if said == "approve" else "wrong")
    command = CastVote(review_id=ruling.review_id, said=said, card=card.digest, **more)  # type: ignore[arg-type]
    answer = hr.call(command, by)
    assert isinstance(answer, Voted)
    return answer


def program(code: str, *arguments: str, **more: Any) -> subprocess.Popen[str]:
    """Another Python process that runs `code`, with `sys.argv[1:]` as given."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        **more,
    )
