"""`handrail demo`: see it work, without setting anything up."""

from __future__ import annotations

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
        bool,
        typer.Option(
            "--once", help="No browser: simulated people decide, figures are printed, and it ends."
        ),
    ] = False,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port of the desk; 0: a free one.")
    ] = 0,
) -> None:
    """See it work, without setting anything up: the desk opens in the browser, and you decide.

    Sample campaigns and real biopsies keep arriving, in a temporary folder with an embedded store.
    Ctrl-C ends it and leaves nothing. The link to the desk is printed too, for another browser.
    """
    shell = shell_of(ctx)
    if about is not None and about not in ABOUT:
        raise BadInput(f"there is no demo {about!r}; expected medical or marketing")
    if not once:
        from handrail.cli.live import show

        show(shell, about, port)
        return
    if port:
        raise BadInput("--once opens no desk, so it takes no --port; leave one of them out")
    figures = {name: _run(shell, name) for name in (ABOUT if about is None else (about,))}
    if shell.json:
        shell.document(figures)


def _run(shell: Shell, about: str) -> dict[str, Any]:
    from handrail.cli.samples import biopsies, campaigns
    from handrail.cli.simulation import Demo

    samples = biopsies() if about == "medical" else campaigns()
    shell.say(f"== {about}: {samples.workflow} ==")
    shell.say(samples.about)
    with _workspace(samples.policy) as (folder, client, clock):
        run = Demo(client, clock, samples)
        run.register()
        run.submit()
        _say_submitted(shell, run)
        run.review()
        run.finish(shell.say if about == "marketing" else lambda text: None)
        figures = _figures(run, folder)
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
    shell.say()
