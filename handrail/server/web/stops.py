"""The stop button, which stands on every page for whoever may press it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import post
from litestar.handlers import HTTPRouteHandler

from handrail.model.commands import ClearStop, SetStop
from handrail.server.web.inbox import inbox_page
from handrail.server.web.site import Answer, Asked, Site, Visit, to


def handlers(site: Site) -> list[HTTPRouteHandler]:
    """The handlers of `/stops`."""

    @post("/stops", name="desk_stop", status_code=200)
    async def stop(request: Asked) -> Answer:
        def do(visit: Visit, form: Mapping[str, str]) -> tuple[str, Any]:
            workflow = form.get("workflow", "").strip() or "*"
            answer = visit.ask(SetStop(workflow=workflow, reason=form.get("reason", "")))
            return to("/", did="stopped"), answer

        return await site.act(request, do, lambda visit: inbox_page(visit, request))

    @post("/stops/clear", name="desk_start", status_code=200)
    async def start(request: Asked) -> Answer:
        def do(visit: Visit, form: Mapping[str, str]) -> tuple[str, Any]:
            answer = visit.ask(
                ClearStop(workflow=form.get("workflow", ""), reason=form.get("reason", ""))
            )
            return to("/", did="started"), answer

        return await site.act(request, do, lambda visit: inbox_page(visit, request))

    return [stop, start]
