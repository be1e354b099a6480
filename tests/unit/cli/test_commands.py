"""The commands one by one: what they do, what they exit with, what they say when they cannot."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer.main

from handrail.access import SCOPES
from handrail.cli.commands import COMMANDS, app, run
from tests.unit.cli.conftest import Line
from tests.workspace import REFUND, make_workspace

PROGRAM = [sys.executable, "-c", "from handrail.cli import main; main()"]

# ------------------------------------------------------------------------------- decisions


def test_a_small_one_passes_and_its_outcome_is_there(line: Line) -> None:
    ruling = line.json("submit", "refund", "order=o1", "amount=20", "--key", "k1")
    assert ruling["lane"] == "pass"
    outcome = line.json("wait", ruling["decision_id"], "--timeout", "120")
    assert (outcome["allowed"], outcome["value"]) == (True, {"amount": "20.00"})
    assert line("wait", ruling["decision_id"]) == 0
    assert "passed" in line.out and "grant: g_" in line.out


def test_the_same_key_again_is_the_same_decision(line: Line) -> None:
    first = line.json("submit", "refund", "order=o1", "amount=20", "--key", "k1")
    again = line.json("submit", "refund", "order=o1", "amount=20", "--key", "k1")
    assert first["decision_id"] == again["decision_id"]
    assert line("submit", "refund", "order=o1", "amount=21", "--key", "k1") == 3


def test_a_held_one_exits_with_one_and_names_its_review(line: Line) -> None:
    assert line("submit", "refund", "order=o1", "amount=120") == 1
    assert "120 USD is over the approved 100 USD" in line.out
    assert "review r_" in line.out


def test_a_refused_one_exits_with_three(line: Line) -> None:
    assert line("submit", "refund", "order=o1", "amount=100001") == 3
    assert "more than any order" in line.out


def test_facts_from_json_files_and_the_input(line: Line, tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text('{"order": "o7"}')
    ruling = line.json(
        "submit", "refund", "--facts", f"@{tmp_path / 'f.json'}", "--proposal", '{"amount": 5}'
    )
    shown = line.json("decisions", "show", ruling["decision_id"])
    assert shown["decision"]["facts"] == {"order": "o7"}
    assert shown["decision"]["proposal"] == {"amount": "5.00"}
    done = subprocess.run(
        [
            *PROGRAM,
            *["--json", "submit", "refund", "--facts", "-", "amount=1"],
            "-w",
            line.workspace,
        ],
        input='{"order": "from the input"}',
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["lane"] == "pass"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["order=o1", "order=o2", "amount=1"], "order is given twice"),
        (["order"], "is no FIELD=VALUE"),
        (["--facts", "{", "amount=1"], "--facts: not JSON"),
        (["--facts", "[1]"], "expected a JSON object"),
        (["--facts", "@/none.json"], "No such file"),
        (["order=o1", "amount=dear"], "amount"),
        (["amount=1"], "order"),
        (["order:=", "amount=1"], "order: not JSON"),
    ],
)
def test_bad_input_exits_with_two_and_says_where(
    line: Line, arguments: list[str], message: str
) -> None:
    assert line("submit", "refund", *arguments) == 2
    assert message in line.err
    assert "Traceback" not in line.err
    assert line.json("decisions", "list") == []


def test_a_preview_stores_nothing(line: Line) -> None:
    assert line.json("submit", "refund", "order=o1", "amount=120", "--preview", code=1)
    assert line.json("decisions", "list") == []


def test_waiting_in_vain_exits_with_four(line: Line) -> None:
    decision, _ = line.held()
    assert line("wait", decision, "--timeout", "0.1") == 4
    assert "no outcome" in line.err


def test_waiting_for_a_no_exits_with_one(line: Line) -> None:
    decision, review = line.held()
    assert line("reviews", "reject", review, "--reason", "fraud") == 0
    outcome = line.json("wait", decision, code=1)
    assert (outcome["allowed"], outcome["verdict"], outcome["reason"]) == (
        False,
        "rejected",
        "fraud",
    )


def test_withdraw(line: Line) -> None:
    decision, _ = line.held()
    assert line.json("withdraw", decision, "--reason", "not needed")["verdict"] == "withdrawn"
    assert line("wait", decision) == 1
    decided, review = line.held("o2")
    line("reviews", "approve", review)
    assert line("withdraw", decided, "--reason", "late") == 3


def test_decisions_are_listed_newest_first_as_lines(line: Line) -> None:
    line.json("submit", "refund", "order=o1", "amount=1")
    line.held("o2")
    found = line.json("decisions", "list")
    assert [one["decision"]["subject"] for one in found] == ["o2", "o1"]
    assert line.json("decisions", "list", "--lane", "pass")["decision"]["subject"] == "o1"
    assert line("decisions") == 0
    assert "o1" in line.out and "over the approved" in line.out
    assert line("decisions", "show", "d_00000000000000000000000000") == 2


# ------------------------------------------------------------------------------- reviews


def test_approve_edit_and_show(line: Line) -> None:
    decision, review = line.held()
    assert line("reviews", "show", review) == 0
    assert line.out.index("WHAT") < line.out.index("WHY") < line.out.index("STAKES")
    voted = line.json("reviews", "edit", review, "amount=90", "--reason", "wrong")
    assert (voted["decided"], voted["verdict"]) == (True, "edited")
    assert line.json("wait", decision)["value"] == {"amount": "90.00"}


def test_an_edit_the_policy_refuses_leaves_the_review_open(line: Line) -> None:
    _, review = line.held()
    assert line("reviews", "edit", review, "amount=999999", "--reason", "wrong") == 2
    assert line("reviews", "edit", review, "order=o9", "--reason", "wrong") == 2
    assert line("reviews", "edit", review, "nothing", "--reason", "wrong") == 2
    assert line.json("reviews", "list")["status"] == "open"


def test_a_reject_needs_a_reason_of_the_policy(line: Line) -> None:
    _, review = line.held()
    assert line("reviews", "reject", review) == 2
    assert "wrong, fraud" in line.err
    assert line("reviews", "reject", review, "--reason", "mood") == 2


def test_who_comes_second_is_told_who_won(line: Line) -> None:
    _, review = line.held()
    seen = line.json("reviews", "show", review)["digest"]
    assert line("reviews", "approve", review, person="bob@example.com") == 0
    assert line("reviews", "reject", review, "--reason", "fraud", "--card", seen) == 3
    assert "approved by bob@example.com" in line.err
    assert line("--json", "reviews", "reject", review, "--reason", "fraud", "--card", seen) == 3
    problem = json.loads(line.err)
    assert problem["winner"]["by"] == "bob@example.com"


def test_a_card_that_was_not_the_one_painted_is_refused(line: Line) -> None:
    _, review = line.held()
    assert line("reviews", "approve", review, "--card", "card:other") == 3
    assert "moved" in line.err


def test_claim_snooze_assign_ask_comment_and_escalate(line: Line) -> None:
    line("users", "add", "ann@example.com", "--holds", "team:ops")
    line("users", "add", "bob@example.com", "--holds", "team:ops,role:boss")
    _, review = line.held()
    seated = line.json("reviews", "claim")
    assert seated["card"]["review"] == review
    assert line("reviews", "approve", review, person="bob@example.com") == 3, "ann has the seat"
    assert line("reviews", "comment", review, "looks odd") == 0
    assert line("reviews", "ask", review, "why twice?") == 0
    assert line("reviews", "snooze", review, "--for", "15m") == 0
    assert line("reviews", "snooze", review, "--for", "soon") == 2
    assert line("reviews", "assign", review, "--to", "role:boss") == 0
    assert line.json("reviews", "show", review)["to"] == ["role:boss"]
    assert (
        line(
            "reviews",
            "escalate",
            review,
            "--reason",
            "fraud",
            "--to",
            "role:boss",
            person="bob@example.com",
        )
        == 0
    )
    assert (
        line("reviews", "approve", review, "--token", seated["token"], person="eve@example.com")
        == 3
    )


def test_undo(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    slow = REFUND.replace("undo: 0s", "undo: 60s")
    line = Line(make_workspace(tmp_path / "slow", refund=slow), capfd)
    _, review = line.held()
    assert line("reviews", "approve", review) == 0
    assert "it can be taken back" in line.out
    assert line("reviews", "undo", review, person="bob@example.com") == 3
    assert line("reviews", "undo", review) == 0
    assert line.json("reviews", "list")["round"] == 2


# ------------------------------------------------------------------------------- runs in doubt


def test_a_failed_run_is_shown_and_settled_by_a_person(line: Line) -> None:
    from handrail.app import open_workspace

    ruling = line.json("submit", "refund", "order=o1", "amount=20", "--key", "k")
    with open_workspace(line.workspace) as hr:
        outcome = hr.wait(ruling["decision_id"], timeout=120)
        with pytest.raises(OSError, match="bank"), hr.run(outcome):
            raise OSError("the bank did not answer")
    assert line("doubts") == 0
    assert "the bank did not answer" in line.out
    assert line("reviews", "list") == 0
    assert "1 runs in doubt" in line.out
    grant = line.json("doubts", "list")[0]["grant"]["id"]
    assert line("doubts", "resolve", grant, "--note", "asked them") == 2
    assert line("doubts", "resolve", grant, "--happened", "--again", "--note", "x") == 2
    again = line.json("doubts", "resolve", grant, "--again", "--note", "it never arrived")
    assert again["replaced_by"] is not None or again["id"] != grant
    assert line.json("doubts", "list") == []


# ------------------------------------------------------------------------------- stop, users


def test_the_stop_button_holds_what_would_pass(line: Line) -> None:
    assert line("stop") == 2, "it needs a reason"
    assert line("stop", "refund", "--reason", "incident 12") == 0
    assert line("stop", "--list") == 0
    assert "by ann@example.com: incident 12" in line.out
    assert line("submit", "refund", "order=o1", "amount=1") == 1
    assert line("start", "refund", "--reason", "over") == 0
    assert line("submit", "refund", "order=o2", "amount=1") == 0


def test_people_are_registered_and_removed(line: Line) -> None:
    assert line("users", "add", "ann@example.com", "--holds", "ops") == 2
    line("users", "add", "ann@example.com", "--holds", "team:ops, role:boss")
    [ann] = [p for p in line.json("users", "list") if p["handle"] == "ann@example.com"]
    assert ann["holds"] == ["team:ops", "role:boss"]
    _, review = line.held()
    assert line("reviews", "approve", review, person="eve@example.com") == 3
    assert line("users", "remove", "nobody@example.com") == 2
    assert line("users", "remove", "ann@example.com") == 0
    assert line("reviews", "approve", review) == 3


def test_limits_hold_in_the_shell(line: Line) -> None:
    assert line("users", "add", "ann@example.com", "--limit", "500") == 2
    assert line("users", "add", "ann@example.com", "--limit", "refund=much") == 2
    ann = ("users", "add", "ann@example.com", "--holds", "team:ops", "--limit")
    assert line.json(*ann, "refund=5")["limits"] == {"refund": "5"}
    assert line("users", "list") == 0
    assert "refund 5" in line.out
    assert line.json(*ann, "none")["limits"] == {}


def test_somebody_is_invited(line: Line) -> None:
    assert line("users", "invite", "bob@example.com", "--holds", "team:ops") == 0
    assert line.out.startswith("hri_") and "bob@example.com, once, until" in line.err
    invited = line.json("users", "invite", "bob@example.com", "--hours", "1")
    assert invited["secret"].startswith("hri_")
    assert line("users", "invite", "bob@example.com", "--hours", "0") == 2


def test_tokens_are_made_listed_and_revoked(line: Line) -> None:
    assert line("tokens") == 0
    assert "no tokens" in line.out
    make = ("tokens", "make", "budgeter", "--scope", "decisions:submit,labels:write")
    assert line(*make) == 2
    assert line(*make, "--workflow", "refund") == 0
    assert line.out.startswith("hrt_") and "shown only now" in line.err
    assert line("tokens", "make", "x", "--scope", "all", "--workflow", "*") == 2
    [token] = line.json("tokens", "list")
    assert token["scopes"] == ["decisions:submit", "labels:write"]
    assert line("tokens", "revoke", token["id"]) == 0
    assert line("tokens", "list") == 0
    assert "revoked" in line.out and "budgeter" in line.out
    assert line("tokens", "revoke", "t_none") == 2


# ------------------------------------------------------------------------------- the log


def test_the_log_is_verified_exported_and_proved(line: Line, tmp_path: Path) -> None:
    decision, review = line.held()
    line("reviews", "approve", review)
    found = line.json("audit", "verify", "--against-state")
    assert found["ok"] and found["entries"] > 3 and found["anchored"] == found["entries"]
    assert line("audit", "verify") == 0
    assert "exposure" in line.out
    export = tmp_path / "export"
    assert line("audit", "export", str(export)) == 0
    assert line("audit", "export", str(export)) == 3, "it is not empty"
    kept = tmp_path / "kept"
    assert line("audit", "checkpoint", "--output", str(kept)) == 0
    assert line("audit", "verify", str(export), "--anchor", str(kept)) == 0
    entries = export / "entries.jsonl"
    entries.write_bytes(entries.read_bytes().replace(b'"lane":"hold"', b'"lane":"pass"', 1))
    assert line("audit", "verify", str(export), "--anchor", str(kept)) == 1
    assert "entry" in line.err
    proof = tmp_path / "p.tlog-proof"
    assert line("audit", "prove", decision, "--output", str(proof)) == 0
    from handrail.audit.note import VerifierKey
    from handrail.audit.proof import verify_proof

    key = VerifierKey.parse((export / "vkey").read_text().strip())
    leaf = (tmp_path / "p.tlog-proof.leaf").read_bytes()
    assert decision.encode() in leaf
    assert verify_proof(proof.read_bytes(), leaf, [key]).size == found["entries"]
    assert line("decisions", "show", decision, "--proof", str(tmp_path / "q")) == 0
    assert (tmp_path / "q").read_bytes().startswith(b"c2sp.org/tlog-proof@v1")
    assert line("audit", "prove", "99999", "--output", str(proof)) == 2


def test_a_silently_changed_table_is_found(line: Line) -> None:
    import apsw

    line.held()
    database = line.workspace / "store" / "handrail.db"
    connection = apsw.Connection(str(database))
    names = [row[1] for row in connection.execute("PRAGMA table_info(reviews)")]
    assert "status" in names
    connection.execute("UPDATE reviews SET status = 'decided'")
    connection.close()
    assert line("audit", "verify") == 0, "the log itself is as it was"
    assert line("audit", "verify", "--against-state") == 1
    assert "status" in line.err


def test_an_anchor_is_kept_where_it_is_asked_for(line: Line, tmp_path: Path) -> None:
    line.held()
    place = tmp_path / "elsewhere"
    assert line("audit", "anchor", "--to", str(place)) == 0
    assert line("audit", "verify", "--anchor", str(place)) == 0
    line.held("o2")
    found = line.json("audit", "verify", "--anchor", str(place))
    assert found["ok"]


def test_a_database_that_was_put_back_is_noticed_and_accepted_by_a_person(line: Line) -> None:
    line.held()
    database = line.workspace / "store" / "handrail.db"
    older = database.read_bytes()
    line.held("o2")
    for path in database.parent.iterdir():
        path.unlink()
    database.write_bytes(older)
    assert line("audit", "verify") == 1
    assert "anchor" in line.err
    assert line("doctor") == 1
    assert "put back" in line.out
    assert line("submit", "refund", "order=o3", "amount=1") == 3
    assert "accept-restore" in line.err
    assert line("audit", "accept-restore", "--reason", " ") == 2
    assert line("audit", "accept-restore", "--reason", "the disk failed") == 0
    assert line("submit", "refund", "order=o3", "amount=1") == 0
    assert line("audit", "accept-restore", "--reason", "again") == 3, "there is nothing to accept"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE people SET holds = replace(holds, 'team:ops', 'role:cfo')", "holds is"),
        ("UPDATE people SET handle = 'eve', folded = 'eve' WHERE handle = 'ben'", "commit is"),
        ("UPDATE people SET active = 1", "active is True in the table"),
        ("UPDATE people SET limits = '{}'", "limits is () in the table"),
        ("DELETE FROM people WHERE handle = 'ann'", "the table has no such row"),
        ("UPDATE tokens SET workflows = '[\"*\"]'", "tokens t_"),
        ("DELETE FROM stops", "stops *: the table has no such row"),
        ("UPDATE stops SET reason = 'a rehearsal'", "stops *: commit is"),
    ],
)
def test_who_may_decide_is_compared_with_the_log(line: Line, change: str, told: str) -> None:
    assert line("users", "add", "ann", "--holds", "team:ops", "--limit", "refund=500") == 0
    assert line("users", "add", "ben", "--holds", "team:ops") == 0
    assert line("users", "remove", "ben") == 0
    scope = ("--scope", "decisions:submit", "--workflow", "refund")
    assert line("tokens", "make", "shop", *scope) == 0
    assert line("stop", "--reason", "the feed is wrong") == 0
    assert line("audit", "verify", "--against-state") == 0
    database = sqlite3.connect(line.workspace / "store" / "handrail.db")
    with database:
        assert database.execute(change).rowcount > 0
    database.close()
    assert line("audit", "verify", "--against-state") == 1
    assert told in line.err


def test_a_log_that_is_not_whole_is_told_and_not_folded(line: Line) -> None:
    line.held()
    database = sqlite3.connect(line.workspace / "store" / "handrail.db")
    with database:
        database.execute(
            "UPDATE audit_entries SET body = cast(replace(cast(body AS text), 'hold', 'held') AS"
            " blob)"
        )
    database.close()
    assert line("audit", "verify", "--against-state") == 1
    assert "changed: its leaf hash is not the one stored" in line.err
    assert "the tables were not compared: the log itself is not whole" in line.err
    assert "exposure: none" not in line.out


# ------------------------------------------------------------------------------- the doctor


def test_the_doctor_names_files_that_are_not_active_yet(line: Line) -> None:
    line.held()
    assert "drafts: none" in (line("doctor"), line.out)[1]
    (line.workspace / "policies" / "refund.yaml").write_text(REFUND.replace("100 USD", "100 $"))
    assert line("doctor") == 0
    assert "drafts: refund.yaml: active from the next submit on" in line.out
    for name in ("ann", "ben"):
        assert line("users", "add", name, "--holds", "team:ops") == 0
    (line.workspace / "policies" / "refund.yaml").write_text(REFUND.replace("100 USD", "USD 100"))
    line("doctor")
    assert "drafts: refund.yaml: `handrail policy propose` asks for it" in line.out


def test_the_doctor_says_where_nothing_can_be_written(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.held()
    monkeypatch.setattr("os.access", lambda path, mode, **more: mode != os.W_OK)
    assert line("doctor") == 1
    assert "WRONG owner: " in line.out and "cannot be written from here" in line.out


def test_the_doctor_knows_the_checks_of_the_packs(line: Line) -> None:
    policy = Path(__file__).parents[3] / "docs" / "policies" / "support-reply.yaml"
    (line.workspace / "policies" / policy.name).write_bytes(policy.read_bytes())
    assert line("check") == 0
    assert line("doctor") == 0, line.out


def test_the_doctor_finds_a_route_that_leads_to_nobody(line: Line) -> None:
    line.held()
    for name in ("ann", "ben"):
        assert line("users", "add", name, "--holds", "team:op") == 0  # the s is missing
    assert line("doctor") == 1
    assert "WRONG people: " in line.out
    assert "no active person is team:ops" in line.out
    assert line("users", "add", "ann", "--holds", "team:ops") == 0
    assert line("doctor") == 0


def test_a_healthy_workspace(line: Line) -> None:
    line.held()
    assert line("doctor") == 0
    assert "everything is well" in line.out
    report = line.json("doctor")
    assert report["ok"] and all(one["ok"] for one in report["findings"])


def test_the_doctor_finds_a_broken_policy_file_and_a_damaged_store(line: Line) -> None:
    line.held()
    (line.workspace / "policies" / "broken.yaml").write_text("handrail: 1\nworkflow: [\n")
    assert line("doctor") == 1
    assert "WRONG policy broken.yaml" in line.out
    (line.workspace / "policies" / "broken.yaml").unlink()
    database = line.workspace / "store" / "handrail.db"
    content = bytearray(database.read_bytes())
    content[8192:16384] = b"\xff" * 8192
    database.write_bytes(bytes(content))
    assert line("doctor") == 1
    assert "WRONG" in line.out


# ------------------------------------------------------------------------------- policies


def test_check_names_every_mistake_with_its_place(line: Line) -> None:
    assert line("check") == 0
    assert "cost" in line.out
    bad = line.workspace / "policies" / "bad.yaml"
    bad.write_text(REFUND.replace("amount > 100\n", "amuont > 100\n").replace("4h", "4x"))
    assert line("check") == 1
    places = [text for text in line.err.splitlines() if "bad.yaml:" in text]
    assert len(places) == 2
    assert "did you mean `amount`" in line.err
    assert line.json("check", str(bad), code=1)["mistakes"] == 2
    assert line("check", str(line.workspace / "none")) == 2


def test_new_refuses_to_overwrite(line: Line, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("id,spend\n" + "".join(f"a{n},{n}\n" for n in range(50)))
    assert line("new", "refund", "--from", str(tmp_path / "d.csv")) == 3
    assert line("new", "Bad Name", "--from", str(tmp_path / "d.csv")) == 2
    assert line("new", "fine", "--from", str(tmp_path / "d.csv"), "--output", "-") == 0
    assert line.out.startswith("handrail: 1\n")


def test_new_from_a_model(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_models.py").write_text(
        "import dataclasses\n@dataclasses.dataclass\nclass Order:\n    id: str\n    amount: float\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    made = line.json("new", "order", "--from", "shop_models:Order")
    assert made["cases"] == 2
    assert line("check") == 0
    assert line("new", "x", "--from", "shop_models:Nothing") == 2
    assert line("new", "x", "--from", "no_such_module:Order") == 2


def test_bad_rows_go_to_a_side_file_with_every_reason(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = ["order,amount", "o1,20", "o2,dear", ",5", "o4,120", "o5", "o6,130"]
    (tmp_path / "d.csv").write_text("\n".join(rows) + "\n")
    found = line.json("gate", "refund", "--input", "d.csv", "--submit", "--key", "order")
    assert found["lanes"] == {"pass": 1, "hold": 2, "refuse": 0}
    assert found["bad"] == 3
    bad = [json.loads(text) for text in (tmp_path / "d.bad.jsonl").read_text().splitlines()]
    assert [(one["row"], one["line"]) for one in bad] == [(2, 3), (3, 4), (5, 6)]
    assert [reason["pointer"] for reason in bad[0]["reasons"]] == ["/proposal/amount"]
    assert {reason["pointer"] for reason in bad[1]["reasons"]} == {"/key", "/facts/order"}
    assert found["submitted"]["reviews"] == 2
    (tmp_path / "d.csv").write_text("order,amount\no1,20\n")
    line.json("gate", "refund", "--input", "d.csv")
    assert not (tmp_path / "d.bad.jsonl").exists(), "it would speak of other rows"


def test_gate_submits_the_same_key_with_other_content_as_a_bad_row(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text("order,amount\no1,120\n")
    line.json("gate", "refund", "--input", "d.csv", "--submit", "--key", "order")
    (tmp_path / "d.csv").write_text("order,amount\no1,130\no2,140\n")
    found = line.json("gate", "refund", "--input", "d.csv", "--submit", "--key", "order")
    assert (found["bad"], found["submitted"]["reviews"]) == (1, 1)
    [bad] = [json.loads(text) for text in (tmp_path / "d.bad.jsonl").read_text().splitlines()]
    assert bad["key"] == "o1"


@pytest.mark.slow
def test_an_interrupted_gate_leaves_no_half_file_and_goes_on_where_it_was(
    line: Line, tmp_path: Path
) -> None:
    import signal

    big = tmp_path / "big.csv"
    big.write_text("order,amount\n" + "".join(f"o{n},{n % 150}\n" for n in range(60_000)))
    out = tmp_path / "out.csv"
    options = ["--input", big, "--output", out, "--submit", "--key", "order"]
    process = subprocess.Popen(
        [*PROGRAM, "-w", line.workspace, "gate", "refund", *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    database = line.workspace / "store" / "handrail.db-wal"
    give_up = time.monotonic() + 300
    while not (database.exists() and database.stat().st_size > 500_000):
        assert process.poll() is None and time.monotonic() < give_up
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.csv", "work"]
    before = line.json("reviews", "list", "--limit", "1000")
    assert before
    small = tmp_path / "small.csv"
    small.write_text("order,amount\n" + "".join(f"o{n},{n % 150}\n" for n in range(300)))
    found = line.json("gate", "refund", "--input", str(small), "--submit", "--key", "order")
    assert found["submitted"]["already_there"] == found["submitted"]["rows"] > 0
    assert line("audit", "verify", "--against-state") == 0


def test_gate_without_a_usable_row_exits_with_two(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text("a,b\n1,2\n")
    assert line("gate", "refund", "--input", "d.csv") == 2
    assert "requires order" in line.out
    assert line("gate", "refund", "--input", "d.csv", "--submit") == 2
    assert "--key" in line.err


# ------------------------------------------------------------------------------- the frame


def test_every_command_has_a_file_and_help() -> None:
    group = typer.main.get_command(app)
    for name in COMMANDS:
        command = group.commands[name]  # type: ignore[attr-defined]
        assert command.help, name
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--json", "--workspace", "--as"} <= options
        for inner in getattr(command, "commands", {}).values():
            assert inner.help, (name, inner.name)
            options = {option for parameter in inner.params for option in parameter.opts}
            assert {"--json", "--workspace", "--as"} <= options


def test_shared_options_stand_before_or_behind_the_command(line: Line) -> None:
    line.held()
    for arguments in (
        ["-w", str(line.workspace), "--json", "decisions", "list"],
        ["decisions", "-w", str(line.workspace), "list", "--json"],
        ["decisions", "list", "--json", "-w", str(line.workspace)],
        ["decisions", "--json", "-w", str(line.workspace)],
    ):
        line._capfd.readouterr()
        assert run(arguments) == 0
        assert json.loads(line._capfd.readouterr().out)["decision"]["subject"] == "o1"


def test_the_workspace_comes_from_the_environment_or_the_folder(
    line: Line, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    line.held()
    monkeypatch.chdir(line.workspace)
    assert run(["decisions", "list"]) == 0
    monkeypatch.chdir(tmp_path)
    assert run(["decisions", "list"]) == 2
    assert "handrail init DIR" in capfd.readouterr().err
    monkeypatch.setenv("HANDRAIL_WORKSPACE", str(line.workspace))
    assert run(["decisions", "list"]) == 0
    monkeypatch.setenv("HANDRAIL_WORKSPACE", str(tmp_path / "none"))
    assert run(["decisions", "list"]) == 2


def test_the_person_comes_from_the_environment(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    decision, review = line.held()
    monkeypatch.setenv("HANDRAIL_PERSON", "carl@example.com")
    assert run(["-w", str(line.workspace), "reviews", "approve", review]) == 0
    assert line.json("wait", decision)["by"] == "carl@example.com"


def test_wrong_use_exits_with_two_in_one_line(line: Line) -> None:
    for arguments in (
        ["nosuch"],
        ["submit"],
        ["wait", "x", "--timeout", "soon"],
        ["gate", "--bad"],
    ):
        assert line(*arguments) == 2
        assert len(line.err.splitlines()) == 1, line.err
        assert "--help" in line.err
    line("decision")
    assert "Did you mean 'decisions'" in line.err


def test_an_error_nobody_expected_keeps_its_traceback_in_a_file(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    import handrail.app

    def broken(*arguments: object, **more: object) -> None:
        raise KeyError("\x1b[31mgone")

    monkeypatch.setattr(handrail.app, "open_workspace", broken)
    monkeypatch.delenv("HANDRAIL_DEBUG", raising=False)
    assert line("decisions", "list") == 4
    assert "Traceback" not in line.err
    assert "\x1b" not in line.err
    place = Path(line.err.split("The traceback is in ")[1].split(";")[0])
    assert "KeyError" in place.read_text()
    place.unlink()
    monkeypatch.setenv("HANDRAIL_DEBUG", "1")
    assert line("decisions", "list") == 4
    assert "Traceback" in line.err


def test_hostile_text_is_visible_in_tables_sentences_and_errors(line: Line) -> None:
    nasty = "o\x1b[2J\u202ex"
    assert line("submit", "refund", f"order={nasty}", "amount=120") == 1
    for arguments in (["decisions"], ["reviews", "list"], ["-w", nasty, "decisions"]):
        line(*arguments)
        printed = line.out + line.err
        assert "\x1b" not in printed and "\u202e" not in printed
        assert "<U+202E>" in printed
    line("--json", "decisions")
    assert line.out.isascii()
    assert json.loads(line.out)["decision"]["subject"] == nasty


def test_init_makes_a_workspace_and_changes_nothing_that_is_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "new"
    assert run(["init", str(place)]) == 0
    assert {"README.md", "anchors", "keys", "policies", "run", "store"} <= {
        path.name for path in place.iterdir()
    }
    key = (place / "keys" / "audit.key").read_bytes()
    (place / "README.md").write_text("mine")
    assert run(["init", str(place)]) == 0
    assert (place / "README.md").read_text() == "mine"
    assert (place / "keys" / "audit.key").read_bytes() == key
    (tmp_path / "file").write_text("")
    assert run(["init", str(tmp_path / "file")]) == 2


def test_commands_load_only_what_they_need(line: Line) -> None:
    line.held()
    heavy = {"polars", "litestar", "uvicorn", "sklearn", "numpy", "scipy", "pandas", "httpx"}
    for arguments in (["--version"], ["-w", str(line.workspace), "decisions", "list"]):
        code = (
            "import json, sys\n"
            "from handrail.cli.commands import run\n"
            f"assert run({arguments!r}) == 0\n"
            "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert not set(json.loads(done.stderr.splitlines()[-1])) & heavy, arguments


def test_interrupting_a_wait_ends_quietly(line: Line) -> None:
    import signal

    decision, _ = line.held()
    process = subprocess.Popen(
        [*PROGRAM, "-w", line.workspace, "wait", decision],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    owner = line.workspace / "run" / "owner.lock"
    give_up = time.monotonic() + 300
    while b"socket" not in owner.read_bytes() and time.monotonic() < give_up:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert line("decisions") == 0


# ------------------------------------------------------------------------------- recording


SPENT = """
handrail: 1
workflow: pay
owners: [team:x]
fields: {account: string}
aggregates:
  spent: {sum: spend, places: 2, over: events:ads, by: [account], window: 7d}
  rows: {count: events, over: events:ads, window: 7d}
otherwise: auto
rules: [{id: much, when: spent > 100}]
route: [{to: team:x, silence: block}]
"""


def test_the_rows_of_a_file_are_recorded_once(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (line.workspace / "policies" / "pay.yaml").write_text(SPENT)
    day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    lines = ["Row ID,Day,account,Spend", f"1,{day},a,60.25", f"2,{day},a,", f"3,{day},a,ten",
             f",{day},a,5", "5,someday,a,5", f"6,{day},a,40"]  # fmt: skip
    (tmp_path / "ads.csv").write_text("\n".join(lines) + "\n")
    command = ("record", "ads", "--input", "ads.csv", "--key", "Row ID", "--at", "Day")
    assert line.json(*command) == {
        "stream": "ads",
        "recorded": 3,
        "repeated": 0,
        "late": 0,
        "bad": 3,
        "read_by": ["pay/rows", "pay/spent"],
    }
    bad = [json.loads(one) for one in (tmp_path / "ads.bad.jsonl").read_text().splitlines()]
    assert [one["row"] for one in bad] == [3, 4, 5]
    assert "as pay/spent read it" in bad[0]["error"]["detail"]
    assert line(*command) == 0
    assert "0 recorded, 3 repeated, 0 too late, 3 bad" in line.out
    assert "read by pay/rows, pay/spent" in line.out
    assert "ads.csv: row 5: " in line.err
    ruling = line.json("submit", "pay", "account=a", code=1)
    assert ruling["aggregates"] == {"spent": "100.25", "rows": 3}
    assert line("record", "ads", "--input", "ads.csv", "--key", "no", "--at", "Day") == 2
    assert "its columns are Row ID, Day, account, Spend" in line.err


def test_a_replay_is_what_happened_and_hindsight_is_not(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (line.workspace / "policies" / "pay.yaml").write_text(SPENT)
    moment = (datetime.now(UTC) - timedelta(hours=5)).isoformat()
    rows = [{"id": n, "at": moment, "account": "a", "spend": 90} for n in range(2)]
    for number, row in enumerate(rows):
        (tmp_path / "ads.jsonl").write_text(json.dumps(row) + "\n")
        assert line("record", "ads", "--input", "ads.jsonl", "--key", "id") == 0
        assert line("submit", "pay", "account=a", "--key", f"k{number}") == number
    assert line("decisions", "replay") == 0
    assert "2 decisions, 0 with other figures, 0 in another lane" in line.out
    assert line("decisions", "replay", "--hindsight") == 0
    assert "pay: pass → hold; " in line.out and "spent 90.00 → 180.00" in line.out
    assert "2 decisions, 1 with other figures, 1 in another lane" in line.out
    found = line.json("decisions", "replay", "--hindsight")
    assert found["lane"] == ["pass", "hold"] and found["aggregates"]["rows"] == [1, 2]


def test_the_help_of_tokens_names_every_scope(line: Line) -> None:
    assert line("tokens", "make", "--help") == 0
    assert [scope for scope in SCOPES if scope not in " ".join(line.out.split())] == []


def test_an_edit_is_read_and_refused_by_the_schema(line: Line) -> None:
    make_workspace(
        line.workspace,
        refund=REFUND.replace("edit: [amount]", "edit: {properties: {amount: {maximum: 90}}}"),
    )
    _, review = line.held()
    assert line("reviews", "edit", review, "amount=95", "--reason", "wrong") == 2
    assert "/edits/amount: is 95.00; expected at most 90" in line.err
    assert line("reviews", "edit", review, "amount=89", "--reason", "wrong") == 0


def test_new_says_which_rows_it_could_not_read(line: Line, tmp_path: Path) -> None:
    rows = "".join(f"a{n},{n}\n" for n in range(50))
    (tmp_path / "d.csv").write_text(f"id,spend\n{rows}b,1,2\n")
    made = line.json("new", "some", "--from", str(tmp_path / "d.csv"))
    assert made["notes"][0] == (
        "left out, because they cannot be read: 1 row; the first begins in line 52: the row has 3 "
        "values; expected 2, one a column"
    )
    (tmp_path / "t.csv").write_text(f"Report of March\n\nid,spend\n{rows}")
    assert line("new", "none", "--from", str(tmp_path / "t.csv")) == 2
    assert "t.csv:3:1: the row has 2 values; expected 1" in line.err
    assert "the first line has to hold the names of all columns" in line.err


def test_a_number_as_people_write_it_is_told_how_to_write(line: Line) -> None:
    assert line("submit", "refund", "order=o1", "amount=1,200") == 2
    assert "expected a number, such as 1200.50: digits, a point before decimals" in line.err
    assert line("submit", "refund", "order=o1", "amount=dear") == 2
    assert line.err.rstrip().endswith("expected a number")


def test_a_misspelt_field_is_named_beside_the_missing_one(line: Line) -> None:
    assert line("submit", "refund", "ordr=o1", "amount=20") == 2
    assert "/facts/order: required by the policy refund and not given" in line.err
    assert "given were 'ordr', which it does not declare" in line.err


def test_the_id_of_a_review_is_no_decision(line: Line) -> None:
    assert line("wait", line.held()[1]) == 2
    assert "names a review; expected a decision, d_…" in line.err


def test_a_version_is_named_by_its_first_digits_in_a_back_test_too(
    line: Line, tmp_path: Path
) -> None:
    line.held()
    version = line.json("policy", "show", "refund")["version"]
    (tmp_path / "d.csv").write_text("order,amount\no1,20\no2,200\n")
    policy = str(line.workspace / "policies" / "refund.yaml")
    asked = ["backtest", policy, "--input", str(tmp_path / "d.csv"), "--against"]
    found = line.json(*asked, f"refund@{version[:8]}")
    assert found["rows"] == 2
    assert line(*asked, "refund@000000") == 2


def test_a_decision_is_shown_in_words(line: Line) -> None:
    decision, review = line.held()
    assert line("decisions", "show", decision) == 0
    assert f"review: open; `handrail reviews show {review}` has who said what" in line.out
    assert f"next: handrail wait {decision}" in line.out
    assert line("reviews", "approve", review) == 0
    assert line("decisions", "show", decision) == 0
    assert "review: approved" in line.out and "{" not in line.out.partition("review: ")[2][:40]
    assert "next: handrail wait" not in line.out
