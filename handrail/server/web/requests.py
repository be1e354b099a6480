"""What this person asked for or handed in: where it is, until when, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import get, post
from litestar.handlers import HTTPRouteHandler

from handrail.model.commands import DecisionView, ListDecisions, Withdraw
from handrail.server.web.site import Answer, Asked, Page, Site, Visit, to

LISTED = 100


def handlers(site: Site) -> list[HTTPRouteHandler]:
    """The handlers of `/requests` and of withdrawing."""

    @get("/requests", name="desk_requests")
    async def show(request: Asked) -> Answer:
        return await site.show(request, requests_page)

    @post("/decisions/{decision_id:str}/withdraw", name="desk_withdraw", status_code=200)
    async def withdraw(request: Asked) -> Answer:
        decision_id = request.path_params["decision_id"]

        def do(visit: Visit, form: Mapping[str, str]) -> tuple[str, Any]:
            outcome = visit.ask(Withdraw(decision_id=decision_id, reason=form.get("reason", "")))
            return to("/requests", did="withdrawn"), outcome

        return await site.act(request, do, requests_page)

    return [show, withdraw]


def requests_page(visit: Visit) -> Page:
    """What waits first, then what is over; each with the newest first."""
    found: list[DecisionView] = visit.ask(ListDecisions(mine=True, limit=LISTED))
    return Page(
        "requests.html",
        {
            "waiting": [view for view in found if view.outcome is None],
            "over": [view for view in found if view.outcome is not None],
        },
    )
