"""What passed without waiting for a person: watched, and reversed where it was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import get, post
from litestar.handlers import HTTPRouteHandler

from handrail.model.commands import (
    DecisionView,
    GetDecision,
    ListDecisions,
    Reversal,
    Reverse,
)
from handrail.model.errors import HandrailError
from handrail.model.modes import Mode
from handrail.server.web.site import Answer, Asked, Page, Site, Visit, to

LISTED = 100


def handlers(site: Site) -> list[HTTPRouteHandler]:
    """The handlers of `/passed` and of the reversal."""

    @get("/passed", name="desk_passed")
    async def show(request: Asked) -> Answer:
        return await site.show(request, passed_page)

    @post("/decisions/{decision_id:str}/reverse", name="desk_reverse", status_code=200)
    async def reverse(request: Asked) -> Answer:
        decision_id = request.path_params["decision_id"]

        def do(visit: Visit, form: Mapping[str, str]) -> tuple[str, Any]:
            made: Reversal = visit.ask(
                Reverse(decision_id=decision_id, reason=form.get("reason", ""))
            )
            did = "reversed_void" if made.ruling is None else "reversed_held"
            return to("/passed", did=did), made

        return await site.act(request, do, passed_page)

    return [show, reverse]


def passed_page(visit: Visit) -> Page:
    """On the loop first, each list with the newest first."""
    found: list[DecisionView] = visit.ask(ListDecisions(lane="pass", limit=LISTED))
    reversals = [view.reversed_by for view in found if view.reversed_by is not None]
    return Page(
        "passed.html",
        {
            "lists": [
                (name, [view for view in found if (view.ruling.mode is Mode.ON_THE_LOOP) is loop])
                for name, loop in (("watched.loop", True), ("watched.auto", False))
            ],
            "may_reverse": visit.may(Reverse),
            "asked": {name: _review_of(visit, name) for name in reversals},
        },
    )


def _review_of(visit: Visit, decision_id: str) -> str | None:
    """The review of a reversal; None where this person may not see it."""
    try:
        view: DecisionView = visit.ask(GetDecision(decision_id=decision_id))
    except HandrailError:
        return None
    return view.review["id"] if view.review is not None else None
