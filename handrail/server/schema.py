"""The OpenAPI document, made from the tables that place the commands and say who may send them.

Each operation says under `x-handrail-access` what it takes to be let through, from the very rules
that are asked: a test plays every role against every operation and compares.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec

import handrail
from handrail.access import COMMAND_RIGHTS, RIGHTS, SCOPES, Rule, Tie, Way
from handrail.model.commands import ROUTES, Command, Record, Submit, SubmitBatch
from handrail.model.problem import CONTENT_TYPE
from handrail.server.endpoint import OPEN
from handrail.server.examples import EXAMPLES
from handrail.server.metrics import CONTENT_TYPE as METRICS_TYPE

_PATH_FIELD = re.compile(r"\{(\w+)\}")

PROBLEMS = {
    400: "Bad input; `pointer` says where",
    401: "Not known: no token or session was shown, or it holds no longer",
    403: "Refused: a right is missing, or the gate or stop button said no",
    404: "Not there, or not for who asks",
    405: "Not possible with this method",
    409: "Conflict: somebody or something was first; `winner`, `receipt` or `ruling` say what",
    413: "Too large",
    415: "Not JSON",
    421: "The server does not go by this name",
    422: "Understood, and not valid under the policy; `problems` lists every one",
    429: "Too many requests; `Retry-After` says when again",
    500: "An error of the server's own",
    503: "Cannot be answered now; never means that something is allowed",
    504: "No outcome within the time asked for",
}

SECURITY: dict[str, Any] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "hrt_…",
        "description": "An API token; scopes: "
        + "; ".join(f"`{name}`: {scope.says}" for name, scope in SCOPES.items()),
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-handrail-session",
        "description": "A person's session. Requests that change something carry the form's token "
        "in the header `X-CSRF-Token`.",
    },
}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457 problem document. Further members tell details: pointer, winner, receipt …"""

    type: str
    title: str
    status: int
    detail: str
    request: str | None = None
    """Id of the request, which the server's log has too."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """That it answers."""

    status: str


def openapi() -> dict[str, Any]:
    """OpenAPI 3.1 of everything a program may call."""
    kinds = list(ROUTES)
    answers = [ROUTES[kind].answer for kind in kinds if ROUTES[kind].answer is not None]
    schemas, components = msgspec.json.schema_components(
        [Problem, Health, *kinds, *answers], ref_template="#/components/schemas/{name}"
    )
    problem, health = schemas[:2]
    by_kind = dict(zip(kinds, schemas[2:], strict=False))
    by_answer = iter(schemas[2 + len(kinds) :])
    paths: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        route = ROUTES[kind]
        answer = None if route.answer is None else next(by_answer)
        paths.setdefault(f"/api/v1{route.path}", {})[route.method.lower()] = _operation(
            kind, by_kind[kind], answer, components
        )
    paths |= _others(health)
    responses = {
        str(status): {
            "description": text,
            "content": {CONTENT_TYPE: {"schema": problem}},
            **(
                {"headers": {"Retry-After": {"schema": {"type": "integer"}}}}
                if status == 429
                else {}
            ),
        }
        for status, text in PROBLEMS.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Handrail",
            "version": handrail.__version__,
            "description": "Decisions of AI systems, held for people where people change outcomes. "
            "Errors are RFC 9457 problem documents.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": responses,
            "securitySchemes": SECURITY,
        },
    }


def access(rule: Rule) -> dict[str, Any]:
    """A rule of access as the document tells it."""
    return {
        "ways": [
            {"right": way.right, "says": RIGHTS[way.right], **_tie(way.tie)} for way in rule.ways
        ],
        "people_only": rule.people,
        "not_own": rule.not_own,
        "within_limits": rule.within_limits,
        "hidden_unless": None if rule.sees is None else rule.sees.__name__,
    }


def _tie(tie: Tie | None) -> dict[str, str]:
    return {} if tie is None else {"tie": tie.value}


def _may(right: str) -> dict[str, Any]:
    return access(Rule(ways=(Way(right),)))


def _responses(description: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "200": {"description": description, "content": content},
        **{str(status): {"$ref": f"#/components/responses/{status}"} for status in PROBLEMS},
    }


def _others(health: dict[str, Any]) -> dict[str, Any]:
    """What is no command: the stream, the counters, health, this document."""

    def get(name: str, text: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "get": {
                "operationId": name,
                "summary": text,
                "responses": _responses("Done", content),
                **more,
            }
        }

    plain = {"schema": {"type": "string"}}
    told = {"application/json": {"schema": health}}
    index = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
    return {
        "/api/v1/stream": get(
            "Stream",
            "Server-sent events: what happens, told to whom it concerns",
            {"text/event-stream": plain},
            parameters=[
                {
                    "name": "after",
                    "in": "query",
                    "required": False,
                    "schema": index,
                    "description": "Tell what came after this audit index too",
                },
                {
                    "name": "Last-Event-ID",
                    "in": "header",
                    "required": False,
                    "schema": index,
                    "description": "As `after`; browsers send it by themselves",
                },
            ],
            **{"x-handrail-access": _may("account.see")},
        ),
        "/metrics": get(
            "Metrics",
            "Counters and gauges, as OpenMetrics",
            {METRICS_TYPE: plain},
            **{"x-handrail-access": _may("metrics.read")},
        ),
        "/schema": get(
            "Schema",
            "This document",
            {"application/vnd.oai.openapi+json": {"schema": {"type": "object"}}},
            **{"x-handrail-access": _may("account.see")},
        ),
        "/healthz": get(
            "Health", "The process answers", told, security=[], **{"x-handrail-access": None}
        ),
        "/readyz": get(
            "Ready", "The store answers too", told, security=[], **{"x-handrail-access": None}
        ),
    }


def _operation(
    kind: type[Command],
    schema: dict[str, Any],
    answer: dict[str, Any] | None,
    components: dict[str, Any],
) -> dict[str, Any]:
    route = ROUTES[kind]
    body = components[schema["$ref"].rpartition("/")[2]]
    in_path = _PATH_FIELD.findall(route.path)
    summary, _, description = (inspect.getdoc(kind) or kind.__name__).partition("\n")
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": body["properties"][name]}
        for name in in_path
    ]
    operation: dict[str, Any] = {
        "operationId": kind.__name__,
        "summary": summary,
        "tags": [route.path.split("/")[1]],
        "parameters": parameters,
        "responses": _responses("Done", {"application/json": {"schema": answer or _NULL}}),
        "x-handrail-access": access(COMMAND_RIGHTS[kind]),
    }
    if description.strip():
        operation["description"] = description.strip()
    if kind in OPEN:
        operation["security"] = []
    if route.method == "GET":
        needed = body.get("required", ())
        parameters += [
            {"name": name, "in": "query", "required": name in needed, "schema": _plain(field)}
            for name, field in body["properties"].items()
            if name not in in_path
        ]
        return operation
    if kind is Submit:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "description": "Instead of `key` in the body",
            }
        )
    # Fields that stand in the path need not be repeated in the body.
    fields = {name: field for name, field in body["properties"].items() if name not in in_path}
    needed = [name for name in body.get("required", ()) if name not in in_path]
    if in_path:
        schema = {
            "type": "object",
            "properties": fields,
            "required": needed,
            "additionalProperties": False,
        }
    content: dict[str, Any] = {"schema": schema, "example": EXAMPLES[kind]}
    operation["requestBody"] = {
        "required": bool(needed),
        "content": {"application/json": content},
    }
    if kind is SubmitBatch:
        operation["description"] = (
            "The answer has one item a row, in order: its ruling, or the problem document of what "
            "was wrong with it. A wrong row stores nothing and stops no other."
        )
    if kind is Record:
        operation["description"] = (
            "The answer has one item a row, in order: `recorded`, `repeated` (it was there before, "
            "and is not counted again), `late` (older than what is kept) or `bad`, with the "
            "problem document of what was wrong with it. A bad row stores nothing and stops no "
            "other."
        )
    return operation


_NULL = {"type": "null"}


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """A field as a query carries it: there is no null in an address, it is left out."""
    if "anyOf" in field:
        kinds = [one for one in field["anyOf"] if one.get("type") != "null"]
        field = {**{k: v for k, v in field.items() if k not in ("anyOf", "default")}, **kinds[0]}
    return field
