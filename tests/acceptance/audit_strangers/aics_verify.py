"""Check exports of a Handrail audit log with the package `aics-tlog` alone.

    python aics_verify.py SCRATCH_DIR VKEY_FILE ANCHOR_FILE EXPORT_DIR...

For each export one line is printed: `accepted` or `REJECTED: why`. Every judgement is a command
of aics-tlog's own command line, run in process; this file only cuts a tlog-proof into the pieces
that command line takes. It shares nothing with Handrail.
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any


class Rejected(Exception):
    """The stranger said no."""


def ask(*arguments: object) -> dict[str, Any]:
    """One aics-tlog command; its JSON answer, or `Rejected`."""
    # Imported here: test collection reads this file on machines without the package.
    from aics_tlog.cli import main  # type: ignore[import-not-found]

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main([str(argument) for argument in arguments])
    answer: dict[str, Any] = json.loads(printed.getvalue())
    if code != 0 or answer.get("ok") is not True:
        raise Rejected(f"{arguments[0]}: {answer.get('error')}")
    return answer


def check(export: Path, scratch: Path, vkey: Path, anchor: Path) -> None:
    key = ("--vkey-file", vkey)
    checkpoint = export / "checkpoint"
    head = ask("verify-checkpoint", "--note", checkpoint, *key)
    tiles = scratch / "tiles"
    built = ask("build-tiles", "--zero", "--leaves", export / "entries.jsonl", "--out", tiles)
    if (built["size"], built["root"]) != (head["size"], head["root"]):
        raise Rejected("build-tiles: size and root are not those of the checkpoint")
    for older in (anchor, *sorted(export.glob("checkpoint.*"))):
        old = ask("verify-checkpoint", "--note", older, *key)
        ask(
            *("verify-consistency", "--tiles", tiles, *key),
            *("--old-checkpoint", older, "--checkpoint", checkpoint),
        )
        if older == anchor or old["size"] in (0, head["size"]):
            continue
        ask(
            *("verify-consistency", "--old-size", old["size"], "--old-root", old["root"]),
            *("--new-size", head["size"], "--new-root", head["root"]),
            *("--proof", export / "consistency" / f"{old['size']}-{head['size']}.txt"),
        )
    for proof in sorted(export.glob("proofs/*.tlog-proof")):
        text, _, note = proof.read_bytes().partition(b"\n\n")
        first, index, *hashes = text.decode().split("\n")
        if first != "c2sp.org/tlog-proof@v1" or index != "index " + proof.name.split(".")[0]:
            raise Rejected("the proof's first lines")
        (scratch / "hashes").write_text("".join(line + "\n" for line in hashes))
        (scratch / "note").write_bytes(note)
        leaf = ("--leaf", proof.with_suffix(".leaf"), "--index", index.split()[1])
        ask(
            *("verify-inclusion", *leaf, *key),
            *("--proof", scratch / "hashes", "--checkpoint", scratch / "note"),
        )
        ask("verify-inclusion", *leaf, *key, "--tiles", tiles, "--checkpoint", checkpoint)
        ask(
            *("verify-consistency", "--tiles", tiles, *key),
            *("--old-checkpoint", scratch / "note", "--checkpoint", checkpoint),
        )


def run(scratch: Path, vkey: Path, anchor: Path, exports: list[str]) -> None:
    for number, export in enumerate(exports):
        work = scratch / str(number)
        work.mkdir(parents=True)
        try:
            check(Path(export), work, vkey, anchor)
            print("accepted")
        except Rejected as error:
            print("REJECTED:", str(error).replace("\n", " "))


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
