"""The API on the socket: every route, strict bodies, problem documents, limits."""

from __future__ import annotations

import logging
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from handrail.app import Workspace
from handrail.model.commands import ROUTES, read_command
from handrail.model.errors import Conflict
from handrail.model.policy import BadRecord
from handrail.model.problem import error_of
from handrail.model.wire import MAX_BODY_BYTES
from handrail.server.examples import EXAMPLES
from tests.workspace import REFUND, make_workspace

SMALL = {"workflow": "refund", "facts": {"order": "1"}, "proposal": {"amount": 5}}
LARGE = {**SMALL, "proposal": {"amount": 150}}


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["status"] == status
    assert {"type", "title", "status", "detail", "request"} <= set(found)
    assert found["request"] == response.headers["x-request-id"]
    return found


def test_submit_wait_redeem_confirm(http: httpx.Client) -> None:
    ruling = http.post("/decisions", json=SMALL).json()
    assert ruling["lane"] == "pass"
    path = f"/decisions/{ruling['decision_id']}"
    outcome = http.get(f"{path}/outcome").json()
    assert outcome["verdict"] == "passed"
    body = {"digest": outcome["digest"], "run": "r" * 32}
    redeemed = http.post(f"/grants/{outcome['grant_id']}/redeem", json=body).json()
    assert redeemed["value"] == {"amount": "5.00"}
    again = {**body, "run": "q" * 32}
    taken = problem(http.post(f"/grants/{outcome['grant_id']}/redeem", json=again), 409)
    assert taken["type"] == "urn:handrail:problem:already-run"
    assert taken["receipt"]["state"] == "redeemed"
    receipt = http.post(
        f"/grants/{outcome['grant_id']}/confirm", json={"run": "r" * 32, "done": True}
    ).json()
    assert receipt["state"] == "done"
    assert http.get(path).json()["grant"]["state"] == "done"
    assert [v["decision"]["id"] for v in http.get("/decisions").json()] == [ruling["decision_id"]]


def test_a_lost_race_names_the_winner(http: httpx.Client) -> None:
    review = http.post("/decisions", json=LARGE).json()["review_id"]
    ann = {"handrail-actor": "ann%40example.com", "handrail-actor-kind": "person"}
    ben = {"handrail-actor": "ben%40example.com", "handrail-actor-kind": "person"}
    card = http.get(f"/reviews/{review}", headers=ann).json()["digest"]
    vote = {"said": "approve", "card": card}
    assert http.post(f"/reviews/{review}/verdict", json=vote, headers=ann).json()["decided"]
    no = {"said": "reject", "card": card, "reason": "fraud"}
    lost = problem(http.post(f"/reviews/{review}/verdict", json=no, headers=ben), 409)
    assert lost["winner"]["by"] == "ann@example.com"
    assert lost["winner"]["verdict"] == "approved"
    assert lost["winner"]["at"]
    error = error_of(lost)
    assert isinstance(error, Conflict)
    assert error.winner == lost["winner"]


def test_the_key_may_stand_in_the_header(http: httpx.Client) -> None:
    header = {"idempotency-key": "k-1"}
    first = http.post("/decisions", json=SMALL, headers=header).json()
    assert http.post("/decisions", json={**SMALL, "key": "k-1"}).json() == first
    other = problem(http.post("/decisions", json=LARGE, headers=header), 409)
    assert other["winner"] == {"decision_id": first["decision_id"]}
    both = problem(http.post("/decisions", json={**SMALL, "key": "k-2"}, headers=header), 400)
    assert both["pointer"] == "/key"


HOSTILE: list[tuple[bytes, int, str | None, str]] = [
    (b"", 400, "/workflow", "workflow is missing"),
    (b"{", 400, "", "not JSON at line 1, column 2"),
    (b"[]", 400, "", "is no object"),
    (b"null", 400, "", "is no object"),
    (b'{"workflow":"refund","workflow":"x"}', 400, "", "stands twice"),
    (b'{"workflow":"refund","facts":{"a":NaN}}', 400, "", "NaN is not JSON"),
    (b'{"workflow":"refund","facts":{"a":-Infinity}}', 400, "", "-Infinity is not JSON"),
    (b'{"workflow":"refund","facts":{"a":1e999}}', 400, "", "too large for a double"),
    (b'{"workflow":"refund","facts":{"a":123456789012345678901234567890}}', 400, "", "2^53"),
    (b'{"workflow":"refund","facts":{"a":"\\ud800"}}', 400, "/facts/a", "lone surrogate"),
    (b'{"workflow":"refund","facts":{"\\ud800":1}}', 400, "/facts", "lone surrogate"),
    (b'{"workflow":"refund","facts":{"a":"\xff"}}', 400, "", "not UTF-8"),
    (b'{"workflow":"refund","facts":' + b'{"a":' * 100 + b"1" + b"}" * 101, 400, None, "deeper"),
    (b"[" * 100_000, 400, "", "deeper"),
    (b'{"workflow":"refund","facts":[]}', 400, "/facts", "this is a list; expected an object"),
    (b'{"workflow":7}', 400, "/workflow", "this is a whole number; expected text"),
    (b'{"workflow":"refund","test":"yes"}', 400, "/test", "this is text; expected true or false"),
    (
        b'{"workflow":"refund","confidence":"0.9"}',
        400,
        "/confidence",
        "this is text; expected",
    ),
    (b'{"workflow":"refund","confidence":2}', 400, "/confidence", "0 to 1"),
    (
        b'{"workflow":"refund","surprise":1}',
        400,
        "/surprise",
        "no such field; expected one of",
    ),
    (b'{"workflow":"refund","fact":{}}', 400, "/fact", "did you mean `facts`?"),
    (b'{"workflow":"none"}', 404, "", "no policy rules"),
    (b'{"workflow":"refund","facts":{"order":1}}', 422, "/facts/order", "is 1"),
    (b'{"workflow":"refund","facts":{"order":"1"}}', 422, "/proposal/amount", "required"),
    (b'{"workflow":"refund\\u0000"}', 404, "", "no policy rules"),
]


@pytest.mark.parametrize(("body", "status", "pointer", "sentence"), HOSTILE)
def test_hostile_bodies(
    http: httpx.Client, body: bytes, status: int, pointer: str | None, sentence: str
) -> None:
    headers = {"content-type": "application/json"}
    found = problem(http.post("/decisions", content=body, headers=headers), status)
    assert sentence in found["detail"]
    assert pointer is None or found.get("pointer", "") == pointer
    assert http.get("/decisions").json() == []


def test_a_batch_answers_row_by_row(http: httpx.Client) -> None:
    rows = [{**SMALL, "key": "a"}, {**SMALL, "facts": {"order": 1}}, {**LARGE, "key": "c"}]
    first, bad, third = http.post("/decisions/batch", json={"rows": rows}).json()
    assert first["ruling"]["lane"] == "pass"
    assert bad["ruling"] is None
    assert bad["error"]["pointer"] == "/facts/order"
    assert third["ruling"]["lane"] == "hold"
    wrong = problem(http.post("/decisions/batch", json={"rows": [SMALL, {"facts": {}}]}), 400)
    assert wrong["pointer"] == "/rows/1/workflow"


def test_queries_are_strict(http: httpx.Client) -> None:
    assert http.get("/decisions", params={"limit": "5", "workflow": "refund"}).json() == []
    found = problem(http.get("/decisions?limit=five"), 400)
    assert found["pointer"] == "/limit"
    assert "twice" in problem(http.get("/decisions?limit=5&limit=6"), 400)["detail"]
    assert problem(http.get("/decisions?color=red"), 400)["pointer"] == "/color"
    problem(http.get("/decisions?workflow=%ff"), 400)
    problem(http.get("/decisions?limit=0"), 400)


def test_wrong_addresses(http: httpx.Client) -> None:
    assert "/schema" in problem(http.get("/nothing"), 404)["detail"]
    problem(http.delete("/decisions"), 405)
    problem(http.get("/decisions/d_none"), 404)
    problem(http.get("/reviews/r_none"), 404)
    problem(http.post("/decisions", content=b"a=1", headers={"content-type": "text/plain"}), 415)
    mixed = {"reason": "x", "decision_id": "d_other"}
    assert problem(http.post("/decisions/d_1/withdraw", json=mixed), 400)["pointer"] == (
        "/decision_id"
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"handrail-actor": ""},
        {"handrail-actor": "%00"},
        {"handrail-actor": "%ff"},
        {"handrail-actor": "x" * 201},
        {"handrail-actor-kind": "robot"},
    ],
)
def test_nobody_acts_as_nobody(http: httpx.Client, headers: dict[str, str]) -> None:
    problem(http.post("/decisions", json=SMALL, headers=headers), 400)
    assert http.get("/decisions").json() == []


def test_a_large_body_is_refused_while_it_is_read(workspace: Workspace, http: httpx.Client) -> None:
    problem(http.post("/decisions", json={**SMALL, "context": "x" * MAX_BODY_BYTES}), 413)
    sent = 0

    def fifty_megabytes() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(50):
            sent += 1
            yield b" " * (1024 * 1024)

    headers = {"content-type": "application/json"}
    try:
        response = http.post("/decisions", content=fifty_megabytes(), headers=headers)
    except httpx.TransportError:
        assert sent < 50  # it hung up in the middle, as it may
    else:
        problem(response, 413)
    assert http.get("/decisions").json() == []
    facts = {**SMALL, "facts": {"order": "x" * (256 * 1024)}}
    assert problem(http.post("/decisions", json=facts), 413)["pointer"] == "/facts"


def test_long_polls_hold_no_thread(workspace: Workspace, http: httpx.Client) -> None:
    """More waits at once than the server has threads, and it still answers."""
    from handrail.server.main import THREADS

    ruling = http.post("/decisions", json=LARGE).json()
    path = f"/decisions/{ruling['decision_id']}/outcome"
    answers: list[Any] = []
    transport = httpx.HTTPTransport(
        uds=str(workspace.paths.socket()), limits=httpx.Limits(max_connections=None)
    )
    with httpx.Client(transport=transport, base_url="http://w/api/v1", timeout=60) as many:

        def wait() -> None:
            answers.append(many.get(path, params={"wait": 50}).json())

        waits = [threading.Thread(target=wait) for _ in range(THREADS * 2)]
        for thread in waits:
            thread.start()
        topic = f"outcome:{ruling['decision_id']}"
        while len(workspace.signals._listeners.get(topic, ())) < len(waits):
            time.sleep(0.005)
        assert http.get("/decisions").status_code == 200
        done = http.post(
            f"/decisions/{ruling['decision_id']}/withdraw", json={"reason": "enough"}
        ).json()
        for thread in waits:
            thread.join(120)
    assert answers == [done] * len(waits)
    assert workspace.signals._listeners == {}
    assert http.get(path, params={"wait": 0}).json() == done


def test_a_wait_without_an_outcome_answers_null(http: httpx.Client) -> None:
    ruling = http.post("/decisions", json=LARGE).json()
    path = f"/decisions/{ruling['decision_id']}/outcome"
    assert http.get(path, params={"wait": 0.01}).json() is None
    assert problem(http.get(path, params={"wait": 61}), 400)["pointer"] == "/wait"
    problem(http.get("/decisions/d_none/outcome", params={"wait": 1}), 404)


def test_the_socket_is_the_users_own(workspace: Workspace, http: httpx.Client) -> None:
    assert stat.S_IMODE(os.stat(workspace.paths.socket()).st_mode) == 0o600
    assert http.get("http://w/healthz").json() == {"status": "ok"}
    assert http.get("http://w/readyz").json() == {"status": "ok"}


def test_the_schema_describes_every_route(http: httpx.Client) -> None:
    document = http.get("http://w/schema").json()
    assert document["openapi"] == "3.1.0"
    described = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, methods in document["paths"].items()
        for method in methods
    }
    others = {("GET", path) for path in ("/stream", "/metrics", "/schema", "/healthz", "/readyz")}
    assert described == {(route.method, route.path) for route in ROUTES.values()} | others

    def references(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    for reference in references(document):
        _, _, part, name = reference.split("/")
        assert name in document["components"][part]
    submit = document["paths"]["/api/v1/decisions"]["post"]
    assert submit["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("Submit")
    wait = document["paths"]["/api/v1/decisions/{decision_id}/outcome"]["get"]
    assert {(p["name"], p["in"]) for p in wait["parameters"]} == {
        ("decision_id", "path"),
        ("wait", "query"),
    }


def test_requests_are_logged_with_their_ids(
    http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "handrail.server"):
        ruling = http.post("/decisions", json=SMALL, headers={"x-request-id": "mine-1"}).json()
        forged = http.get("/decisions", headers={"x-request-id": "a b\tc"})
    lines = [
        msgspec.json.decode(r.getMessage()) for r in caplog.records if r.name == "handrail.server"
    ]
    line = next(line for line in lines if line["request"] == "mine-1")
    assert line["decision"] == ruling["decision_id"]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/api/v1/decisions", 200)
    assert forged.headers["x-request-id"] != "a b\tc"


def test_a_mistake_of_ours_tells_nothing(
    workspace: Workspace, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(workspace.service, "call", broken)
    found = problem(http.get("/decisions"), 500)
    assert "secret" not in str(found)


def test_every_request_with_a_body_has_an_example_that_is_right() -> None:
    for kind, route in ROUTES.items():
        if route.method == "POST":
            in_path = dict.fromkeys(re.findall(r"{(\w+)}", route.path), "x")
            assert read_command(kind, {**EXAMPLES[kind], **in_path})
    assert set(EXAMPLES) == {kind for kind, route in ROUTES.items() if route.method == "POST"}


def test_every_operation_says_what_it_is() -> None:
    for kind in ROUTES:
        assert kind.__doc__ and "Base of all" not in kind.__doc__, kind


def test_an_edit_that_does_not_fit_the_schema_is_named_in_full(
    workspace: Workspace, http: httpx.Client
) -> None:
    shaped = REFUND.replace(
        "edit: [amount]", "edit: {properties: {amount: {maximum: 90, multipleOf: 0.5}}}"
    )
    make_workspace(workspace.paths.folder, refund=shaped)
    workspace.policies.refresh(now=True)
    review = http.post("/decisions", json=LARGE).json()["review_id"]
    ann = {"handrail-actor": "ann%40example.com", "handrail-actor-kind": "person"}
    card = http.get(f"/reviews/{review}", headers=ann).json()
    assert card["edit_schema"]["properties"]["amount"] == {"maximum": 90, "multipleOf": 0.5}
    assert card["inputs"][0]["shape"] == "number"
    vote = {"said": "edit", "card": card["digest"], "reason": "wrong", "edits": {"amount": 90.75}}
    path = f"/reviews/{review}/verdict"
    refused = problem(http.post(path, json=vote, headers=ann), 422)
    assert refused["pointer"] == "/edits/amount"
    assert [one["message"] for one in refused["problems"]] == [
        "is 90.75; expected at most 90",
        "is 90.75; expected a multiple of 0.5",
    ]
    error = error_of(refused)
    assert isinstance(error, BadRecord) and error.problems[0][1] == "is 90.75; expected at most 90"
    vote["edits"] = {"amount": 89.5}
    assert http.post(path, json=vote, headers=ann).json()["decided"]
