"""`handrail demo`: see it work, without setting anything up."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handrail.cli.screen import table
from handrail.cli.shell import POLICIES, Shell, shell_of
from handrail.model.errors import BadInput

if TYPE_CHECKING:
    from handrail.cli.simulation import Demo

app = typer.Typer(add_completion=False, rich_markup_mode=None)

ABOUT = ("medical", "marketing")
LEFT_FOR_YOU = 4
"""Held decisions that wait for the person at the terminal."""
YOU = "you@example.com"

SAID = (
    "The reviewers are SIMULATED: they know the true labels and decide by them, so the error after "
    "review shows what review can reach with people who are never wrong, not what your people will "
    "reach. Their thinking times are drawn at random. Everything else is measured in this run."
)


@app.command()
def demo(
    ctx: typer.Context,
    about: Annotated[
        str | None, typer.Argument(metavar="[medical|marketing]", help="Both where left out.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Ask nothing: run, print the figures and end.")
    ] = False,
    port: Annotated[int | None, typer.Option(help="Not in this version.", hidden=True)] = None,
) -> None:
    """See it work: real biopsies and sample campaigns, start to end.

    Gate, people, outcomes, effects with their receipts, and the log that is verified.
    Everything happens in a temporary folder with an embedded store. On a terminal and without
    --once a few decisions are left for you to decide by keys.
    """
    shell = shell_of(ctx)
    if port is not None:
        raise BadInput("the demo runs in the terminal; leave --port out")
    if about is not None and about not in ABOUT:
        raise BadInput(f"there is no demo {about!r}; expected medical or marketing")
    figures = {
        name: _run(shell, name, once=once) for name in (ABOUT if about is None else (about,))
    }
    if shell.json:
        shell.document(figures)


def _run(shell: Shell, about: str, *, once: bool) -> dict[str, Any]:
    from handrail.cli.samples import biopsies, campaigns
    from handrail.cli.simulation import Demo

    samples = biopsies() if about == "medical" else campaigns()
    asks = not once and not shell.json and sys.stdin.isatty() and sys.stdout.isatty()
    asks = asks and about == "marketing"
    shell.say(f"== {about}: {samples.workflow} ==")
    shell.say(samples.about)
    with _workspace(samples.policy) as (folder, client, clock):
        run = Demo(client, clock, samples)
        run.register(*((YOU,) if asks else ()))
        run.submit()
        _say_submitted(shell, run)
        run.review(leave=LEFT_FOR_YOU if asks else 0)
        yours = _sit_down(shell, run) if asks else 0
        run.finish(shell.say if about == "marketing" else lambda text: None)
        figures = {**_figures(run, folder), "decided_by_you": yours}
    if not shell.json:
        _print(shell, figures)
    return figures


@contextmanager
def _workspace(policy: str) -> Iterator[tuple[Path, Any, Any]]:
    """A temporary workspace with one shipped policy, and its clock."""
    import msgspec

    from handrail import packs
    from handrail.app import open_workspace
    from handrail.cli.simulation import DemoClock
    from handrail.model.people import Actor
    from handrail.settings import Settings

    clock = DemoClock()
    with tempfile.TemporaryDirectory(prefix="handrail-demo-") as place:
        folder = Path(place)
        (folder / POLICIES).mkdir()
        name = policy.partition("/")[2]
        (folder / POLICIES / f"{name}.yaml").write_text(packs.read(policy), encoding="utf-8")
        settings = msgspec.structs.replace(Settings(), sweep_seconds=0.05)
        client = open_workspace(
            folder, actor=Actor(name="demo"), settings=settings, clock=clock, channels=()
        )
        try:
            yield folder, client, clock
        finally:
            client.close()


def _say_submitted(shell: Shell, run: Demo) -> None:
    counts = run.counts()
    shell.say(
        f"{counts['decisions']} decisions submitted, {counts['held']} of them held for people"
    )
    for key, ruling in run.tally.rulings.items():
        if str(ruling.lane) == "hold":
            shell.say(f"for example {key}: {ruling.why}")
            break


def _sit_down(shell: Shell, run: Demo) -> int:
    """The desk for the person at the terminal; returns how many decisions they made."""
    from handrail.cli.desk import Desk
    from handrail.cli.terminal import sit_at
    from handrail.model.people import Actor

    shell.say(
        f"{LEFT_FOR_YOU} decisions wait for you. Press Enter to decide them, Q ends the desk."
    )
    sys.stdin.readline()
    me = Actor(name=YOU, program=False)
    desk = Desk(
        lambda command: run.client.call(command, me),
        person=YOU,
        wall=run.clock,
        workflow=run.samples.workflow,
    )
    sit_at(desk)
    shell.say(f"you decided {desk.decided}; the simulated people take the rest")
    run.clock.skip(120.0)
    run.review()
    return desk.decided


def _figures(run: Demo, folder: Path) -> dict[str, Any]:
    """Everything that was measured, for people and programs."""
    from handrail.app.reading import read_store
    from handrail.cli.audit import verify_store

    with read_store(folder) as reading:
        anchors = [(str(one.size), one.text.encode()) for one in reading.anchors()]
        report = verify_store(reading, [reading.signer().key.verifier], anchors)
        differences = reading.differences()
    return {
        **run.counts(),
        "rates": {
            found.key: {
                "name": found.definition.name,
                "count": found.count,
                "of": found.of,
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "formula": found.definition.formula,
            }
            for found in run.rates()
        },
        "log": {
            "entries": report.size,
            "verified": report.ok and not differences,
            "problems": [str(one) for one in (*report.problems, *differences)],
        },
        "reviewers": "simulated from the true labels",
    }


def _print(shell: Shell, figures: dict[str, Any]) -> None:
    rows: list[tuple[str, str, str, str]] = []
    for found in figures["rates"].values():
        value = "-" if found["value"] is None else f"{100 * found['value']:.1f} %"
        between = (
            "-"
            if found["low"] is None
            else f"{100 * found['low']:.1f} to {100 * found['high']:.1f} %"
        )
        rows.append((found["name"], value, between, f"{found['count']} of {found['of']}"))
    words = {
        "decisions": "decisions",
        "held": "interventions (held for people)",
        "votes": "votes on held decisions",
        "votes_blind": "of them blind",
        "edited": "overrides: edited",
        "rejected": "overrides: rejected",
        "spot_checks": "spot checks of what had passed",
        "spot_checks_disagreed": "of them found wrong",
        "median_seconds_a_vote_simulated": "median seconds a vote (simulated)",
        "median_seconds_to_verdict_simulated": "median seconds from submit to verdict (simulated)",
        "submit_milliseconds_each": "milliseconds a submit (real, durable)",
        "effects": "effects run",
        "receipts_done": "receipts that say done",
    }
    for name, label in words.items():
        value = figures[name]
        rows.append((label, "-" if value is None else f"{value:,}", "", ""))
    log = figures["log"]
    rows.append(
        (
            "log entries",
            f"{log['entries']:,}",
            "",
            "verified" if log["verified"] else "NOT VERIFIED",
        )
    )
    shell.console().print(table(("measured", "value>", "95 % interval", "count"), rows))
    for problem in log["problems"]:
        shell.say(problem)
    shell.say(SAID)
    if figures["decided_by_you"]:
        shell.say(f"{figures['decided_by_you']} verdicts are yours and count as they are.")
    shell.say()
