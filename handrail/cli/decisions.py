"""`handrail decisions`: what was submitted and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from handrail.cli.screen import table, time_of, value_text, visible
from handrail.cli.shell import Shell, shell_of
from handrail.model.commands import DecisionView, GetDecision, ListDecisions

app = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)


@app.callback()
def decisions(ctx: typer.Context) -> None:
    """Decisions and what became of them. Alone it lists them."""
    if ctx.invoked_subcommand is None:
        list_(ctx)


@app.command("list")
def list_(
    ctx: typer.Context,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    lane: Annotated[str | None, typer.Option(help="Only pass, hold or refuse.")] = None,
    state: Annotated[str | None, typer.Option(help="Only open, done or in_doubt.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only about this object.")] = None,
    key: Annotated[str | None, typer.Option(help="Only with this idempotency key.")] = None,
    before: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on before this decision.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most of them.")] = 50,
) -> None:
    """Decisions, newest first. With --json one document a line."""
    shell = shell_of(ctx)
    with shell.open() as client:
        found: list[DecisionView] = client.call(
            ListDecisions(
                workflow=workflow,
                lane=lane,
                state=state,
                subject=subject,
                key=key,
                before=before,
                limit=limit,
            )
        )
    if shell.json:
        for view in found:
            shell.document(view.to_dict())
        return
    if not found:
        shell.say("no decision")
        return
    shell.console().print(
        table(
            ("decision", "workflow", "subject", "lane", "outcome", "run", "submitted", "why"),
            [
                (
                    view.ruling.decision_id,
                    str(view.decision.get("workflow")),
                    str(view.decision.get("subject") or "-"),
                    str(view.ruling.lane),
                    "open" if view.outcome is None else str(view.outcome.verdict),
                    str(view.grant.state) if view.grant else "-",
                    time_of(view.decision.get("submitted_at")),
                    view.ruling.why,
                )
                for view in found
            ],
        )
    )


@app.command()
def show(
    ctx: typer.Context,
    decision: Annotated[str, typer.Argument(metavar="ID", help="Id of the decision (d_…).")],
    proof: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the proof that the log holds its submission (tlog-proof)."
        ),
    ] = None,
) -> None:
    """One decision with everything that became of it."""
    shell = shell_of(ctx)
    with shell.open() as client:
        view: DecisionView = client.call(GetDecision(decision_id=decision))
        if proof is not None:
            from handrail.app.reading import read_store
            from handrail.cli.proofs import entry_of, write_proof

            with read_store(shell.workspace) as reading:
                write_proof(reading, entry_of(reading, decision), proof)
    if shell.json:
        shell.document(view.to_dict())
        return
    _print(shell, view)
    if proof is not None:
        shell.say(f"proof: {proof}, entry bytes: {proof}.leaf")


def _print(shell: Shell, view: DecisionView) -> None:
    from handrail.cli.submit import print_ruling
    from handrail.cli.wait import print_outcome

    decision = view.decision
    about = f"{decision.get('workflow')} {decision.get('subject') or ''}".strip()
    shell.say(f"{visible(about)}, submitted {time_of(decision.get('submitted_at'))}")
    for section in ("facts", "proposal"):
        for name, value in (decision.get(section) or {}).items():
            shell.say(f"{section}: {visible(name)} = {value_text(value)}")
    for name in ("key", "requester", "submitter", "model", "confidence", "supersedes"):
        if decision.get(name) is not None:
            shell.say(f"{name}: {value_text(decision[name])}")
    print_ruling(shell, view.ruling, settled=view.outcome is not None)
    if view.review is not None:
        shell.say(f"review: {_state_of(view.review)}")
    if view.outcome is not None:
        print_outcome(shell, view.outcome)
    if view.grant is not None:
        why = f": {visible(view.grant.note, lines=True)}" if view.grant.note else ""
        shell.say(f"run: {view.grant.id} is {view.grant.state}{why}")
    for label in view.labels:
        shell.say(f"label from {visible(label.source)}: {value_text(label.truth)}")


def _state_of(review: dict[str, Any]) -> str:
    """How a review stands, in words; who said what is shown by `handrail reviews show`."""
    words = [visible(str(review.get("verdict") or review.get("status") or "-"))]
    if (number := review.get("round")) and number > 1:
        words.append(f"in round {number}")
    if holders := review.get("holders"):
        words.append(f"with {', '.join(map(visible, map(str, holders)))}")
    if (until := review.get("undo_until")) is not None:
        words.append(f"can be undone until {time_of(until)}")
    if (attached := review.get("attached") or 1) > 1:
        words.append(f"{attached} decisions hang on it")
    return f"{', '.join(words)}; `handrail reviews show {review.get('id')}` has who said what"


@app.command("replay")
def replay_(
    ctx: typer.Context,
    hindsight: Annotated[
        bool,
        typer.Option(
            "--hindsight", help="With every observation known by now, whenever it was recorded."
        ),
    ] = False,
) -> None:
    """Rule every stored decision once more, out of the log, and name those that come out otherwise.

    Without --hindsight none does: the exit code is 1 where one has other figures or another lane.
    With it, those are named that late observations would have ruled otherwise. Only reads.
    """
    from handrail.app.reading import read_store
    from handrail.flow import Replayed

    shell = shell_of(ctx)
    count = lanes = figures = 0

    def told(one: Replayed) -> None:
        stored, again = one.stored, one.again
        changed = {
            name: [stored.aggregates.get(name), value]
            for name, value in again.aggregates.items()
            if stored.aggregates.get(name) != value
        }
        if shell.json:
            shell.document(
                {
                    "decision_id": stored.decision_id,
                    "policy": stored.policy,
                    "lane": [stored.lane, again.lane],
                    "aggregates": changed,
                }
            )
            return
        saw = ", ".join(f"{name} {old} → {new}" for name, (old, new) in changed.items())
        lane = f"{stored.lane} → {again.lane}" if one.lane_differs else f"{stored.lane} as before"
        shell.say(f"{stored.decision_id} {stored.policy.partition('@')[0]}: {lane}; {saw}")

    with read_store(shell.workspace) as reading:
        for one in reading.replayed(hindsight=hindsight):
            count += 1
            lanes += one.lane_differs
            figures += one.aggregates_differ
            if one.lane_differs or one.aggregates_differ:
                told(one)
    shell.say(f"{count:,} decisions, {figures:,} with other figures, {lanes:,} in another lane")
    if (lanes or figures) and not hindsight:
        raise typer.Exit(1)
