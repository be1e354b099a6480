"""Two processes: one waits, the other decides, and what was decided runs once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import handrail
from handrail.model.modes import GrantState
from tests.workspace import make_workspace, program, vote

WAITER = """
    import json, sys, handrail
    with handrail.open(sys.argv[1], name="waiter") as hr:
        ruling = hr.submit(
            "refund", key="r-1", facts={"order": "1"}, proposal={"amount": 150}, model="m@1"
        )
        print(ruling.decision_id, flush=True)
        outcome = hr.wait(ruling, timeout=120)
        with hr.run(outcome) as run:
            print(json.dumps(run.value if run else None), flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("owner", ["waiter", "decider"])
@pytest.mark.ledger("A-027")
def test_one_waits_another_decides(tmp_path: Path, owner: str) -> None:
    folder = make_workspace(tmp_path / "work")
    hr = handrail.open(folder, name="decider") if owner == "decider" else None
    waiter = program(WAITER, str(folder))
    assert waiter.stdout is not None
    decision_id = waiter.stdout.readline().strip()
    hr = hr or handrail.open(folder, name="decider")
    with hr:
        [view] = hr.decisions(state="open")
        assert view.ruling.decision_id == decision_id
        assert vote(hr, view.ruling, "edit", edits={"amount": "99.00"}).decided
        assert json.loads(waiter.stdout.readline()) == {"amount": "99.00"}
        _, errors = waiter.communicate("\n")
        assert waiter.returncode == 0, errors
        [view] = hr.decisions()
        assert view.grant is not None
        assert (view.grant.state, view.grant.by) == (GrantState.DONE, "waiter")


def test_every_waiter_is_told_and_one_runs(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "work")
    with handrail.open(folder, name="owner") as hr:
        ruling = hr.submit("refund", facts={"order": "1"}, proposal={"amount": 150}, key="r-1")
        racers = [
            program(
                """
                import sys, handrail
                with handrail.open(sys.argv[1], name="racer") as hr:
                    print("waits", flush=True)
                    outcome = hr.wait(sys.argv[2], timeout=120)
                    try:
                        with hr.run(outcome) as run:
                            print("ran" if run else "not allowed", flush=True)
                    except handrail.errors.AlreadyRun as error:
                        print("already", error.receipt.grant_id == outcome.grant_id, flush=True)
                """,
                str(folder),
                ruling.decision_id,
            )
            for _ in range(5)
        ]
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "waits\n"
        vote(hr, ruling, "approve")
        answers = sorted(racer.communicate()[0].strip() for racer in racers)
    assert answers == ["already True"] * 4 + ["ran"]
