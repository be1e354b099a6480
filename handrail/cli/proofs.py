"""Signed heads and proof files out of a workspace's log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from handrail.model.errors import BadInput, NotFound

if TYPE_CHECKING:
    from handrail.app.reading import Reading
    from handrail.ports import Checkpoint


def sign_head(reading: Reading) -> Checkpoint:
    """The head of the log as it is now, signed."""
    from handrail.ports import Checkpoint

    signer = reading.signer()

    def query(tx: Any) -> Checkpoint:
        size = tx.audit.size()
        text = signer.sign(size, tx.audit.root())
        return Checkpoint(size=size, text=text, at=tx.now(), anchored=True)

    return reading.read(query)


def entry_of(reading: Reading, decision: str) -> int:
    """Index of the log's entry about a submission. Raises `NotFound`."""
    wanted = f'"decision":"{decision}"'.encode()

    def query(tx: Any) -> int:
        for index, line in enumerate(tx.audit.entries()):
            if wanted in line and b'"type":"decision.submitted"' in line:
                return index
        raise NotFound(f"the log has no submission of {decision}; run `handrail audit verify`")

    return reading.read(query)


def write_proof(reading: Reading, index: int, output: Path) -> None:
    """Write the proof of an entry under a head signed now, and the entry's bytes."""
    from handrail.audit.proof import make_proof

    signer = reading.signer()

    def query(tx: Any) -> tuple[bytes, bytes]:
        size = tx.audit.size()
        if not 0 <= index < size:
            raise NotFound(f"the log has {size:,} entries; there is no entry {index:,}")
        head = signer.sign(size, tx.audit.root()).encode()
        return make_proof(index, head, tx.audit.node), next(tx.audit.entries(index, index + 1))

    proof, leaf = reading.read(query)
    write_file(output, proof)
    write_file(output.with_name(output.name + ".leaf"), leaf)


def write_file(path: Path, content: bytes) -> None:
    """Write a file that was asked for by name. Raises `BadInput` where it cannot be."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; name another place") from error
