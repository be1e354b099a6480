"""Can we prove it? Pure rules of the audit log: entry, tree, checkpoint, proof, verification.

The format is RFC 6962 hashing over canonical JSON entries, C2SP signed notes, checkpoints and
inclusion proofs; strangers' programs verify our exports. Nothing here reads files, clocks or
databases: bytes and readers come in, values and bytes go out. The one exception is
`standalone_verify.py`, a program of its own that auditors run without Handrail.
"""

from handrail.audit.entry import commit, commit_bytes, decode, encode, field_key
from handrail.audit.tree import Frontier, leaf_hash

__all__ = [
    "Frontier",
    "commit",
    "commit_bytes",
    "decode",
    "encode",
    "field_key",
    "leaf_hash",
]
