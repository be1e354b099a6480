#!/usr/bin/env python3
"""Verify an export of a Handrail audit log, without Handrail.

    python standalone_verify.py EXPORT_DIR [--key VKEY_OR_FILE] [--anchor FILE ...] [--json]

This one file is all an auditor needs: Python 3.9 or newer and the package `cryptography` (for
Ed25519). It shares no code with the product, on purpose, and unlike the rest of its folder it
reads files, being a program. It checks that

  1. every line of entries.jsonl is canonical JSON (RFC 8785 without floats and null, LF only);
  2. the RFC 6962 root rebuilt from the lines is the one of every signed checkpoint;
  3. every signature is of the verifier key (give the key you hold with --key; the one in the
     export only shows that the export agrees with itself);
  4. the log continues every anchor, a checkpoint you kept from earlier: a log smaller than an
     anchor, or with another root at its size, fails;
  5. the inclusion and consistency proofs in the export hold.

Exit code: 0 all of it holds, 1 something does not (one line a problem), 2 wrong use.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NUMBER = "(0|[1-9][0-9]{0,17})"
LIMIT = 2**53
NAMED = 10


class Bad(Exception):
    """Something is not as the format wants it."""


class Problems:
    """What was found: (file, entry or None, last entry of the range or None, message)."""

    def __init__(self) -> None:
        self.found: list[tuple[str, int | None, int | None, str]] = []

    def add(
        self, place: str, message: str, index: int | None = None, last: int | None = None
    ) -> None:
        self.found.append((place, index, last, message))


# ------------------------------------------------------------------ signed notes and checkpoints


def b64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Bad(f"{text[:60]!r} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise Bad(f"{text[:60]!r} is not canonical base64")
    return data


def valid_name(name: str) -> bool:
    return (
        0 < len(name.encode()) <= 255
        and "+" not in name
        and not any(c.isspace() or ord(c) < 32 or ord(c) == 127 for c in name)
    )


class Key:
    """A verifier key: name+hash8+base64(algorithm || public key)."""

    def __init__(self, text: str) -> None:
        match = re.fullmatch(r"([^+]+)\+([0-9a-f]{8})\+(\S+)", text)
        if not match or not valid_name(match[1]):
            raise Bad("the verifier key is not name+hash8+base64")
        material = b64(match[3])
        self.text = text
        self.name = match[1]
        self.id = hashlib.sha256(self.name.encode() + b"\n" + material).digest()[:4]
        if self.id.hex() != match[2]:
            raise Bad(f"the verifier key says hash {match[2]}, its content is {self.id.hex()}")
        if len(material) != 33 or material[0] != 1:
            raise Bad("the verifier key is not Ed25519 (0x01), which this program verifies")
        self.public = material[1:]

    def verifies(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class Head:
    """A checkpoint that one of the keys signed."""

    def __init__(self, place: str, data: bytes, keys: Sequence[Key], anchor: bool = False) -> None:
        self.place = place
        self.anchor = anchor
        try:
            note = data.decode()
        except UnicodeDecodeError:
            raise Bad("the checkpoint is not UTF-8") from None
        body, gap, tail = note.rpartition("\n\n")
        if not gap or not tail.endswith("\n"):
            raise Bad("the checkpoint is not text, an empty line, and signature lines")
        body += "\n"
        if any(ord(c) < 32 and c != "\n" for c in note):
            raise Bad("the checkpoint holds a control character other than LF")
        signers: list[Key] = []
        lines = tail[:-1].split("\n")
        if len(lines) > 100:
            raise Bad("the checkpoint has more than 100 signatures")
        for line in lines:
            match = re.fullmatch(r"— ([^ ]+) ([^ ]+)", line)
            if not match or not valid_name(match[1]):
                raise Bad(f"{line[:60]!r} is not a signature line")
            blob = b64(match[2])
            if len(blob) < 5:
                raise Bad("a signature line is too short")
            for key in keys:
                if (match[1], blob[:4]) == (key.name, key.id):
                    if key in signers:
                        raise Bad(f"it is signed twice by {key.name}")
                    if not key.verifies(body.encode(), blob[4:]):
                        raise Bad(f"the signature of {key.name} is not over this text")
                    signers.append(key)
        if not signers:
            raise Bad("it is not signed by the verifier key")
        parts = body[:-1].split("\n")
        if len(parts) < 3 or "" in parts or not valid_name(parts[0]):
            raise Bad("the checkpoint is not origin, size and root, one line each")
        if parts[0] not in [key.name for key in signers]:
            raise Bad(f"its origin is {parts[0]}, its signature of another log")
        if not re.fullmatch(NUMBER, parts[1]):
            raise Bad(f"the size {parts[1][:40]!r} is not decimal")
        self.size = int(parts[1])
        self.root = b64(parts[2])
        if len(self.root) != 32:
            raise Bad("the root is not 32 bytes")
        self.extensions = parts[3:]


# ------------------------------------------------------------------------------ the RFC 6962 tree


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree: the roots of its complete subtrees, with their heights."""

    def __init__(self) -> None:
        self.size = 0
        self.stack: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        height, node = 0, leaf
        while self.stack and self.stack[-1][0] == height:
            node = node_hash(self.stack.pop()[1], node)
            height += 1
        self.stack.append((height, node))
        self.size += 1

    def root(self) -> bytes:
        if not self.stack:
            return hashlib.sha256().digest()
        node = self.stack[-1][1]
        for _, left in reversed(self.stack[:-1]):
            node = node_hash(left, node)
        return node


def split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << ((width - 1).bit_length() - 1)


def root_from_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Root that an audit path (top last) gives; the recursion of RFC 6962 section 2.1.1."""
    if size == 1:
        if path:
            raise Bad("the path is too long")
        return leaf
    if not path:
        raise Bad("the path is too short")
    half = split(size)
    if index < half:
        return node_hash(root_from_path(leaf, index, half, path[:-1]), path[-1])
    return node_hash(path[-1], root_from_path(leaf, index - half, size - half, path[:-1]))


def included(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    try:
        return 0 <= index < size and root_from_path(leaf, index, size, path) == root
    except Bad:
        return False


def roots_from_consistency(
    old: int, new: int, path: list[bytes], whole: bool, old_root: bytes
) -> tuple[bytes, bytes]:
    """Both roots that a consistency proof gives; the recursion of RFC 6962 section 2.1.2."""
    if old == new:
        if whole:
            if path:
                raise Bad("the proof is too long")
            return old_root, old_root
        if len(path) != 1:
            raise Bad("the proof has the wrong length")
        return path[0], path[0]
    if not path:
        raise Bad("the proof is too short")
    half = split(new)
    if old <= half:
        left_old, left_new = roots_from_consistency(old, half, path[:-1], whole, old_root)
        return left_old, node_hash(left_new, path[-1])
    right_old, right_new = roots_from_consistency(
        old - half, new - half, path[:-1], False, old_root
    )
    return node_hash(path[-1], right_old), node_hash(path[-1], right_new)


def consistent(old: int, new: int, old_root: bytes, new_root: bytes, path: list[bytes]) -> bool:
    if not 0 <= old <= new:
        return False
    if old == 0:
        empty = old_root == hashlib.sha256().digest()
        return not path and empty and (new > 0 or old_root == new_root)
    try:
        found = roots_from_consistency(old, new, path, True, old_root)
    except Bad:
        return False
    return found == (old_root, new_root)


# -------------------------------------------------------------------------------- canonical JSON


def not_a_float(text: str) -> Any:
    raise Bad(f"the entry holds the number {text[:40]}; floats do not belong in it")


def small_integer(text: str) -> int:
    if len(text) > 17 or not -LIMIT < int(text) < LIMIT:
        raise Bad(f"the entry holds the integer {text[:40]} of 2^53 or more")
    return int(text)


def single_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Bad("the entry has a key twice")
    return found


DECODER = json.JSONDecoder(
    object_pairs_hook=single_keys,
    parse_float=not_a_float,
    parse_int=small_integer,
    parse_constant=not_a_float,
)


def canonical(value: Any) -> str:
    """RFC 8785 text of a decoded entry."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if value is None:
        raise Bad("the entry holds null")
    return json.dumps(value, ensure_ascii=False)


def check_entry(line: bytes) -> None:
    """Raises Bad unless `line` is an entry in its one right spelling."""
    if b"\r" in line:
        raise Bad("the entry holds a CR; expected LF line ends")
    try:
        text = line.decode()
        entry = DECODER.decode(text)
        if not isinstance(entry, dict):
            raise Bad("the entry is not a JSON object")
        if canonical(entry).encode() != line:
            raise Bad("the entry is not in canonical form")
    except (ValueError, RecursionError) as error:
        raise Bad(f"the entry is not JSON: {error}") from None


# -------------------------------------------------------------------------------- the directory


class Export:
    """The files of an export directory."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.names: set[str] = set()
        for path in self.folder.rglob("*"):
            if not path.is_dir():
                self.names.add(path.relative_to(self.folder).as_posix())

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def lines(self, name: str) -> Iterator[tuple[bytes, bool]]:
        """Lines split at LF alone, each with whether it ended with one."""
        rest = b""
        with (self.folder / name).open("rb") as file:
            while True:
                block = file.read(1 << 20)
                if not block:
                    break
                whole = (rest + block).split(b"\n")
                rest = whole.pop()
                for line in whole:
                    yield line, True
        if rest:
            yield rest, False


def verify(
    folder: str, keys: list[Key] | None, anchors: list[tuple[str, bytes]]
) -> tuple[Problems, dict[str, Any]]:
    """Check everything; gives what is wrong, and figures about what was read."""
    problems = Problems()
    export = Export(folder)
    names = export.names
    for name in ("vkey", "checkpoint", "entries.jsonl"):
        if name not in names:
            problems.add(name, "there is no such file")

    own: Key | None = None
    if "vkey" in names:
        try:
            text = export.read("vkey").decode()
            if not text.endswith("\n") or "\n" in text[:-1]:
                raise Bad("the file is not one line with one LF")
            own = Key(text[:-1])
        except (Bad, UnicodeDecodeError) as error:
            problems.add("vkey", str(error))
    if keys is None:
        keys = [own] if own else []
    elif own is not None and own.text not in [key.text for key in keys]:
        problems.add("vkey", f"the export brings the key {own.text}, not one you hold")

    heads: list[Head] = []
    for name in sorted(names):
        if name == "checkpoint" or re.fullmatch(r"checkpoint\." + NUMBER, name):
            try:
                head = Head(name, export.read(name), keys)
            except Bad as error:
                problems.add(name, str(error))
                continue
            heads.append(head)
            if name not in ("checkpoint", f"checkpoint.{head.size}"):
                problems.add(name, f"it covers {head.size} entries, unlike its name")
        elif name.startswith("checkpoint."):
            problems.add(name, "not a checkpoint's name; expected checkpoint.SIZE")
    for place, data in anchors:
        try:
            heads.append(Head(place, data, keys, anchor=True))
        except Bad as error:
            problems.add(place, str(error))
    current = next((head for head in heads if head.place == "checkpoint"), None)

    proofs, bad_proofs = read_proofs(export, keys, problems)
    sizes = {head.size for head in heads} | {proof[2].size for proof in proofs.values()}
    tree = Tree()
    roots = {0: tree.root()}
    stored = export.read("leaves") if "leaves" in names else None
    differ: list[int] = []
    outside = 0
    wanted = set(proofs) | bad_proofs
    kept: dict[int, bytes] = {}
    if "entries.jsonl" in names:
        for line, ended in export.lines("entries.jsonl"):
            index = tree.size
            try:
                check_entry(line)
            except Bad as error:
                outside += 1
                if outside <= NAMED:
                    problems.add("entries.jsonl", str(error), index)
            if not ended:
                problems.add("entries.jsonl", "the last line has no LF", index)
            leaf = leaf_hash(line)
            tree.add(leaf)
            if tree.size in sizes:
                roots[tree.size] = tree.root()
            if index in wanted:
                kept[index] = leaf
            if stored is not None and stored[32 * index : 32 * index + 32] != leaf:
                differ.append(index)
    if outside > NAMED:
        problems.add("entries.jsonl", f"{outside - NAMED} more entries are not canonical")
    if stored is not None and len(stored) > 32 * tree.size and not differ:
        differ.append(tree.size)

    located: int | None = None
    if stored is not None and differ:
        right = current is not None and current.size == tree.size
        if right and current is not None and roots[current.size] == current.root:
            problems.add("leaves", "not the hash of the entry the checkpoint covers", differ[0])
        else:
            located = differ[0]
            problems.add("entries.jsonl", name_change(stored, current), differ[0])
    if current is not None and tree.size > current.size:
        problems.add(
            "entries.jsonl",
            f"the file goes on to {tree.size} entries, the checkpoint covers {current.size}",
            current.size,
        )
    check_heads(heads, tree.size, roots, located, problems)
    known = [(h.size, h.root, h.extensions) for h in heads if not h.anchor]
    for index in sorted(wanted):
        check_proof(export, index, proofs.get(index), kept.get(index), known, roots, problems)
    check_consistency(export, [h for h in heads if not h.anchor], current, problems)
    return problems, {
        "entries": tree.size,
        "root": base64.b64encode(tree.root()).decode(),
        "checkpoints": sum(not head.anchor for head in heads),
        "anchored": max((head.size for head in heads if head.anchor), default=None),
    }


def name_change(stored: bytes, current: Head | None) -> str:
    if current is not None and len(stored) == 32 * current.size:
        tree = Tree()
        for at in range(0, len(stored), 32):
            tree.add(stored[at : at + 32])
        if tree.root() == current.root:
            return "changed or missing: the signed checkpoint vouches for another leaf hash here"
    return "changed or missing: it is not what `leaves` says; neither agrees with the checkpoint"


def check_heads(
    heads: list[Head], size: int, roots: dict[int, bytes], located: int | None, problems: Problems
) -> None:
    agreed = kept = 0
    blamed = located is not None
    for head in sorted(heads, key=lambda head: (head.size, head.anchor)):
        what = "the anchor" if head.anchor else "the checkpoint"
        if head.size > size:
            problems.add(
                head.place, f"missing: {what} covers {head.size} entries", size, head.size - 1
            )
        elif roots[head.size] == head.root:
            agreed = head.size
            kept = head.size if head.anchor else kept
        elif head.anchor or not blamed:
            blamed = blamed or not head.anchor
            first = kept if head.anchor else agreed
            if located is not None and located < head.size:
                first = head.size
            problems.add(
                head.place if head.anchor else "entries.jsonl",
                f"rewritten: the root of the first {head.size} entries is not the anchor's"
                if head.anchor
                else f"changed: the root of the first {head.size} entries is not the signed one",
                first if head.size > first else None,
                head.size - 1 if head.size > first else None,
            )


Proof = tuple[int, list[bytes], Head]


def read_proofs(
    export: Export, keys: list[Key], problems: Problems
) -> tuple[dict[int, Proof], set[int]]:
    """Readable proofs by the index in their name, and all other indices that files speak of."""
    proofs: dict[int, Proof] = {}
    indices: set[int] = set()
    for name in sorted(export.names):
        if not name.startswith("proofs/"):
            continue
        match = re.fullmatch(rf"proofs/{NUMBER}\.(leaf|tlog-proof)", name)
        if not match:
            problems.add(name, "not a proof's name; expected I.leaf or I.tlog-proof")
            continue
        indices.add(int(match[1]))
        if match[2] == "leaf":
            continue
        try:
            text, gap, note = export.read(name).partition(b"\n\n")
            if not gap:
                raise Bad("the proof has no checkpoint")
            try:
                lines = text.decode("ascii").split("\n")
            except UnicodeDecodeError:
                raise Bad("the proof is not ASCII") from None
            if lines.pop(0) != "c2sp.org/tlog-proof@v1":
                raise Bad("the first line is not c2sp.org/tlog-proof@v1")
            if lines and lines[0].startswith("extra "):
                b64(lines.pop(0)[6:])
            number = re.fullmatch("index " + NUMBER, lines.pop(0) if lines else "")
            if not number:
                raise Bad("the proof has no index line")
            path = [b64(line) for line in lines]
            if any(len(node) != 32 for node in path):
                raise Bad("a hash of the proof is not 32 bytes")
            proofs[int(match[1])] = (int(number[1]), path, Head(name, note, keys))
        except Bad as error:
            problems.add(name, str(error))
    return proofs, indices - set(proofs)


def check_proof(
    export: Export,
    index: int,
    proof: Proof | None,
    in_log: bytes | None,
    known: list[tuple[int, bytes, list[str]]],
    roots: dict[int, bytes],
    problems: Problems,
) -> None:
    leaf_name, proof_name = f"proofs/{index}.leaf", f"proofs/{index}.tlog-proof"
    for name in (leaf_name, proof_name):
        if name not in export.names:
            problems.add(name, "there is no such file")
    if leaf_name not in export.names:
        return
    leaf = leaf_hash(export.read(leaf_name))
    proved: bytes | None = None
    if proof is not None:
        number, path, head = proof
        if number != index:
            problems.add(proof_name, f"it proves entry {number}, unlike its name")
            return
        if included(leaf, index, head.size, path, head.root):
            proved = leaf
        elif in_log is not None and included(in_log, index, head.size, path, head.root):
            proved = in_log
        if proved is None:
            problems.add(proof_name, "it proves neither its leaf nor the entry")
        elif (head.size, head.root, head.extensions) not in known and roots.get(
            head.size
        ) != head.root:
            problems.add(proof_name, "its checkpoint is signed and is not of this log")
    if leaf != in_log:
        blame_leaf = proved is None or proved == in_log
        problems.add(
            leaf_name if blame_leaf else "entries.jsonl",
            f"{leaf_name} and the entry in entries.jsonl differ",
            index,
        )


def check_consistency(
    export: Export, heads: list[Head], current: Head | None, problems: Problems
) -> None:
    older = {head.size: head for head in heads if head is not current}
    for size in sorted(older):
        if current is not None and 0 < size < current.size:
            name = f"consistency/{size}-{current.size}.txt"
            if name not in export.names:
                problems.add(name, f"there is no proof that checkpoint.{size} grew into the head")
    for name in sorted(export.names):
        if not name.startswith("consistency/"):
            continue
        match = re.fullmatch(rf"consistency/{NUMBER}-{NUMBER}\.txt", name)
        if not match:
            problems.add(name, "not a consistency proof's name; expected A-B.txt")
            continue
        old, new = int(match[1]), int(match[2])
        data = export.read(name)
        try:
            if data and not data.endswith(b"\n"):
                raise Bad("the last line has no LF")
            path = [b64(line.decode("ascii", "replace")) for line in data.split(b"\n")[:-1]]
            if any(len(node) != 32 for node in path):
                raise Bad("a hash of the proof is not 32 bytes")
        except Bad as error:
            problems.add(name, str(error))
            continue
        if f"checkpoint.{old}" not in export.names or (current is not None and current.size != new):
            problems.add(name, "it belongs to no pair of checkpoints here")
        elif (
            current is not None
            and old in older
            and not consistent(old, new, older[old].root, current.root, path)
        ):
            problems.add(name, f"it does not prove that the head continues checkpoint.{old}")


# ------------------------------------------------------------------------------------ the program


def read_key(given: str) -> Key:
    """A key given as text, or as a file that holds it."""
    path = Path(given)
    return Key(path.read_text(encoding="utf-8").strip() if path.is_file() else given)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Verify an export of a Handrail audit log, without Handrail."
    )
    parser.add_argument("export", help="the export directory")
    parser.add_argument(
        "--key",
        action="append",
        metavar="VKEY_OR_FILE",
        help="verifier key you hold; may be given more than once, after a change of key",
    )
    parser.add_argument(
        "--anchor", action="append", default=[], metavar="FILE", help="checkpoint you kept"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args(arguments)
    if not Path(given.export).is_dir():
        print(f"{given.export}: there is no such folder; expected an export", file=sys.stderr)
        return 2
    try:
        keys = [read_key(text) for text in given.key] if given.key else None
        anchors = [(path, Path(path).read_bytes()) for path in given.anchor]
    except (OSError, Bad, UnicodeDecodeError) as error:
        print(f"{error}", file=sys.stderr)
        return 2
    problems, figures = verify(given.export, keys, anchors)
    if given.json:
        rows = [
            {"file": place, "entry": index, "last": last, "message": message}
            for place, index, last, message in problems.found
        ]
        print(json.dumps({"ok": not rows, **figures, "problems": rows}))
    else:
        for place, index, last, message in problems.found:
            where = "" if index is None else f" entry {index}:"
            if last is not None and last != index:
                where = f" entries {index} to {last}:"
            print(f"{place}:{where} {message}")
        state = "FAILED" if problems.found else "verified"
        print(f"{state}: {figures['entries']} entries, root {figures['root']}")
        if not problems.found and figures["anchored"] is None:
            print("No anchor was given: a log rewritten with its true key would verify as well.")
        if not problems.found and keys is None:
            print("No key was given: the key was taken from the export itself.")
    return 1 if problems.found else 0


if __name__ == "__main__":
    sys.exit(main())
