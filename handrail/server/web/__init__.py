"""The desk: the pages on which people decide, watch, ask and stop.

    paper.py    templates and static files      site.py     what every page shares
    words.py    every visible string            queue.py    what waits for a person
    inbox.py    /                               review.py   /reviews/{id} and all acts on it
    watched.py  /passed                         requests.py /requests
    doubts.py   /doubts                         stops.py    the stop button

Everything works by plain forms; the scripts in `static/` make it fast and live. A GET changes
nothing: a seat is taken by a script once the card is painted, never by looking.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get

from handrail.app import Service
from handrail.model.errors import HandrailError, NotFound
from handrail.server.identity import Identify
from handrail.server.web import doubts, inbox, requests, review, stops, watched
from handrail.server.web.paper import POLICY, Paper
from handrail.server.web.site import HEADERS, Site

YEAR_SECONDS = 31_536_000


def pages(service: Service, identify: Identify) -> list[Router]:
    """The handlers of the desk's pages, for the application to mount at its root."""
    site = Site(service=service, identify=identify, paper=Paper())

    @get("/static/{version:str}/{name:str}", name="desk_static", sync_to_thread=False)
    def static(request: Request[Any, Any, Any]) -> Response[bytes]:
        version, name = request.path_params["version"], request.path_params["name"]
        asset = site.paper.assets.get(name)
        if asset is None:
            raise NotFound(f"no file {name!r} belongs to these pages")
        kept = f"public, max-age={YEAR_SECONDS}, immutable"
        return Response(
            asset.content,
            media_type=asset.media,
            headers={
                **HEADERS,
                "cache-control": kept if version == site.paper.version else "no-store",
            },
        )

    def sorry(request: Request[Any, Any, Any], error: HandrailError) -> Response[bytes]:
        return site.sorry(request, error)

    return [
        Router(
            "/",
            route_handlers=[
                static,
                *inbox.handlers(site),
                *review.handlers(site),
                *watched.handlers(site),
                *requests.handlers(site),
                *doubts.handlers(site),
                *stops.handlers(site),
            ],
            exception_handlers={HandrailError: sorry},
        )
    ]


__all__ = ["POLICY", "pages"]
