"""Everybody × every operation of the OpenAPI document × whose it is, over HTTP: 0 wrong cells.

What is expected is worked out from the document alone (`x-handrail-access`), and from who holds
which rights. A route without a rule, or one that the document does not have, fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from handrail.access import ROLES, SCOPES
from handrail.access.rights import EVERYBODY, NOBODY
from handrail.model import commands as c
from tests.server import Net
from tests.server import net as serve_net

PAGES = {"/", "/account", "/invitation", "/sign-in", "/sign-in/provider", "/sign-out"} | {
    "/sign-in/provider/return",
    "/sign-in/style.css",
    "/schema/openapi.json",
}
"""Addresses for people; what is asked for behind them are the very same commands."""

THEIRS = frozenset({"own", "submitter"})
PEOPLE: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "stranger": ((), frozenset()),
    "asked": (("team:ops",), frozenset({"asked"})),
    "voter": (("team:ops",), frozenset({"asked", "voted"})),
    "requester": ((), frozenset({"own"})),
    "requester who is asked": (("team:ops",), frozenset({"own", "asked"})),
    **{f"role {name}": ((f"role:{name}",), frozenset()) for name in ROLES},
}
TOKENS: dict[str, tuple[tuple[str, ...], tuple[str, ...], frozenset[str]]] = {
    "submitter": (("decisions:submit",), ("refund",), THEIRS),
    "elsewhere": (tuple(SCOPES), ("payout",), frozenset()),
    **{f"scope {name}": ((name,), ("refund",), frozenset()) for name in SCOPES},
}
EVERYONE = ("nobody", *PEOPLE, *TOKENS)

OWN_GRANT = {"Redeem", "Confirm", "Resolve"}
"""Operations about what ran, which nobody of the people asked for or decided."""
BOUND = {
    "Submit",
    "SubmitBatch",
    "Preview",
    "SetStop",
    "ClearStop",
    "GetPolicy",
    "DiffPolicies",
    "PolicyHistory",
    "Record",
    "ProposePolicy",
    "ListLists",
    "ListTrials",
    "ApplyPolicy",
    "ProposeList",
}
"""Operations about a workflow that the request names itself, or that reads the stream it names."""
REFUSALS = {401, 403, 404}


@dataclass
class Scene:
    net: Net
    document: dict[str, Any]
    callers: dict[str, httpx.Client] = field(default_factory=dict)
    things: dict[str, dict[str, str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("access") / "work"
    from tests.workspace import REFUND

    payout = REFUND.replace("workflow: refund", "workflow: payout")
    slow = REFUND.replace("undo: 0s", "undo: 30s")
    slow += "aggregates: {seen: {count: events, over: events:spend, window: 1h}}\n"
    with serve_net(folder, refund=slow, payout=payout) as net:
        made = Scene(net, net.program(net.token("reader", "metrics:read")).get("/schema").json())
        made.callers["nobody"] = net.program()
        for name, (holds, _) in PEOPLE.items():
            person = net.person(f"{name.replace(' ', '-')}@example.com", *holds)
            person.http.headers["x-csrf-token"] = person.token("/account")
            made.callers[name] = person.http
        for name, (scopes, workflows, _) in TOKENS.items():
            made.callers[name] = net.program(
                net.token(name.replace(" ", "-"), *scopes, workflows=workflows)
            )
        for name in EVERYONE:
            made.things[name] = things(made, name)
        yield made


def things(scene: Scene, name: str) -> dict[str, str]:
    """A held review, a decided one, an open grant and a run under way, for this caller alone."""
    submitter, ties = scene.callers["submitter"], tie_of(name)

    def submit(amount: int, **more: Any) -> dict[str, Any]:
        body = {
            "workflow": "refund",
            "facts": {"order": f"{name}-{amount}-{len(more)}"},
            "proposal": {"amount": amount},
            **more,
        }
        answer = submitter.post("/api/v1/decisions", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    handle = f"{name.replace(' ', '-')}@example.com"
    own = {"requester": handle} if "own" in ties and name in PEOPLE else {}
    held, decided = submit(500, **own), submit(501, **own)
    voter = scene.callers[name] if "voted" in ties else scene.callers["voter"]
    for one in (decided, *((held,) if "voted" in ties else ())):
        card = voter.get(f"/api/v1/reviews/{one['review_id']}").json()["digest"]
        vote = {"said": "approve", "card": card}
        path = f"/api/v1/reviews/{one['review_id']}/verdict"
        assert voter.post(path, json=vote).status_code == 200
    open_grant = submitter.get(f"/api/v1/decisions/{submit(5)['decision_id']}/outcome").json()
    under_way = submitter.get(f"/api/v1/decisions/{submit(6)['decision_id']}/outcome").json()
    path = f"/api/v1/grants/{under_way['grant_id']}/redeem"
    body = {"digest": under_way["digest"], "run": "r" * 32}
    assert submitter.post(path, json=body).status_code == 200
    return {
        "decision_id": held["decision_id"],
        "review_id": held["review_id"],
        "decided": decided["review_id"],
        "grant_id": open_grant["grant_id"],
        "digest": open_grant["digest"],
        "under_way": under_way["grant_id"],
        "workflow": "refund",
        "stream": "spend",
        "token_id": "t_" + "0" * 26,
    }


def tie_of(name: str) -> frozenset[str]:
    if name in PEOPLE:
        return PEOPLE[name][1]
    return TOKENS[name][2] if name in TOKENS else frozenset()


def rights_of(name: str) -> frozenset[str]:
    if name == "nobody":
        return NOBODY
    if name in PEOPLE:
        roles = [one[5:] for one in PEOPLE[name][0] if one.startswith("role:")]
        return EVERYBODY.union(*(ROLES[role].rights for role in roles))
    scopes = TOKENS[name][0]
    return frozenset({"account.see"}).union(*(SCOPES[one].rights for one in scopes))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def wanted(document: dict[str, Any], operation: dict[str, Any], name: str) -> int:
    """The status that the document says: 200 for "let through"."""
    rules = {one["operationId"]: one["x-handrail-access"] for _, _, one in operations(document)}
    rule, called = operation["x-handrail-access"], operation["operationId"]
    if rule is None:
        return 200
    ties = frozenset() if called in OWN_GRANT and name in PEOPLE else tie_of(name)
    rights, program = rights_of(name), name in TOKENS

    def passes(about: str) -> bool:
        asked = rules[about]
        if name == "elsewhere" and (asked["hidden_unless"] or about in BOUND):
            return False
        if asked["people_only"] and program:
            return False
        if not any(w["right"] in rights and w.get("tie") in {None, *ties} for w in asked["ways"]):
            return False
        return not (asked["not_own"] and "own" in ties)

    if passes(called):
        return 200
    if name == "nobody":
        return 401
    if rule["people_only"] and program:
        return 403
    if rule["hidden_unless"] and not passes(rule["hidden_unless"]):
        return 404
    return 403


_NEW = {"workflow": "refund", "facts": {"order": "n"}, "proposal": {"amount": 5}}
BODIES: dict[str, dict[str, Any]] = {
    "Submit": _NEW,
    "SubmitBatch": {"rows": [_NEW]},
    "Preview": _NEW,
    "SetStop": {"workflow": "refund", "reason": "a test"},
    "ClearStop": {"workflow": "refund", "reason": "a test"},
    "CastVote": {"said": "approve", "card": "card:old"},
    "Assign": {"to": "team:ops"},
    "Escalate": {"reason": "fraud", "to": ["team:ops"]},
    "SetPerson": {"handle": "new@example.com", "holds": ["team:new"]},
    "Invite": {"handle": "new@example.com"},
    "SignIn": {"handle": "new@example.com", "password": "wrong and wrong again"},
    "AcceptInvitation": {"secret": "hri_none", "password": "three grey herons wait"},
    "ChangePassword": {"old": "wrong", "new": "four brown bears sleep"},
    "Confirm": {"run": "r" * 32, "done": True},
}
"""What is sent; the others send the document's own example."""


def send(scene: Scene, method: str, path: str, operation: dict[str, Any], name: str) -> Any:
    called = operation["operationId"]
    thing = dict(scene.things[name])
    if called in ("Confirm", "Resolve"):
        thing["grant_id"] = thing["under_way"]
    if called == "Undo":
        thing["review_id"] = thing["decided"]
    address = re.sub(r"{(\w+)}", lambda found: thing[found[1]], path)
    http = scene.callers[name]
    if method == "GET":
        query = {"index": 0} if called == "ProveEntry" else {}
        if called == "Stream":
            with http.stream(method, address) as response:
                response.status_code  # noqa: B018
                return response.status_code, ""
        answer = http.get(address, params=query)
        return answer.status_code, answer.text
    body = BODIES.get(called)
    if body is None:
        content = operation["requestBody"]["content"]["application/json"]
        body = dict(content["example"])
    if called == "Claim":
        body = {"review_id": thing["review_id"]}
    if called == "WaitOutcomes":
        body = {"decision_ids": [thing["decision_id"]], "wait": 0}
    if called == "Redeem":
        body = {"digest": thing["digest"], "run": "q" * 32}
    answer = http.post(address, json=body)
    if called == "SubmitBatch" and answer.status_code == 200:
        error = answer.json()[0]["error"]
        return (error["status"] if error else 200), answer.text
    return answer.status_code, answer.text


LAST = ("SignOut", "Withdraw", "Reverse")
"""Sent after the others: they end what the others look at."""


def wrong_cells(scene: Scene, name: str) -> tuple[list[str], int]:
    """Cells that are not as the document says, and how many were looked at."""
    wrong, cells = [], 0
    todo = sorted(operations(scene.document), key=lambda one: one[2]["operationId"] in LAST)
    for method, path, operation in todo:
        called = operation["operationId"]
        expected = wanted(scene.document, operation, name)
        if called == "SignOut" and expected == 200:
            continue  # its own session; signed out of in test_auth
        status, text = send(scene, method, path, operation, name)
        cells += 1
        if expected == 200:
            # Let through, and then perhaps wrong for another reason than a right.
            fine = status not in REFUSALS or any(
                called == operation_id and sentence in text for operation_id, sentence in OTHERWISE
            )
        else:
            fine = status == expected
        if not fine:
            wrong.append(f"{called}: {status}, wanted {expected}: {text[:160]}")
    return wrong, cells


OTHERWISE = [
    ("AcceptInvitation", "this invitation is not there"),
    ("ChangePassword", "the old password is wrong"),
    ("RevokeToken", "no token"),
    ("SignIn", "the handle or the password is wrong"),
    ("Undo", "only who closed"),
    ("GetCheckpoint", "no head of the log has been signed yet"),
    ("ProveEntry", "no head of the log has been signed yet"),
]
"""Refusals that have nothing to do with rights."""


@pytest.mark.ledger("A-108")
@pytest.mark.parametrize("name", EVERYONE)
def test_no_cell_of_the_matrix_is_wrong(scene: Scene, name: str) -> None:
    wrong, cells = wrong_cells(scene, name)
    assert not wrong, "\n".join(wrong)
    assert cells >= 45


def test_the_matrix_sees_a_server_that_lets_everybody_in(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handrail.access.rules._why_not", lambda *_: None)
    wrong, cells = wrong_cells(scene, "scope metrics:read")
    assert len(wrong) > cells / 2


@pytest.mark.ledger("A-108")
def test_every_route_has_a_rule(scene: Scene) -> None:
    """A new route that the document does not have, or that has no rule, fails here."""
    described = {(method, path) for method, path, _ in operations(scene.document)}
    served = set()
    for route in scene.net.server.app.routes:
        path = re.sub(r"{(\w+):\w+}", r"{\1}", route.path_format)
        for method in getattr(route, "methods", set()) - {"OPTIONS", "HEAD"}:
            served.add((method, path))
    pages = {one for one in served if one[1] in PAGES or is_desk(scene, one[1])}
    assert served - pages == described
    for method, path, operation in operations(scene.document):
        rule = operation["x-handrail-access"]
        assert rule is None or rule["ways"], (method, path)
        if rule is None:
            assert path in ("/healthz", "/readyz")
        assert operation["responses"]["200"] and operation["responses"]["401"]


def is_desk(scene: Scene, path: str) -> bool:
    """Whether an address is a page of the desk."""
    return not path.startswith(("/api/", "/metrics", "/schema", "/healthz", "/readyz"))


def test_every_command_has_its_operation(scene: Scene) -> None:
    assert {kind.__name__ for kind in c.ROUTES} <= {
        operation["operationId"] for _, _, operation in operations(scene.document)
    }


def test_what_one_may_not_know_of_reads_as_if_it_were_not_there(scene: Scene) -> None:
    """The same status and sentence for a decision of others and for one that was made up."""
    http, thing = scene.callers["stranger"], scene.things["submitter"]
    for kind, known in (("decisions", thing["decision_id"]), ("reviews", thing["review_id"])):
        made_up = known[:2] + "0" * 26
        there = http.get(f"/api/v1/{kind}/{known}").json()
        nowhere = http.get(f"/api/v1/{kind}/{made_up}").json()
        there.pop("request"), nowhere.pop("request")
        assert there["status"] == 404
        assert {**there, "detail": there["detail"].replace(known, made_up)} == nowhere
