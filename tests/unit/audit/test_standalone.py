"""The shipped single-file verifier: needs nothing of ours, and agrees with the audit room."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.audit import encode, standalone_verify, tree
from handrail.audit.checkpoint import Checkpoint, open_checkpoint
from handrail.audit.export import MapReader, verify_export
from handrail.audit.note import Note, SignerKey
from handrail.model.errors import BadInput

from .conftest import KEY, Log

PROGRAM = Path(standalone_verify.__file__)


def write(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_it_imports_only_the_standard_library_and_cryptography() -> None:
    modules = set()
    for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            modules.add((node.module or "").split(".")[0])
    assert modules - set(sys.stdlib_module_names) == {"cryptography"}


def tampered(log: Log) -> Iterator[tuple[str, dict[str, bytes]]]:
    """An untouched export, and copies each with one thing wrong."""
    files = log.export(prove=[0, 4, 10])
    yield "untouched", files
    yield "no leaves", {name: data for name, data in files.items() if name != "leaves"}
    for name, data in files.items():
        yield f"without {name}", {other: files[other] for other in files if other != name}
        for place in range(0, len(data), 7):
            broken = bytearray(data)
            broken[place] ^= 1 << place % 8
            yield f"{name} byte {place}", files | {name: bytes(broken)}
        yield f"{name} cut", files | {name: data[:-1]}
        yield f"{name} longer", files | {name: data + b"\n"}
        yield f"{name} CRLF", files | {name: data.replace(b"\n", b"\r\n", 1)}
    lines = files["entries.jsonl"].splitlines(keepends=True)
    for keep in range(11):
        yield f"first {keep} entries", files | {"entries.jsonl": b"".join(lines[:keep])}
        gone = lines[:keep] + lines[keep + 1 :]
        yield f"without entry {keep}", files | {"entries.jsonl": b"".join(gone)}
    yield "other checkpoint name", files | {"checkpoint.5": files["checkpoint.3"]}
    yield "proof of another", files | {"proofs/4.tlog-proof": files["proofs/0.tlog-proof"]}
    fork = Log()
    for size in (3, 8, 11):
        for index in range(len(fork.entries), size):
            fork.append(encode({"forged": True}) if index == 5 else log.entries[index])
        fork.sign()
    yield "rewritten and re-signed", fork.export()
    yield "forked checkpoint", files | {"checkpoint.8": fork.checkpoints[8]}
    forked = fork.export()
    yield "forked proof", files | {"proofs/0.tlog-proof": forked["proofs/0.tlog-proof"]}
    yield (
        "entries and leaves rewritten",
        files | {name: forked[name] for name in ("entries.jsonl", "leaves")},
    )
    other = Log().append(
        encode({"a": 1}), b'{"a":1.5}', b'{"b":1,"a":2}', b'{"a":null}', b'{"a":9007199254740992}'
    )
    other.append(
        encode({"gr\u00f6\u00dfe": '\x7f\u2028\x01\\"/'}),
        encode({"\U0001f600": 1, "\ufb33": 2}),
        '{"\ufb33":2,"\U0001f600":1}'.encode(),
        b'{"a":"\\u0041"}',
        b'{"a":1}\r',
        b'{"a":1,"a":1}',
        b"[]",
        b"",
        b'{"a":-0}',
        b'{"a":NaN}',
        b'{"a":"\\ud800"}',
    )
    other.sign()
    yield "outside the profile", other.export()


@pytest.mark.slow
def test_it_agrees_with_the_room(log: Log, tmp_path: Path) -> None:
    keys = [KEY.verifier]
    anchors = [("anchor", log.checkpoints[8])]
    own_keys = [standalone_verify.Key(str(KEY.verifier))]
    failed = 0
    for number, (what, files) in enumerate(tampered(log)):
        folder = write(files, tmp_path / str(number))
        report = verify_export(MapReader(files), keys=keys, anchors=anchors)
        problems, figures = standalone_verify.verify(str(folder), own_keys, anchors)
        ours = {(p.place, p.index, p.last) for p in report.problems}
        theirs = {(place, index, last) for place, index, last, _ in problems.found}
        assert ours == theirs, (what, report.problems, problems.found)
        assert figures["entries"] == report.size
        assert figures["anchored"] == report.anchored
        failed += not report.ok
    assert failed > 300


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(PROGRAM), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_program(log: Log, tmp_path: Path) -> None:
    folder = write(log.export(), tmp_path / "export")
    anchor = tmp_path / "anchor"
    anchor.write_bytes(log.checkpoints[8])
    key = tmp_path / "key"
    key.write_text(f"{KEY.verifier}\n", encoding="utf-8")

    good = run(folder, "--key", key, "--anchor", anchor)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("verified: 11 entries, root ")
    assert "anchor" not in good.stdout
    alone = run(folder)
    assert alone.returncode == 0
    assert "No anchor was given" in alone.stdout and "No key was given" in alone.stdout

    entries = folder / "entries.jsonl"
    entries.write_bytes(entries.read_bytes().replace(b"n5", b"m5"))
    bad = run(folder, "--key", KEY.verifier, "--json")
    assert bad.returncode == 1
    answer = json.loads(bad.stdout)
    assert not answer["ok"] and answer["entries"] == 11
    assert [(p["file"], p["entry"]) for p in answer["problems"]] == [("entries.jsonl", 5)]
    assert "entries.jsonl: entry 5: changed" in run(folder).stdout


@pytest.mark.parametrize(
    "arguments", [["nowhere"], [".", "--key", "x"], [".", "--anchor", "nowhere"]]
)
def test_wrong_use(arguments: list[str]) -> None:
    found = run(*arguments)
    assert found.returncode == 2
    assert found.stderr and "Traceback" not in found.stderr


@given(st.data())
def test_its_proof_rules_are_those_of_the_room(data: st.DataObject) -> None:
    """Two ways to write RFC 6962 verification (recursive there, iterative here), one answer."""
    leaves = [tree.leaf_hash(b"%d" % n) for n in range(40)]
    read = tree.reader(tree.tree_nodes(leaves))
    new = data.draw(st.integers(1, 40))
    old = data.draw(st.integers(0, new))
    roots = [tree.Frontier().extend(leaves[:n]).root() for n in range(41)]
    spoil = data.draw(st.sampled_from(["nothing", "cut", "grow", "swap", "sizes", "roots"]))

    def spoiled(path: list[bytes]) -> list[bytes]:
        if spoil == "cut":
            return path[:-1]
        if spoil == "grow":
            return [*path, roots[1]]
        return path[::-1] if spoil == "swap" else path

    path = spoiled(tree.consistency_proof(old, new, read))
    sizes = (new, old) if spoil == "sizes" else (old, new)
    heads = (roots[0], roots[new]) if spoil == "roots" else (roots[old], roots[new])
    room = tree.verify_consistency(*sizes, *heads, path)
    assert standalone_verify.consistent(*sizes, *heads, path) == room
    index = data.draw(st.integers(0, new - 1))
    path = spoiled(tree.inclusion_proof(index, new, read))
    at = index + 1 if spoil == "sizes" else index
    root = roots[old] if spoil == "roots" else roots[new]
    room = tree.verify_inclusion(leaves[index], at, new, path, root)
    assert standalone_verify.included(leaves[index], at, new, path, root) == room
    if spoil == "nothing":
        assert room


WITNESS = SignerKey.from_seed("witness.example/w1", bytes(32))
TEXT = Checkpoint(KEY.name, 5, bytes(32)).text()
OURS, THEIRS = Note.parse(KEY.sign(TEXT)).signatures, Note.parse(WITNESS.sign(TEXT)).signatures


@pytest.mark.parametrize(
    ("note", "good"),
    [
        (KEY.sign(TEXT), True),
        (Note(TEXT, OURS + THEIRS).encode(), True),
        (KEY.sign(TEXT + "an extension\n"), True),
        (Note(TEXT, OURS + OURS).encode(), False),
        (WITNESS.sign(TEXT), False),
        (Note(TEXT, THEIRS * 101 + OURS).encode(), False),
        (KEY.sign(TEXT.replace("\n5\n", "\n05\n")), False),
        (KEY.sign(TEXT.replace("\n5\n", "\n" + "5" * 30 + "\n")), False),
        (KEY.sign(TEXT.replace("\n5\n", "\n\u0665\n")), False),
        (KEY.sign("other.example\n" + TEXT.split("\n", 1)[1]), False),
        (KEY.sign(TEXT.replace("A" * 40, "")), False),
        (KEY.sign("\n".join(TEXT.split("\n")[:2]) + "\n"), False),
        (KEY.sign(TEXT)[:-1], False),
        (KEY.sign(TEXT) + b"x\n", False),
        (KEY.sign(TEXT) + "— x\n".encode(), False),
        (KEY.sign(TEXT) + "— x AAAA\n".encode(), False),
        (KEY.sign(TEXT).replace(b"\n5\n", b"\n5\x01\n"), False),
        (KEY.sign(TEXT).replace(b"\n", b"\r\n"), False),
        (b"\xff" + KEY.sign(TEXT), False),
        (TEXT.encode(), False),
        (b"", False),
    ],
)
def test_its_notes_are_those_of_the_room(note: bytes, good: bool) -> None:
    try:
        opened: object = open_checkpoint(note, [KEY.verifier]).size
    except BadInput:
        opened = None
    try:
        theirs = standalone_verify.Head("x", note, [standalone_verify.Key(str(KEY.verifier))])
        found: object = theirs.size
    except standalone_verify.Bad:
        found = None
    assert (opened, found) == ((5, 5) if good else (None, None))
