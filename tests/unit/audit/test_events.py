"""The catalogue of entry types, and folding a log back into state."""

from __future__ import annotations

from typing import Any

import pytest

from handrail.audit import encode
from handrail.audit import events as ev
from handrail.model.errors import BadInput
from handrail.model.ids import new_id
from handrail.model.modes import GrantState, Lane, Mode, Said, Verdict

NOW = 1_790_000_000_000_000
COMMIT = "c" * 64
OTHER = "d" * 64
D, D2 = new_id("d", NOW), new_id("d", NOW + 1)
R, V, G, G2, P, L, T, N = (new_id(prefix, NOW) for prefix in "rvggplti")

SAMPLES: dict[str, Any] = {
    "decision id": D,
    "review id": R,
    "vote id": V,
    "grant id": G,
    "label id": L,
    "batch id": "b_" + "0" * 26,
    "person id": P,
    "token id": T,
    "invitation id": N,
    "integer": 3,
    "time": NOW,
    "flag": True,
    "decimal": "-12.50",
    "name": "budget-cap",
    "names": ["budget-cap", "Grössen-Regel"],
    "policy version": "campaign-launch@3f2a",
    "audience": ["team:marketing-ops", "role:director", P],
    "commitment": COMMIT,
    "policy digest": "sha256:" + COMMIT,
    "decision ids": [D, D2],
    "vote ids": [V],
    "round id": f"{R}/1",
}


def sample(kind: ev.Kind) -> Any:
    if kind.name.startswith("one of "):
        return kind.name.removeprefix("one of ").split(", ")[0]
    return SAMPLES[kind.name]


@pytest.mark.parametrize("name", ev.CATALOGUE)
def test_every_type_builds_with_and_without_its_optional_fields(name: str) -> None:
    type_ = ev.CATALOGUE[name]
    required = {field: sample(kind) for field, kind in type_.required.items()}
    optional = {field: sample(kind) for field, kind in type_.optional.items()}
    for fields in (required, required | optional):
        made = ev.entry(name, at=NOW, actor=P, **fields)
        assert made == {"type": name, "at": NOW, "actor": P, **fields}
        assert encode(made)
    for field in required:
        with pytest.raises(BadInput, match=f"{name} has no {field}"):
            ev.entry(name, at=NOW, actor=P, **{**required, field: None})
    assert not set(type_.required) & set(type_.optional)
    assert not {"type", "at", "actor"} & {*type_.required, *type_.optional}
    assert type_.says.endswith(".")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"decision": R}, "/decision"),
        ({"decision": D.upper()}, "/decision"),
        ({"decision": D + "0"}, "/decision"),
        ({"decision": D + "\n"}, "/decision"),
        ({"workflow": "ann@example.com"}, "/workflow"),
        ({"workflow": "a\nb"}, "/workflow"),
        ({"workflow": ""}, "/workflow"),
        ({"lane": "maybe"}, "/lane"),
        ({"commit": "sha256:" + COMMIT}, "/commit"),
        ({"commit": COMMIT.upper()}, "/commit"),
        ({"rules": ["ok", 1]}, "/rules"),
        ({"money": "1e3"}, "/money"),
        ({"money": 1.5}, "/money"),
        ({"money": "01"}, "/money"),
        ({"test": 1}, "/test"),
        ({"expires_at": -1}, "/expires_at"),
        ({"expires_at": 2**53}, "/expires_at"),
        ({"expires_at": True}, "/expires_at"),
        ({"facts": {"name": "Ann"}}, "/facts"),
        ({"at": 1.0}, "/at"),
        ({"actor": "ann@example.com"}, "/actor"),
        ({"policy": "campaign-launch"}, "/policy"),
    ],
)
def test_what_does_not_belong_is_named(fields: dict[str, Any], pointer: str) -> None:
    good: dict[str, Any] = {
        "at": NOW,
        "actor": "budgeter",
        "decision": D,
        "workflow": "campaign-launch",
        "policy": "campaign-launch@1",
        "lane": Lane.HOLD,
        "mode": Mode.IN_THE_LOOP,
        "commit": COMMIT,
    }
    assert ev.entry("decision.submitted", **good)["lane"] == "hold"
    with pytest.raises(BadInput) as caught:
        ev.entry("decision.submitted", **(good | fields))
    assert caught.value.pointer == pointer
    assert "expected" in str(caught.value)


def test_an_audience_has_no_handles() -> None:
    with pytest.raises(BadInput, match="never a handle"):
        ev.entry("review.escalated", at=NOW, actor="system", review=R, to=("person:ann",))


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(BadInput, match=r"the entry type is 'vote\.bought'"):
        ev.entry("vote.bought", at=NOW, actor=P)


def test_the_fold_speaks_only_of_fields_and_columns_that_exist() -> None:
    reached: dict[str, set[str]] = {table: set() for table in ev.TABLES}
    for name, folds in ev.FOLDED.items():
        fields = {**ev.CATALOGUE[name].required, **ev.CATALOGUE[name].optional}
        for rule in folds:
            assert rule.key in fields, (name, rule.key)
            assert set(rule.sets.values()) <= set(fields), name
            columns = set(rule.sets) | set(rule.fixed)
            assert columns <= set(ev.TABLES[rule.table].columns), name
            assert rule.drops != bool(columns), name
            reached[rule.table] |= columns
    for table, columns in reached.items():
        assert columns == set(ev.TABLES[table].columns), table


def held_approved_and_run() -> list[dict[str, Any]]:
    def made(type_: str, actor: str = "system", **fields: Any) -> dict[str, Any]:
        return ev.entry(type_, at=NOW, actor=actor, **fields)

    return [
        made("workspace.created", origin="handrail.example/log"),
        made(
            "decision.submitted",
            "budgeter",
            decision=D,
            workflow="campaign-launch",
            policy="campaign-launch@1",
            lane=Lane.HOLD,
            mode=Mode.IN_THE_LOOP,
            commit=COMMIT,
        ),
        made(
            "review.opened",
            review=R,
            decision=D,
            workflow="campaign-launch",
            kind="hold",
            round_id=f"{R}/1",
            commit=COMMIT,
        ),
        made("vote.cast", P, vote=V, review=R, round=1, person=P, said=Said.APPROVE, commit=COMMIT),
        made("review.decided", P, review=R, verdict=Verdict.APPROVED, round=1, decisions=(D,)),
        made("outcome.set", P, decision=D, verdict=Verdict.APPROVED, commit=OTHER),
        made("outcome.released", decision=D, verdict=Verdict.APPROVED, commit=OTHER, grant=G),
        made("review.closed", review=R),
        made("grant.redeemed", "budgeter", grant=G, decision=D),
        made("grant.in_doubt", grant=G, decision=D),
        made("grant.resolved", P, grant=G, decision=D, state=GrantState.VOID, replaced_by=G2),
        made("label.added", "budgeter", label=L, decision=D, commit=COMMIT),
        made(
            "policy.activated",
            workflow="campaign-launch",
            policy="campaign-launch@2",
            gate_digest="sha256:" + "0" * 64,
        ),
        made("list.changed", P, list="campaign-launch/sources", version=1, commit=COMMIT),
        made("list.changed", P, list="campaign-launch/sources", version=2, commit=OTHER),
        made("person.added", person=P, commit=COMMIT),
        made("person.changed", person=P, holds=("team:a",), limits=("refund 5",), active=True),
        made("person.changed", person=P, holds=("team:a", "team:b"), active=False),
        made("stop.set", P, workflow="*", commit=COMMIT),
        made("stop.set", P, workflow="refund", commit=OTHER),
        made("stop.cleared", P, workflow="*", commit=COMMIT),
        made("token.made", P, token=T, name="shop", scopes=("audit:read",), workflows=("*",)),
        made("token.revoked", P, token=T),
    ]


def stored_tables() -> dict[str, list[dict[str, Any]]]:
    return {
        "decisions": [
            {
                "id": D,
                "workflow": "campaign-launch",
                "lane": "hold",
                "mode": "in_the_loop",
                "commit": COMMIT,
            }
        ],
        "reviews": [{"id": R, "status": "closed", "round": 1, "verdict": "approved"}],
        "rounds": [{"id": f"{R}/1", "commit": COMMIT}],
        "votes": [
            {"id": V, "review": R, "round": 1, "person": P, "said": "approve", "commit": COMMIT}
        ],
        "outcomes": [{"decision": D, "verdict": "approved", "commit": OTHER, "released": 1}],
        "grants": [
            {"id": G, "decision": D, "state": "void"},
            {"id": G2, "decision": D, "state": "granted"},
        ],
        "labels": [{"id": L, "decision": D, "commit": COMMIT}],
        "policies": [{"workflow": "campaign-launch", "policy": "campaign-launch@2"}],
        "lists": [{"list": "campaign-launch/sources", "version": 2, "commit": OTHER}],
        "people": [
            {
                "id": P,
                "holds": ("team:a", "team:b"),
                "limits": (),
                "active": False,
                "commit": COMMIT,
            }
        ],
        "stops": [{"workflow": "refund", "commit": OTHER}],
        "tokens": [
            {
                "id": T,
                "name": "shop",
                "scopes": ("audit:read",),
                "workflows": ("*",),
                "expires_at": None,
                "revoked": 1,
            }
        ],
    }


def test_a_log_folds_into_the_tables() -> None:
    assert ev.compare(ev.fold(held_approved_and_run()), stored_tables()) == []


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "index"),
    [
        ("decisions", 0, "lane", "pass", 1),
        ("decisions", 0, "commit", OTHER, 1),
        ("reviews", 0, "verdict", "rejected", 4),
        ("reviews", 0, "status", "open", 7),
        ("reviews", 0, "verdict", None, 4),
        ("votes", 0, "said", "reject", 3),
        ("outcomes", 0, "verdict", "rejected", 6),
        ("outcomes", 0, "released", 0, 6),
        ("grants", 0, "state", "done", 10),
        ("grants", 1, "state", "redeemed", 10),
        ("labels", 0, "commit", OTHER, 11),
        ("policies", 0, "policy", "campaign-launch@1", 12),
        ("lists", 0, "commit", COMMIT, 14),
        ("people", 0, "holds", ("team:a", "role:cfo"), 17),
        ("people", 0, "limits", ("refund 5",), 17),
        ("people", 0, "active", True, 17),
        ("people", 0, "commit", OTHER, 15),
        ("stops", 0, "commit", COMMIT, 19),
        ("tokens", 0, "scopes", ("audit:read", "export:read"), 21),
        ("tokens", 0, "revoked", 0, 22),
    ],
)
def test_a_silent_update_is_found(
    table: str, row: int, column: str, value: Any, index: int
) -> None:
    stored = stored_tables()
    before = stored[table][row][column]
    stored[table][row][column] = value
    (found,) = ev.compare(ev.fold(held_approved_and_run()), stored)
    assert (found.table, found.row) == (table, stored[table][row][ev.TABLES[table].key])
    assert (found.column, found.stored, found.log, found.index) == (column, value, before, index)
    assert f"entry {index} of the log says {before!r}" in str(found)


@pytest.mark.parametrize("table", ev.TABLES)
def test_a_silent_delete_and_insert_are_found(table: str) -> None:
    folded = ev.fold(held_approved_and_run())
    stored = stored_tables()
    lost = stored[table].pop()
    key = ev.TABLES[table].key
    (found,) = ev.compare(folded, stored)
    assert (found.table, found.row, found.column, found.stored) == (table, lost[key], None, None)
    assert found.index is not None and "no such row; entry" in str(found)
    stored[table] += [lost, {**lost, key: "x"}]
    (found,) = ev.compare(folded, stored)
    assert (found.row, found.column, found.index) == ("x", None, None)
    assert "no entry of the log made it" in str(found)


def test_an_undo_reopens_and_removes() -> None:
    log = held_approved_and_run()[:6]
    log.append(ev.entry("review.undone", at=NOW, actor=P, review=R, decisions=[D], vote=V))
    stored = stored_tables() | {"outcomes": [], "votes": [], "grants": [], "labels": []}
    stored |= {"policies": [], "lists": [], "people": [], "stops": [], "tokens": []}
    stored["reviews"] = [{"id": R, "status": "open", "round": 1, "verdict": None}]
    assert ev.compare(ev.fold(log), stored) == []
    stored["outcomes"] = stored_tables()["outcomes"]
    (found,) = ev.compare(ev.fold(log), stored)
    assert found.index == 6 and "entry 6 of the log removed it" in str(found)


def test_tables_and_columns_that_are_not_shown_do_not_pass() -> None:
    folded = ev.fold(held_approved_and_run())
    stored = stored_tables()
    del stored["votes"]
    with pytest.raises(BadInput, match="no rows of the table votes"):
        ev.compare(folded, stored)
    stored = stored_tables()
    del stored["grants"][0]["state"]
    with pytest.raises(BadInput, match="a row of grants has no state"):
        ev.compare(folded, stored)


def test_an_entry_beside_the_catalogue_stops_the_fold_with_its_index() -> None:
    with pytest.raises(BadInput, match="entry 23: "):
        ev.fold([*held_approved_and_run(), {"type": "vote.bought"}])
