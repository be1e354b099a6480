"""The desk on a real terminal (a pty): what a reviewer presses is what happens."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.cli.terminal import Terminal
from tests.workspace import REFUND, make_workspace

SLOW_UNDO = REFUND.replace("undo: 0s", "undo: 30s")
HOSTILE = "order\x1b[2J\x1b[H\u202eevil\u200b"

Sit = Callable[..., Terminal]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    from handrail.app import open_workspace

    folder = make_workspace(tmp_path / "work", refund=SLOW_UNDO)
    with open_workspace(folder) as hr:
        for number in (1, 2, 3):
            hr.submit(
                "refund",
                key=f"k{number}",
                facts={"order": f"order-{number}", "note": "first\tsecond"},
                proposal={"amount": 100 + number},
                confidence=0.5,
                current={"amount": 0},
            )
    return folder


@pytest.fixture
def sit(workspace: Path) -> Iterator[Sit]:
    opened: list[Terminal] = []

    def start(*arguments: str, **more: object) -> Terminal:
        terminal = Terminal(
            ["reviews", "--as", "ann@example.com", *arguments],
            cwd=workspace,
            **more,  # type: ignore[arg-type]
        )
        opened.append(terminal)
        return terminal

    yield start
    for terminal in opened:
        terminal.close()


def outcomes(workspace: Path) -> dict[str, tuple[str, str | None]]:
    """Verdict and reason of the last vote by key."""
    from handrail.app.reading import read_store

    with read_store(workspace) as reading:
        found = {}

        def query(tx: object) -> None:
            for filed in tx.decisions.find(  # type: ignore[attr-defined]
                workflow=None, lane=None, state=None, subject=None, key=None, before=None, limit=9
            ):
                votes = tx.reviews.votes(filed.review_id)  # type: ignore[attr-defined]
                if votes:
                    found[filed.decision.key] = (str(votes[-1].said), votes[-1].reason)

        reading.read(query)
    return found


@pytest.mark.slow
@pytest.mark.ledger("M-094", "A-093", "G-010")
def test_a_reviewer_works_through_the_desk_with_keys_alone(sit: Sit, workspace: Path) -> None:
    terminal = sit()
    shown = terminal.until("order-1")
    assert shown.index("WHAT") < shown.index("WHY") < shown.index("MACHINE")
    assert shown.index("MACHINE") < shown.index("IF YES") < shown.index("IF NO")
    assert shown.index("IF NO") < shown.index("STAKES") < shown.index("CHANGES")
    assert shown.index("CHANGES") < shown.index("DUE") < shown.index("SIMILAR")
    assert "101.00 > 100" in shown
    terminal.press("a")
    terminal.until("approved · Z takes it back for")
    terminal.until("order-2")
    terminal.press("r")
    terminal.until("2 Fraud")
    terminal.press("2")
    terminal.until("order-3")
    terminal.press("e")
    terminal.until("amount [103.00]")
    terminal.press("99,5", after=0.1)  # pasted as a piece, and not a number
    terminal.press("\x15", after=0.1)
    for char in "99.5":
        terminal.press(char, after=0.05)
    terminal.press("\r", after=0.1)
    terminal.until("edit because")
    terminal.press("1", after=1.0)
    terminal.until("Nothing waits for you")
    terminal.press("q")
    assert terminal.end() == 0
    assert "3 decided" in terminal.raw
    assert outcomes(workspace) == {
        "k1": ("approve", None),
        "k2": ("reject", "fraud"),
        "k3": ("edit", "wrong"),
    }


@pytest.mark.slow
def test_keys_pressed_before_the_card_was_painted_decide_nothing(sit: Sit, workspace: Path) -> None:
    terminal = sit()
    for _ in range(20):
        terminal.press("a", after=0.02)  # typed ahead, while the command starts
    terminal.until("order-1")
    terminal.press("a", after=0.0)  # at once, within the 300 ms
    terminal.settle(1.0)
    terminal.press("q")
    assert terminal.end() == 0
    assert outcomes(workspace) == {}


@pytest.mark.slow
def test_a_key_held_down_approves_one_card_only(sit: Sit, workspace: Path) -> None:
    terminal = sit()
    terminal.until("order-1")
    terminal.press("a", after=0.5)
    terminal.press("a", after=0.4)  # the keyboard starts to repeat
    for _ in range(60):
        terminal.press("a", after=0.03)
    terminal.settle(0.5)
    terminal.press("q", after=0.5)
    assert terminal.end() == 0
    assert outcomes(workspace) == {"k1": ("approve", None)}


@pytest.mark.slow
def test_undo_takes_the_verdict_back(sit: Sit, workspace: Path) -> None:
    terminal = sit()
    terminal.until("order-1")
    terminal.press("a")
    terminal.until("takes it back for")
    terminal.press("z")
    shown = terminal.until("taken back")
    assert "order-1" in shown
    terminal.press("q")
    assert terminal.end() == 0
    assert outcomes(workspace) == {}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_terminal_is_put_back_whatever_ends_the_desk(
    sit: Sit, workspace: Path, number: signal.Signals
) -> None:
    terminal = sit()
    terminal.until("order-1")
    assert terminal.line_settings() != terminal.before
    terminal.kill(number)
    assert terminal.end() == 130
    assert terminal.line_settings() == terminal.before
    assert "\x1b[?1049l" in terminal.raw
    assert "Traceback" not in terminal.raw
    assert outcomes(workspace) == {}


@pytest.mark.slow
def test_control_c_leaves_the_desk_and_nothing_half_done(sit: Sit, workspace: Path) -> None:
    terminal = sit()
    terminal.until("order-1")
    terminal.press("r")
    terminal.until("reject because")
    terminal.press("\x03")
    assert terminal.end() == 0
    assert terminal.line_settings() == terminal.before
    assert outcomes(workspace) == {}


@pytest.mark.slow
def test_others_work_in_the_workspace_while_somebody_sits_at_the_desk(
    sit: Sit, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from handrail.cli.commands import run

    terminal = sit()
    terminal.until("3 open")
    assert run(["-w", str(workspace), "submit", "refund", "order=order-4", "amount=104"]) == 1
    terminal.until("4 open")
    assert run(["-w", str(workspace), "--as", "bob@example.com", "reviews", "claim"]) == 0
    taken = capfd.readouterr().out
    assert "order-2" in taken, "ann has the first, bob gets the next"
    terminal.press("j")
    shown = terminal.until("bob@example.com")
    assert "order-2" in shown
    terminal.press("a")
    terminal.settle(0.5)
    terminal.press("q")
    assert terminal.end() == 0
    assert outcomes(workspace) == {}


@pytest.mark.slow
def test_the_desk_without_colour_is_the_same_desk(sit: Sit) -> None:
    terminal = sit(NO_COLOR="1")
    terminal.until("order-1")
    terminal.press("q")
    assert terminal.end() == 0
    assert "\x1b[2m" not in terminal.raw
    assert "\x1b[1m" not in terminal.raw


@pytest.mark.slow
def test_hostile_facts_cannot_move_the_cursor(tmp_path: Path) -> None:
    from handrail.app import open_workspace

    folder = make_workspace(tmp_path / "work")
    with open_workspace(folder) as hr:
        hr.submit("refund", key="k", facts={"order": HOSTILE}, proposal={"amount": 101})
    terminal = Terminal(["reviews"], cwd=folder)
    try:
        shown = terminal.until("<U+001B>[2J")
        assert "<U+202E>evil<U+200B>" in shown
        body = terminal.raw.split("\x1b[?1049h", 1)[1]
        assert "\x1b[2J" not in body
        assert "\u202e" not in body
        terminal.press("q")
        assert terminal.end() == 0
    finally:
        terminal.close()


def test_without_a_terminal_the_reviews_are_listed(
    workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from handrail.cli.commands import run

    assert run(["-w", str(workspace), "reviews"]) == 0
    assert "order-1" in capfd.readouterr().out
    assert run(["-w", str(workspace), "reviews", "--json"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [json.loads(line)["subject"] for line in lines] == ["order-1", "order-2", "order-3"]
