"""`handrail policy`: which versions rule, what would change, and how they came to be."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from handrail.cli.screen import table, time_of, visible
from handrail.cli.shell import POLICIES, Shell, shell_of
from handrail.model.commands import (
    ApplyPolicy,
    DiffPolicies,
    GetPolicy,
    ListLists,
    ListPolicies,
    ListTrials,
    PolicyHistory,
    ProposeList,
    ProposePolicy,
)
from handrail.model.decoding import convert
from handrail.model.errors import BadInput
from handrail.model.versions import DraftState, Evidence, PolicyDiff

if TYPE_CHECKING:
    from handrail.gate import Policy
    from handrail.model.commands import PolicyLine
    from handrail.model.feedback import PolicyVersion
    from handrail.model.versions import (
        HistoryLine,
        ListProposal,
        Proposal,
        StoredList,
        TrialCount,
    )

app = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)

SHORT = 12
"""Digits of a version that are shown; six or more name it."""


@app.callback()
def policy(ctx: typer.Context) -> None:
    """Policies: files are drafts, the store holds what rules.

    Alone it lists them.
    """
    # What is wrong with a file is part of the answers here, and need not be said twice.
    log = logging.getLogger("handrail.policies")
    before = log.level
    log.setLevel(logging.ERROR)
    ctx.call_on_close(lambda: log.setLevel(before))
    if ctx.invoked_subcommand is None:
        list_(ctx)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """What rules now, and which files differ from it or have mistakes."""
    shell = shell_of(ctx)
    with shell.open() as client:
        lines: list[PolicyLine] = shell.act(client, ListPolicies())
    if shell.printed(lines):
        return
    if not lines:
        shell.say(f"there are no policies; write one into {POLICIES}/, or `handrail new` one")
        return
    shell.console().print(
        table(
            ("workflow", "rules now", "since", "by", "file", "state"),
            [
                (
                    line.workflow or "-",
                    short(line.version),
                    time_of(line.activated_at),
                    line.activated_by or "-",
                    line.path or "-",
                    _state(line),
                )
                for line in lines
            ],
        )
    )
    for line in lines:
        for mistake in line.mistakes:
            shell.complain_line(mistake)


def _state(line: PolicyLine) -> str:
    if line.state is DraftState.DRAFT:
        return f"draft {short(line.draft)}: `handrail policy propose {line.workflow}`"
    if line.state is DraftState.PROPOSED:
        return f"proposed {short(line.draft)}: {line.review_id}"
    if line.state is DraftState.BROKEN:
        kept = "what ruled before stays" if line.version else "nothing rules yet"
        many = len(line.mistakes)
        return f"{many} mistake{'' if many == 1 else 's'}; {kept}"
    return "active"


def short(version: str | None) -> str:
    """A version as people read it."""
    return version[:SHORT] if version else "-"


def named(text: str) -> tuple[str, str | None]:
    """`NAME` or `NAME@VERSION`; VERSION is a hash, its beginning, or `draft`."""
    workflow, at, version = text.partition("@")
    if not workflow or (at and not version):
        raise BadInput(f"{text!r} is no NAME or NAME@VERSION, such as refund@3f2a90")
    return workflow, version or None


_NAMED = typer.Argument(
    metavar="NAME",
    help="Workflow: what rules; or NAME@VERSION: six digits of a hash, or `draft`.",
)


@app.command()
def show(ctx: typer.Context, name: Annotated[str, _NAMED]) -> None:
    """One version, whole: its text, digests, and who made it rule."""
    shell = shell_of(ctx)
    workflow, version = named(name)
    with shell.open() as client:
        found: PolicyVersion = shell.act(client, GetPolicy(workflow=workflow, version=version))
        trying: list[TrialCount] = []
        if found.active:
            trying = shell.act(client, ListTrials(workflow=workflow))
    if shell.printed({**msgspec.to_builtins(found), "trials": trying}):
        return
    state = "rules now" if found.active else "does not rule"
    since = (
        f", since {time_of(found.activated_at)} by {visible(found.activated_by or '-')}"
        if found.activated_at is not None
        else ""
    )
    shell.say(f"{found.workflow}@{found.version}")
    shell.say(f"{state}{since}; gate digest {found.gate_digest}")
    for file in found.files:
        shell.say(f"with {file}")
    for one in trying:
        shell.say(f"on trial, {trial_words(one)}")
    shell.say()
    shell.say(found.text.rstrip("\n"))


_FIRST = typer.Argument(metavar="A", help="File, NAME or NAME@VERSION.")
_SECOND = typer.Argument(
    metavar="B", help="The same; left out: the draft of NAME, against what rules."
)


@app.command()
def diff(
    ctx: typer.Context,
    old: Annotated[str, _FIRST],
    new: Annotated[str | None, _SECOND] = None,
) -> None:
    """What changes from A to B: in words, and in effects on the cases of both.

    Exits with 0 whether there are differences or not.
    """
    shell = shell_of(ctx)
    if new is None:
        if _is_file(old):
            loaded = _load(Path(old))
            found = _against_store(shell, loaded.workflow, None, loaded)
        else:
            workflow, version = named(old)
            found = _ask(shell, workflow, version, None)
    elif not _is_file(old) and not _is_file(new):
        workflow, version = named(old)
        other, second = named(new)
        _same(workflow, other)
        found = _ask(shell, workflow, version, second or "active")
    else:
        found = _with_files(shell, old, new)
    if not shell.printed(found):
        say_diff(shell, found)


def _ask(shell: Shell, workflow: str, old: str | None, new: str | None) -> PolicyDiff:
    with shell.open() as client:
        found = shell.act(client, DiffPolicies(workflow=workflow, old=old, new=new))
    assert isinstance(found, PolicyDiff)
    return found


def _with_files(shell: Shell, old: str, new: str) -> PolicyDiff:
    from handrail.gate import compare

    if _is_file(old) and _is_file(new):
        first, second = _load(Path(old)), _load(Path(new))
        _same(first.workflow, second.workflow)
        return compare(first, second)
    if _is_file(new):
        workflow, version = named(old)
        loaded = _load(Path(new))
        _same(workflow, loaded.workflow)
        return _against_store(shell, workflow, version, loaded)
    workflow, version = named(new)
    loaded = _load(Path(old))
    _same(loaded.workflow, workflow)
    return compare(loaded, _stored(shell, workflow, version))


def _against_store(shell: Shell, workflow: str, version: str | None, loaded: Policy) -> PolicyDiff:
    from handrail.gate import compare

    return compare(_stored(shell, workflow, version), loaded)


def _stored(shell: Shell, workflow: str, version: str | None) -> Policy:
    from handrail.gate import load
    from handrail.packs.checks import CHECKS

    with shell.open() as client:
        found: PolicyVersion = shell.act(client, GetPolicy(workflow=workflow, version=version))
    return load(
        found.text,
        path=found.path,
        read_file=lambda name: found.files[name].encode(),
        run_cases=False,
        checks=CHECKS,
    )


def _is_file(text: str) -> bool:
    return "/" in text or text.endswith((".yaml", ".yml"))


def _load(path: Path, read: Callable[[str], bytes] | None = None) -> Policy:
    from handrail.cli.check import reader
    from handrail.gate import load
    from handrail.packs.checks import CHECKS

    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; check the path") from error
    # A case that comes out otherwise is what a diff shows, not what stops it.
    read = read or reader(path)
    return load(text, path=str(path), read_file=read, run_cases=False, checks=CHECKS)


def _same(workflow: str, other: str) -> None:
    if workflow != other:
        raise BadInput(f"{workflow} and {other} are policies of two workflows; compare one's own")


def say_diff(shell: Shell, found: PolicyDiff) -> None:
    """A diff for people: what it means, each change, and the cases that come out otherwise."""
    for line in diff_lines(found):
        shell.say(line)


def diff_lines(found: PolicyDiff) -> Iterable[str]:
    """A diff in lines."""
    yield f"{found.workflow}: {short(found.old)} → {short(found.new)}"
    if found.old == found.new:
        yield "the same version"
        return
    yield (
        "the gate digest changes: other decisions may pass, certificates become void"
        if found.gate_changed
        else "the gate digest stays: the same decisions pass, certificates stay good"
    )
    for change in found.changes:
        yield f"  {'*' if change.decides else '-'} {change.sentence}"
    for case in found.cases:
        yield f"  case {case.name}: {case.before} → {case.after}"
    yield f"{len(found.cases)} of {len(found.cases) + found.same_cases} cases come out otherwise"


@app.command()
def propose(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Workflow: its file as it lies there; or NAME@VERSION: a version of before.",
        ),
    ],
    reason: Annotated[str, typer.Option(help="Why; those who decide it read it.")],
    base: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Only if this version rules now, in full."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON with kind, summary, figures: a back test of what is proposed.",
        ),
    ] = None,
) -> None:
    """Ask those who own the policy to let a version rule.

    It becomes a review on their desk; whoever proposes never decides it. Where one person runs the
    workspace it rules at once. With NAME@VERSION it goes back to an earlier version.
    """
    shell = shell_of(ctx)
    workflow, version = named(name)
    command = ProposePolicy(
        workflow=workflow,
        reason=reason,
        version=None if version == "draft" else version,
        base=base,
        evidence=None if evidence is None else _evidence(evidence),
    )
    with shell.open() as client:
        made: Proposal = shell.act(client, command)
    if shell.printed(made):
        return
    say_diff(shell, made.diff)
    if made.active:
        shell.say(f"{made.workflow}@{short(made.version)} rules now (single person)")
    else:
        _say_asked(shell, made)
    for warning in made.warnings:
        shell.note(warning)


@app.command()
def apply(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Policy file; beside it its lists.")],
    author: Annotated[str, typer.Option(metavar="PERSON", help="Who wrote the change.")],
    approved_by: Annotated[
        str, typer.Option(metavar="PERSON", help="Who approved it: somebody else.")
    ],
    reference: Annotated[
        str, typer.Option(help="Where the approval is recorded, such as a merge request.")
    ],
    reason: Annotated[str, typer.Option(help="Why it changes.")],
    base: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Only if this version rules now, in full."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON with kind, summary, figures: a back test of it."),
    ] = None,
) -> None:
    """Let a file rule that was approved elsewhere, as a CI does.

    Sent to the server of HANDRAIL_URL with the token of HANDRAIL_TOKEN, which needs the scope
    policies:apply. Who approved it, and where, stands in the history.
    """
    from handrail.app import connect
    from handrail.cli.check import reader

    shell = shell_of(ctx)
    read = reader(file)
    files: dict[str, str] = {}

    def keep(name: str) -> bytes:
        content = read(name)
        files[name] = content.decode("utf-8")
        return content

    loaded = _load(file, keep)
    command = ApplyPolicy(
        workflow=loaded.workflow,
        text=loaded.text,
        files=files,
        author=author,
        approved_by=approved_by,
        reference=reference,
        reason=reason,
        base=base,
        evidence=None if evidence is None else _evidence(evidence),
    )
    with connect() as client:
        made: Proposal = client.call(command)
    if shell.printed(made):
        return
    say_diff(shell, made.diff)
    shell.say(f"{made.workflow}@{short(made.version)} rules now, approved at {visible(reference)}")
    for warning in made.warnings:
        shell.note(warning)


@app.command()
def trials(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Workflow.")],
) -> None:
    """Rules on trial: how often each would have acted, so that you can decide to arm it."""
    shell = shell_of(ctx)
    with shell.open() as client:
        found: list[TrialCount] = shell.act(client, ListTrials(workflow=name))
    if shell.printed(found):
        return
    if not found:
        shell.say(f"no rule of {name} is on trial; write `trial: true` into one")
    for one in found:
        shell.say(trial_words(one))


def trial_words(one: TrialCount) -> str:
    """`rule x: would have acted on 3 of 40 decisions, 7.5 % [2.6–19.9]`."""
    head = f"{one.rule}: would have acted on {one.fired:,} of {one.of:,} decisions"
    if one.share is None or one.low is None or one.high is None:
        return head
    return f"{head}, {100 * one.share:.1f} % [{100 * one.low:.1f}–{100 * one.high:.1f}]"


def _say_asked(shell: Shell, made: Proposal | ListProposal) -> None:
    asked = visible(", ".join(made.approvers))
    shell.say(f"{made.review_id} asks {asked}; the decision is {made.decision_id}")


def _evidence(path: Path) -> Evidence:
    from handrail.model.wire import read_json

    try:
        return convert(read_json(path.read_bytes()), Evidence)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; check the path") from error
    except msgspec.ValidationError as error:
        raise BadInput(f"{path}: {error}; expected kind, summary and figures") from error


@app.command()
def lists(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Workflow.")],
) -> None:
    """The stored lists of a policy: what they hold, from whom, and until when."""
    shell = shell_of(ctx)
    with shell.open() as client:
        found: list[StoredList] = shell.act(client, ListLists(workflow=name))
    if shell.printed(found):
        return
    if not found:
        shell.say(f"{name} has no stored list; declare one with `lists: {{x: {{stored: true}}}}`")
        return
    for one in found:
        shell.say(f"{one.name}, version {one.version}, {len(one.entries):,} values")
        if one.entries:
            shell.console().print(
                table(
                    ("value", "since", "by", "until", "decision"),
                    [
                        (
                            entry.value,
                            time_of(entry.added_at),
                            entry.added_by,
                            time_of(entry.expires_at) if entry.expires_at else "for good",
                            entry.decision_id or "-",
                        )
                        for entry in one.entries
                    ],
                )
            )


_WORKFLOW = typer.Argument(metavar="NAME", help="Workflow.")
_LIST = typer.Argument(metavar="LIST", help="Stored list of its policy.")
_VALUES = typer.Argument(metavar="VALUE…", help="Values.")
_REASON = typer.Option(help="Why; those who decide it read it.")


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, _WORKFLOW],
    stored: Annotated[str, _LIST],
    values: Annotated[list[str], _VALUES],
    reason: Annotated[str, _REASON],
    days: Annotated[
        int | None, typer.Option(metavar="N", help="They stay so many days; else for good.")
    ] = None,
) -> None:
    """Ask that values join a stored list; in a workspace of one person they do at once."""
    command = ProposeList(workflow=name, list=stored, add=tuple(values), reason=reason, days=days)
    _change(shell_of(ctx), command)


@app.command()
def remove(
    ctx: typer.Context,
    name: Annotated[str, _WORKFLOW],
    stored: Annotated[str, _LIST],
    values: Annotated[list[str], _VALUES],
    reason: Annotated[str, _REASON],
) -> None:
    """Ask that values leave a stored list; in a workspace of one person they do at once."""
    command = ProposeList(workflow=name, list=stored, remove=tuple(values), reason=reason)
    _change(shell_of(ctx), command)


def _change(shell: Shell, command: ProposeList) -> None:
    with shell.open() as client:
        made: ListProposal = shell.act(client, command)
    if shell.printed(made):
        return
    if made.done:
        shell.say(f"{made.list} is changed (single person)")
    else:
        _say_asked(shell, made)


@app.command()
def history(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Workflow.")],
    limit: Annotated[int, typer.Option(metavar="N", help="At most so many lines.")] = 100,
) -> None:
    """Who proposed, who approved, when and why; newest first."""
    shell = shell_of(ctx)
    with shell.open() as client:
        lines: list[HistoryLine] = shell.act(client, PolicyHistory(workflow=name, limit=limit))
    if shell.printed(lines):
        return
    if not lines:
        shell.say(f"{name} has no history here; `handrail policy list` names those there are")
        return
    for line in lines:
        shell.say(f"{short(line.version)} {line.state}, {time_of(line.at)}{_gate(line)}")
        why = f": {visible(line.reason)}" if line.reason else ""
        shell.say(f"  proposed by {visible(line.proposed_by or '-')}{why}")
        if line.single_person:
            shell.say("  single person: nobody else could approve")
        elif line.approved_by:
            shell.say(f"  approved by {visible(', '.join(line.approved_by))}{_where(line)}")
        if line.note:
            shell.say(f"  {visible(line.note)}")


def _gate(line: HistoryLine) -> str:
    if line.gate_changed is None:
        return ""
    return ", gate changed" if line.gate_changed else ", same gate"


def _where(line: HistoryLine) -> str:
    if line.reference:
        return f", {visible(line.reference)}"
    return f" ({line.decision_id})" if line.decision_id else ""


__all__: list[Any] = ["app", "diff_lines", "named", "say_diff", "short"]
