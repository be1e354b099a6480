"""`handrail doctor`: is everything well."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from handrail.cli.screen import span, time_of
from handrail.cli.shell import shell_of
from handrail.model.errors import HandrailError, NotFound

if TYPE_CHECKING:
    from handrail.app.reading import Reading

app = typer.Typer(add_completion=False, rich_markup_mode=None)

STALE_ANCHOR_US = 15 * 60 * 1_000_000
"""An anchor this old while the log has grown past it is a finding."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    ok: bool
    text: str


@app.command()
def doctor(ctx: typer.Context) -> None:
    """Look whether everything is well.

    Workspace, owner, store, log, anchors, policies, people, reviews, runs in doubt, notices.
    Only reads. Exits with 1 where something is wrong.
    """
    from handrail.app.reading import read_store

    shell = shell_of(ctx)
    folder = shell.workspace
    findings: list[Finding] = [_versions(), _owner(folder)]
    findings += _policy_files(folder)
    try:
        with read_store(folder) as reading:
            findings += _store(reading, folder)
    except NotFound as error:
        findings.append(Finding(name="store", ok=True, text=str(error)))
    except HandrailError as error:
        findings.append(Finding(name="store", ok=False, text=str(error)))
    wrong = [one for one in findings if not one.ok]
    if shell.json:
        shell.document({"ok": not wrong, "workspace": str(folder), "findings": findings})
    else:
        shell.say(f"workspace {folder}")
        for one in findings:
            shell.say(f"{'ok   ' if one.ok else 'WRONG'} {one.name}: {one.text}")
        shell.say("everything is well" if not wrong else f"{len(wrong)} wrong")
    if wrong:
        raise typer.Exit(1)


def _versions() -> Finding:
    from handrail import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    return Finding(name="versions", ok=True, text=f"handrail {__version__}, Python {python}")


def _owner(folder: Path) -> Finding:
    from handrail.app import owner_of

    owner = owner_of(folder)
    locked = folder / "run"
    if locked.is_dir() and not os.access(locked, os.W_OK):
        text = f"{locked} cannot be written from here, so nothing can be opened; mount or own it"
        return Finding(name="owner", ok=False, text=text)
    if owner is None:
        return Finding(name="owner", ok=True, text="nobody; the next command takes it")
    alive = _alive(owner.pid)
    since = time_of(owner.started)
    text = f"process {owner.pid} since {since}"
    return Finding(
        name="owner",
        ok=True,
        text=text if alive else f"{text}, which has ended; the next command takes over",
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _policy_files(folder: Path) -> list[Finding]:
    """Every policy file: valid, or what is wrong with it first."""
    from handrail.cli.check import reader
    from handrail.cli.shell import POLICIES
    from handrail.gate import check
    from handrail.packs.checks import CHECKS

    found: list[Finding] = []
    valid = 0
    for path in sorted((folder / POLICIES).glob("*.y*ml")):
        try:
            text, read = path.read_bytes(), reader(path)
            mistakes = check(text, path=str(path), read_file=read, checks=CHECKS)
        except OSError as error:
            found.append(Finding(name=f"policy {path.name}", ok=False, text=str(error)))
            continue
        if mistakes:
            more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
            found.append(Finding(name=f"policy {path.name}", ok=False, text=f"{mistakes[0]}{more}"))
        else:
            valid += 1
    return [Finding(name="policy files", ok=True, text=f"{valid} valid"), *found]


def _store(reading: Reading, folder: Path) -> list[Finding]:
    from handrail.app.stores import without_password

    now = time.time_ns() // 1000
    damaged = reading.integrity()
    if reading.place is None:
        size = reading.paths.store.stat().st_size
        where = f"{reading.paths.store}, {size / 2**20:.1f} MiB"
        fine = "SQLite finds nothing wrong"
    else:
        where, fine = without_password(reading.place), "it answers, and the log's end is whole"
    found = [
        Finding(
            name="store",
            ok=not damaged,
            text=f"{where}, " + ("; ".join(damaged[:3]) if damaged else fine),
        )
    ]
    if damaged:
        return found
    found.append(_log(reading, now))
    counts = reading.read(lambda tx: _counts(tx, now))
    found += [
        Finding(name="active policies", ok=True, text=counts["policies"]),
        _people(reading),
        Finding(name="drafts", ok=True, text=reading.read(lambda tx: _drafts(tx, folder))),
        Finding(
            name="reviews",
            ok=counts["overdue"] == 0,
            text=f"{counts['open']} open, {counts['overdue']} overdue",
        ),
        Finding(
            name="runs",
            ok=counts["doubts"] == 0,
            text=f"{counts['doubts']} in doubt"
            + ("; settle them with `handrail doubts`" if counts["doubts"] else ""),
        ),
        Finding(
            name="notices",
            ok=counts["failed"] == 0,
            text=f"{counts['undelivered']} undelivered, {counts['failed']} of them failed"
            + (f"; {counts['why']}" if counts["why"] else "")
            + ("; what is given up is tried once more at each start" if counts["parked"] else ""),
        ),
        reading.read(_aggregates),
        Finding(
            name="stop button",
            ok=True,
            text=counts["stops"] or "not pressed",
        ),
    ]
    return found


def _people(reading: Reading) -> Finding:
    """Whether somebody is there for what the policies ask of people."""
    lacking = reading.lacking()
    return Finding(
        name="people",
        ok=not lacking,
        text="; ".join(lacking) or "somebody is there for whatever the policies ask of people",
    )


def _aggregates(tx: Any) -> Finding:
    """Whether what aggregates are read from is what their sources make of it."""
    from handrail.flow import Shelf, astray

    shelf = Shelf()
    policies = []
    for workflow in tx.policies.workflows():
        try:
            policies.append(shelf.active(tx, workflow))
        except HandrailError as error:
            return Finding(name="aggregates", ok=False, text=f"{workflow} cannot be read: {error}")
    wrong = list(astray(tx, policies))
    if wrong:
        names = ", ".join(name for one in wrong for name in one.aggregates)
        return Finding(
            name="aggregates",
            ok=False,
            text=f"{names}: {wrong[0].why}; the owner of the workspace makes them again within a "
            "day, and ten minutes after its start",
        )
    series = tx.buckets.all()
    late = sum(one[3] for one in series)
    return Finding(
        name="aggregates",
        ok=True,
        text=f"{len(series)} series are what their sources make of them"
        + (f"; {late:,} events came too late to be counted" if late else ""),
    )


def _drafts(tx: Any, folder: Path) -> str:
    """Policy files that say something else than what is active, and what makes them rule."""
    from handrail.cli.shell import POLICIES
    from handrail.flow import alone

    active: dict[str, str] = {}
    for workflow in tx.policies.workflows():
        version = tx.policies.active(workflow)
        stored = tx.policies.get(workflow, version) if version else None
        if stored is not None:
            active[Path(stored.path).name] = stored.text
    drafts = [
        path.name
        for path in sorted((folder / POLICIES).glob("*.y*ml"))
        if path.read_text("utf-8", "replace") != active.get(path.name)
    ]
    if not drafts:
        return "none"
    how = "active from the next submit on" if alone(tx) else "`handrail policy propose` asks for it"
    return f"{', '.join(drafts)}: {how}"


def _counts(tx: Any, now: int) -> dict[str, Any]:
    from handrail.model.modes import GrantState

    most = 1000
    reviews = tx.reviews.open_list(workflow=None, status="open", to=None, limit=most)
    notices = tx.outbox.undelivered(most)
    failed = [notice for notice in notices if notice.error]
    return {
        "policies": ", ".join(tx.policies.workflows()) or "none",
        "open": len(reviews),
        "overdue": sum(1 for one in reviews if one.due is not None and one.due <= now),
        "doubts": len(tx.grants.in_state([GrantState.IN_DOUBT], most)),
        "undelivered": len(notices),
        "failed": len(failed),
        "parked": sum(1 for notice in failed if notice.next_at is None),
        "why": f"{failed[0].decision_id or failed[0].review}: {failed[0].error}"
        if failed
        else None,
        "stops": ", ".join(
            f"{'every workflow' if one.workflow == '*' else one.workflow}: {one.reason}"
            for one in tx.stops.all()
        ),
    }


def _log(reading: Reading, now: int) -> Finding:
    """How much of the log is anchored, and how old the last anchor is."""
    size = reading.read(lambda tx: tx.audit.size())
    try:
        reading.signer()
        anchors = reading.anchors()
    except HandrailError as error:
        return Finding(name="log", ok=False, text=str(error))
    if not anchors:
        return Finding(name="log", ok=size < 2, text=f"{size:,} entries, none of them anchored")
    last = anchors[-1]
    age = now - last.at
    if last.size > size:
        return Finding(
            name="log",
            ok=False,
            text=f"{size:,} entries, but {last.size:,} were anchored: the database was put "
            "back; `handrail audit accept-restore --reason …` goes on with it",
        )
    text = f"{size:,} entries, {last.size:,} anchored {span(age)} ago"
    return Finding(name="log", ok=last.size == size or age < STALE_ANCHOR_US, text=text)
