"""Checkpoints: signed statements of how long the log is and what its root is.

A checkpoint is a signed note whose text has three lines: origin, size, base64 root (further lines
are extensions, kept as they are). The name on the signature line is the origin.
Source: https://c2sp.org/tlog-checkpoint.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

import msgspec

from handrail.audit.note import Note, SignerKey, VerifierKey, b64_decode, check_name
from handrail.audit.tree import HASH_SIZE
from handrail.model.errors import BadInput

DECIMAL = re.compile("0|[1-9][0-9]{0,17}")
"""How sizes and indices are written: no sign, no leading zero, below 10^18."""


class Checkpoint(msgspec.Struct, frozen=True):
    """What a checkpoint says."""

    origin: str
    """Name of the log."""
    size: int
    """Number of entries, 0 or more."""
    root: bytes
    """Tree hash of these entries."""
    extensions: tuple[str, ...] = ()
    """Further lines; none in ours."""

    def text(self) -> str:
        """The text that is signed."""
        root = base64.b64encode(self.root).decode()
        lines = (self.origin, str(self.size), root, *self.extensions)
        return "".join(line + "\n" for line in lines)

    @classmethod
    def parse_text(cls, text: str) -> Checkpoint:
        """Read the text of a checkpoint; raises `BadInput` naming the wrong line."""
        lines = text.split("\n")[:-1]
        if not text.endswith("\n") or len(lines) < 3 or "" in lines:
            raise BadInput(
                f"the checkpoint has {len(lines)} lines; expected origin, size and root, "
                "one line each, none empty"
            )
        origin, size, root = lines[:3]
        check_name(origin)
        if not DECIMAL.fullmatch(size):
            raise BadInput(f"line 2 of the checkpoint is {size!r}; expected the size in decimal")
        decoded = b64_decode(root)
        if len(decoded) != HASH_SIZE:
            raise BadInput(f"line 3 of the checkpoint has {len(decoded)} bytes; expected 32")
        return cls(origin, int(size), decoded, tuple(lines[3:]))


def sign_checkpoint(size: int, root: bytes, key: SignerKey) -> bytes:
    """The signed checkpoint of the tree (`size`, `root`) of the log named by `key`."""
    return key.sign(Checkpoint(key.name, size, root).text())


def open_checkpoint(data: bytes, keys: Iterable[VerifierKey]) -> Checkpoint:
    """What a checkpoint says that one of `keys` signed under its own origin.

    Raises `BadInput` for a note that is malformed, unsigned, falsely signed, or signed by a key
    of another origin: the keys are the auditor's, whatever name the note claims.
    """
    note = Note.parse(data)
    signers = note.signed_by(keys)
    checkpoint = Checkpoint.parse_text(note.text)
    if all(key.name != checkpoint.origin for key in signers):
        raise BadInput(
            f"the checkpoint's origin is {checkpoint.origin} and it is signed by "
            f"{signers[0].name}; expected the same name: it belongs to another log"
        )
    return checkpoint


def anchor_name(key: VerifierKey) -> str:
    """Under what an auditor files anchors of a log: a hash of the verifier key the auditor holds.

    Never the origin a server reports: a server that renames itself would escape its anchors.
    """
    return hashlib.sha256(str(key).encode()).hexdigest()
