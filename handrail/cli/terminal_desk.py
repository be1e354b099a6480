"""The desk in the terminal: what each key does, and what is on the screen. No terminal in here.

`Desk` takes key names with their times and gives frames of lines; `terminal.py` carries both. The
time of deadlines is µs UTC, the time of keys is a monotonic clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from rich.text import Text

from handrail.bulk.cells import read_cell
from handrail.cli.card import Painted, paint
from handrail.cli.keys import KeyGuard
from handrail.cli.screen import span, value_text, visible
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
from handrail.model.decoding import convert
from handrail.model.errors import Conflict, HandrailError
from handrail.model.modes import Said
from handrail.model.policy import Field, Input
from handrail.model.review import Card

QUEUE = 50
"""Cards that are fetched ahead. A fetched card claims nothing and counts as seen by nobody."""
LEASE = 60.0
"""Seconds a seat is kept; it is taken when a card is painted and renewed while it is in view."""
RENEW = 20.0
"""Seconds after which the seat is renewed, and the card compared with what is painted."""
RELOAD = 5.0
"""Seconds after which the list is read again."""
SNOOZES = (("15 minutes", 900.0), ("1 hour", 3600.0), ("4 hours", 14400.0), ("1 day", 86400.0))

DECIDING = {"a": "approve", "1": "approve", "r": "reject", "3": "reject", "z": "undo"}
KEYS = "A approve R reject E edit X escalate H snooze M assign C comment Z undo ? help"
HELP = (
    "A or 1   approve, and go on to the next card",
    "R or 3   reject; then the number of the reason",
    "E        edit: a form of what may be changed, then the number of the reason",
    "X        escalate; then the number of the reason",
    "H        snooze; the deadline goes on",
    "M        assign to a person, team:… or role:…",
    "C        comment, for whoever decides",
    "Z        undo your last verdict, while its undo time runs",
    "J K      next and previous card (also the arrows)",
    "Space    scroll the card down; PgDn and PgUp too",
    "Q        quit; nothing is left half done",
    "",
    "A key decides only on a card whose key facts were in view, and 300 ms after it",
    "was painted. A key that is held down or pasted never decides; press it anew.",
)


class _Palette(msgspec.Struct):
    """Numbered choices; a digit takes one."""

    title: str
    choices: list[tuple[str, str]]
    """(what is handed on, words)."""
    chosen: Callable[[str], None]


class _Line(msgspec.Struct):
    """One line of typing."""

    title: str
    entered: Callable[[str], None]
    empty: Callable[[], None] | None = None
    """What an empty line means; None: nothing was entered."""
    text: str = ""


class _Undo(msgspec.Struct, frozen=True):
    review: str
    verdict: str
    until: int


class Desk:
    """One person's sitting at the desk."""

    def __init__(
        self,
        ask: Callable[[Command], Any],
        *,
        person: str,
        wall: Callable[[], int],
        workflow: str | None = None,
    ) -> None:
        self._ask = ask
        self._person = person
        self._wall = wall
        self._workflow = workflow
        self.guard = KeyGuard()
        self.cards: list[Card] = []
        self.at = 0
        """Position of the card in view."""
        self.done = False
        self.decided = 0
        self.message = ""
        self.scroll = 0
        self._token: str | None = None
        self._form: _Palette | _Line | None = None
        self._help = False
        self._undo: _Undo | None = None
        self._painted_at: float | None = None
        self._painted_card: str | None = None
        self._seen_lines = 0
        self._key_lines = 0
        self._renew_at = 0.0
        self._reload_at = 0.0
        self._similar: dict[str, dict[str, int]] = {}
        self._doubts = 0

    # ------------------------------------------------------------------------ time

    def start(self, now: float) -> None:
        """Fetch the list and sit down at the first card."""
        self._reload(now)
        self._sit(now)

    def tick(self, now: float) -> None:
        """What time brings: proved key presses, renewed seats, a list that is read again."""
        key = self.guard.due(now)
        if key is not None and isinstance(self._form, _Palette):
            self._take(self._form, key)
        elif key is not None:
            self._act(key, now)
        if self._form is None and not self._help:
            if now >= self._renew_at and self.card is not None:
                self._renew(now)
            if now >= self._reload_at:
                self._reload(now)

    def next_tick(self, now: float) -> float:
        """Seconds until something changes by itself."""
        times = [self._reload_at, self._renew_at if self.card is not None else now + 60]
        if self.guard.pending_until is not None:
            times.append(self.guard.pending_until)
        if self._undo is not None:
            times.append(now + 1.0)
        return max(0.01, min(times) - now)

    @property
    def card(self) -> Card | None:
        """The card in view."""
        return self.cards[self.at] if 0 <= self.at < len(self.cards) else None

    # ------------------------------------------------------------------------ the list

    def _call(self, command: Command) -> Any:
        """The answer, or None where it was refused: the reason is the message then."""
        try:
            return self._ask(command)
        except HandrailError as error:
            self.message = " ".join(str(error).splitlines())
            return None

    def _reload(self, now: float) -> None:
        self._reload_at = now + RELOAD
        found = self._call(ListReviews(workflow=self._workflow, mine=True, limit=QUEUE))
        if found is None:
            return
        current = self.card
        wall = self._wall()
        listed = [
            card
            for card in found
            if card.behind is None and not (card.snoozed_until and card.snoozed_until > wall)
        ]
        if current is not None:
            # The card in view stays in view, as it was painted.
            listed = [current if card.review == current.review else card for card in listed]
        self.cards = listed
        places = [i for i, card in enumerate(listed) if current and card.review == current.review]
        if places:
            self.at = places[0]
        else:
            self.at = min(self.at, max(0, len(listed) - 1))
            if current is not None:
                self.message = self.message or f"{current.review} is no longer open"
                self._sit(now)
            elif listed:
                self._sit(now)
        doubts = self._call(ListDoubts(limit=100))
        self._doubts = len(doubts or ())

    def _sit(self, now: float) -> None:
        """Take the seat of the card in view, and see it as that seat sees it."""
        self._token = None
        self.scroll = 0
        self._seen_lines = 0
        self._painted_card = None
        self.guard.hidden()
        card = self.card
        if card is None:
            return
        self._renew_at = now + RENEW
        try:
            seated: Seated = self._ask(Claim(review_id=card.review, lease_seconds=LEASE))
        except HandrailError as error:
            self.message = " ".join(str(error).splitlines())
            shown = self._call(GetReview(review_id=card.review)) or card
        else:
            self._token, shown = seated.token, seated.card
        self.cards[self.at] = shown
        self._look_for_similar(shown)

    def _renew(self, now: float) -> None:
        card = self.card
        self._renew_at = now + RENEW
        if card is None or self._token is None:
            return
        try:
            seated: Seated = self._ask(Claim(review_id=card.review, lease_seconds=LEASE))
        except HandrailError as error:
            self.message = " ".join(str(error).splitlines())
            self._token = None
            self._reload(now)
            return
        self._token = seated.token
        moved = seated.card.digest != card.digest
        self.cards[self.at] = seated.card
        if moved:
            self.message = "this card has changed since you looked; read it again"
            self._painted_card = None
            self.guard.hidden()

    def _look_for_similar(self, card: Card) -> None:
        if card.blind or card.review in self._similar:
            return
        rules = {str(rule.get("rule")) for rule in card.rules}
        found = self._call(ListDecisions(workflow=card.workflow, lane="hold", limit=100)) or []
        self._similar[card.review] = dict(
            Counter(
                str(view.outcome.verdict)
                for view in found
                if view.outcome is not None and rules & {fired.rule for fired in view.ruling.fired}
            )
        )

    # ------------------------------------------------------------------------ keys

    def paste(self, keys: list[str], now: float) -> None:
        """Several keys that arrived together: typing in a form, and nothing anywhere else."""
        line = self._form
        if isinstance(line, _Line):
            for key in keys:
                if self._form is line:
                    # A line end in what was pasted takes nothing; Enter pressed by itself does.
                    self._type(line, " " if key == "enter" else key)
            return
        for key in keys:
            if key == "interrupt":
                self.done = True
            elif key in DECIDING:
                self.guard.press(key, now)
        self.message = "several keys at once are taken for a slip; press one"

    def press(self, key: str, now: float) -> None:
        """One key, as `split_keys` names it."""
        if key == "interrupt":
            self.done = True
            return
        if isinstance(self._form, _Line):
            self._type(self._form, key)
            return
        low = key.lower() if len(key) == 1 else key
        if self._help:
            self._help = False
            self._painted_card = None
            return
        if isinstance(self._form, _Palette):
            self._choose(self._form, low, now)
            return
        if low in DECIDING and not (low == "z" and self._undo is not None and self.card is None):
            if self.guard.press(low, now):
                self._act(low, now)
            elif self.guard.pending_until is None and self.card is not None:
                self.message = f"{key} did not count: too soon, or the key repeats; press it anew"
            return
        self._act(low, now)

    def _act(self, key: str, now: float) -> None:
        """Do what a key that counts means."""
        if key in ("j", "down", "k", "up"):
            self._move(1 if key in ("j", "down") else -1, now)
        elif key in (" ", "pagedown"):
            self.scroll += 1
        elif key == "pageup":
            self.scroll = max(0, self.scroll - 1)
        elif key == "?":
            self._help = True
            self.guard.hidden()
        elif key == "q":
            self.done = True
        elif DECIDING.get(key) == "undo":
            self._take_back(now)
        elif (card := self.card) is not None:
            self._on_card(card, key, now)

    def _on_card(self, card: Card, key: str, now: float) -> None:
        meaning = DECIDING.get(key)
        if meaning is not None or key == "e":
            if self._token is None:
                self.message = self.message or "you have no seat at this card; J goes on"
                return
            if self._seen_lines < self._key_lines:
                self.message = "the card goes on: Space scrolls down, then decide"
                return
        seconds = None if self._painted_at is None else round(now - self._painted_at, 3)
        if meaning == "approve":
            self._vote(card, Said.APPROVE, now, seconds=seconds)
        elif meaning == "reject":
            self._with_reason(
                card,
                "reject because",
                lambda reason: self._vote(card, Said.REJECT, now, reason=reason, seconds=seconds),
            )
        elif key == "e":
            self._edit(card, now, seconds)
        elif key == "x":
            self._with_reason(
                card,
                "escalate because",
                lambda reason: self._leave(
                    Escalate(review_id=card.review, reason=reason or "escalated"),
                    "escalated",
                    now,
                ),
            )
        elif key == "h":
            self._form = _Palette(
                "snooze for",
                [(str(seconds), words) for words, seconds in SNOOZES],
                lambda chosen: self._leave(
                    Snooze(review_id=card.review, seconds=float(chosen)), "snoozed", now
                ),
            )
        elif key == "m":
            self._form = _Line(
                "assign to (a person, team:… or role:…)",
                lambda text: self._leave(
                    Assign(review_id=card.review, to=text), f"assigned to {text}", now
                ),
            )
        elif key == "c":
            self._form = _Line("comment", lambda text: self._comment(card, text))

    def _move(self, step: int, now: float) -> None:
        if self.cards:
            self.at = (self.at + step) % len(self.cards)
            self.message = ""
            self._sit(now)

    # ------------------------------------------------------------------------ forms

    def _type(self, line: _Line, key: str) -> None:
        if key == "enter":
            self._form = None
            if line.text.strip():
                line.entered(line.text.strip())
            elif line.empty is not None:
                line.empty()
            else:
                self.message = "nothing entered, nothing changed"
        elif key == "escape":
            self._form = None
            self.message = "left as it was"
        elif key == "backspace":
            line.text = line.text[:-1]
        elif key == "clear":
            line.text = ""
        elif len(key) == 1 and key.isprintable():
            line.text += key

    def _choose(self, palette: _Palette, key: str, now: float) -> None:
        if key == "escape":
            self._form = None
            self.message = "left as it was"
        elif key.isdigit() and self.guard.press(key, now):
            # The same guard: a 3 that was held down to reject is not the third reason.
            self._take(palette, key)

    def _take(self, palette: _Palette, key: str) -> None:
        if key.isdigit() and 1 <= int(key) <= len(palette.choices):
            self._form = None
            palette.chosen(palette.choices[int(key) - 1][0])

    def _with_reason(self, card: Card, title: str, then: Callable[[str | None], None]) -> None:
        """Ask for a reason code of the policy, where it has any."""
        if not card.reasons:
            then(None)
            return
        self._form = _Palette(title, list(card.reasons.items())[:9], then)

    def _edit(self, card: Card, now: float, seconds: float | None) -> None:
        if not card.editable:
            self.message = "the policy lets nothing be edited here"
            return
        changes: dict[str, Any] = {}
        names = list(card.editable)
        inputs = {one.name: one for one in card.inputs}

        def ask_for(place: int) -> None:
            if place == len(names):
                finish()
                return
            name = names[place]
            field = convert(card.fields.get(name, {"name": name, "kind": "string"}), Field)
            asked = inputs.get(name, Input(name=name, shape="text", low=field.low, high=field.high))
            now_is = (card.proposal or {}).get(name)

            def entered(text: str) -> None:
                changes[name] = read_cell(field, text)
                ask_for(place + 1)

            self._form = _Line(
                f"{visible(name)} [{value_text(now_is)}] {_bounds(field, asked)}",
                entered,
                lambda: ask_for(place + 1),
            )

        def finish() -> None:
            if not changes:
                self.message = "nothing entered, nothing changed"
                return
            self._with_reason(
                card,
                "edit because",
                lambda reason: self._vote(
                    card, Said.EDIT, now, reason=reason, edits=changes, seconds=seconds
                ),
            )

        ask_for(0)

    # ------------------------------------------------------------------------ verdicts

    def _vote(
        self,
        card: Card,
        said: Said,
        now: float,
        *,
        reason: str | None = None,
        edits: dict[str, Any] | None = None,
        seconds: float | None,
    ) -> None:
        try:
            voted: Voted = self._ask(
                CastVote(
                    review_id=card.review,
                    said=said.value,
                    card=card.digest,
                    reason=reason,
                    edits=edits or {},
                    token=self._token,
                    seconds=seconds,
                )
            )
        except Conflict as error:
            self.message = " ".join(str(error).splitlines())
            self._reload(now)
            self._sit(now)
            return
        except HandrailError as error:
            self.message = " ".join(str(error).splitlines())
            return
        self.decided += 1
        if voted.decided:
            self.message = card.review if voted.undo_until else f"{voted.verdict}: {card.review}"
            self._undo = (
                _Undo(card.review, voted.verdict or str(said), voted.undo_until)
                if voted.undo_until
                else None
            )
        else:
            self.message = f"your vote stands; still needed: {', '.join(voted.missing)}"
            self._undo = None
        self._drop(card, now)

    def _leave(self, command: Command, words: str, now: float) -> None:
        """An act after which the card leaves the list."""
        card = self.card
        if self._call(command) is None or card is None:
            return
        self.message = f"{words}: {card.review}"
        self._drop(card, now)

    def _comment(self, card: Card, text: str) -> None:
        if self._call(Comment(review_id=card.review, comment=text)) is not None:
            self.message = "comment added"

    def _drop(self, card: Card, now: float) -> None:
        """Go on: the next card is shown at once, from what was fetched ahead."""
        self.cards = [other for other in self.cards if other.review != card.review]
        self.at = min(self.at, max(0, len(self.cards) - 1))
        kept = self.message
        self._sit(now)
        self.message = kept
        if len(self.cards) < 3:
            self._reload_at = now

    def _take_back(self, now: float) -> None:
        if self._undo is None:
            self.message = "nothing of yours can be undone now"
            return
        undone, self._undo = self._undo, None
        card = self._call(Undo(review_id=undone.review))
        if card is None:
            return
        self.decided -= 1
        self.cards = [card, *(other for other in self.cards if other.review != card.review)]
        self.at = 0
        self._sit(now)
        self.message = f"taken back: {undone.verdict} of {undone.review}"

    # ------------------------------------------------------------------------ the screen

    def frame(self, width: int, height: int) -> list[Text]:
        """The lines of the screen, at most `height` of them."""
        wall = self._wall()
        head = [self._header(width), self._status(width, wall), Text("─" * width, style="dim")]
        foot = [_fit(line, width) for line in self._foot()]
        room = max(1, height - len(head) - len(foot))
        body = [_fit(line, width) for line in self._body(width, room, wall)]
        body += [Text("")] * (room - len(body))
        return [*head, *body[:room], *foot]

    def was_painted(self, now: float) -> None:
        """The frame is on the screen."""
        card = self.card
        mark = None if card is None or self._help else f"{card.review} {card.digest}"
        if mark != self._painted_card:
            self._painted_card = mark
            self._painted_at = now if mark else None
            if mark:
                self.guard.painted(now)
            else:
                self.guard.hidden()

    @property
    def fresh(self) -> bool:
        """Whether the next frame shows a card that is not on the screen yet."""
        card = self.card
        return card is not None and self._painted_card != f"{card.review} {card.digest}"

    def _header(self, width: int) -> Text:
        wall = self._wall()
        overdue = sum(1 for card in self.cards if card.due is not None and card.due <= wall)
        parts = [f"{self._person}", f"{len(self.cards)} open"]
        if len(self.cards) == QUEUE:
            parts[1] = f"{QUEUE} or more open"
        if overdue:
            parts.append(f"{overdue} overdue")
        if self._doubts:
            parts.append(f"{self._doubts} runs in doubt (handrail doubts)")
        parts.append(f"{self.decided} decided")
        left = visible("handrail · " + " · ".join(parts))
        right = f"{self.at + 1}/{len(self.cards)}" if self.cards else ""
        gap = max(1, width - len(left) - len(right))
        return _fit(Text(left + " " * gap + right, style="bold"), width)

    def _status(self, width: int, wall: int) -> Text:
        parts = []
        if self._undo is not None:
            left = self._undo.until - wall
            if left > 0:
                parts.append(f"{self._undo.verdict} · Z takes it back for {span(left + 999_999)}")
            else:
                self._undo = None
        if self.message:
            parts.append(visible(self.message))
        return _fit(Text(" · ".join(parts), style="yellow"), width)

    def _body(self, width: int, room: int, wall: int) -> list[Text]:
        if self._help:
            return [Text(line) for line in HELP]
        card = self.card
        if card is None:
            return [Text(""), Text("  Nothing waits for you."), Text("  Q quits; new ones appear.")]
        painted: Painted = paint(
            card,
            width=width,
            now=wall,
            similar=self._similar.get(card.review),
            me=self._person,
        )
        total = len(painted.lines)
        step = max(1, room - 2)
        last = 0 if total <= room else -(-(total - room) // step)
        self.scroll = min(self.scroll, last)
        top = min(self.scroll * step, max(0, total - room))
        self._key_lines = painted.key_lines
        self._seen_lines = max(self._seen_lines, min(total, top + room))
        shown = painted.lines[top : top + room]
        if top + room < total:
            more = total - top - room + 1
            shown = [*shown[:-1], Text(f"… {more} more lines, Space scrolls", style="dim")]
            self._seen_lines = max(0, min(self._seen_lines, top + room - 1))
        return shown

    def _foot(self) -> list[Text]:
        form = self._form
        if isinstance(form, _Palette):
            choices = [
                Text(f"  {number} {visible(words)}")
                for number, (_, words) in enumerate(form.choices, start=1)
            ]
            return [Text(f"{form.title}: (Esc leaves)", style="bold"), *choices]
        if isinstance(form, _Line):
            return [
                Text(f"{form.title}: (Enter takes it, Esc leaves)", style="bold"),
                Text(f"> {visible(form.text)}▏"),
            ]
        return [Text(KEYS, style="dim")]


def _bounds(field: Field, asked: Input) -> str:
    """What a field takes, in words."""
    parts = [field.kind]
    if asked.shape == "select":
        parts = [" | ".join(visible(choice) for choice in asked.choices[:8])]
    elif asked.shape in ("date", "time", "email"):
        parts = [asked.shape]
    if field.places is not None:
        parts.append(f"{field.places} places")
    if field.unit:
        parts.append(visible(field.unit))
    if asked.low is not None:
        parts.append(f"from {asked.low}")
    if asked.high is not None:
        parts.append(f"to {asked.high}")
    return "(" + ", ".join(parts) + ")"


def _fit(text: Text, width: int) -> Text:
    """The line cut to the screen, with a mark where something is cut."""
    fitted = text.copy()
    fitted.truncate(width, overflow="ellipsis")
    return fitted
