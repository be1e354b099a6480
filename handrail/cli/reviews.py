"""`handrail reviews`: the desk in the terminal, and its acts one by one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from handrail.cli.screen import span, table, time_of, visible
from handrail.cli.shell import Shell, shell_of
from handrail.model.commands import (
    Ask,
    Assign,
    CastVote,
    Claim,
    Command,
    Comment,
    Escalate,
    GetReview,
    ListDoubts,
    ListReviews,
    Seated,
    Snooze,
    Undo,
    Voted,
)
from handrail.model.decoding import convert
from handrail.model.errors import BadInput
from handrail.model.review import Card

app = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)

Review = Annotated[str, typer.Argument(metavar="ID", help="Id of the review (r_…).")]
Reason = Annotated[str | None, typer.Option(help="Reason code of the policy.")]
Words = Annotated[str | None, typer.Option("--comment", help="For whoever reads it later.")]
Token = Annotated[str | None, typer.Option(help="Claim token, where you claimed it.")]
Seen = Annotated[
    str | None,
    typer.Option(metavar="DIGEST", help="Digest of the card you saw; refused where it moved."),
]


@app.callback()
def reviews(
    ctx: typer.Context,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
) -> None:
    """Decide what is held; alone, on a terminal, the desk with one key for each answer.

    A approve, R reject, E edit, X escalate, H snooze, M assign, C comment, Z undo, J and K move,
    ? help, Q quit. Where there is no terminal it lists the open reviews.
    """
    if ctx.invoked_subcommand is not None:
        return
    shell = shell_of(ctx)
    if shell.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        list_(ctx, workflow=workflow)
        return
    sit_down(shell, workflow)


def sit_down(shell: Shell, workflow: str | None = None) -> int:
    """The keyboard desk; returns how many decisions were made."""
    from handrail.cli.terminal import sit_at
    from handrail.cli.terminal_desk import Desk

    with shell.open(stays=True) as client:
        desk = Desk(
            lambda command: shell.act(client, command),
            person=shell.person,
            wall=lambda: time.time_ns() // 1000,
            workflow=workflow,
        )
        sit_at(desk)
    shell.say(f"{desk.decided} decided")
    return desk.decided


@app.command("list")
def list_(
    ctx: typer.Context,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only those that ask you.")] = False,
    status: Annotated[str, typer.Option(help="open, decided, closed, or all.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most of them.")] = 100,
) -> None:
    """Reviews, the most urgent first. With --json one document a line."""
    shell = shell_of(ctx)
    wanted = None if status == "all" else status
    with shell.open() as client:
        cards: list[Card] = shell.act(
            client, ListReviews(workflow=workflow, status=wanted, mine=mine, limit=limit)
        )
        doubts = shell.act(client, ListDoubts(limit=100))
    if shell.json:
        for card in cards:
            shell.document(card.to_dict())
        return
    now = time.time_ns() // 1000
    overdue = sum(1 for card in cards if card.due is not None and card.due <= now)
    head = f"{len(cards)} {status}" + (f", {overdue} overdue" if overdue else "")
    shell.say(head + (f", {len(doubts)} runs in doubt (handrail doubts)" if doubts else ""))
    if cards:
        shell.console().print(
            table(
                ("review", "severity", "what", "why", "due", "asked", "with"),
                [
                    (
                        card.review,
                        str(card.severity or "-"),
                        card.what,
                        "; ".join(card.why) or "; ".join(card.unknown) or "-",
                        _due(card, now),
                        ", ".join(card.to) or "-",
                        card.holder or "-",
                    )
                    for card in cards
                ],
            )
        )


def _due(card: Card, now: int) -> str:
    if card.verdict is not None:
        return f"{card.verdict} {time_of(card.decided_at)}"
    if card.due is None:
        return "-"
    return f"{span(now - card.due)} late" if card.due <= now else f"in {span(card.due - now)}"


@app.command()
def show(ctx: typer.Context, review: Review) -> None:
    """One review as its card, in the order in which it is read."""
    shell = shell_of(ctx)
    with shell.open() as client:
        card: Card = shell.act(client, GetReview(review_id=review))
    _print_card(shell, card)


def _print_card(shell: Shell, card: Card) -> None:
    if shell.json:
        shell.document(card.to_dict())
        return
    from handrail.cli.card import paint

    console = shell.console()
    width = min(console.width, 100)
    for line in paint(card, width=width, now=time.time_ns() // 1000).lines:
        console.print(line)


@app.command()
def claim(
    ctx: typer.Context,
    review: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Else the most urgent that is free.")
    ] = None,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    seconds: Annotated[float, typer.Option(help="How long the seat is kept.")] = 600.0,
) -> None:
    """Take a seat at a review, so that nobody else works on it."""
    shell = shell_of(ctx)
    with shell.open() as client:
        seated: Seated = shell.act(
            client, Claim(review_id=review, workflow=workflow, lease_seconds=seconds)
        )
    if shell.json:
        shell.document(seated)
        return
    _print_card(shell, seated.card)
    shell.say(f"yours until {time_of(seated.lease_until)}; token {seated.token}")


@app.command()
def approve(
    ctx: typer.Context,
    review: Review,
    comment: Words = None,
    token: Token = None,
    card: Seen = None,
) -> None:
    """Let the proposal stand."""
    _vote(shell_of(ctx), review, "approve", comment=comment, token=token, seen=card)


@app.command()
def reject(
    ctx: typer.Context,
    review: Review,
    reason: Reason = None,
    comment: Words = None,
    token: Token = None,
    card: Seen = None,
) -> None:
    """Say no; needs a reason code where the policy has any."""
    shell = shell_of(ctx)
    _vote(shell, review, "reject", reason=reason, comment=comment, token=token, seen=card)


@app.command()
def edit(
    ctx: typer.Context,
    review: Review,
    fields: Annotated[list[str], typer.Argument(metavar="FIELD=VALUE…", help="New values.")],
    reason: Reason = None,
    comment: Words = None,
    token: Token = None,
    card: Seen = None,
) -> None:
    """Change what would run. The policy judges the new values before they count."""
    from handrail.bulk.cells import read_cell
    from handrail.model.policy import Field
    from handrail.model.wire import read_json

    def changes(seen: Card) -> dict[str, Any]:

        found: dict[str, Any] = {}
        for entry in fields:
            name, equals, text = entry.partition("=")
            raw, name = name.endswith(":"), name.removesuffix(":")
            if not equals:
                raise BadInput(f"{entry!r} is no FIELD=VALUE; write such as daily_budget=9000")
            if raw:
                found[name] = read_json(text)
            elif name in seen.fields:
                found[name] = read_cell(convert(seen.fields[name], Field), text)
            else:
                found[name] = text
        return found

    shell = shell_of(ctx)
    _vote(
        shell,
        review,
        "edit",
        reason=reason,
        comment=comment,
        token=token,
        seen=card,
        changes=changes,
    )


def _vote(
    shell: Shell,
    review: str,
    said: Any,
    *,
    reason: str | None = None,
    comment: str | None = None,
    token: str | None = None,
    seen: str | None = None,
    changes: Callable[[Card], dict[str, Any]] | None = None,
) -> None:
    with shell.open() as client:
        edits: dict[str, Any] = {}
        if seen is None or changes is not None:
            now: Card = shell.act(client, GetReview(review_id=review))
            seen = seen or now.digest
            edits = changes(now) if changes is not None else {}
        voted: Voted = shell.act(
            client,
            CastVote(
                review_id=review,
                said=said,
                card=seen,
                reason=reason,
                comment=comment,
                edits=edits,
                token=token,
            ),
        )
    if shell.json:
        shell.document(voted)
    elif voted.decided:
        shell.say(f"{review} {voted.verdict}")
        if voted.undo_until:
            left = span(voted.undo_until - time.time_ns() // 1000 + 999_999)
            shell.say(f"for {left} it can be taken back: handrail reviews undo {review}")
    else:
        shell.say(f"your vote stands; still needed: {', '.join(map(visible, voted.missing))}")


@app.command()
def escalate(
    ctx: typer.Context,
    review: Review,
    reason: Annotated[str, typer.Option(help="Reason code of the policy.")],
    to: Annotated[
        list[str] | None, typer.Option(help="Who; else the route's fallback. Several.")
    ] = None,
    comment: Words = None,
) -> None:
    """Hand it on to those above."""
    _act(ctx, Escalate(review_id=review, reason=reason, to=tuple(to or ()), comment=comment))


@app.command()
def ask(
    ctx: typer.Context,
    review: Review,
    comment: Annotated[str, typer.Argument(metavar="TEXT", help="The question.")],
) -> None:
    """Put a question to the requester."""
    _act(ctx, Ask(review_id=review, comment=comment))


@app.command()
def comment(
    ctx: typer.Context,
    review: Review,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="For whoever decides.")],
) -> None:
    """Add a comment."""
    _act(ctx, Comment(review_id=review, comment=text))


@app.command()
def undo(
    ctx: typer.Context,
    review: Review,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
) -> None:
    """Take your verdict back, within its undo time."""
    _act(ctx, Undo(review_id=review, reason=reason))


@app.command()
def snooze(
    ctx: typer.Context,
    review: Review,
    length: Annotated[str, typer.Option("--for", metavar="TIME", help="Such as 15m, 1h, 1d.")],
) -> None:
    """Let it rest. Its deadline goes on."""
    _act(ctx, Snooze(review_id=review, seconds=read_length(length)))


@app.command()
def assign(
    ctx: typer.Context,
    review: Review,
    to: Annotated[str, typer.Option(help="A person, team:… or role:….")],
) -> None:
    """Give it to a person, team or role."""
    _act(ctx, Assign(review_id=review, to=to))


def _act(ctx: typer.Context, command: Command) -> None:
    shell = shell_of(ctx)
    with shell.open() as client:
        card: Card = shell.act(client, command)
    if shell.json:
        shell.document(card.to_dict())
        return
    asked = ", ".join(map(visible, card.to)) or "nobody"
    shell.say(f"{card.review} is {card.status}; asked: {asked}")
    if card.snoozed_until:
        shell.say(f"snoozed until {time_of(card.snoozed_until)}")


def read_length(text: str) -> float:
    """Seconds of `90`, `15m`, `1h`, `1d`. Raises `BadInput`.

    >>> read_length("15m"), read_length("90")
    (900.0, 90.0)
    """
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        return float(number) * units[unit]
    except ValueError as error:
        raise BadInput(f"{text!r} is no length of time; write such as 15m, 1h or 1d") from error
