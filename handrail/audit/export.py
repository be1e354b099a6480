"""The export directory: what lies in it, and its verification without the database.

`export_files` gives the files as (path, pieces of bytes) and leaves the writing to its caller;
`verify_export` reads through a `Reader`. Beside the files of the format page there is `leaves`,
the leaf hashes as they were stored when the entries were logged: an outside verifier need not look
at it, ours names with it the one entry that was changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from handrail.audit.checkpoint import Checkpoint
from handrail.audit.note import Note, VerifierKey
from handrail.audit.proof import Proof, make_consistency, make_proof, parse_consistency
from handrail.audit.tree import (
    HASH_SIZE,
    Frontier,
    NodeReader,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from handrail.audit.verify import Head, Problem, Report, Scan, check_heads, line_batches, open_heads
from handrail.model.errors import BadInput

ENTRIES = "entries.jsonl"
CHECKPOINT = "checkpoint"
VKEY = "vkey"
LEAVES = "leaves"

_EARLIER = re.compile(r"checkpoint\.(0|[1-9][0-9]{0,17})")
_PROOF = re.compile(r"proofs/(0|[1-9][0-9]{0,17})\.(leaf|tlog-proof)")
_CONSISTENCY = re.compile(r"consistency/(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,17})\.txt")

Range = Callable[[int, int], Iterable[bytes]]
"""Gives the things from one index up to, not including, another, in order."""


class Reader(Protocol):
    """An export, wherever it lies."""

    def names(self) -> Iterable[str]:
        """Paths of all files, with `/` between folder and file."""

    def pieces(self, name: str) -> Iterable[bytes]:
        """The content of a file, in pieces of any size; raises `KeyError` if there is none."""


class MapReader:
    """An export that lies in a mapping of path to content."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files

    def names(self) -> Iterable[str]:
        return list(self.files)

    def pieces(self, name: str) -> Iterable[bytes]:
        yield self.files[name]


def export_files(
    *,
    entries: Range,
    leaves: Range,
    nodes: NodeReader,
    checkpoint: bytes,
    key: VerifierKey,
    earlier: Iterable[bytes] = (),
    prove: Iterable[int] | None = None,
) -> Iterator[tuple[str, Iterable[bytes]]]:
    """The files of an export, as (path, pieces); write each one out before asking for the next.

    `entries(start, end)` gives stored entry bytes, `leaves(start, end)` the stored leaf hashes,
    `nodes` any stored node. `checkpoint` is the signed head, `earlier` are older signed
    checkpoints, `prove` the indices that get a proof file (first and last, unless given).
    Raises `BadInput` for an index or an earlier checkpoint beyond the head.
    """
    size = _size(checkpoint)
    yield VKEY, [f"{key}\n".encode()]
    yield CHECKPOINT, [checkpoint]
    yield ENTRIES, (line + b"\n" for line in entries(0, size))
    yield LEAVES, leaves(0, size)
    older: dict[int, bytes] = {}
    for note in earlier:
        old = _size(note)
        if old > size:
            raise BadInput(
                f"an earlier checkpoint covers {old} entries and the head {size}; "
                "expected the head to be the largest: sign a new checkpoint, then export"
            )
        if 0 < old < size:
            older[old] = note
    for old in sorted(older):
        yield f"{CHECKPOINT}.{old}", [older[old]]
        yield f"consistency/{old}-{size}.txt", [make_consistency(old, size, nodes)]
    if prove is None:
        prove = {0, size - 1} if size else ()
    for index in sorted(set(prove)):
        proof = make_proof(index, checkpoint, nodes)
        yield f"proofs/{index}.leaf", entries(index, index + 1)
        yield f"proofs/{index}.tlog-proof", [proof]


def _size(note: bytes) -> int:
    return Checkpoint.parse_text(Note.parse(note).text).size


def verify_export(
    reader: Reader,
    *,
    keys: Sequence[VerifierKey] | None = None,
    anchors: Iterable[tuple[str, bytes]] = (),
) -> Report:
    """Verify an export with all that lies in it.

    `keys` are the verifier keys the auditor holds; without them the export's own `vkey` is taken,
    which proves only that the export agrees with itself. `anchors` are (place, signed note) pairs
    kept from earlier. Every problem names its file, and its entry or line where it has one.
    """
    problems: list[Problem] = []
    names = set(reader.names())
    for name in (VKEY, CHECKPOINT, ENTRIES):
        if name not in names:
            problems.append(Problem(place=name, message="there is no such file; expected one"))
    own = _own_key(reader, names, problems)
    if keys is None:
        keys = (own,) if own else ()
    elif own is not None and own not in keys:
        problems.append(
            Problem(
                place=VKEY,
                message=f"the export brings the key {own}; expected one the auditor holds, "
                "which is the only one believed",
            )
        )
    notes = _checkpoint_notes(reader, names, problems)
    heads = open_heads(notes, keys, problems)
    kept = open_heads(anchors, keys, problems, anchor=True)
    current = next((head for head in heads if head.place == CHECKPOINT), None)
    for head in heads:
        claimed = head.place.removeprefix(CHECKPOINT + ".")
        if head is not current and claimed != str(head.checkpoint.size):
            problems.append(
                Problem(
                    place=head.place,
                    message=f"it covers {head.checkpoint.size} entries; expected {claimed}, "
                    "as its name says",
                )
            )
    known = len(heads)
    proofs, proof_heads = _proof_heads(reader, names, keys, problems)
    scan = Scan(
        ENTRIES,
        (head.checkpoint.size for head in (*heads, *kept, *proof_heads.values())),
        problems,
        keep=proofs,
        lines=True,
    )
    first_difference, differences, leaf_count = _scan_entries(reader, names, scan, problems)
    located = _name_changed_entry(
        reader, scan, current, first_difference, differences, leaf_count, problems
    )
    if current is not None and scan.size > current.checkpoint.size:
        problems.append(
            Problem(
                place=ENTRIES,
                index=current.checkpoint.size,
                line=current.checkpoint.size + 1,
                message=f"the file goes on to {scan.size} entries; expected it to end with the "
                f"{current.checkpoint.size} that the checkpoint covers",
            )
        )
    check_heads(scan, [*heads, *kept], problems, located=located)
    judged = [head.checkpoint for head in heads]
    for index in sorted(proofs):
        _check_proof(reader, names, index, proof_heads.get(index), judged, scan, problems)
    _check_consistency(reader, names, heads, current, problems)
    return Report(
        size=scan.size,
        root=scan.frontier.root(),
        checkpoints=known,
        anchored=max((head.checkpoint.size for head in kept), default=None),
        problems=tuple(problems),
    )


def _content(reader: Reader, name: str) -> bytes:
    return b"".join(reader.pieces(name))


def _own_key(reader: Reader, names: set[str], problems: list[Problem]) -> VerifierKey | None:
    if VKEY not in names:
        return None
    content = _content(reader, VKEY)
    try:
        text = content.decode()
        if not text.endswith("\n") or "\n" in text[:-1]:
            raise BadInput("the file is not one line; expected the verifier key and one LF")
        return VerifierKey.parse(text[:-1])
    except UnicodeDecodeError:
        problems.append(Problem(place=VKEY, line=1, message="it is not UTF-8; expected UTF-8"))
    except BadInput as error:
        problems.append(Problem(place=VKEY, line=1, message=error.message))
    return None


def _checkpoint_notes(
    reader: Reader, names: set[str], problems: list[Problem]
) -> list[tuple[str, bytes]]:
    notes = []
    for name in sorted(names):
        if name == CHECKPOINT or _EARLIER.fullmatch(name):
            notes.append((name, _content(reader, name)))
        elif name.startswith(CHECKPOINT + "."):
            problems.append(
                Problem(place=name, message="not a checkpoint's name; expected checkpoint.SIZE")
            )
    return notes


def _proof_heads(
    reader: Reader, names: set[str], keys: Sequence[VerifierKey], problems: list[Problem]
) -> tuple[set[int], dict[int, Head]]:
    """Indices that proof files speak of, and the opened checkpoint of each readable proof."""
    indices: set[int] = set()
    heads: dict[int, Head] = {}
    for name in sorted(names):
        if not name.startswith("proofs/"):
            continue
        match = _PROOF.fullmatch(name)
        if not match:
            problems.append(
                Problem(place=name, message="not a proof's name; expected I.leaf or I.tlog-proof")
            )
            continue
        index = int(match[1])
        indices.add(index)
        if match[2] == "leaf":
            continue
        try:
            proof = Proof.parse(_content(reader, name))
        except BadInput as error:
            problems.append(Problem(place=name, message=error.message))
            continue
        for head in open_heads([(name, proof.checkpoint)], keys, problems):
            heads[index] = head
    return indices, heads


def _scan_entries(
    reader: Reader, names: set[str], scan: Scan, problems: list[Problem]
) -> tuple[int | None, int, int | None]:
    """Read all entries; gives the first that differs from `leaves`, how many do, and its count."""
    stored = _Pieces(reader.pieces(LEAVES)) if LEAVES in names else None
    first: int | None = None
    count = 0
    for lines, ended in line_batches(reader.pieces(ENTRIES)) if ENTRIES in names else ():
        start = scan.size
        leaves = scan.feed(lines)
        if not ended:
            problems.append(
                Problem(
                    place=ENTRIES,
                    index=scan.size - 1,
                    line=scan.size,
                    message="the last line has no LF; expected every line to end with one",
                )
            )
        if stored is None:
            continue
        expected = stored.take(HASH_SIZE * len(leaves))
        if b"".join(leaves) == expected:
            continue
        for position, leaf in enumerate(leaves):
            if expected[HASH_SIZE * position : HASH_SIZE * (position + 1)] != leaf:
                count += 1
                first = start + position if first is None else first
    scan.finish()
    if stored is None:
        return None, 0, None
    total = stored.count_all()
    if total % HASH_SIZE or total // HASH_SIZE < scan.size:
        first = min(total // HASH_SIZE, scan.size) if first is None else first
    elif total // HASH_SIZE > scan.size and first is None:
        first = scan.size
    return first, count, total


class _Pieces:
    """A byte stream read by count."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""
        self._taken = 0

    def take(self, count: int) -> bytes:
        parts = [self._rest]
        have = len(self._rest)
        while have < count and (piece := next(self._pieces, None)) is not None:
            parts.append(piece)
            have += len(piece)
        joined = b"".join(parts)
        self._rest = joined[count:]
        self._taken += min(count, have)
        return joined[:count]

    def count_all(self) -> int:
        """How many bytes there are in all; reads to the end."""
        self._taken += len(self._rest) + sum(len(piece) for piece in self._pieces)
        self._rest = b""
        return self._taken


def _name_changed_entry(
    reader: Reader,
    scan: Scan,
    current: Head | None,
    first: int | None,
    differences: int,
    leaf_bytes: int | None,
    problems: list[Problem],
) -> int | None:
    """Say which entry was changed where entries and `leaves` differ; its index, or None."""
    if first is None or leaf_bytes is None:
        return None
    head = current.checkpoint if current is not None else None
    if head is not None and scan.roots.get(head.size) == head.root and scan.size == head.size:
        problems.append(
            Problem(
                place=LEAVES,
                index=first,
                message="changed: it is not the leaf hash of the entry, which the signed "
                f"checkpoint vouches for (byte {first * HASH_SIZE} and on)",
            )
        )
        return None
    vouched = False
    if head is not None and leaf_bytes == head.size * HASH_SIZE:
        vouched = _leaves_root(reader) == head.root
    more = f"; {differences - 1} entries after it differ too" if differences > 1 else ""
    if first >= scan.size:
        said = f"missing: the file ends after {scan.size} entries"
    else:
        said = "changed: its leaf hash is not the one stored when it was logged"
    which = (
        ", which the signed checkpoint vouches for"
        if vouched
        else ", which does not agree with the signed checkpoint either"
    )
    problems.append(
        Problem(place=ENTRIES, index=first, line=first + 1, message=said + which + more)
    )
    return first


def _leaves_root(reader: Reader) -> bytes:
    frontier = Frontier()
    stream = _Pieces(reader.pieces(LEAVES))
    while block := stream.take(HASH_SIZE << 12):
        frontier = frontier.extend(
            [block[at : at + HASH_SIZE] for at in range(0, len(block), HASH_SIZE)]
        )
    return frontier.root()


def _check_proof(
    reader: Reader,
    names: set[str],
    index: int,
    head: Head | None,
    judged: Sequence[Checkpoint],
    scan: Scan,
    problems: list[Problem],
) -> None:
    """Hold leaf file, proof and entry to each other; `judged` are checkpoints of the log itself."""
    leaf_name, proof_name = f"proofs/{index}.leaf", f"proofs/{index}.tlog-proof"
    for name in (leaf_name, proof_name):
        if name not in names:
            problems.append(
                Problem(place=name, message="there is no such file; expected leaf and proof")
            )
    if leaf_name not in names:
        return
    leaf = leaf_hash(_content(reader, leaf_name))
    in_log = scan.kept[index]
    proved: bytes | None = None
    if head is not None:
        proof = Proof.parse(_content(reader, proof_name))
        checkpoint = head.checkpoint
        if proof.index != index:
            problems.append(
                Problem(
                    place=proof_name,
                    message=f"it proves entry {proof.index}; expected {index}, as its name says",
                )
            )
            return
        for candidate in (leaf, in_log):
            if verify_inclusion(candidate, index, checkpoint.size, proof.path, checkpoint.root):
                proved = candidate
                break
        if proved is None:
            problems.append(
                Problem(
                    place=proof_name,
                    message=f"it proves neither {leaf_name} nor the entry at index {index}; "
                    "expected both: its index or hashes were changed",
                )
            )
        elif checkpoint not in judged and scan.roots.get(checkpoint.size) != checkpoint.root:
            problems.append(
                Problem(
                    place=proof_name,
                    message="its checkpoint is signed and is not of this log; expected one with "
                    f"the root of the first {checkpoint.size} entries",
                )
            )
    if leaf != in_log:
        changed = leaf_name if proved is None or proved == in_log else ENTRIES
        problems.append(
            Problem(
                place=changed,
                index=index,
                line=index + 1 if changed == ENTRIES else None,
                message=f"changed: {leaf_name} and the entry in {ENTRIES} differ; "
                "expected the same bytes",
            )
        )


def _check_consistency(
    reader: Reader,
    names: set[str],
    heads: Sequence[Head],
    current: Head | None,
    problems: list[Problem],
) -> None:
    by_size = {head.checkpoint.size: head.checkpoint for head in heads if head.place != CHECKPOINT}
    if current is not None:
        size = current.checkpoint.size
        for old in sorted(by_size):
            name = f"consistency/{old}-{size}.txt"
            if 0 < old < size and name not in names:
                problems.append(
                    Problem(
                        place=name,
                        message=f"there is no proof that {CHECKPOINT}.{old} grew into the head; "
                        "expected one for every earlier checkpoint",
                    )
                )
    for name in sorted(names):
        if not name.startswith("consistency/"):
            continue
        match = _CONSISTENCY.fullmatch(name)
        if not match:
            problems.append(
                Problem(place=name, message="not a consistency proof's name; expected A-B.txt")
            )
            continue
        old, new = int(match[1]), int(match[2])
        try:
            path = parse_consistency(_content(reader, name))
        except BadInput as error:
            problems.append(Problem(place=name, message=error.message))
            continue
        if f"{CHECKPOINT}.{old}" not in names or (
            current is not None and current.checkpoint.size != new
        ):
            problems.append(
                Problem(
                    place=name,
                    message=f"it belongs to no pair of checkpoints here; expected {CHECKPOINT}."
                    f"{old} and a head of size {new}",
                )
            )
        elif (
            current is not None
            and old in by_size
            and not verify_consistency(old, new, by_size[old].root, current.checkpoint.root, path)
        ):
            problems.append(
                Problem(
                    place=name,
                    message=f"it does not prove that the head continues {CHECKPOINT}.{old}; "
                    "its hashes were changed, or the log was rewritten in between",
                )
            )
