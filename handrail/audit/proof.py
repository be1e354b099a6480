"""Offline proofs: that an entry is in the log (`tlog-proof@v1`), and that the log only grew.

A `tlog-proof` carries its checkpoint, so one small file and the verifier key prove one entry to
anybody. A consistency proof is a list of hashes, one base64 a line.
Sources: https://c2sp.org/tlog-proof, RFC 6962 sections 2.1.1 and 2.1.2.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

import msgspec

from handrail.audit.checkpoint import DECIMAL, Checkpoint, open_checkpoint
from handrail.audit.note import Note, VerifierKey, b64_decode
from handrail.audit.tree import (
    HASH_SIZE,
    NodeReader,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_inclusion,
)
from handrail.model.errors import BadInput

HEADER = "c2sp.org/tlog-proof@v1"


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """That an entry lies at `index` of the tree a checkpoint names."""

    index: int
    path: tuple[bytes, ...]
    """Sibling of the leaf first."""
    checkpoint: bytes
    """The signed checkpoint, complete."""
    extra: bytes | None = None
    """Free bytes of the log, not proved; None in ours."""

    def encode(self) -> bytes:
        """The bytes of the proof file."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append("extra " + base64.b64encode(self.extra).decode())
        lines.append(f"index {self.index}")
        lines.extend(base64.b64encode(node).decode() for node in self.path)
        return "".join(line + "\n" for line in lines).encode() + b"\n" + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Proof:
        """Read a proof file; raises `BadInput` naming the wrong line."""
        head, gap, checkpoint = data.partition(b"\n\n")
        if not gap:
            raise BadInput("the proof has no checkpoint; expected one after an empty line")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise BadInput("the proof's hashes are not ASCII; expected base64 lines") from error
        if lines[0] != HEADER:
            raise BadInput(f"line 1 of the proof is {lines[0][:60]!r}; expected {HEADER}")
        at = 1
        extra = None
        if at < len(lines) and lines[at].startswith("extra "):
            extra = _line(lines[at][6:], at + 1)
            at += 1
        index = lines[at] if at < len(lines) else ""
        number = index.removeprefix("index ")
        if number == index or not DECIMAL.fullmatch(number):
            raise BadInput(f"line {at + 1} of the proof is {index[:60]!r}; expected: index NUMBER")
        path = tuple(_hash(line, n) for n, line in enumerate(lines[at + 1 :], at + 2))
        return cls(index=int(number), path=path, checkpoint=checkpoint, extra=extra)

    def verify(self, entry: bytes, keys: Iterable[VerifierKey]) -> Checkpoint:
        """The checkpoint under which `entry` is proved. Raises `BadInput` where it is not.

        `keys` are verifier keys the auditor holds, not what came with the proof.
        """
        checkpoint = open_checkpoint(self.checkpoint, keys)
        leaf = leaf_hash(entry)
        if not verify_inclusion(leaf, self.index, checkpoint.size, self.path, checkpoint.root):
            raise BadInput(
                f"the entry is not proved at index {self.index} of {checkpoint.size}; "
                "the entry, its index or the hashes of the proof were changed"
            )
        return checkpoint


def make_proof(index: int, checkpoint: bytes, read: NodeReader) -> bytes:
    """The proof file for entry `index` under a signed checkpoint, from stored nodes."""
    size = Checkpoint.parse_text(Note.parse(checkpoint).text).size
    path = tuple(inclusion_proof(index, size, read))
    return Proof(index=index, path=path, checkpoint=checkpoint).encode()


def verify_proof(data: bytes, entry: bytes, keys: Iterable[VerifierKey]) -> Checkpoint:
    """Check a proof file for `entry` offline; gives the checkpoint, raises `BadInput` if false."""
    return Proof.parse(data).verify(entry, keys)


def encode_consistency(path: Sequence[bytes]) -> bytes:
    """A consistency proof as a file: one base64 hash a line."""
    return b"".join(base64.b64encode(node) + b"\n" for node in path)


def parse_consistency(data: bytes) -> tuple[bytes, ...]:
    """Read a consistency proof file; raises `BadInput` naming the wrong line."""
    if not data:
        return ()
    if not data.endswith(b"\n"):
        raise BadInput("the last line of the consistency proof has no LF; expected one")
    return tuple(
        _hash(line.decode("ascii", "replace"), number)
        for number, line in enumerate(data[:-1].split(b"\n"), 1)
    )


def make_consistency(old_size: int, new_size: int, read: NodeReader) -> bytes:
    """The consistency proof file from `old_size` to `new_size`, from stored nodes."""
    return encode_consistency(consistency_proof(old_size, new_size, read))


def _line(text: str, number: int) -> bytes:
    try:
        return b64_decode(text)
    except BadInput as error:
        raise BadInput(f"line {number}: {error.message}") from error


def _hash(text: str, number: int) -> bytes:
    node = _line(text, number)
    if len(node) != HASH_SIZE:
        raise BadInput(f"line {number} has {len(node)} bytes; expected a hash of {HASH_SIZE}")
    return node
