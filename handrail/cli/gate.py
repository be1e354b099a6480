"""`handrail gate`: the gate over a file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handrail.cli.check import reader
from handrail.cli.new import policy_file
from handrail.cli.screen import progress_bar, share, table
from handrail.cli.shell import Shell, shell_of
from handrail.cli.stored import list_words, lists_of, with_stored_lists
from handrail.model.errors import BadInput

if TYPE_CHECKING:
    from handrail.bulk.files import Batch
    from handrail.bulk.judge import Bad, Plan, Tally

app = typer.Typer(add_completion=False, rich_markup_mode=None)

BATCH = 200
"""Held rows that are submitted together."""


@app.command()
def gate(
    ctx: typer.Context,
    policy: Annotated[str, typer.Argument(help="Policy file, or a workflow of the workspace.")],
    input: Annotated[
        Path, typer.Option("--input", "-i", metavar="FILE", help="CSV, JSON Lines or Parquet.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write every row with its lane and reasons."
        ),
    ] = None,
    submit: Annotated[
        bool, typer.Option("--submit", help="Open the held rows as reviews; needs --key.")
    ] = False,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL",
            help="Column that names a row, several together; @row is the row's number.",
        ),
    ] = None,
    proposal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[FIELD=]COL",
            help="Column of a proposed value. Fields `from: proposal` find columns of their name.",
        ),
    ] = None,
    confidence: Annotated[
        str | None, typer.Option(metavar="COL", help="Column with the confidence, 0 to 1.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name and version of what proposed.")
    ] = None,
) -> None:
    """Judge every row of a file; with --submit the held ones become reviews.

    Rows that cannot be judged go to NAME.bad.jsonl (of NAME.csv) with their number and every
    reason, and the others are judged all the same: the exit code is 0, and 2 where no row could be
    judged. A run that was interrupted is simply started again: submitting with the same keys
    repeats nothing, and with --output it goes on behind the last 100,000 rows that were finished.
    Aggregates are
    unknown in a file, but for `top:`, which is the exact rank of a row in it; the store resolves
    them for what is submitted. Stored lists are taken as the workspace has them now.
    """
    from handrail.bulk.judge import plan_columns
    from handrail.bulk.read import open_source
    from handrail.gate import load
    from handrail.packs.checks import CHECKS

    shell = shell_of(ctx)
    if submit and not key:
        raise BadInput(
            "--submit needs --key COL, so that a second run repeats nothing; "
            "--key @row takes the number of the row"
        )
    path = policy_file(shell, policy)
    loaded = load(path.read_bytes(), path=str(path), read_file=reader(path), checks=CHECKS)
    loaded = with_stored_lists(shell, loaded)
    source = open_source(input)
    plan = plan_columns(
        loaded,
        source,
        keys=key or (),
        proposal=proposal or (),
        confidence=confidence,
        model=model,
    )
    if any(made.function == "top" for made in loaded.aggregate_parts):
        from handrail.bulk.ranks import ranks_of

        plan = ranks_of(plan)
    beside = output.parent if output is not None else Path()
    run = _Run(shell, plan, bad_path=beside / f"{input.stem}.bad.jsonl", output=output)
    with ExitStack() as stack:
        if submit:
            run.client = stack.enter_context(shell.open(stays=True))
        run.go()
    run.report(str(path))
    if run.tally.rows and run.tally.judged == 0:
        raise typer.Exit(2)


class _Run:
    """One pass over a file."""

    def __init__(self, shell: Shell, plan: Plan, *, bad_path: Path, output: Path | None) -> None:
        from handrail.bulk.judge import Tally

        self.shell = shell
        self.plan = plan
        self.bad_path = bad_path
        self.output = output
        self.client: Any = None
        self.tally: Tally = Tally()
        self.opened = 0
        """Reviews that the held rows hang on and that this run opened or joined."""
        self.repeated = 0
        """Held rows that were submitted before under the same key."""
        self.passed_in_store = 0
        """Held rows that the store let pass, because it knows aggregates."""
        self.resumed = 0
        """Rows that an earlier run of the same had finished."""
        self._reviews: set[str] = set()
        self._write_bad: Callable[[Any], None] = lambda bad: None

    def go(self) -> None:
        """Judge, submit and write by batches. What was submitted stays, whatever interrupts."""
        from handrail.bulk.files import Parts, batches

        self.started = time.time_ns() // 1000
        with ExitStack() as stack:
            parts: Parts | None = None
            if self.output is not None:
                parts = Parts(self.output, self.plan, self._options())
                stack.callback(parts.leave)
                for counts in parts.done:
                    self._count(counts)
                self.resumed = parts.rows
                if parts.rows:
                    self.shell.note(f"an earlier run was cut off; going on at row {parts.rows + 1}")
            else:
                self._write_bad = stack.enter_context(_bad_rows(self.bad_path))
            progress = stack.enter_context(progress_bar(self.plan.source.size, "judging"))
            for batch in batches(self.plan, self.started, skip=self.resumed, progress=progress):
                counts, rejected = self._submit(batch)
                counts["tally"] = batch.tally.to_dict()
                counts["tally"]["bad"] += len(rejected)
                self._count(counts)
                bad = sorted((*batch.bad, *rejected), key=lambda one: one.row)
                if parts is not None:
                    parts.put(batch, bad, counts)
                else:
                    for one in bad:
                        self._write_bad(one)
            if parts is not None:
                parts.finish(self.bad_path)

    def _options(self) -> dict[str, Any]:
        """What else the results hang on: an earlier run is gone on with only if it is the same."""
        plan = self.plan
        return {
            "columns": [[header, field.name] for header, field in (*plan.facts, *plan.proposal)],
            "keys": list(plan.keys),
            "confidence": plan.confidence,
            "model": plan.model,
            "lists": {name: plan.policy.list_digests[name] for name in plan.policy.stored_lists},
            "submit": self.client is not None,
        }

    def _count(self, counts: dict[str, Any]) -> None:
        from handrail.bulk.judge import Tally

        self.tally.merge(Tally.of(counts["tally"]))
        self._reviews.update(counts["reviews"])
        self.repeated += counts["repeated"]
        self.passed_in_store += counts["passed_in_store"]

    def _submit(self, batch: Batch) -> tuple[dict[str, Any], list[Bad]]:
        """Open the held rows of a batch as reviews; the counts, and what the store did not take."""
        from handrail.bulk.judge import rejected
        from handrail.model.commands import SubmitBatch

        reviews: list[str] = []
        refused: list[Bad] = []
        repeated = passed = 0
        held = batch.held() if self.client is not None else iter(())
        while waiting := list(islice(held, BATCH)):
            rows = [judged.submit for judged in waiting if judged.submit is not None]
            answers = self.client.call(SubmitBatch(rows=rows))
            for judged, answer in zip(waiting, answers, strict=True):
                if answer.error is not None:
                    refused.append(rejected(judged, answer.error))
                    continue
                ruling = answer.ruling
                if ruling.review_id is not None:
                    reviews.append(ruling.review_id)
                if ruling.evaluated_at < self.started:
                    repeated += 1
                elif ruling.passed:
                    passed += 1
        return {"reviews": reviews, "repeated": repeated, "passed_in_store": passed}, refused

    # ------------------------------------------------------------------------ the report

    def report(self, policy_path: str) -> None:
        tally, plan = self.tally, self.plan
        summary: dict[str, Any] = {
            "policy": f"{plan.policy.workflow}@{plan.policy.version}",
            "policy_path": policy_path,
            "input": str(plan.source.path),
            "rows": tally.rows,
            "bad": tally.bad,
            "lanes": {lane: tally.lanes.get(lane, 0) for lane in ("pass", "hold", "refuse")},
            "modes": dict(tally.modes),
            "rules": [
                {
                    "rule": rule.id,
                    "fired": tally.fired.get(rule.id, 0),
                    "unknown": tally.unknown.get(rule.id, 0),
                    "trial": tally.trials.get(rule.id, 0),
                    "share": tally.fired.get(rule.id, 0) / tally.judged if tally.judged else None,
                }
                for rule in plan.policy.rules
            ],
            "tiers_only": tally.tiers,
            "bad_rows": str(self.bad_path) if tally.bad else None,
            "output": str(self.output) if self.output is not None else None,
            "resumed_after": self.resumed,
            "unused_columns": list(plan.unused),
            "absent_fields": list(plan.absent),
            "stored_lists": lists_of(plan.policy),
        }
        if self.client is not None:
            summary["submitted"] = {
                "rows": tally.lanes.get("hold", 0),
                "reviews": len(self._reviews),
                "already_there": self.repeated,
                "passed_in_store": self.passed_in_store,
            }
        if self.shell.json:
            self.shell.document(summary)
        else:
            self._print(summary)

    def _print(self, summary: dict[str, Any]) -> None:
        shell, tally = self.shell, self.tally
        lanes = summary["lanes"]
        shell.say(
            f"{summary['input']}: {tally.rows:,} rows under {self.plan.policy.workflow}: "
            + ", ".join(
                f"{lanes[lane]:,} {word} ({share(lanes[lane], tally.rows)})"
                for lane, word in (("pass", "pass"), ("hold", "held"), ("refuse", "refused"))
            )
            + f", {tally.bad:,} bad"
        )
        rows = [
            (
                one["rule"],
                f"{one['fired']:,}",
                share(one["fired"], tally.judged),
                f"{one['unknown']:,}" if one["unknown"] else "",
                f"{one['trial']:,}" if one["trial"] else "",
            )
            for one in summary["rules"]
        ]
        if self.tally.tiers:
            rows.append(
                ("(tiers alone)", f"{tally.tiers:,}", share(tally.tiers, tally.judged), "", "")
            )
        if rows:
            shell.console().print(
                table(("rule", "rows>", "of judged>", "unknown>", "on trial>"), rows)
            )
        for name in summary["absent_fields"]:
            shell.say(f"- the policy requires {name}, and the file has no such column")
        if summary["unused_columns"]:
            unused = ", ".join(summary["unused_columns"])
            shell.say(f"- not declared by the policy, so not used: {unused}")
        for one in summary["stored_lists"]:
            shell.say(f"- {list_words(one)}")
        if tally.bad:
            shell.say(f"- bad rows with their reasons: {self.bad_path}")
        if self.output is not None:
            shell.say(f"- every row with its lane: {self.output}")
        if "submitted" in summary:
            done = summary["submitted"]
            shell.say(
                f"- submitted {done['rows']:,} held rows: {done['reviews']:,} reviews"
                + (f", {done['already_there']:,} were there already" if self.repeated else "")
                + (
                    f", {done['passed_in_store']:,} pass by what the store knows"
                    if self.passed_in_store
                    else ""
                )
            )
            if done["reviews"]:
                shell.say("next: handrail reviews")


@contextmanager
def _bad_rows(path: Path) -> Iterator[Callable[[Any], None]]:
    """Takes bad rows into a side file, which is there afterwards only if there were any."""
    from handrail.bulk.write import bad_line, whole_file

    with ExitStack() as stack:
        file: Any = None

        def add(bad: Any) -> None:
            nonlocal file
            if file is None:
                file = stack.enter_context(whole_file(path))
            file.write(bad_line(bad))

        yield add
        if file is None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)  # of an earlier run: it would speak of other rows
