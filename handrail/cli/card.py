"""A review as a person reads it, in the fixed order.

What happens → why it is held, with value and threshold → recommendation and confidence → if
approved, if rejected → money, reach, reversibility → what changes → deadline → similar cases.
Everything else comes after these. All text of others goes through `visible`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from handrail.cli.screen import span, time_of, value_text, visible
from handrail.model.modes import ReviewStatus
from handrail.model.review import Card
from handrail.review.quorum import in_words

LABEL = 9
"""Width of the column of labels."""
SENTENCE = 400
"""Longest sentence shown above; the whole of it stands below, under IN FULL."""


class Painted(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of a card at one width."""

    lines: list[Text]
    key_lines: int
    """How many of them a person must have had in view before deciding."""


def paint(
    card: Card,
    *,
    width: int,
    now: int,
    similar: Mapping[str, int] | None = None,
    me: str | None = None,
) -> Painted:
    """The card at `width` cells. `now` is µs UTC; `similar` counts verdicts on the same rules.

    `me` is who looks, so that a seat of their own is not shown as somebody else's.
    """
    page = _Page(width)
    severity = str(card.severity) if card.severity else "-"
    page.add("WHAT", _cut(card.what), style="bold")
    _why(page, card)
    _recommendation(page, card)
    page.add("IF YES", visible(card.if_approved) or "it goes on as proposed")
    page.add("IF NO", visible(card.if_rejected) or "it does not go on")
    page.add("STAKES", _stakes(card))
    key_lines = len(page.lines)
    for name, before, after in card.diff:
        page.add("CHANGES", f"{visible(name)}: {value_text(before)} → {value_text(after)}")
    page.add("DUE", _deadline(card, now, me))
    page.add("SIMILAR", _similar(similar))
    page.add("ABOUT", f"{visible(card.workflow)}, {card.mode}, severity {severity}, {card.review}")
    if card.requester:
        page.add("FROM", visible(card.requester))
    for vote in card.votes:
        page.add("VOTE", _vote(vote))
    for name, value in card.facts.items():
        page.add("FACTS", f"{visible(name)} = {value_text(value)}")
    if card.context is not None:
        page.add("CONTEXT", value_text(card.context))
    for name, address in card.links.items():
        page.add("LINK", f"{visible(name)}: {visible(address)}")
    if card.alternatives:
        page.add("ALSO", "; ".join(value_text(other) for other in card.alternatives))
    for sentence in (card.what, *card.why):
        if len(sentence) > SENTENCE:
            page.add("IN FULL", visible(sentence))
    return Painted(lines=page.lines, key_lines=key_lines)


class _Page:
    """Lines with a column of labels; a label that stands already is not repeated."""

    def __init__(self, width: int) -> None:
        self._width = max(20, width - LABEL)
        self._console = Console(width=self._width)
        self._last = ""
        self.lines: list[Text] = []

    def add(self, label: str, text: str, *, style: str = "") -> None:
        wrapped = Text(text, style=style).wrap(self._console, self._width, overflow="fold")
        for number, line in enumerate(wrapped or [Text("")]):
            first = number == 0 and label != self._last
            head = Text(f"{label if first else '':<{LABEL}}", style="dim")
            line.rstrip()
            self.lines.append(head + line)
        self._last = label


def _cut(text: str) -> str:
    shown = visible(text)
    if len(shown) <= SENTENCE:
        return shown
    return f"{shown[:SENTENCE]}… ({len(text):,} characters, see IN FULL)"


def _why(page: _Page, card: Card) -> None:
    if card.blind:
        page.add("WHY", "You sit blind here: no reason and no proposal until you have voted")
        return
    for number, sentence in enumerate(card.why):
        rule = card.rules[number] if number < len(card.rules) else None
        page.add("WHY", _cut(sentence) + (f" [{_rule(rule)}]" if rule else ""))
    for sentence in card.unknown:
        page.add("WHY", f"unknown: {_cut(sentence)}")
    if not card.why and not card.unknown:
        page.add("WHY", "no reason is stored")


def _rule(rule: Mapping[str, Any]) -> str:
    """Rule, severity, and each comparison as value and threshold."""
    terms = "; ".join(
        value_text(term.get("left"))
        if term.get("op") == "is"
        else f"{value_text(term.get('left'))} {term.get('op')} {value_text(term.get('right'))}"
        for term in rule.get("terms", ())
    )
    head = f"{visible(str(rule.get('rule')))}, {rule.get('severity')}"
    return f"{head}: {terms}" if terms else head


def _recommendation(page: _Page, card: Card) -> None:
    if card.blind:
        return
    sets = ", ".join(
        f"{visible(name)} = {value_text(value)}" for name, value in (card.proposal or {}).items()
    )
    parts = [f"proposes {sets}" if sets else "proposes to go on"]
    if isinstance(card.confidence, Mapping):
        each = ", ".join(f"{visible(n)} {v:.0%}" for n, v in card.confidence.items())
        parts.append(f"confidence {each}")
    elif card.confidence is not None:
        parts.append(f"confidence {card.confidence:.0%}")
    else:
        parts.append("no confidence given")
    if card.model:
        parts.append(visible(card.model))
    page.add("ADVICE" if card.mode == "in_command" else "MACHINE", " · ".join(parts))


def _stakes(card: Card) -> str:
    reach = f"{card.attached:,} decisions" if card.attached != 1 else "1 decision"
    return " · ".join(
        [
            f"money {visible(card.money)}" if card.money else "money not declared",
            reach,
            "can be reversed" if card.reversible else "CANNOT be reversed",
        ]
    )


def _deadline(card: Card, now: int, me: str | None) -> str:
    parts: list[str] = []
    if card.status is not ReviewStatus.OPEN:
        who = visible(card.decided_by) if card.decided_by else "nobody"
        parts.append(f"{card.status}: {card.verdict} by {who} at {time_of(card.decided_at)}")
        if card.taken_back is not None:
            parts.append(f"NOTHING CAME OF IT: {visible(card.taken_back, lines=True)}")
    elif card.due is None:
        parts.append("no deadline")
    elif card.due <= now:
        parts.append(f"OVERDUE by {span(now - card.due)}")
    else:
        parts.append(f"in {span(card.due - now)}")
    parts.append("asked: " + (", ".join(visible(name) for name in card.to) or "nobody"))
    if card.approvals and card.status is ReviewStatus.OPEN:
        parts.append("needs " + visible(", ".join(in_words(card.approvals, {}))))
    if card.holder and (me is None or card.holder.casefold() != me.casefold()):
        parts.append(f"with {visible(card.holder)}")
    if card.snoozed_until and card.snoozed_until > now:
        parts.append(f"snoozed for {span(card.snoozed_until - now)}")
    if card.behind:
        parts.append(f"waits behind {card.behind}")
    return " · ".join(parts)


def _similar(similar: Mapping[str, int] | None) -> str:
    if not similar:
        return "nothing was decided on these rules lately"
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(similar.items()))
    return f"lately on the same rules: {counts}"


def _vote(vote: Mapping[str, Any]) -> str:
    text = f"{visible(str(vote.get('by')))} said {vote.get('said')}"
    if vote.get("reason"):
        text += f" ({visible(str(vote['reason']))})"
    if vote.get("comment"):
        text += f": {visible(str(vote['comment']))}"
    return text
