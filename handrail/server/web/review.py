"""The card of one review, and everything that a person does to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler

from handrail.bulk.cells import read_cell
from handrail.model.commands import (
    Ask,
    Assign,
    CastVote,
    Claim,
    Command,
    Comment,
    Escalate,
    GetReview,
    ListDecisions,
    Seated,
    Snooze,
    Undo,
    Voted,
)
from handrail.model.decoding import convert
from handrail.model.errors import BadInput
from handrail.model.modes import Mode
from handrail.model.policy import Field, Input
from handrail.model.review import Card
from handrail.model.text import value_text
from handrail.model.versions import POLICY_CHANGE
from handrail.review.quorum import in_words
from handrail.server.web.paper import is_long
from handrail.server.web.queue import AHEAD, can_undo, queue_of, undo_of
from handrail.server.web.site import Answer, Asked, Page, Site, Visit, text_of, to, wants_json

LEASE = 60.0
"""Seconds a seat is kept. A page takes one once it is painted, and renews it while in view."""
SIMILAR = 100
"""Held decisions of the workflow that ended last, among which similar ones are counted."""
SNOOZES = (900, 3600, 14400, 86400)
ACTS = (CastVote, Escalate, Ask, Snooze, Assign, Comment)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the form for an edit."""

    field: Field
    input: Input
    text: str
    """What stands in it; empty where the person enters the value without seeing one."""
    now: Any = None

    @property
    def step(self) -> str:
        """Step of a number field. A browser counts steps from `min`, and we count from 0."""
        step, low = self.input.step, self.input.low
        if step is None or (low is not None and Decimal(low) % Decimal(step)):
            return "any"
        return step


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a proposed version of a policy does, in the parts its card shows."""

    reason: str
    changes: list[str]
    """What differs, in sentences."""
    decides: bool
    """Whether other decisions may pass."""
    effects: list[str]
    """Cases that come out otherwise, in words."""
    cases: int
    cases_changed: int
    warnings: list[str]
    evidence: str | None
    owners: str | None
    """Who is asked because the owners change; None where they stay."""
    rolls_back: bool
    base: str | None
    version: str

    @property
    def sentences(self) -> list[str]:
        """All that is to be read before it is approved."""
        said = [self.reason, *self.changes, *self.effects, *self.warnings]
        return said + [text for text in (self.evidence, self.owners) if text]


def handlers(site: Site) -> list[HTTPRouteHandler]:
    """The handlers of `/reviews/{id}`."""

    @get("/reviews/{review_id:str}", name="desk_review")
    async def show(request: Asked) -> Answer:
        review_id = request.path_params["review_id"]
        return await site.show(request, lambda visit: card_page(visit, review_id, request))

    @post("/reviews/{review_id:str}/seat", name="desk_seat", status_code=200)
    async def seat(request: Asked) -> Answer:
        review_id = request.path_params["review_id"]

        def do(visit: Visit, form: Mapping[str, str]) -> tuple[str, Any]:
            seated: Seated = visit.ask(Claim(review_id=review_id, lease_seconds=LEASE))
            return f"/reviews/{review_id}", {
                "token": seated.token,
                "digest": seated.card.digest,
                "until": seated.lease_until,
            }

        return await site.act(request, do, lambda visit: card_page(visit, review_id, request))

    @post("/reviews/{review_id:str}/verdict", name="desk_verdict", status_code=200)
    async def verdict(request: Asked) -> Answer:
        review_id = request.path_params["review_id"]
        entered: dict[str, str] = {}

        def do(visit: Visit, form: Mapping[str, str]) -> tuple[str, Any]:
            entered.update(form)
            command = vote_of(visit.ask(GetReview(review_id=review_id)), form)
            # A script knows what follows; only a page without one is led on.
            following = None if wants_json(request) else queue_of(visit, AHEAD).after(review_id)
            voted: Voted = visit.ask(command)
            did = command.said if voted.decided else "waits"
            was = review_id if voted.undo_until else None
            return to(f"/reviews/{following}" if following else "/", did=did, was=was), voted

        def back(visit: Visit) -> Page:
            return card_page(visit, review_id, request, entered=entered)

        return await site.act(request, do, back)

    def act(name: str, make: Callable[[str, Mapping[str, str]], Command]) -> HTTPRouteHandler:
        """An act after which the person goes on (or stays, where the review stays theirs)."""

        @post(f"/reviews/{{review_id:str}}/{name}", name=f"desk_{name}", status_code=200)
        async def handle(request: Asked) -> Answer:
            review_id = request.path_params["review_id"]

            def do(visit: Visit, form: Mapping[str, str]) -> tuple[str, Any]:
                command = make(review_id, form)
                following = queue_of(visit, AHEAD).after(review_id)
                visit.ask(command)
                place = review_id if name in STAYS else following
                path = f"/reviews/{place}" if place else "/"
                if form.get("back") in BACK:
                    path = form["back"]
                did = {"comments": "comment", "undo": "undone"}.get(name, name)
                return to(path, did=did), {"review": review_id}

            return await site.act(request, do, lambda visit: card_page(visit, review_id, request))

        return handle

    return [
        show,
        seat,
        verdict,
        act("undo", lambda review, form: Undo(review_id=review)),
        act(
            "escalate",
            lambda review, form: Escalate(
                review_id=review,
                reason=form.get("reason", ""),
                to=tuple(name.strip() for name in form.get("to", "").split(",") if name.strip()),
                comment=text_of(form, "comment"),
            ),
        ),
        act("ask", lambda review, form: Ask(review_id=review, comment=form.get("comment", ""))),
        act(
            "snooze",
            lambda review, form: Snooze(review_id=review, seconds=_seconds(form.get("seconds"))),
        ),
        act("assign", lambda review, form: Assign(review_id=review, to=form.get("to", ""))),
        act(
            "comments",
            lambda review, form: Comment(review_id=review, comment=form.get("comment", "")),
        ),
    ]


STAYS = ("ask", "comments", "undo")
"""Acts after which the person stays at the card."""
BACK = ("/requests",)
"""Pages a form may ask to go back to."""


def _seconds(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise BadInput(f"{text!r} is no number of seconds; choose one of the buttons") from None


# ------------------------------------------------------------------------------ the page


def card_page(
    visit: Visit, review_id: str, request: Asked, *, entered: Mapping[str, str] | None = None
) -> Page:
    """The card as this person may see it. Looking changes nothing and takes no seat."""
    card: Card = visit.ask(GetReview(review_id=review_id))
    queue = queue_of(visit, AHEAD)
    names = queue.names
    place = names.index(review_id) if review_id in names else None
    acts = frozenset(card.may)
    return Page(
        "review.html",
        {
            "card": card,
            "may": acts,
            "entries": entries_of(card, entered or {}),
            "must_read": must_read(card),
            "change": change_of(card),
            "similar": similar_to(visit, card),
            "needs": _needs(card),
            "place": None if place is None else place + 1,
            "all": len(names),
            "previous": names[place - 1] if place is not None and len(names) > 1 else None,
            "following": queue.after(review_id),
            "snoozes": SNOOZES,
            "undo": card
            if can_undo(visit, card)
            else undo_of(visit, request.query_params.get("was")),
            "data": {
                "review": card.review,
                "digest": card.digest,
                "status": card.status.value,
                "round": card.round,
                "decides": "CastVote" in acts,
                "queue": names,
                "me": visit.me.name,
            },
        },
    )


def _needs(card: Card) -> list[str]:
    """Approvals still missing, where they are more than any one of those who are asked."""
    any_one = len(card.approvals) == 1 and card.approvals[0].count == 1
    if any_one and set(card.approvals[0].of) == set(card.to):
        return []
    return in_words(card.approvals, {})


def entries_of(card: Card, entered: Mapping[str, str]) -> list[Entry]:
    """The form of what may be edited."""
    found = []
    inputs = {one.name: one for one in card.inputs}
    for name in card.editable:
        field = convert(card.fields.get(name, {"name": name, "kind": "string"}), Field)
        now = _at(card.proposal or {}, name)
        shown = "" if now is None or enters_unseen(card) else _plain(now)
        text = entered.get(f"edit:{name}", shown)
        found.append(Entry(field=field, input=inputs[name], text=text, now=now))
    return found


def enters_unseen(card: Card) -> bool:
    """Whether the person enters the values themselves, instead of changing shown ones."""
    return card.blind or card.mode == Mode.IN_COMMAND.value


def change_of(card: Card) -> Change | None:
    """The change that a card of the workflow `policy-change` is about; None for any other card."""
    facts, proposal = card.facts, card.proposal
    if card.workflow != POLICY_CHANGE or proposal is None:
        return None
    return Change(
        reason=facts["reason"],
        changes=facts["changes"],
        decides=facts["decides"],
        effects=facts.get("effects") or [],
        cases=facts["cases"],
        cases_changed=facts["cases_changed"],
        warnings=facts.get("warnings") or [],
        evidence=facts.get("evidence"),
        owners=facts["asked"] if facts["owners_change"] and facts.get("base") else None,
        rolls_back=facts["rolls_back"],
        base=facts.get("base"),
        version=proposal["version"],
    )


def must_read(card: Card) -> bool:
    """Whether something of what would run is cut on the card, and has to be opened first."""
    change = change_of(card)
    why = card.why if change is None else change.sentences
    parts: list[Any] = [*why, *card.unknown, card.if_approved, card.if_rejected]
    parts += (card.proposal or {}).values()
    parts += [part for change in card.diff for part in change[1:]]
    return any(is_long(part) for part in parts)


def similar_to(visit: Visit, card: Card) -> dict[str, int]:
    """How held decisions ended lately on which one of the same rules fired."""
    rules = {str(rule.get("rule")) for rule in card.rules}
    if not rules or not visit.may(ListDecisions):
        return {}
    found = visit.ask(
        ListDecisions(workflow=card.workflow, lane="hold", state="done", limit=SIMILAR)
    )
    return dict(
        Counter(
            view.outcome.verdict.value
            for view in found
            if view.outcome is not None and rules & {fired.rule for fired in view.ruling.fired}
        )
    )


# ------------------------------------------------------------------------------ the vote


def vote_of(card: Card, form: Mapping[str, str]) -> CastVote:
    """The vote that a form says. Raises `BadInput` with a pointer."""
    said = form.get("said")
    if said not in ("approve", "edit", "reject"):
        raise BadInput(f"is {said!r}; expected approve, edit or reject", "/said")
    if said != "reject" and "read" not in form and must_read(card):
        raise BadInput(
            "part of this card is cut; open the full text and say that you have read it",
            "/read",
            status=422,
        )
    edits = edits_of(card, form) if said == "edit" else {}
    if said == "edit" and not edits:
        raise BadInput("nothing was changed; enter a value, or approve", "/edits", status=422)
    return CastVote(
        review_id=card.review,
        said=said,  # type: ignore[arg-type]
        card=form.get("card", ""),
        reason=text_of(form, "reason"),
        comment=text_of(form, "comment"),
        edits=edits,
        token=text_of(form, "token"),
        seconds=_taken(form.get("seconds")),
    )


def _taken(text: str | None) -> float | None:
    try:
        return round(float(text), 3) if text else None
    except ValueError:
        return None


def edits_of(card: Card, form: Mapping[str, str]) -> dict[str, Any]:
    """The entered values that differ from those shown, nested as their names say."""
    edits: dict[str, Any] = {}
    for entry in entries_of(card, {}):
        name = entry.field.name
        text = form.get(f"edit:{name}")
        if text is None or text.strip() == entry.text.strip():
            continue
        at = edits
        *parents, last = name.split(".")
        for parent in parents:
            at = at.setdefault(parent, {})
        at[last] = read_cell(entry.field, text)
    return edits


def _at(values: Mapping[str, Any], name: str) -> Any:
    """The value at a dotted name; None where there is none."""
    found: Any = values
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def _plain(value: Any) -> str:
    """A value as it is typed: no thousands apart."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value if isinstance(value, str) else value_text(value)
