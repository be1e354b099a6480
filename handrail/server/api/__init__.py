"""One resource a file; `ROUTES` says where each command lives."""

from litestar.handlers import HTTPRouteHandler

from handrail.server.api import (
    access,
    audit,
    decisions,
    events,
    feedback,
    grants,
    people,
    policies,
    reviews,
    stops,
)

HANDLERS: list[HTTPRouteHandler] = [
    *decisions.handlers,
    *events.handlers,
    *grants.handlers,
    *reviews.handlers,
    *stops.handlers,
    *people.handlers,
    *feedback.handlers,
    *access.handlers,
    *policies.handlers,
    *audit.handlers,
]
"""Every handler under `/api/v1`."""
