"""The demo: one command, no set-up, figures that add up."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from handrail.cli.commands import run
from tests.unit.cli.terminal import Terminal


@pytest.mark.slow
def test_the_demo_prints_its_figures_and_ends_well(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    assert run(["demo", "--once"]) == 0
    text = capfd.readouterr().out
    for word in (
        "569 real biopsies",
        "share automated",
        "error of automation alone",
        "error after review",
        "intervention rate",
        "override rate",
        "median seconds",
        "log entries",
        "verified",
        "SIMULATED",
        "made-up campaigns",
    ):
        assert word in text
    assert "NOT VERIFIED" not in text
    assert "Traceback" not in text


@pytest.mark.slow
def test_the_medical_figures_add_up(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    assert run(["demo", "medical", "--once", "--json"]) == 0
    [line] = capfd.readouterr().out.splitlines()
    figures = json.loads(line)["medical"]
    rates = figures["rates"]
    assert figures["decisions"] == 285
    assert rates["automated"]["count"] + rates["intervention"]["count"] == 285
    assert rates["intervention"]["count"] == figures["held"]
    assert figures["votes"] >= figures["held"]
    assert figures["effects"] == figures["receipts_done"] == 285
    # With people who are never wrong, only what passed by itself can be wrong.
    assert rates["error_after_review"]["count"] == rates["error_automated"]["count"]
    assert rates["error_after_review"]["count"] <= rates["error_alone"]["count"]
    for found in rates.values():
        assert found["low"] <= found["value"] <= found["high"]
        assert found["value"] == pytest.approx(found["count"] / found["of"])
    assert figures["log"] == {
        "entries": figures["log"]["entries"],
        "verified": True,
        "problems": [],
    }
    assert figures["reviewers"] == "simulated from the true labels"


def test_the_marketing_demo_edits_rejects_refuses_and_launches(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(["demo", "marketing", "--once"]) == 0
    text = capfd.readouterr().out
    assert "launch sample-03: {'daily_budget': '1400.00'}" in text, "the edited budget runs"
    assert "launch sample-07" not in text, "a rejected one never runs"
    assert "launch sample-12" not in text, "a refused one never runs"
    assert "launch sample-11: {'daily_budget': '110000.00'}" in text, "the director's value runs"
    keys = re.findall(r"idempotency key (g_\w+)", text)
    assert len(keys) == len(set(keys)) == 13


def test_what_this_version_does_not_have_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--once", "--port", "8080"]) == 2
    assert run(["demo", "cooking"]) == 2
    assert "medical or marketing" in capfd.readouterr().err


@pytest.mark.slow
def test_on_a_terminal_a_person_decides_some_of_it(tmp_path: Path) -> None:
    terminal = Terminal(["demo", "marketing"], cwd=tmp_path)
    try:
        terminal.until("Press Enter")
        terminal.press("\r")
        terminal.until("STAKES")
        terminal.press("a")
        terminal.until("takes it back for")
        terminal.press("q")
        terminal.until("verified")
        assert terminal.end() == 0
        assert "you decided 1" in terminal.raw
    finally:
        terminal.close()
