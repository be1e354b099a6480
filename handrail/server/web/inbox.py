"""The inbox: open reviews that ask this person, most urgent first."""

from __future__ import annotations

from litestar import get
from litestar.handlers import HTTPRouteHandler

from handrail.server.web.queue import LISTED, queue_of, undo_of
from handrail.server.web.site import Answer, Asked, Page, Site, Visit


def handlers(site: Site) -> list[HTTPRouteHandler]:
    """The handler of `/`."""

    @get("/", name="desk_inbox")
    async def show(request: Asked) -> Answer:
        return await site.show(request, lambda visit: inbox_page(visit, request))

    return [show]


def inbox_page(visit: Visit, request: Asked) -> Page:
    """The list, and the bar to undo what was decided last."""
    queue = queue_of(visit)
    return Page(
        "inbox.html",
        {
            "cards": queue.cards,
            "resting": queue.resting,
            "overdue": sum(
                1 for card in queue.cards if card.due is not None and card.due <= visit.now
            ),
            "full": len(queue.cards) + len(queue.resting) >= LISTED,
            "undo": undo_of(visit, request.query_params.get("was")),
        },
    )
