"""The demo: one command, no set-up, figures that add up."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
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


def test_what_does_not_go_together_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--once", "--port", "8080"]) == 2
    assert run(["demo", "cooking"]) == 2
    assert "medical or marketing" in capfd.readouterr().err


def test_a_taken_port_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["demo", "marketing", "--port", str(port)]) == 4
    assert f"port {port} of 127.0.0.1 is taken" in capfd.readouterr().err


def test_without_a_terminal_it_says_where_the_desk_is_and_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "from handrail.cli import main; main()", "demo", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "DISPLAY": "", "BROWSER": ""},
    ) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            assert said["ready"] is True
            assert said["link"].startswith(f"{said['url']}/open?key=hrl_")
            page = httpx.get(said["link"], timeout=60)
            assert page.status_code == 200
            assert "you@example.com" in page.text
            process.send_signal(signal.SIGTERM)
            assert process.wait(300) == 0
            assert process.stdout.read() == ""
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_enter_prints_another_link(tmp_path: Path) -> None:
    terminal = Terminal(["demo", "marketing"], cwd=tmp_path, DISPLAY="", BROWSER="")
    try:
        terminal.until("waits for you")
        [first] = re.findall(r"key=(\S+)", terminal.raw)
        terminal.press("\r")
        for _ in range(300):
            if len(set(re.findall(r"key=(\S+)\r", terminal.raw))) == 2:
                break
            terminal.settle(0.1)
        else:
            raise AssertionError(f"no other link than {first}: {terminal.raw}")
        terminal.kill(signal.SIGINT)
        terminal.until("is gone")
        assert terminal.end() == 0
    finally:
        terminal.close()
