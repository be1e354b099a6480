"""Programs that share no code with us verify our exports, and reject each kind of tampering.

They are installed by `.ci/install-strangers`. Without one of them its tests are skipped, saying
so; with `HANDRAIL_REQUIRE=go,aics-tlog` in the environment a missing one is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from handrail.audit import encode, leaf_hash
from handrail.audit.checkpoint import sign_checkpoint
from handrail.audit.export import export_files
from handrail.audit.note import SignerKey
from handrail.audit.tree import Frontier

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
KEY = SignerKey.from_seed("handrail.example/log", bytes(range(32)))
THIEF = SignerKey.from_seed("handrail.example/log", bytes(32))
SIZES = (5, 16, 23)
ANCHORED = 16

Files = dict[str, bytes]


def missing(part: str, what: str) -> NoReturn:
    required = os.environ.get("HANDRAIL_REQUIRE", "").split(",")
    message = f"outside verifier {part}: {what}; run .ci/install-strangers"
    if part in [name.strip() for name in required]:
        pytest.fail(message)
    pytest.skip(message)


def lines(count: int, forged: int | None = None) -> list[bytes]:
    return [
        encode({"type": "vote.cast", "at": n, "note": "forged" if n == forged else f"größe {n}"})
        for n in range(count)
    ]


def export(entries: list[bytes], key: SignerKey = KEY, sizes: tuple[int, ...] = SIZES) -> Files:
    """The files of an export of `entries`, signed at each of `sizes`."""
    frontier = Frontier()
    nodes: dict[tuple[int, int], bytes] = {}
    notes = {}
    for entry in entries[: sizes[-1]]:
        frontier, created = frontier.append(leaf_hash(entry))
        nodes.update({(level, index): node for level, index, node in created})
        if frontier.size in sizes:
            notes[frontier.size] = sign_checkpoint(frontier.size, frontier.root(), key)
    files = export_files(
        entries=lambda start, end: entries[start:end],
        leaves=lambda start, end: [nodes[0, index] for index in range(start, end)],
        nodes=lambda level, index: nodes[level, index],
        checkpoint=notes[sizes[-1]],
        key=key.verifier,
        earlier=notes.values(),
        prove=[n for n in (0, 7, sizes[-1] - 1) if n < sizes[-1]],
    )
    return {name: b"".join(pieces) for name, pieces in files}


def swap(name: str, old: bytes, new: bytes) -> Callable[[Files], Files]:
    def change(files: Files) -> Files:
        assert old in files[name]
        return files | {name: files[name].replace(old, new, 1)}

    return change


def reorder(how: Callable[[list[bytes]], list[bytes]]) -> Callable[[Files], Files]:
    def change(files: Files) -> Files:
        found = files["entries.jsonl"].splitlines(keepends=True)
        return files | {"entries.jsonl": b"".join(how(found))}

    return change


def flip_hash(name: str, line: int) -> Callable[[Files], Files]:
    def change(files: Files) -> Files:
        found = files[name].split(b"\n")
        first = found[line][:1]
        found[line] = (b"B" if first != b"B" else b"C") + found[line][1:]
        return files | {name: b"\n".join(found)}

    return change


def without(name: str) -> Callable[[Files], Files]:
    return lambda files: {other: files[other] for other in files if other != name}


def replaced(*names: str) -> Callable[[Files], Files]:
    """Files taken from a fork of the log, re-signed with the true key."""
    return lambda files: files | {name: export(lines(23, forged=3))[name] for name in names}


TAMPERED: dict[str, Callable[[Files], Files]] = {
    "a byte of an entry": swap("entries.jsonl", b'"at":9', b'"at":8'),
    "a CR before the LF": swap("entries.jsonl", b"}\n", b"}\r\n"),
    "a space after an entry": swap("entries.jsonl", b"}\n", b"} \n"),
    "the last LF": lambda files: files | {"entries.jsonl": files["entries.jsonl"][:-1]},
    "an entry taken out": reorder(lambda found: found[:9] + found[10:]),
    "an entry put in": reorder(lambda found: [*found[:9], b'{"a":1}\n', *found[9:]]),
    "two entries swapped": reorder(lambda found: [found[1], found[0], *found[2:]]),
    "the end cut off": reorder(lambda found: found[:-1]),
    "everything cut off": reorder(lambda found: []),
    "the size in the checkpoint": swap("checkpoint", b"\n23\n", b"\n22\n"),
    "the root in the checkpoint": flip_hash("checkpoint", 2),
    "the signature of the checkpoint": lambda files: (
        files | {"checkpoint": files["checkpoint"][:-20] + b"AAAA" + files["checkpoint"][-16:]}
    ),
    "the origin of the checkpoint": swap("checkpoint", b"example", b"exomple"),
    "an older checkpoint of a fork": replaced("checkpoint.16"),
    "an older checkpoint in place of the head": lambda files: (
        files | {"checkpoint": files["checkpoint.16"]}
    ),
    "a consistency proof": flip_hash("consistency/5-23.txt", 0),
    "a consistency proof taken out": without("consistency/16-23.txt"),
    "a leaf file": swap("proofs/7.leaf", b'"at":7', b'"at":6'),
    "a hash of a proof": flip_hash("proofs/7.tlog-proof", 3),
    "the index of a proof": swap("proofs/7.tlog-proof", b"index 7", b"index 6"),
    "the checkpoint of a proof": swap("proofs/7.tlog-proof", b"\n23\n", b"\n24\n"),
    "a proof of a fork": replaced("proofs/7.leaf", "proofs/7.tlog-proof"),
    "all of it, re-signed with the true key": lambda files: export(lines(23, forged=3)),
    "all of it, with another key": lambda files: export(lines(23), key=THIEF),
    "a log smaller than the anchor": lambda files: export(lines(15), sizes=(5, 15)),
}


def write(files: Files, folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders by what was done to them, and what the auditor holds: `vkey` and `anchor`."""
    base = tmp_path_factory.mktemp("exports")
    true = export(lines(23))
    held = write({"vkey": true["vkey"], "anchor": true["checkpoint.16"]}, base / "auditor")
    made = {"vkey": held / "vkey", "anchor": held / "anchor"}
    made["untouched"] = write(true, base / "untouched")
    for size in (1, 2, 8):
        made[f"untouched, {size} entries"] = write(
            export(lines(size), sizes=(size,)), base / f"size{size}"
        )
    for number, (what, change) in enumerate(TAMPERED.items()):
        made[what] = write(change(true), base / f"tampered{number}")
    return made


# ------------------------------------------------------------------------------------------- Go


@pytest.fixture(scope="module")
def go_verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go") or shutil.which("go", path="/usr/lib/go-1.19/bin")
    if go is None:
        missing("go", "there is no Go compiler")
    paths = os.environ.get("GOPATH") or "/usr/share/gocode"
    if not any((Path(p) / "src/golang.org/x/mod/sumdb/tlog").is_dir() for p in paths.split(":")):
        missing("go", f"golang.org/x/mod is not in {paths}")
    folder = tmp_path_factory.mktemp("go")
    program = folder / "verify"
    subprocess.run(
        [str(go), "build", "-o", str(program), str(HERE / "verify.go")],
        check=True,
        env={
            **os.environ,
            "GO111MODULE": "off",
            "GOPATH": paths,
            "GOCACHE": str(folder / "cache"),
            "GOFLAGS": "",
        },
    )
    return program


def go_says(program: Path, exports: dict[str, Path], what: str, *anchors: Path) -> str:
    done = subprocess.run(
        [str(program), str(exports[what]), str(exports["vkey"]), *map(str, anchors)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == done.stdout.startswith("accepted"), done
    assert done.returncode in (0, 1) and not done.stderr, done
    return done.stdout


def test_go_accepts_untouched_exports(go_verifier: Path, exports: dict[str, Path]) -> None:
    said = go_says(go_verifier, exports, "untouched", exports["anchor"])
    assert said == "accepted: 23 entries\n"
    for size in (1, 2, 8):
        said = go_says(go_verifier, exports, f"untouched, {size} entries")
        assert said == f"accepted: {size} entries\n"


@pytest.mark.parametrize("what", TAMPERED)
def test_go_rejects_tampering(go_verifier: Path, exports: dict[str, Path], what: str) -> None:
    said = go_says(go_verifier, exports, what, exports["anchor"])
    assert said.startswith("REJECTED: "), f"{what} was accepted"


def test_go_needs_the_anchor_for_a_re_signed_log(
    go_verifier: Path, exports: dict[str, Path]
) -> None:
    """Only a checkpoint kept elsewhere tells a rewritten log: without it nobody can."""
    what = "all of it, re-signed with the true key"
    assert go_says(go_verifier, exports, what).startswith("accepted")


# ------------------------------------------------------------------------------------ aics-tlog


@pytest.fixture(scope="module")
def aics_says(
    exports: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """What aics-tlog says about each export, given the anchor."""
    folder = Path(os.environ.get("HANDRAIL_STRANGERS", ROOT / ".strangers"))
    if not (folder / "aics_tlog").is_dir():
        missing("aics-tlog", f"there is no aics_tlog in {folder}")
    asked = ["untouched", *TAMPERED]
    done = subprocess.run(
        [
            sys.executable,
            str(HERE / "aics_verify.py"),
            str(tmp_path_factory.mktemp("aics")),
            str(exports["vkey"]),
            str(exports["anchor"]),
            *(str(exports[what]) for what in asked),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    yield dict(zip(asked, done.stdout.splitlines(), strict=True))


def test_aics_tlog_accepts_an_untouched_export(aics_says: dict[str, str]) -> None:
    assert aics_says["untouched"] == "accepted"


# It reads a last line without its LF as the same entry, which gives the same tree.
@pytest.mark.parametrize("what", [what for what in TAMPERED if what != "the last LF"])
def test_aics_tlog_rejects_tampering(aics_says: dict[str, str], what: str) -> None:
    assert aics_says[what].startswith("REJECTED: "), f"{what} was accepted"
