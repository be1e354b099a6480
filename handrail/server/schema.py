"""The OpenAPI document, made from the same table that places the commands."""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec

import handrail
from handrail.model.commands import ROUTES, Command, Submit
from handrail.model.problem import CONTENT_TYPE

_PATH_FIELD = re.compile(r"\{(\w+)\}")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457 problem document. Further members tell details: pointer, winner, receipt …"""

    type: str
    title: str
    status: int
    detail: str


def openapi() -> dict[str, Any]:
    """OpenAPI 3.1 of everything under `/api/v1`."""
    kinds = list(ROUTES)
    answers = [ROUTES[kind].answer for kind in kinds if ROUTES[kind].answer is not None]
    schemas, components = msgspec.json.schema_components(
        [Problem, *kinds, *answers], ref_template="#/components/schemas/{name}"
    )
    problem, by_kind = schemas[0], dict(zip(kinds, schemas[1:], strict=False))
    by_answer = iter(schemas[1 + len(kinds) :])
    paths: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        route = ROUTES[kind]
        answer = None if route.answer is None else next(by_answer)
        paths.setdefault(f"/api/v1{route.path}", {})[route.method.lower()] = _operation(
            kind, by_kind[kind], answer, problem, components
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Handrail", "version": handrail.__version__},
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(
    kind: type[Command],
    schema: dict[str, Any],
    answer: dict[str, Any] | None,
    problem: dict[str, Any],
    components: dict[str, Any],
) -> dict[str, Any]:
    route = ROUTES[kind]
    body = components[schema["$ref"].rpartition("/")[2]]
    in_path = _PATH_FIELD.findall(route.path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": body["properties"][name]}
        for name in in_path
    ]
    operation: dict[str, Any] = {
        "operationId": kind.__name__,
        "summary": (inspect.getdoc(kind) or kind.__name__).partition("\n")[0],
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "Done",
                "content": {"application/json": {"schema": answer or {"type": "null"}}},
            },
            "default": {
                "description": "A problem",
                "content": {CONTENT_TYPE: {"schema": problem}},
            },
        },
    }
    if route.method == "GET":
        parameters += [
            {"name": name, "in": "query", "required": False, "schema": field}
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
    operation["requestBody"] = {
        "required": bool(needed),
        "content": {
            "application/json": {
                "schema": schema
                if not in_path
                else {
                    "type": "object",
                    "properties": fields,
                    "required": needed,
                    "additionalProperties": False,
                }
            }
        },
    }
    return operation
