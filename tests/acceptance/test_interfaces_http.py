"""The HTTP of the page that fixes the public surface: every operation of it, sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from handrail.model import commands as c
from handrail.model.errors import Conflict
from handrail.model.people import Actor
from tests.acceptance.interfaces import Route, block, routes, section, spans
from tests.server import Browser, Net
from tests.server import net as serve_net
from tests.workspace import REFUND

pytestmark = pytest.mark.needs("shared")

AT_THE_ROOT = {"/metrics", "/healthz", "/readyz"}
"""What machines ask for, at the addresses they expect it; everything else is below `/api/v1`."""
SCOPES = (
    "decisions:submit", "decisions:read", "grants:run", "labels:write", "feedback:read",
    "reviews:read", "audit:read", "metrics:read", "events:record",
)  # fmt: skip
WHOLE = "POST /decisions"


class Api:
    """A program with a token and two people, who send what a test says."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.http = net.program(net.token("shop", *SCOPES))
        self.ann = net.person("ann@example.com", "team:ops", "role:lead")
        self.ben = net.person("ben@example.com", "team:ops")
        self.orders = 0

    def send(
        self, method: str, path: str, body: Any = None, *, by: Browser | None = None,
        status: int = 200, **more: Any,
    ) -> Any:  # fmt: skip
        """What came back, as JSON; a refusal must be a problem document."""
        address = path if path in AT_THE_ROOT or path == "/schema" else f"/api/v1{path}"
        if by is not None and method == "POST":
            answer = by.send(address, body or {})
        else:
            http = self.http if by is None else by.http
            answer = http.request(method, address, json=body, **more)
        assert answer.status_code == status, f"{method} {path}: {answer.text}"
        if status >= 400:
            assert answer.headers["content-type"].startswith("application/problem+json")
            found = answer.json()
            assert {"type", "title", "status", "detail"} <= set(found) and found["status"] == status
            return found
        kind = answer.headers.get("content-type", "")
        return answer.json() if kind.partition(";")[0].endswith("json") else answer

    def submit(self, amount: float, **more: Any) -> Any:
        self.orders += 1
        body = {
            "workflow": "refund",
            "facts": {"order": f"o{self.orders}"},
            "proposal": {"amount": amount},
            **more,
        }
        return self.send("POST", "/decisions", body)

    def card(self, review: str, by: Browser | None = None) -> str:
        found = self.send("GET", f"/reviews/{review}", by=by or self.ann)
        digest: str = found["digest"]
        return digest

    def vote(self, review: str, said: str = "approve", *, by: Browser | None = None,
             status: int = 200, **more: Any) -> Any:  # fmt: skip
        by = by or self.ann
        body = {"said": said, "card": self.card(review, by), **more}
        if said != "approve":
            body.setdefault("reason", "wrong")
        return self.send("POST", f"/reviews/{review}/verdict", body, by=by, status=status)

    def granted(self) -> dict[str, Any]:
        """The released outcome of a decision that passed."""
        name = self.submit(5)["decision_id"]
        found = self.send("GET", f"/decisions/{name}/outcome?wait=30")
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One workspace for all: each test hands in what is its own."""
    slow = REFUND.replace("undo: 0s", "undo: 1h").replace("workflow: refund", "workflow: slow")
    with serve_net(
        tmp_path_factory.mktemp("net") / "work",
        refund=REFUND,
        slow=slow,
        page=block(section("Policy file"), "yaml"),
    ) as net:
        yield Api(net)


# --------------------------------------------------------------- one for each operation of the page


def submit(api: Api) -> None:
    body = {"workflow": "refund", "facts": {"order": "o"}, "proposal": {"amount": 5}}
    first = api.send("POST", "/decisions", body, headers={"Idempotency-Key": "k"})
    assert api.send("POST", "/decisions", {**body, "key": "k"}) == first
    other = {**body, "proposal": {"amount": 6}}
    lost = api.send("POST", "/decisions", {**other, "key": "k"}, status=409)
    assert lost["winner"]["decision_id"] == first["decision_id"]
    stranger = api.net.program(api.net.token("other", "decisions:submit"))
    answer = stranger.post("/api/v1/decisions", json={**other, "key": "k"})
    assert answer.status_code == 200, "the scope is workflow and submitter"
    wrong = api.send("POST", "/decisions", {**body, "proposal": {"amount": "x"}}, status=422)
    assert wrong["pointer"] == "/proposal/amount"


def batch(api: Api) -> None:
    rows = [
        {"workflow": "refund", "facts": {"order": "a"}, "proposal": {"amount": amount}}
        for amount in (5, "x", 500)
    ]
    first, bad, held = api.send("POST", "/decisions/batch", {"rows": rows})
    assert (first["ruling"]["lane"], held["ruling"]["lane"]) == ("pass", "hold")
    assert bad["error"]["pointer"] == "/proposal/amount"


def preview(api: Api) -> None:
    body = {"workflow": "refund", "facts": {"order": "seen"}, "proposal": {"amount": 500}}
    assert api.send("POST", "/decisions/preview", body)["lane"] == "hold"
    assert api.send("GET", "/decisions?subject=seen") == []


def listed(api: Api) -> None:
    facts = {"order": "listed"}
    name = api.submit(500, facts=facts)["decision_id"]
    api.submit(5, facts={"order": "listed"})
    place = "/decisions?workflow=refund&lane=hold&state=open&limit=5&subject=listed"
    [found] = api.send("GET", place)
    assert found["decision"]["id"] == name


def one(api: Api) -> None:
    name = api.submit(5)["decision_id"]
    assert api.send("GET", f"/decisions/{name}")["ruling"]["lane"] == "pass"
    api.send("GET", "/decisions/d_none", status=404)


def outcome(api: Api) -> None:
    held = api.submit(500)["decision_id"]
    assert api.send("GET", f"/decisions/{held}/outcome?wait=0") is None
    assert api.granted()["verdict"] == "passed"


def withdraw(api: Api) -> None:
    name = api.submit(500)["decision_id"]
    done = api.send("POST", f"/decisions/{name}/withdraw", {"reason": "changed"})
    assert done["verdict"] == "withdrawn"


def labels(api: Api) -> None:
    name = api.submit(5)["decision_id"]
    body = {"source": "bank", "wrong": True, "loss": "3.50"}
    assert api.send("POST", f"/decisions/{name}/labels", body)["source"] == "bank"


def reverse(api: Api) -> None:
    name = api.submit(5)["decision_id"]
    api.send("POST", f"/decisions/{name}/reverse", {"reason": "wrong"}, by=api.ann)
    assert api.send("GET", f"/decisions/{name}")["run"] == "void"


def redeem(api: Api) -> None:
    found = api.granted()
    body = {"digest": found["digest"], "run": "run-0123456789abcdef"}
    run = api.send("POST", f"/grants/{found['grant_id']}/redeem", body)
    assert run["value"] == {"amount": "5.00"}
    again = {**body, "run": "run-fedcba9876543210"}
    assert api.send("POST", f"/grants/{found['grant_id']}/redeem", again, status=409)["receipt"]


def confirm(api: Api) -> None:
    found = api.granted()
    run = {"digest": found["digest"], "run": "run-0123456789abcdef"}
    api.send("POST", f"/grants/{found['grant_id']}/redeem", run)
    done = {"run": run["run"], "done": True}
    assert api.send("POST", f"/grants/{found['grant_id']}/confirm", done)["state"] == "done"


def reviews(api: Api) -> None:
    held = api.submit(500)
    found = api.send("GET", "/reviews?mine=true&limit=1000", by=api.ann)
    assert held["review_id"] in {one["review"] for one in found}


def claim(api: Api) -> None:
    held = api.submit(500)
    body = {"review_id": held["review_id"]}
    seated = api.send("POST", "/reviews/claim", body, by=api.ann)
    assert seated["card"]["review"] == held["review_id"] and seated["token"]
    assert api.send("POST", "/reviews/claim", {}, by=api.ann)["card"]["may"]


def card(api: Api) -> None:
    held = api.submit(500)["review_id"]
    assert api.send("GET", f"/reviews/{held}", by=api.ann)["digest"].startswith("card:")


def verdict(api: Api) -> None:
    held = api.submit(500)
    review = held["review_id"]
    moved = {"said": "approve", "card": "card:" + "0" * 40}
    api.send("POST", f"/reviews/{review}/verdict", moved, by=api.ann, status=409)
    wrong = api.vote(review, "edit", edits={"amount": "x"}, status=422)
    assert wrong["pointer"] == "/edits/amount"
    api.vote(review, "edit", edits={"amount": "200000"}, status=422)  # the policy refuses that
    assert api.send("GET", f"/reviews/{review}", by=api.ann)["status"] == "open"
    seen = api.card(review, api.ben)
    assert api.vote(review)["decided"]
    late = {"said": "reject", "card": seen, "reason": "fraud"}
    lost = api.send("POST", f"/reviews/{review}/verdict", late, by=api.ben, status=409)
    assert lost["winner"]["by"] == "ann@example.com" and lost["winner"]["verdict"] == "approved"
    assert lost["winner"]["at"]


def _undoable(api: Api) -> str:
    review: str = api.submit(500, workflow="slow")["review_id"]
    return review


def undo(api: Api) -> None:
    review = _undoable(api)
    api.vote(review)
    api.send("POST", f"/reviews/{review}/undo", {}, by=api.ben, status=403)
    api.send("POST", f"/reviews/{review}/undo", {}, by=api.ann)
    assert api.send("GET", f"/reviews/{review}", by=api.ann)["status"] == "open"


def escalate(api: Api) -> None:
    review = api.submit(500)["review_id"]
    body = {"reason": "fraud", "to": ["role:lead"]}
    api.send("POST", f"/reviews/{review}/escalate", body, by=api.ben)
    assert "role:lead" in api.send("GET", f"/reviews/{review}", by=api.ann)["to"]


def ask(api: Api) -> None:
    review = api.submit(500)["review_id"]
    api.send("POST", f"/reviews/{review}/ask", {"comment": "Is it right?"}, by=api.ann)
    assert api.send("GET", f"/reviews/{review}", by=api.ann)["history"][0]["kind"] == "ask"


def snooze(api: Api) -> None:
    review = api.submit(500)["review_id"]
    api.send("POST", f"/reviews/{review}/snooze", {"seconds": 900}, by=api.ann)
    assert api.send("GET", f"/reviews/{review}", by=api.ann)["snoozed_until"]


def assign(api: Api) -> None:
    review = api.submit(500)["review_id"]
    api.send("POST", f"/reviews/{review}/assign", {"to": "ben@example.com"}, by=api.ann)
    assert api.send("GET", f"/reviews/{review}", by=api.ben)["to"] == ["ben@example.com"]


def comments(api: Api) -> None:
    review = api.submit(500)["review_id"]
    api.send("POST", f"/reviews/{review}/comments", {"comment": "Looks fine"}, by=api.ann)
    assert api.send("GET", f"/reviews/{review}", by=api.ann)["history"][0]["kind"] == "comment"


def events(api: Api) -> None:
    rows = [{"key": "1", "at": "2026-11-30T10:00:00Z", "facts": {"order": "a"}}]
    for new in (1, 0):  # sent again, it is the same observation
        assert api.send("POST", "/events/visits", {"rows": rows})["recorded"] == new


def stream(api: Api) -> None:
    api.submit(500)
    size = api.send("GET", "/audit/entries?start=0&limit=1000")
    headers = {"Last-Event-ID": "0"}
    with api.http.stream("GET", "/api/v1/stream", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        ids: list[int] = []
        for line in answer.iter_lines():
            if line.startswith("id: ") and int(line[4:]) not in ids:
                ids.append(int(line[4:]))
            if len(ids) > 1:
                break
    assert ids == sorted(ids) and ids[-1] <= len(size), "the id of an event is its audit index"


def policies(api: Api) -> None:
    found = api.send("GET", "/policies", by=api.ann)
    assert {"refund", "campaign-launch"} <= {line["workflow"] for line in found}


def checkpoint(api: Api) -> None:
    api.submit(5)
    api.net.workspace.scheduler.checkpoint()
    found = api.send("GET", "/audit/checkpoint")
    assert found["checkpoint"].count("\n") > 3, found


def entries(api: Api) -> None:
    api.submit(5)
    assert api.send("GET", "/audit/entries?start=0&limit=2")


def proof(api: Api) -> None:
    api.submit(5)
    api.net.workspace.scheduler.checkpoint()
    found = api.send("GET", "/audit/proof?index=0")
    assert found["proof"].startswith("c2sp.org/tlog-proof@v1\n")


def metrics(api: Api) -> None:
    api.submit(5)
    answer = api.send("GET", "/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def health(api: Api) -> None:
    assert api.net.program().get("/healthz").status_code == 200


def ready(api: Api) -> None:
    assert api.net.program().get("/readyz").status_code == 200


SENT: dict[str, Callable[[Api], None]] = {
    WHOLE: submit,
    "POST /decisions/batch": batch,
    "POST /decisions/preview": preview,
    "GET /decisions": listed,
    "GET /decisions/{}": one,
    "GET /decisions/{}/outcome": outcome,
    "POST /decisions/{}/withdraw": withdraw,
    "POST /decisions/{}/labels": labels,
    "POST /decisions/{}/reverse": reverse,
    "POST /grants/{}/redeem": redeem,
    "POST /grants/{}/confirm": confirm,
    "GET /reviews": reviews,
    "POST /reviews/claim": claim,
    "GET /reviews/{}": card,
    "POST /reviews/{}/verdict": verdict,
    "POST /reviews/{}/undo": undo,
    "POST /reviews/{}/escalate": escalate,
    "POST /reviews/{}/ask": ask,
    "POST /reviews/{}/snooze": snooze,
    "POST /reviews/{}/assign": assign,
    "POST /reviews/{}/comments": comments,
    "POST /events/{}": events,
    "GET /stream": stream,
    "GET /policies": policies,
    "GET /audit/checkpoint": checkpoint,
    "GET /audit/entries": entries,
    "GET /audit/proof": proof,
    "GET /metrics": metrics,
    "GET /healthz": health,
    "GET /readyz": ready,
}


def _routes() -> list[Route]:
    """For the parameters of a test, which are wanted where the page is not there either."""
    try:
        return routes()
    except FileNotFoundError:
        return []


@pytest.mark.parametrize("route", _routes(), ids=str)
def test_every_operation_of_the_page_is_described_and_does_it(api: Api, route: Route) -> None:
    described = api.send("GET", "/schema")["paths"]
    place = route.path if route.path in AT_THE_ROOT else f"/api/v1{route.path}"
    found = {re.sub(r"\{[^}]*\}", "{}", path): operations for path, operations in described.items()}
    assert route.method.lower() in found.get(place, {}), f"{route} is not in the schema"
    SENT[str(route)](api)


def test_the_schema_says_which_headers_the_page_names(api: Api) -> None:
    paths = api.send("GET", "/schema")["paths"]
    for path, method, header in (
        ("/api/v1/decisions", "post", "Idempotency-Key"),
        ("/api/v1/stream", "get", "Last-Event-ID"),
    ):
        assert header in spans(section("HTTP"))
        names = [one["name"] for one in paths[path][method]["parameters"] if one["in"] == "header"]
        assert names == [header]


def test_the_limits_are_those_of_the_page(api: Api) -> None:
    assert "Limits: body 8 MiB, facts 256 KiB." in section("HTTP")
    body = {"workflow": "refund", "facts": {"order": "o"}, "proposal": {"amount": 5}}
    part = "x" * 60_000
    api.send("POST", "/decisions", {**body, "facts": {"order": "o", **dict.fromkeys("abcd", part)}})
    large = {"order": "o", **dict.fromkeys("abcde", part)}
    said = api.send("POST", "/decisions", {**body, "facts": large}, status=413)
    assert "facts" in said["detail"] or said["pointer"] == "/facts"
    api.send("POST", "/decisions", {**body, "context": "x" * (8 * 2**20)}, status=413)


def test_a_lost_race_is_an_error_that_names_the_winner(api: Api) -> None:
    """What the program's own client makes of the same 409."""
    held = api.submit(500)
    api.vote(held["review_id"])
    ben = Actor(name="ben@example.com", program=False)
    digest = api.card(held["review_id"], api.ben)
    late = c.CastVote(review_id=held["review_id"], said="reject", card=digest, reason="fraud")
    with pytest.raises(Conflict) as caught:
        api.net.send(late, ben)
    assert caught.value.winner["verdict"] == "approved"


def test_the_page_of_the_schema_is_open_api(api: Api) -> None:
    found = api.send("GET", "/schema")
    assert found["openapi"].startswith("3.1")
