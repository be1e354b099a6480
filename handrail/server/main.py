"""The application: every resource, its errors, its health; on the network with what guards it."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar.config.app import AppConfig
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from handrail.app import Service
from handrail.model.commands import WhoAmI
from handrail.model.errors import HandrailError
from handrail.server.api import HANDLERS
from handrail.server.endpoint import Desk, work_on
from handrail.server.front import Front, Guarding, Tokens
from handrail.server.identity import ByCredential, Identify, as_named
from handrail.server.limits import Buckets
from handrail.server.logs import with_request_ids
from handrail.server.metrics import Metrics, metrics
from handrail.server.problems import on_crash, on_error, on_http_error
from handrail.server.stream import Stream, stream
from handrail.server.submits import Submits

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


@get("/", name="home", sync_to_thread=False)
def home() -> Redirect:
    """Where a build without a desk sends people."""
    return Redirect("/account", status_code=303)


@get(["/schema", "/schema/openapi.json"])
async def schema(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The OpenAPI document, for who is known."""
    desk: Desk = request.app.state.desk
    front: Front | None = request.app.state.front
    if front is not None and not front.dev:
        await desk.work(desk.service.call, WhoAmI(), await desk.actor(request))
    if request.app.state.schema is None:
        request.app.state.schema = await desk.work(_schema)
    return Response(request.app.state.schema, media_type="application/vnd.oai.openapi+json")


def _schema() -> bytes:
    from handrail.server.schema import openapi  # with its examples, and only where it is wanted

    return msgspec.json.encode(openapi())


class Plain(Litestar):
    """The framework without what it loads on its own account where it happens to be installed.

    Left alone it imports pydantic and OpenTelemetry at each start, and nothing here uses them. A
    test holds this to what a start loads.
    """

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]

    @staticmethod
    def _patch_opentelemetry_middleware(config: AppConfig) -> AppConfig:
        return config


def make_app(
    service: Service, *, identify: Identify = as_named, front: Front | None = None
) -> Litestar:
    """The application that answers for `service`.

    Without `front` it is the one of the workspace's own socket, and `identify` says who sends a
    request. With it, it is the one of the network: credentials say who, pages are there for
    people, and nothing reaches a handler that `handrail.server.front` did not let through.
    """
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="handrail-server")
    submits = Submits(service, partial(work_on, executor))
    handlers: list[ControllerRouterHandler] = [
        Router("/api/v1", route_handlers=[*HANDLERS, stream]),
        healthz,
        readyz,
        schema,
    ]
    settings = service.ports.settings
    if front is not None:
        identify = ByCredential(service.ports)
        handlers += [metrics, *_pages(service, identify, front)]
    desk = Desk(service=service, executor=executor, submits=submits, identify=identify)
    live = Stream(service, desk.work)
    counted = Metrics(service)

    def stop() -> None:
        live.close()
        submits.close()
        executor.shutdown(wait=True)

    app = Plain(
        route_handlers=handlers,
        state=State(
            {"desk": desk, "front": front, "schema": None, "stream": live, "metrics": counted}
        ),
        exception_handlers={
            HandrailError: on_error,
            HTTPException: on_http_error,
            Exception: on_crash,
        },
        on_startup=[counted.begin],
        on_shutdown=[stop],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
        debug=False,
    )
    # Around everything, so that an address which does not exist is guarded, named and logged too.
    if front is not None:
        assert isinstance(identify, ByCredential)
        known = identify.remembered
        app.asgi_handler = Guarding(
            app.asgi_handler,
            front,
            Tokens(service.ports.secret),
            addresses=Buckets(rate=settings.address_rate, burst=settings.address_rate * 10),
            credentials=Buckets(rate=settings.credential_rate, burst=settings.credential_rate * 4),
            known=lambda secret: known(secret) is not None,
            page=_page_of,
        )
    app.asgi_handler = with_request_ids(
        app.asgi_handler, counted.seen if front is not None else None
    )
    return app


def _page_of(problem: dict[str, Any]) -> bytes:
    from handrail.server.auth.paper import trouble

    return trouble(problem)


def _pages(service: Service, identify: Identify, front: Front) -> list[ControllerRouterHandler]:
    """Pages for people: signing in, and the desk where this build has one."""
    from handrail.server.auth import pages

    found: list[ControllerRouterHandler] = list(pages(service, front))
    if importlib.util.find_spec("handrail.server.web") is not None:
        web = importlib.import_module("handrail.server.web")
        found += web.pages(service, identify)
    else:
        found.append(home)
    return found
