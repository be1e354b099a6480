"""`handrail audit`: verify, export and prove the log. Files in and out around `handrail.audit`.

Everything but `accept-restore` only reads the store, beside whoever owns it.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handrail.cli.proofs import entry_of, sign_head, write_file, write_proof
from handrail.cli.screen import span
from handrail.cli.shell import shell_of
from handrail.model.errors import BadInput, Conflict

if TYPE_CHECKING:
    from handrail.app.reading import Reading
    from handrail.audit.note import VerifierKey
    from handrail.ports import Transaction

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Verify, export and prove the log.",
)


@app.command()
def verify(
    ctx: typer.Context,
    export: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="An export to verify instead of the workspace."),
    ] = None,
    against_state: Annotated[
        bool,
        typer.Option("--against-state", help="Fold the log and compare it with the tables too."),
    ] = False,
    anchor: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A checkpoint you kept yourself. Several."),
    ] = None,
    vkey: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The verifier key you hold; else the one found."),
    ] = None,
) -> None:
    """Rebuild the tree from the entries; check signatures, anchors and stored nodes.

    Names the first thing that is wrong by entry or file, and exits with 1. Without an anchor of
    your own nothing shows that the log was not rewritten as a whole by who holds the signing key.
    """
    from handrail.audit.verify import Report

    shell = shell_of(ctx)
    anchors = [note for path in anchor or () for note in read_anchor(path)]
    differences: list[Any] = []
    window: int | None = None
    now = _now()
    if export is not None:
        if against_state:
            raise BadInput("--against-state compares with the tables, and an export has none")
        from handrail.audit.export import verify_export

        report: Report = verify_export(
            FolderReader(export),
            keys=[_read_key(vkey)] if vkey else None,
            anchors=anchors,
        )
    else:
        from handrail.app.reading import read_store

        with read_store(shell.workspace) as reading:
            key = _read_key(vkey) if vkey else reading.signer().key.verifier
            kept = reading.anchors()
            anchors += [(str(reading.paths.anchor), one.text.encode()) for one in kept]
            report = verify_store(reading, [key], anchors)
            if kept:
                window = now - kept[-1].at
            if against_state and report.problems:
                differences = ["the tables were not compared: the log itself is not whole"]
            elif against_state:
                differences = reading.differences()
    problems = [str(problem) for problem in report.problems] + [str(one) for one in differences]
    if shell.json:
        shell.document(
            {
                "ok": not problems,
                "entries": report.size,
                "root": report.root.hex(),
                "checkpoints": report.checkpoints,
                "anchored": report.anchored,
                "exposure_us": window,
                "against_state": against_state,
                "first_bad": report.first_bad,
                "problems": problems,
            }
        )
    else:
        state = ", the tables say what the log says" if against_state and not differences else ""
        if not problems:
            shell.say(
                f"ok: {report.size:,} entries, {report.checkpoints:,} signed checkpoints{state}"
            )
        for problem in problems:
            shell.complain_line(problem)
        if not report.problems:
            shell.say(_exposure(report.size, report.anchored, window))
    if problems:
        raise typer.Exit(1)


def _exposure(size: int, anchored: int | None, window: int | None) -> str:
    """What an insider with the signing key could still rewrite unseen."""
    if anchored is None:
        return "exposure: no anchor; who holds the signing key could rewrite all of it unseen"
    age = f", made {span(window)} ago" if window is not None else ""
    if anchored >= size:
        return f"exposure: none now; the anchor covers all {size:,} entries{age}"
    return f"exposure: the {size - anchored:,} entries since the last anchor{age}"


@app.command()
def export(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
    prove: Annotated[
        list[int] | None,
        typer.Option(metavar="INDEX", help="Entry that gets a proof file. Several."),
    ] = None,
) -> None:
    """Write the log as strangers' programs verify it (docs: audit log)."""
    from handrail.app.reading import read_store
    from handrail.audit.export import export_files

    shell = shell_of(ctx)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder} is not empty; name a new folder")
    part = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    with read_store(shell.workspace) as reading:
        signer = reading.signer()

        def write(tx: Any) -> int:
            size = tx.audit.size()
            head = signer.sign(size, tx.audit.root()).encode()
            files = export_files(
                entries=tx.audit.entries,
                leaves=lambda start, end: (tx.audit.node(0, i) for i in range(start, end)),
                nodes=tx.audit.node,
                checkpoint=head,
                key=signer.key.verifier,
                earlier=[one.text.encode() for one in tx.audit.checkpoints()],
                prove=prove or None,
            )
            for name, pieces in files:
                place = part / name
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("wb") as file:
                    file.writelines(pieces)
            return int(size)

        try:
            size = reading.read(write)
            if folder.exists():
                folder.rmdir()
            part.rename(folder)
        except OSError as error:
            raise BadInput(f"{folder}: {error.strerror or error}; name another folder") from error
        finally:
            _remove(part)
    if shell.json:
        shell.document({"folder": str(folder), "entries": size})
    else:
        shell.say(f"{folder}: {size:,} entries; check them with handrail audit verify {folder}")


@app.command()
def prove(
    ctx: typer.Context,
    entry: Annotated[
        str, typer.Argument(metavar="ID", help="Decision (d_…), or the index of an entry.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Proof file.")],
) -> None:
    """Prove one entry (C2SP tlog-proof); its bytes go to FILE.leaf beside it."""
    from handrail.app.reading import read_store

    shell = shell_of(ctx)
    with read_store(shell.workspace) as reading:
        index = int(entry) if entry.isdigit() else entry_of(reading, entry)
        write_proof(reading, index, output)
    if shell.json:
        shell.document({"index": index, "proof": str(output), "leaf": f"{output}.leaf"})
    else:
        shell.say(f"{output}: entry {index:,}, its bytes in {output}.leaf")


@app.command()
def checkpoint(
    ctx: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Else it is printed.")
    ] = None,
) -> None:
    """Sign the head of the log now (C2SP tlog-checkpoint). Keep it where we cannot reach."""
    from handrail.app.reading import read_store

    shell = shell_of(ctx)
    with read_store(shell.workspace) as reading:
        made = sign_head(reading)
    if output is not None:
        write_file(output, made.text.encode())
    if shell.json:
        shell.document({"size": made.size, "text": made.text})
    elif output is not None:
        shell.say(f"{output}: the head over {made.size:,} entries")
    else:
        print(made.text, end="")


@app.command()
def anchor(
    ctx: typer.Context,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Another file to keep it in as well, one a line."),
    ] = None,
) -> None:
    """Sign the head and keep it outside the database now, not only within the next minute."""
    from handrail.app.reading import read_store
    from handrail.channels import FileAnchor

    shell = shell_of(ctx)
    with read_store(shell.workspace) as reading:
        made = sign_head(reading)
        places = [reading.paths.anchor, *([to] if to is not None else [])]
        for place in places:
            kept = FileAnchor(place)
            last = kept.last()
            if last is not None and last.size > made.size:
                raise Conflict(
                    f"{place} has a checkpoint over {last.size:,} entries and the log has "
                    f"{made.size:,}: the database was put back; run `handrail audit verify`"
                )
            if last is None or last.size < made.size:
                kept.publish(made)
    if shell.json:
        shell.document({"size": made.size, "places": [str(place) for place in places]})
    else:
        shell.say(f"{made.size:,} entries are anchored in {', '.join(map(str, places))}")


@app.command("accept-restore")
def accept_restore(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option(help="Why the older database is right.")],
) -> None:
    """Go on with a database that is older than its last anchor: logged, and anchored anew."""
    from handrail.app import Workspace
    from handrail.flow import accept_restore as accept
    from handrail.model.errors import Unavailable
    from handrail.model.people import Actor

    shell = shell_of(ctx)
    owned = Workspace.own(shell.workspace.absolute())
    if owned is None:
        raise Unavailable("another process owns the workspace; end it first, then accept")
    with owned as workspace:
        made = accept(
            workspace.ports,
            workspace.signer,
            workspace.anchor,
            reason,
            Actor(name=shell.person, program=False),
        )
    if shell.json:
        shell.document({"size": made.size})
    else:
        shell.say(f"accepted and logged; the log goes on from {made.size:,} entries")


# ------------------------------------------------------------------------------------- reading


def verify_store(
    reading: Reading, keys: list[VerifierKey], anchors: list[tuple[str, bytes]]
) -> Any:
    """The report over the log in the store."""
    from handrail.audit.verify import verify_log

    def query(tx: Transaction) -> Any:
        scan = OnePass(tx.audit.rows())
        return verify_log(
            scan.entries(),
            nodes=scan.nodes,
            checkpoints=[
                (f"checkpoint row {one.size}", one.text.encode()) for one in tx.audit.checkpoints()
            ],
            keys=keys,
            anchors=anchors,
        )

    return reading.read(query)


class OnePass:
    """The log's rows read once: entries as they come, the nodes kept for afterwards."""

    def __init__(self, rows: Iterable[tuple[int, bytes, bytes, bytes]]) -> None:
        self._rows = rows
        self._places: list[array[int]] = [array("q")]
        self._hashes: list[list[bytes]] = [[]]

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """(stored index, entry bytes) in order."""
        places, hashes = self._places, self._hashes
        place, leaf_of = places[0].append, hashes[0].append
        for index, body, leaf, above in self._rows:
            place(index)
            leaf_of(leaf)
            for level in range(1, len(above) // 32 + 1):
                if level == len(hashes):
                    places.append(array("q"))
                    hashes.append([])
                places[level].append(((index + 1) >> level) - 1)
                hashes[level].append(above[32 * level - 32 : 32 * level])
            yield index, body

    def nodes(self, level: int) -> Iterator[tuple[int, bytes]]:
        """(index, hash) of a level, once all entries were read."""
        if level < len(self._hashes):
            yield from zip(self._places[level], self._hashes[level], strict=True)


def read_anchor(path: Path) -> list[tuple[str, bytes]]:
    """(place, signed note) of a file: one note, or an anchor file with one a line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; check the path") from error
    if not content.lstrip().startswith(b"{"):
        return [(str(path), content)]
    from handrail.channels import FileAnchor

    return [
        (f"{path}:{line}", one.text.encode()) for line, one in enumerate(FileAnchor(path).all(), 1)
    ]


class FolderReader:
    """An export in a folder."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise BadInput(f"{folder} is no folder; name an export of `handrail audit export`")
        self._folder = folder

    def names(self) -> Iterable[str]:
        return sorted(
            path.relative_to(self._folder).as_posix()
            for path in self._folder.rglob("*")
            if path.is_file()
        )

    def pieces(self, name: str) -> Iterable[bytes]:
        path = self._folder / name
        if not path.is_file():
            raise KeyError(name)
        return _pieces(path)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece


def _read_key(path: Path) -> VerifierKey:
    from handrail.audit.note import VerifierKey

    try:
        return VerifierKey.parse(path.read_text("ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}; name a verifier key file") from error


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _now() -> int:
    import time

    return time.time_ns() // 1000
