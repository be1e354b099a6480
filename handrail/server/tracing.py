"""OpenTelemetry, where it is wanted: a span a request and a span a use case, through one seam.

Without `HANDRAIL_TRACES` nothing is imported and nothing is made. What exports the spans is set up
by OpenTelemetry's own variables or by the program around us.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from litestar.types import Scope

from handrail.model.errors import Unavailable

Done = Callable[[int, str | None], None]
"""Told how a request ended: status, and name of the operation where it came to one."""


def _nothing(status: int, operation: str | None) -> None:
    return


class _Tracing:
    tracer: Any = None


def start_tracing() -> None:
    """Make spans from now on. Raises `Unavailable` where OpenTelemetry is not installed."""
    try:
        from opentelemetry import trace
    except ImportError as error:
        raise Unavailable(
            "HANDRAIL_TRACES is set and the package opentelemetry-api is not here; install it "
            "(and an exporter), or unset HANDRAIL_TRACES"
        ) from error
    _Tracing.tracer = trace.get_tracer("handrail")


def stop_tracing() -> None:
    """Make no spans any more."""
    _Tracing.tracer = None


def request_span(scope: Scope, request_id: str) -> AbstractContextManager[Done]:
    """Around one request."""
    return nullcontext(_nothing) if _Tracing.tracer is None else _request_span(scope, request_id)


@contextmanager
def _request_span(scope: Any, request_id: str) -> Iterator[Done]:
    from opentelemetry import trace
    from opentelemetry.propagate import extract

    carrier = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
    with _Tracing.tracer.start_as_current_span(
        scope["method"],
        context=extract(carrier),
        kind=trace.SpanKind.SERVER,
        attributes={
            "http.request.method": scope["method"],
            "url.path": scope["path"],
            "handrail.request": request_id,
        },
    ) as span:

        def done(status: int, operation: str | None) -> None:
            span.set_attribute("http.response.status_code", status)
            if operation is not None:
                span.update_name(f"{scope['method']} {operation}")
            if status >= 500:
                span.set_status(trace.StatusCode.ERROR)

        yield done


def use_case_span(name: str) -> AbstractContextManager[Any]:
    """Around one use case; `name` is its command's."""
    if _Tracing.tracer is None:
        return nullcontext()
    span: AbstractContextManager[Any] = _Tracing.tracer.start_as_current_span(
        f"handrail.{name}", attributes={"handrail.command": name}
    )
    return span
