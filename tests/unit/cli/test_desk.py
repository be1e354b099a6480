"""The desk in the terminal without a terminal: keys in, commands out, frames to look at."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from handrail.cli.card import paint
from handrail.cli.terminal_desk import Desk
from handrail.model.commands import (
    Assign,
    CastVote,
    Claim,
    Command,
    Comment,
    Escalate,
    GetReview,
    ListDecisions,
    ListDoubts,
    ListReviews,
    Seated,
    Snooze,
    Undo,
    Voted,
)
from handrail.model.errors import Conflict
from handrail.model.modes import ReviewKind, ReviewStatus, Severity
from handrail.model.review import Card

NOW = 1_795_262_327_000_000


def make_card(number: int, **more: Any) -> Card:
    given: dict[str, Any] = {
        "review": f"r_{number}",
        "digest": f"card:{number}",
        "round": 1,
        "status": ReviewStatus.OPEN,
        "kind": ReviewKind.HOLD,
        "workflow": "refund",
        "title": "Refund",
        "subject": f"order-{number}",
        "what": f"Refund order-{number}: amount = 120.00",
        "why": ("120.00 is over the approved 100 USD",),
        "rules": (
            {
                "rule": "over-limit",
                "severity": "high",
                "mode": "in_the_loop",
                "terms": [{"text": "amount > 100", "left": "120.00", "op": ">", "right": "100"}],
            },
        ),
        "proposal": {"amount": "120.00"},
        "confidence": 0.91,
        "model": "payer@2",
        "if_approved": "120.00 is paid back",
        "if_rejected": "Nothing is paid",
        "money": "120.00 USD",
        "reversible": False,
        "facts": {"order": f"order-{number}"},
        "diff": (("amount", "0.00", "120.00"),),
        "severity": Severity.HIGH,
        "mode": "in_the_loop",
        "due": NOW + 3_600_000_000,
        "opened_at": NOW,
        "to": ("team:ops",),
        "reasons": {"wrong": "Wrong amount", "fraud": "Fraud", "third": "Third"},
        "editable": ("amount",),
        "fields": {"amount": {"name": "amount", "kind": "decimal", "places": 2, "unit": "USD"}},
    }
    return Card(**{**given, **more})


class Office:
    """Answers the desk and remembers what it asked."""

    def __init__(self, *cards: Card) -> None:
        self.cards = list(cards)
        self.asked: list[Command] = []
        self.fail: Exception | None = None
        self.undo_us = 10_000_000

    def __call__(self, command: Command) -> Any:
        self.asked.append(command)
        match command:
            case ListReviews():
                return list(self.cards)
            case ListDoubts() | ListDecisions():
                return []
            case Claim(review_id=name):
                return Seated(card=self.find(name), token=f"k_{name}", lease_until=NOW)
            case GetReview(review_id=name):
                return self.find(name)
            case CastVote(review_id=name, said=said):
                if self.fail is not None:
                    raise self.fail
                self.cards = [card for card in self.cards if card.review != name]
                verdict = {"approve": "approved", "reject": "rejected", "edit": "edited"}[said]
                return Voted(
                    review_id=name, decided=True, verdict=verdict, undo_until=NOW + self.undo_us
                )
            case Undo(review_id=name):
                back = make_card(int(name[2:]), round=2)
                self.cards.insert(0, back)
                return back
            case Escalate() | Snooze() | Assign() | Comment():
                return self.find(command.review_id)
        raise AssertionError(f"not expected: {command}")

    def find(self, name: str | None) -> Card:
        return next(card for card in self.cards if card.review == name)

    @property
    def votes(self) -> list[CastVote]:
        return [command for command in self.asked if isinstance(command, CastVote)]


class Sitting:
    """A desk whose screen is painted after every key, half a second later."""

    def __init__(self, office: Office, width: int = 80, height: int = 24) -> None:
        self.size = (width, height)
        self.now = 0.0
        self.wall = NOW
        self.desk = Desk(office, person="ann", wall=lambda: self.wall)
        self.desk.start(self.now)
        self.paint()

    def paint(self) -> None:
        self.lines = [line.plain for line in self.desk.frame(*self.size)]
        self.desk.was_painted(self.now)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def press(self, *keys: str, after: float = 3.0) -> None:
        for key in keys:
            self.now += after
            self.wall += int(after * 1_000_000)
            self.desk.press(key, self.now)
            self.desk.tick(self.now)
            self.paint()


def test_approve_takes_one_key_and_the_next_card_is_there() -> None:
    office = Office(make_card(1), make_card(2))
    sitting = Sitting(office)
    assert "order-1" in sitting.text
    sitting.press("a")
    [vote] = office.votes
    assert (vote.review_id, vote.said, vote.card) == ("r_1", "approve", "card:1")
    assert vote.token == "k_r_1"
    assert vote.seconds == 3.0
    assert "order-2" in sitting.text
    assert "order-1" not in sitting.text


def test_reject_takes_two_keys_the_second_is_the_reason() -> None:
    office = Office(make_card(1), make_card(2))
    sitting = Sitting(office)
    sitting.press("r")
    assert not office.votes
    assert "2 Fraud" in sitting.text
    sitting.press("2")
    [vote] = office.votes
    assert (vote.said, vote.reason) == ("reject", "fraud")


def test_numbers_of_the_keyboard_map() -> None:
    office = Office(make_card(1), make_card(2))
    sitting = Sitting(office)
    sitting.press("1")
    sitting.press("3", "1")
    assert [(vote.said, vote.reason) for vote in office.votes] == [
        ("approve", None),
        ("reject", "wrong"),
    ]


def test_a_three_held_down_is_not_the_third_reason() -> None:
    office = Office(make_card(1))
    sitting = Sitting(office)
    sitting.press("3")
    for _ in range(40):
        sitting.press("3", after=0.03)
    assert not office.votes


def test_a_reason_that_waits_for_proof_is_a_reason_and_never_an_approval() -> None:
    office = Office(make_card(1), make_card(2))
    sitting = Sitting(office)
    sitting.press("1")  # approves the first
    sitting.press("r", after=0.5)
    sitting.press("1", after=0.5)  # the same key a second later: has to prove itself
    assert len(office.votes) == 1
    sitting.now += 1.0
    sitting.desk.tick(sitting.now)
    assert [(vote.said, vote.reason) for vote in office.votes][1:] == [("reject", "wrong")]


def test_escape_leaves_everything_as_it_was() -> None:
    office = Office(make_card(1))
    sitting = Sitting(office)
    for key in ("r", "e", "x", "h", "m", "c"):
        sitting.press(key, "escape")
    acts = (CastVote, Escalate, Snooze, Assign, Comment)
    assert not [command for command in office.asked if isinstance(command, acts)]


def test_an_edit_is_a_form_of_the_fields_and_then_a_reason() -> None:
    office = Office(make_card(1))
    sitting = Sitting(office)
    sitting.press("e")
    assert "amount [120.00]" in sitting.text
    sitting.press(*"90.5", "enter", after=0.05)
    assert "edit because" in sitting.text
    sitting.press("1")
    [vote] = office.votes
    assert (vote.said, vote.edits, vote.reason) == ("edit", {"amount": "90.50"}, "wrong")


def test_an_edit_without_a_change_casts_nothing() -> None:
    office = Office(make_card(1))
    sitting = Sitting(office)
    sitting.press("e", "enter")
    assert not office.votes
    assert "nothing entered" in sitting.text


def test_escalate_snooze_assign_and_comment() -> None:
    office = Office(make_card(1), make_card(2), make_card(3), make_card(4))
    sitting = Sitting(office)
    sitting.press("x", "1")
    sitting.press("h", "2")
    sitting.press("m", *"bob", "enter")
    sitting.press("c", *"hello", "enter")
    found = [c for c in office.asked if isinstance(c, Escalate | Snooze | Assign | Comment)]
    assert found == [
        Escalate(review_id="r_1", reason="wrong"),
        Snooze(review_id="r_2", seconds=3600.0),
        Assign(review_id="r_3", to="bob"),
        Comment(review_id="r_4", comment="hello"),
    ]


def test_undo_counts_down_and_takes_back() -> None:
    office = Office(make_card(1), make_card(2))
    sitting = Sitting(office)
    sitting.press("a")
    assert "Z takes it back for 7 s" in sitting.text
    sitting.press("z")
    assert Undo(review_id="r_1") in office.asked
    assert "order-1" in sitting.text
    sitting.press("z")
    assert "nothing of yours can be undone" in sitting.text


def test_after_the_undo_time_nothing_is_offered() -> None:
    sitting = Sitting(Office(make_card(1), make_card(2)))
    sitting.press("a")
    sitting.press("?", "?", after=10.0)
    assert "takes it back" not in sitting.text


def test_several_keys_at_once_decide_nothing() -> None:
    office = Office(make_card(1))
    sitting = Sitting(office)
    sitting.desk.paste(["a", "r", "1"], 5.0)
    assert not office.votes


def test_what_is_pasted_into_a_line_stays_in_the_line() -> None:
    office = Office(make_card(1))
    sitting = Sitting(office)
    sitting.press("c")
    sitting.desk.paste([*"one", "enter", *"a1"], sitting.now)
    sitting.paint()
    assert "> one a1" in sitting.text
    assert not [command for command in office.asked if isinstance(command, Comment | CastVote)]


def test_a_card_that_is_longer_than_the_screen_must_be_read_first() -> None:
    office = Office(make_card(1, why=tuple(f"reason number {n}" for n in range(40))))
    sitting = Sitting(office)
    sitting.press("a")
    assert not office.votes
    assert "Space scrolls" in sitting.text
    for _ in range(4):
        sitting.press(" ")
    assert "STAKES" in sitting.text
    sitting.press("a")
    assert len(office.votes) == 1


def test_a_lost_race_names_the_winner_and_goes_on() -> None:
    office = Office(make_card(1), make_card(2))
    sitting = Sitting(office)
    office.fail = Conflict("r_1 is decided already: rejected by bob", {"by": "bob"})
    office.cards = [make_card(2)]
    sitting.press("a")
    assert "rejected by bob" in sitting.text
    assert "order-2" in sitting.text


def test_a_card_that_moved_has_to_be_read_again() -> None:
    office = Office(make_card(1))
    sitting = Sitting(office)
    office.cards = [make_card(1, digest="card:new", what="Refund order-1: amount = 999.00")]
    sitting.now += 25.0
    sitting.desk.tick(sitting.now)
    assert sitting.desk.fresh
    sitting.paint()
    sitting.press("a", after=0.2)
    assert not office.votes, "a decision key counted on a card that had just changed"
    assert "changed since you looked" in sitting.text or "did not count" in sitting.text


def test_moving_about() -> None:
    sitting = Sitting(Office(make_card(1), make_card(2), make_card(3)))
    sitting.press("j")
    assert "order-2" in sitting.text
    sitting.press("down", "down")
    assert "order-1" in sitting.text
    sitting.press("k")
    assert "order-3" in sitting.text


def test_help_hides_the_card_and_no_key_decides_behind_it() -> None:
    office = Office(make_card(1))
    sitting = Sitting(office)
    sitting.press("?")
    assert "undo your last verdict" in sitting.text
    sitting.press("a")
    assert not office.votes
    assert "order-1" in sitting.text


def test_an_empty_desk_says_so_and_fills_by_itself() -> None:
    office = Office()
    sitting = Sitting(office)
    assert "Nothing waits for you" in sitting.text
    office.cards = [make_card(1)]
    sitting.now += 6.0
    sitting.desk.tick(sitting.now)
    sitting.paint()
    assert "order-1" in sitting.text


def test_the_order_of_a_card_is_fixed() -> None:
    lines = [line.plain for line in paint(make_card(1), width=80, now=NOW).lines]
    labels = [line[:9].strip() for line in lines if line[:9].strip()]
    assert labels == [
        "WHAT",
        "WHY",
        "MACHINE",
        "IF YES",
        "IF NO",
        "STAKES",
        "CHANGES",
        "DUE",
        "SIMILAR",
        "ABOUT",
        "FACTS",
    ]
    text = "\n".join(lines)
    assert "over-limit, high: 120.00 > 100" in text
    assert "confidence 91%" in text
    assert "CANNOT be reversed" in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12), (200, 60)])
def test_a_frame_fits_the_screen(width: int, height: int) -> None:
    wide = make_card(1, what="日本語 " * 60, why=("x" * 3000,), facts={"f": "y" * 500})
    sitting = Sitting(Office(wide), width, height)
    for key in ("?", "?", "r", "escape", "c"):
        assert len(sitting.lines) <= height
        from rich.cells import cell_len

        assert all(cell_len(line) <= width for line in sitting.lines)
        sitting.press(key)


def test_hostile_text_on_a_card_is_visible_and_harmless() -> None:
    nasty = "\x1b[2J\u202eevil\u200b\r\nIF YES nothing happens"
    card = make_card(
        1,
        what=nasty,
        why=(nasty,),
        proposal={nasty: nasty},
        if_approved=nasty,
        facts={nasty: {"deep": nasty}},
        diff=((nasty, nasty, nasty),),
        model=nasty,
        money=nasty,
        requester=nasty,
        to=(nasty,),
        context=nasty,
        links={nasty: nasty},
        unknown=(nasty,),
        rules=(
            {"rule": nasty, "severity": "high", "terms": [{"left": nasty, "op": ">", "right": 1}]},
        ),
        votes=({"by": nasty, "said": "approve", "reason": nasty, "comment": nasty},),
        reasons={"a": nasty},
        editable=("amount",),
    )
    sitting = Sitting(Office(card), 80, 60)
    sitting.press("r")
    text = sitting.text
    for char in "\x1b\u202e\u200b\r":
        assert char not in text
    assert "<U+001B>" in text
    assert sum(1 for line in sitting.lines if line.startswith("IF YES")) == 1


def test_a_blind_seat_sees_no_proposal() -> None:
    card = make_card(1, blind=True, proposal=None, why=(), rules=(), confidence=None, model=None)
    text = "\n".join(line.plain for line in paint(card, width=80, now=NOW).lines)
    assert "You sit blind" in text
    assert "MACHINE" not in text


def test_a_card_is_as_long_as_it_says() -> None:
    painted = paint(make_card(1), width=80, now=NOW)
    key = [line.plain[:9].strip() for line in painted.lines[: painted.key_lines]]
    assert "STAKES" in key
    assert "DUE" not in key


def test_every_act_of_the_desk_is_a_command_that_travels() -> None:
    office = Office(make_card(1))
    Sitting(office).press("a")
    for command in office.asked:
        assert msgspec.convert(msgspec.to_builtins(command), type(command)) == command
