"""Runs that nobody can vouch for, until a person says what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import get, post
from litestar.handlers import HTTPRouteHandler

from handrail.model.commands import ListDoubts, Resolve
from handrail.model.errors import BadInput
from handrail.server.web.site import Answer, Asked, Page, Site, Visit, to


def handlers(site: Site) -> list[HTTPRouteHandler]:
    """The handlers of `/doubts` and of settling one."""

    @get("/doubts", name="desk_doubts")
    async def show(request: Asked) -> Answer:
        return await site.show(request, doubts_page)

    @post("/grants/{grant_id:str}/resolve", name="desk_resolve", status_code=200)
    async def resolve(request: Asked) -> Answer:
        grant_id = request.path_params["grant_id"]

        def do(visit: Visit, form: Mapping[str, str]) -> tuple[str, Any]:
            answer = form.get("answer")
            if answer not in ("happened", "again", "never"):
                raise BadInput(f"is {answer!r}; expected happened, again or never", "/answer")
            grant = visit.ask(
                Resolve(grant_id=grant_id, answer=answer, note=form.get("note", ""))  # type: ignore[arg-type]
            )
            return to("/doubts", did="settled"), grant

        return await site.act(request, do, doubts_page)

    return [show, resolve]


def doubts_page(visit: Visit) -> Page:
    """The longest in doubt first."""
    return Page(
        "doubts.html",
        {"found": visit.ask(ListDoubts(limit=100)), "may_settle": visit.may(Resolve)},
    )
