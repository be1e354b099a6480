"""Requests made from the OpenAPI document, as each kind of caller: nothing breaks, nothing differs.

Every answer has a status, content type and body that the document declares, and none is a 5xx. A
few examples an operation run among the tests; `python -m tests.acceptance.test_server_schemathesis
N` runs N of each.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.server import Net
from tests.server import net as serve_net

schemathesis = pytest.importorskip("schemathesis")
from schemathesis import checks  # noqa: E402
from schemathesis.core.failures import FailureGroup  # noqa: E402

EXAMPLES = 6
SKIPPED = {"Stream"}
"""An answer that does not end."""
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]

CALLERS = ("nobody", "everything", "admin", "lead", "asked")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    with serve_net(tmp_path_factory.mktemp("schema") / "work") as net:
        yield net


def headers_of(net: Net, caller: str) -> dict[str, str]:
    """How this caller shows who it is."""
    from handrail.access import SCOPES

    if caller == "nobody":
        return {}
    if caller == "everything":
        return {"authorization": f"Bearer {net.token('everything', *SCOPES)}"}
    holds = {"admin": ("role:admin",), "lead": ("role:lead",), "asked": ("team:ops",)}[caller]
    browser = net.person(f"{caller}@example.com", *holds)
    [cookie] = [f"{n}={v}" for n, v in browser.http.cookies.items() if "session" in n]
    return {"cookie": cookie, "x-csrf-token": browser.token("/account")}


def seed(net: Net) -> dict[str, str]:
    """Things that there are, so that requests do not all end in 404."""
    http = net.program(net.token("seed", "decisions:submit"))
    body = {"workflow": "refund", "facts": {"order": "1"}, "proposal": {"amount": 500}}
    held = http.post("/api/v1/decisions", json=body).json()
    passed = http.post("/api/v1/decisions", json={**body, "proposal": {"amount": 5}}).json()
    outcome = http.get(f"/api/v1/decisions/{passed['decision_id']}/outcome").json()
    return {
        "decision_id": held["decision_id"],
        "review_id": held["review_id"],
        "grant_id": outcome["grant_id"],
        "workflow": "refund",
        "token_id": "t_" + "0" * 26,
    }


def run(net: Net, caller: str, examples: int, seed_number: int | None = None) -> int:
    """Play all operations as `caller`; returns how many requests were sent."""
    headers, known, sent = headers_of(net, caller), seed(net), 0
    reader = net.program(net.token(f"reader-{caller}", "metrics:read"))
    schema = schemathesis.openapi.from_dict(reader.get("/schema").json())
    settings = hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=seed_number is None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    for result in schema.get_all_operations():
        operation = result.ok()
        called = operation.definition.raw["operationId"]
        # Signed out, the rest would be nobody's.
        if called in SKIPPED or (called == "SignOut" and caller != "nobody"):
            continue

        @hypothesis.given(case=operation.as_strategy(), real=hypothesis.strategies.booleans())
        @settings
        def play(case: Any, real: bool) -> None:
            nonlocal sent
            if real:
                case.path_parameters = {
                    name: known.get(name, value)
                    for name, value in (case.path_parameters or {}).items()
                }
            if isinstance(case.query, dict) and "wait" in case.query:
                case.query = {**case.query, "wait": 0}
            if isinstance(case.body, dict) and "wait" in case.body:
                case.body = {**case.body, "wait": 0}
            sent += 1
            answer = case.call(base_url=net.url, headers=headers)
            assert answer.status_code < 500, (answer.status_code, answer.text)
            case.validate_response(answer, checks=CHECKS)

        play()
    return sent


@pytest.mark.slow
@pytest.mark.parametrize("caller", CALLERS)
def test_every_answer_is_as_the_document_says(served: Net, caller: str) -> None:
    assert run(served, caller, EXAMPLES) > 40 * EXAMPLES / 2


def test_it_sees_an_answer_the_document_does_not_have(
    served: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = served.workspace.service.call

    def other(command: Any, actor: Any) -> Any:
        return {"surprise": 1} if type(command).__name__ == "ListStops" else call(command, actor)

    monkeypatch.setattr(served.workspace.service, "call", other)
    with pytest.raises(FailureGroup):
        run(served, "everything", 2)


def main() -> None:
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder, serve_net(Path(folder) / "work") as net:
        for caller in CALLERS:
            sent = run(net, caller, examples, seed_number=1)
            print(f"{caller}: {sent:,} requests, 0 server errors, 0 differences")


if __name__ == "__main__":
    main()
