"""The application: every resource, its errors, its health."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from handrail.app import Service
from handrail.model.errors import HandrailError
from handrail.server.api import HANDLERS
from handrail.server.endpoint import Desk
from handrail.server.identity import Identify, as_named
from handrail.server.logs import with_request_ids
from handrail.server.problems import on_crash, on_error, on_http_error
from handrail.server.schema import openapi

THREADS = 32
"""Commands under way at once. Writes wait for a shared commit, so more threads than cores pay."""


@get("/healthz", sync_to_thread=False)
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@get("/readyz")
async def readyz(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The store answers too."""
    desk: Desk = request.app.state.desk
    await desk.work(desk.service.ports.store.read, lambda tx: tx.now())
    return {"status": "ok" if desk.service.only_reads is None else "only reads"}


@get(["/schema", "/schema/openapi.json"], sync_to_thread=False)
def schema(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The OpenAPI document."""
    return Response(request.app.state.schema, media_type="application/vnd.oai.openapi+json")


def make_app(service: Service, *, identify: Identify = as_named) -> Litestar:
    """The application that answers for `service`; `identify` says who sends a request."""
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="handrail-server")

    def stop() -> None:
        executor.shutdown(wait=True)

    app = Litestar(
        route_handlers=[Router("/api/v1", route_handlers=HANDLERS), healthz, readyz, schema],
        state=State(
            {
                "desk": Desk(service=service, executor=executor, identify=identify),
                "schema": msgspec.json.encode(openapi()),
            }
        ),
        exception_handlers={
            HandrailError: on_error,
            HTTPException: on_http_error,
            Exception: on_crash,
        },
        on_shutdown=[stop],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
        debug=False,
    )
    # Around everything, so that an address which does not exist is named and logged too.
    app.asgi_handler = with_request_ids(app.asgi_handler)
    return app
