"""`handrail backtest`: what a policy would have done to decisions of the past."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handrail.cli.check import reader
from handrail.cli.new import policy_file
from handrail.cli.screen import counted, progress_bar, share, table
from handrail.cli.shell import Shell, shell_of
from handrail.cli.stored import list_words, lists_of, with_stored_lists
from handrail.model.errors import BadInput, NotFound

if TYPE_CHECKING:
    from handrail.assure.backtest import Backtest, PassingError
    from handrail.assure.groups import Cut, GroupRates
    from handrail.assure.rates import Rate
    from handrail.bulk.backtest import Comparison
    from handrail.gate import Policy

app = typer.Typer(add_completion=False, rich_markup_mode=None)

BATCH = 200_000
"""Rows that are judged at once."""
MINUTES = 2.0
"""Active minutes of a review where none were measured: the most a review should take."""
MOST_MEASURED = 500
"""Latest reviews whose minutes are measured."""


@app.command()
def backtest(
    ctx: typer.Context,
    policy: Annotated[str, typer.Argument(help="Policy file, or a workflow of the workspace.")],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="OLD",
            help="Compare with this policy: a file, a workflow, or NAME@VERSION. With --log the "
            "rulings as they were, where left out.",
        ),
    ] = None,
    input: Annotated[
        Path | None,
        typer.Option("--input", "-i", metavar="FILE", help="Decisions: CSV, JSON Lines, Parquet."),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="Decisions of the workspace, as they are stored.")
    ] = False,
    label: Annotated[
        str | None,
        typer.Option(metavar="COL", help="Column that says which rows were bad; blank: not known."),
    ] = None,
    sample: Annotated[
        bool,
        typer.Option(
            "--sample", help="The labelled rows were drawn at random and stand for the others."
        ),
    ] = False,
    proposal: Annotated[
        list[str] | None,
        typer.Option(metavar="[FIELD=]COL", help="Column of a proposed value, as in `gate`."),
    ] = None,
    confidence: Annotated[
        str | None, typer.Option(metavar="COL", help="Column with the confidence, 0 to 1.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="COL",
            help="Column with the time of each row, ascending: aggregates then see what came "
            "before. Without it they are unknown.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(metavar="M", help="Active minutes of one review; else as measured, else 2."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the result for `handrail policy propose --evidence FILE`.",
        ),
    ] = None,
    level: Annotated[
        float, typer.Option(metavar="P", help="Probability with which each interval covers.")
    ] = 0.95,
) -> None:
    """Say what would change: who is held, what is caught and missed, what people have to do.

    Every rate has its interval and says what it rests on. Decisions nobody looked at are never
    counted as good: they are estimated from spot checks, or bounded. Nothing is stored.
    """
    shell = shell_of(ctx)
    if log == (input is not None):
        raise BadInput("say either --input FILE or --log, which takes the workspace's decisions")
    if log and (label or sample or proposal or confidence or at):
        raise BadInput("--label, --sample, --proposal, --confidence and --at are for --input FILE")
    if sample and label is None:
        raise BadInput("--sample says how the rows of --label COL were chosen; name the column")
    if not 0.5 <= level < 1:
        raise BadInput(f"--level is {level:g}; expected at least 0.5 and less than 1")
    if minutes is not None and not 0 < minutes <= 1_000:
        raise BadInput(f"--minutes is {minutes:g}; expected more than 0 and at most 1,000")
    loaded = _policy(shell, policy)
    old = _policy(shell, against) if against is not None else None
    measured = 0
    each = minutes if minutes is not None else MINUTES
    if input is not None:
        loaded = with_stored_lists(shell, loaded)
        old = old if old is None else with_stored_lists(shell, old)
        compared = _file(loaded, old, input, label, sample, tuple(proposal or ()), confidence, at)
    else:
        compared, seconds = _log(shell, loaded, old)
        if minutes is None and seconds:
            each, measured = sum(seconds) / len(seconds) / 60, len(seconds)
    found = compared.result(minutes_each=each, measured=measured, confidence=level)
    cuts = compared.cuts(confidence=level)
    if evidence is not None:
        _write_evidence(evidence, loaded, found, cuts)
    if shell.json:
        shell.document(
            {
                "result": found,
                "groups": cuts,
                "groups_without_column": compared.uncut,
                "rows": compared.rows,
                "bad_rows": compared.bad_rows,
                "left_out": compared.left_out,
                "stored_lists": [] if log else lists_of(loaded),
            }
        )
    else:
        _print(shell, found, compared)
        _print_groups(shell, cuts, compared.uncut)
        for one in [] if log else lists_of(loaded):
            shell.say(f"- {list_words(one)}, as they are now")


def _policy(shell: Shell, named: str) -> Policy:
    """A file, a workflow's file in the workspace, or a stored version NAME@VERSION."""
    from handrail.gate import check, load
    from handrail.packs.checks import CHECKS

    workflow, at, version = named.partition("@")
    if at and not Path(named).exists():
        return _stored(shell, workflow, version)
    path = policy_file(shell, named)
    text, read = path.read_bytes(), reader(path)
    # A threshold is tried before its cases are written anew; what they say is told beside it.
    loaded = load(text, path=str(path), read_file=read, run_cases=False, checks=CHECKS)
    for mistake in check(text, path=str(path), read_file=read, checks=CHECKS):
        shell.note(str(mistake))
    return loaded


def _stored(shell: Shell, workflow: str, version: str) -> Policy:
    from handrail.app.reading import read_store
    from handrail.flow import find_version
    from handrail.gate import load
    from handrail.packs.checks import CHECKS

    with read_store(shell.workspace) as reading:
        kept = reading.read(lambda tx: find_version(tx, (), workflow, version))
    files = {name: text.encode() for name, text in kept.files.items()}
    return load(kept.text, path=kept.path, read_file=files.__getitem__, checks=CHECKS)


def _file(
    policy: Policy,
    old: Policy | None,
    path: Path,
    label: str | None,
    sample: bool,
    proposal: tuple[str, ...],
    confidence: str | None,
    at: str | None,
) -> Comparison:
    from polars import Int64, Series

    from handrail.bulk.backtest import Comparison, known_of
    from handrail.bulk.ranks import numbered_frames
    from handrail.bulk.read import open_source

    source = open_source(path)
    for named in (label, at):
        if named is not None and named not in source.headers:
            raise BadInput(f"{path} has no column {named!r}; it has {', '.join(source.headers)}")
    compared = Comparison(
        policy,
        [header for header in source.headers if header != label],
        against=old,
        proposal=proposal,
        confidence=confidence,
    )
    now = time.time_ns() // 1000
    new_in_time, old_in_time = compared.in_time(at) if at is not None else (None, None)
    if at is None:
        compared.rank(lambda: numbered_frames(source, size=BATCH))
    with progress_bar(source.size, "comparing") as progress:
        parts = numbered_frames(source, size=BATCH, progress=progress, lost=compared.lose)
        for frame, numbers in parts:
            cells = frame[label] if label is not None else None
            rulings = before = times = None
            try:
                known = known_of(cells, frame.height, sample=sample)
                if new_in_time is not None:
                    rulings, moments = new_in_time.rule(frame)
                    times = Series(moments, dtype=Int64)
                if old_in_time is not None:
                    before, _ = old_in_time.rule(frame)
            except BadInput as error:
                raise BadInput(f"{path}: {error.message}") from error
            compared.add(
                frame,
                known,
                now=now,
                times=times,
                rulings=rulings,
                rulings_before=before,
                numbers=numbers,
            )
    return compared


def _log(shell: Shell, policy: Policy, old: Policy | None) -> tuple[Comparison, list[float]]:
    """The comparison over the stored log, and the active seconds of its latest reviews."""
    from handrail.app.reading import read_store
    from handrail.bulk.backtest import Comparison, needs_the_moment
    from handrail.bulk.past import CONFIDENCE, headers, past_frames

    compared = Comparison(
        policy, headers(policy), against=old, ruled=old is None, confidence=CONFIDENCE
    )

    def query(tx: Any) -> list[float]:
        again, before = (
            reading.ruled_again(tx, one) if one is not None and needs_the_moment(one) else None
            for one in (policy, old)
        )
        latest: dict[str, None] = {}
        for part in past_frames(tx.decisions.past(policy.workflow), policy):
            compared.add(
                part.frame,
                part.known,
                now=0,
                times=part.times,
                rulings=None if again is None else [again.get(id_) for id_ in part.ids],
                rulings_before=None if before is None else [before.get(id_) for id_ in part.ids],
            )
            compared.left_out += part.tests
            latest.update(dict.fromkeys(part.reviews))
        seconds = []
        for review in list(latest)[-MOST_MEASURED:]:
            seconds += [
                vote.seconds for vote in tx.reviews.votes(review) if vote.seconds is not None
            ]
        return seconds

    with read_store(shell.workspace) as reading:
        seconds = reading.read(query)
    if not compared.rows:
        raise NotFound(f"the workspace has no decisions of {policy.workflow} yet")
    return compared, seconds


# ------------------------------------------------------------------------------------ the report


def _write_evidence(path: Path, policy: Policy, found: Backtest, cuts: tuple[Cut, ...]) -> None:
    """The result in the form a proposal of the tested version carries."""
    import msgspec

    from handrail.bulk.write import whole_file
    from handrail.model.canonical import digest
    from handrail.model.versions import Evidence

    figures: dict[str, Any] = {"decisions": found.decisions, "nobody_looked": found.nobody_looked}
    for name, rate in (
        ("held_before", found.held_before),
        ("held_after", found.held_after),
        ("caught_before", found.caught_before),
        ("caught_after", found.caught_after),
    ):
        if rate is not None and rate.value is not None:
            figures[name] = {"value": rate.value, "interval": [rate.low, rate.high]}
    passing = found.passing_after
    figures["error_of_what_passes"] = {
        "value": passing.value,
        "interval": [passing.low, passing.high],
    }
    for one in cuts:
        figures[f"held_by_{one.field}"] = {
            _group_words(group): {
                "count": group.held_after.count,
                "of": group.held_after.of,
                "interval": [group.held_after.low, group.held_after.high],
            }
            for group in one.groups
        }
    made = Evidence(
        kind="backtest",
        summary=_summary(found),
        figures=figures,
        version=policy.version,
        digest=digest(msgspec.to_builtins(found)),
    )
    with whole_file(path) as file:
        file.write(msgspec.json.encode(made).decode() + "\n")


def _summary(found: Backtest) -> str:
    """One sentence for who decides on a proposal."""
    words = [f"on {counted(found.decisions, 'decision')} {_rate(found.held_after)} held"]
    if found.held_before is not None:
        words.append(f"before {_rate(found.held_before)}")
    if found.caught_after.of:
        words.append(f"{found.caught_after.count:,} of {found.caught_after.of:,} bad ones caught")
    words.append(f"error of what passes {_passing(found.passing_after) or 'of nothing'}")
    words.append(f"nobody looked at {found.nobody_looked:,}")
    return "; ".join(words)


def _print(shell: Shell, found: Backtest, compared: Comparison) -> None:
    per = f"{100 * found.confidence:g} %"
    shell.say(
        f"{found.policy} on {counted(found.decisions, 'decision')}"
        + (f" of {found.load.days:,.0f} days" if found.load.days and found.load.days >= 1 else "")
        + (f", against {found.against}" if found.against else "")
    )
    rows = [
        ("held for people", _rate(found.held_before), _rate(found.held_after)),
        ("bad ones caught", _rate(found.caught_before), _rate(found.caught_after)),
        ("good ones held up", _rate(found.hit_before), _rate(found.hit_after)),
        ("error of what passes", _passing(found.passing_before), _passing(found.passing_after)),
        (
            "minutes of people",
            "" if found.load.minutes_before is None else f"{found.load.minutes_before:,.0f}",
            f"{found.load.minutes_after:,.0f}",
        ),
    ]
    rows = [row for row in rows if row[1] or row[2]]
    if found.against is None:
        shell.console().print(table((f"{per} intervals", "it>"), [(a, c) for a, _, c in rows]))
    else:
        shell.console().print(table((f"{per} intervals", "before>", "after>"), rows))
    shell.say()
    shell.console().print(
        table(
            ("rule", "before>", "after>", "alone>", "bad>", "good>", "precision>"),
            [
                (
                    rule.rule,
                    "-" if rule.before is None else f"{rule.before:,}",
                    "-" if rule.after is None else f"{rule.after:,}",
                    f"{rule.alone:,}",
                    f"{rule.bad:,}",
                    f"{rule.good:,}",
                    _rate(rule.precision),
                )
                for rule in found.rules
            ],
        )
    )
    if found.change is not None:
        middle, low, high = (100 * part for part in found.change)
        shell.say(
            f"- held or refused: {middle:+.2f} points ({low:+.2f} to {high:+.2f}); "
            + (", ".join(f"{n:,} {move}" for move, n in found.moves.items()) or "no lane changes")
        )
    shell.say(
        f"- nobody looked at {found.nobody_looked:,} of {found.decisions:,} "
        f"({share(found.nobody_looked, found.decisions)}); {_rests_on(found.passing_after)}"
    )
    shell.say(
        f"- a review is taken to cost {found.load.minutes_each:.1f} minutes, "
        + (
            f"the mean of {found.load.measured:,} votes"
            if found.load.measured
            else "which is assumed; say --minutes"
        )
        + "; repeats that join one review cost less"
    )
    if compared.bad_rows:
        shell.say(
            f"- {counted(compared.bad_rows, 'row')} could not be read by the policies and "
            "count nowhere; `handrail gate` says why"
        )
    if compared.left_out:
        shell.say(f"- {counted(compared.left_out, 'test decision')} left out")


_GAP_WORDS = {"intervention": "held", "caught": "bad ones caught", "hit": "good ones held up"}


def _print_groups(shell: Shell, cuts: tuple[Cut, ...], uncut: tuple[str, ...]) -> None:
    """Each rate by group. Of few decisions there are counts and no rate."""
    for one in cuts:
        shell.say()
        known = any(group.caught_after.of or group.hit_after.of for group in one.groups)
        before = any(group.held_before is not None for group in one.groups)
        columns = [one.field, "decisions>", *(["held before>"] if before else []), "held>"]
        columns += ["bad caught>", "good held up>"] if known else []
        rows = []
        for group in one.groups:
            row = [_group_words(group), f"{group.decisions:,}"]
            row += [_small(group.held_before)] if before else []
            row += [_small(group.held_after)]
            row += [_small(group.caught_after), _small(group.hit_after)] if known else []
            passing = group.passing_after
            row.append("too few pass" if passing is None else _passing(passing) or "nothing passes")
            rows.append(row)
        shell.console().print(table((*columns, "error of what passes>"), rows))
        for gap in one.gaps:
            word = _GAP_WORDS[gap.rate]
            names = f"{_value(gap.highest)} over {_value(gap.lowest)}"
            shell.say(
                f"- {one.field}, {word}: {names} by at least {100 * gap.at_least:.1f} points, "
                f"at most {100 * gap.at_most:.1f}"
                if gap.certain
                else f"- {one.field}, {word}: no gap is certain; up to {100 * gap.at_most:.1f} "
                "points are not excluded"
            )
    for name in uncut:
        shell.say(f"- the group {name} has no column here")


def _group_words(group: GroupRates) -> str:
    return "all others" if group.others else _value(group.value)


def _value(value: str | None) -> str:
    return "not said" if value is None else value


def _small(rate: Rate | None) -> str:
    """A rate, or its counts where they are too few for one."""
    if rate is None or not rate.of:
        return ""
    return _rate(rate) or f"{rate.count:,} of {rate.of:,}, too few"


def _rests_on(passing: PassingError) -> str:
    if not passing.passes:
        return "nothing passes"
    if passing.value is None:
        return (
            f"of what passes, {passing.unseen + passing.spared:,} could be anything: the error has "
            "bounds and no estimate. Spot checks would give one"
        )
    if passing.spared:
        return f"what passes is estimated from {passing.drawn:,} spot checks drawn at random"
    return "the truth about all that passes is known"


def _rate(rate: Rate | None) -> str:
    if rate is None or rate.value is None or rate.low is None or rate.high is None:
        return ""
    return (
        f"{100 * rate.value:.2f} % ({100 * rate.low:.2f}–{100 * rate.high:.2f}; "
        f"{rate.count:,} of {rate.of:,})"
    )


def _passing(passing: PassingError | None) -> str:
    if passing is None or passing.low is None or passing.high is None:
        return ""
    bounds = f"{100 * passing.low:.2f}–{100 * passing.high:.2f}"
    return f"{bounds} %" if passing.value is None else f"{100 * passing.value:.2f} % ({bounds})"
