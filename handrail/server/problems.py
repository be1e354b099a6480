"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from handrail.model.errors import HandrailError
from handrail.model.problem import CONTENT_TYPE, problem_of
from handrail.server.logs import say


def _response(request: Request[Any, Any, Any], problem: dict[str, Any]) -> Response[bytes]:
    problem["request"] = request.scope["state"].get("request_id")
    headers = {}
    if problem["status"] == 401:
        headers["www-authenticate"] = "Bearer"
    if "retry_after" in problem:
        headers["retry-after"] = str(problem["retry_after"])
    if problem["status"] == 413:
        headers["connection"] = "close"  # the rest of the body is not read
    return Response(
        msgspec.json.encode(problem),
        media_type=CONTENT_TYPE,
        status_code=problem["status"],
        headers=headers,
    )


def on_error(request: Request[Any, Any, Any], error: HandrailError) -> Response[bytes]:
    """One of ours, with its details."""
    return _response(request, problem_of(error))


def on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """No such path or method."""
    return _response(
        request,
        {
            "type": "about:blank",
            "title": "No such address" if error.status_code == 404 else "Not possible here",
            "status": error.status_code,
            "detail": f"{request.method} {request.url.path}: {error.detail}; see /schema",
        },
    )


def on_crash(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A mistake of ours: the log has it whole, the answer only the request's id."""
    say(logging.ERROR, "crash", error, request=request.scope["state"].get("request_id"))
    return _response(
        request,
        {
            "type": "about:blank",
            "title": "Error in the server",
            "status": 500,
            "detail": "the server met an error of its own; its log has it under this request id",
        },
    )
