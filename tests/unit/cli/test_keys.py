"""Which key presses decide."""

from __future__ import annotations

from handrail.cli.keys import PROOF, REST, SETTLE, KeyGuard, split_keys


def guard_at(at: float = 0.0) -> KeyGuard:
    guard = KeyGuard()
    guard.painted(at)
    return guard


def test_a_press_after_the_card_has_settled_counts() -> None:
    assert guard_at().press("a", SETTLE)


def test_a_press_before_the_card_has_settled_never_counts() -> None:
    guard = guard_at()
    assert not guard.press("a", SETTLE - 0.001)
    assert guard.pending_until is None
    assert guard.due(10.0) is None


def test_nothing_counts_while_no_card_is_in_view() -> None:
    guard = guard_at()
    guard.hidden()
    assert not guard.press("a", 5.0)


def test_a_key_held_down_approves_one_card_and_no_more() -> None:
    # Held down: the first repetition after 250 to 660 ms, then one every 30 ms, for ten seconds.
    for first in (0.25, 0.4, 0.66, 1.0, 1.8):
        guard = guard_at()
        counted = int(guard.press("a", 1.0))
        guard.painted(1.01)  # the next card is shown at once
        at = 1.0 + first
        while at < 11.0:
            if guard.due(at) is not None:
                counted += 1
                guard.painted(at)
            if guard.press("a", at):
                counted += 1
                guard.painted(at)
            at += 0.03
        assert counted == 1, f"a key held down decided {counted} cards (repeating after {first} s)"


def test_the_same_key_pressed_anew_counts_after_it_has_proved_itself() -> None:
    guard = guard_at()
    assert guard.press("a", 1.0)
    guard.painted(1.01)
    at = 1.0 + REST + 0.1
    assert not guard.press("a", at)
    assert guard.due(at + PROOF / 2) is None
    assert guard.due(at + PROOF) == "a"
    assert guard.due(at + 1.0) is None, "a press counts once"


def test_another_key_counts_at_once() -> None:
    guard = guard_at()
    assert guard.press("a", 1.0)
    guard.painted(1.01)
    assert guard.press("r", 1.5)


def test_a_waiting_press_dies_with_its_card() -> None:
    guard = guard_at()
    guard.press("a", 1.0)
    guard.painted(1.01)
    guard.press("a", 1.9)
    guard.painted(1.95)
    assert guard.due(5.0) is None


def test_keys_of_a_terminal() -> None:
    assert split_keys("j\x1b[Bk\x1bOA") == ["j", "down", "k", "up"]
    assert split_keys("\x1b[5~\x1b[6~\x1b") == ["pageup", "pagedown", "escape"]
    assert split_keys("\x1b[1;5Ca") == ["a"], "an unknown sequence is skipped whole"
    assert split_keys("é\x7f\x03") == ["é", "backspace", "interrupt"]
