"""Signed notes, checkpoints and proofs: Go's published vectors, and strictness to the byte."""

from __future__ import annotations

import pytest

from handrail.audit import tree
from handrail.audit.checkpoint import (
    Checkpoint,
    anchor_name,
    open_checkpoint,
    sign_checkpoint,
)
from handrail.audit.note import Note, SignerKey, VerifierKey, open_note
from handrail.audit.proof import (
    Proof,
    make_consistency,
    make_proof,
    parse_consistency,
    verify_proof,
)
from handrail.model.errors import BadInput

from .conftest import KEY, ORIGIN, Log

# From the example of golang.org/x/mod/sumdb/note.
GO_SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfq"
    "dngotpRZb6KE6RyyBwJnAM=\n"
).encode()


def test_go_published_vectors() -> None:
    key = VerifierKey.parse(GO_VKEY)
    text = open_note(GO_NOTE, [key])
    assert text.startswith("If you think") and text.endswith("problem is.\n")
    assert str(key) == GO_VKEY
    signer = SignerKey.parse(GO_SKEY)
    assert signer.text() == GO_SKEY
    assert signer.verifier == key
    assert signer.sign(text) == GO_NOTE


def test_every_changed_bit_of_a_note_is_refused() -> None:
    note = sign_checkpoint(5, bytes(32), KEY)
    assert open_checkpoint(note, [KEY.verifier]) == Checkpoint(ORIGIN, 5, bytes(32))
    for place in range(len(note)):
        for bit in range(8):
            broken = bytearray(note)
            broken[place] ^= 1 << bit
            with pytest.raises(BadInput):
                open_checkpoint(bytes(broken), [KEY.verifier])
    for other in (note[:-1], note + b"\n", note.replace(b"\n", b"\r\n"), b"", b"\n\n", note * 2):
        with pytest.raises(BadInput):
            open_checkpoint(other, [KEY.verifier])


def test_every_changed_bit_of_a_verifier_key_is_refused() -> None:
    text = str(KEY.verifier).encode()
    for place in range(len(text)):
        for bit in range(8):
            broken = bytearray(text)
            broken[place] ^= 1 << bit
            with pytest.raises(BadInput):
                VerifierKey.parse(broken.decode("latin-1"))


def test_other_algorithms_are_read_and_not_believed() -> None:
    key = VerifierKey(ORIGIN, 0x06, bytes(64))
    assert VerifierKey.parse(str(key)) == key
    with pytest.raises(BadInput, match=r"algorithm 0x06; this program verifies Ed25519"):
        key.verify(b"", b"")


def test_further_signatures_are_ignored_and_ours_is_needed() -> None:
    witness = SignerKey.from_seed("witness.example/w1", bytes(32))
    text = Checkpoint(ORIGIN, 5, bytes(32)).text()
    ours, theirs = Note.parse(KEY.sign(text)), Note.parse(witness.sign(text))
    both = Note(text, theirs.signatures + ours.signatures).encode()
    assert open_checkpoint(both, [KEY.verifier]).size == 5
    with pytest.raises(BadInput, match="expected a signature of"):
        open_checkpoint(theirs.encode(), [KEY.verifier])
    with pytest.raises(BadInput, match="it belongs to another log"):
        open_checkpoint(theirs.encode(), [witness.verifier])
    twice = Note(text, ours.signatures * 2).encode()
    with pytest.raises(BadInput, match="signed twice"):
        open_checkpoint(twice, [KEY.verifier])
    false_witness = Note(text, (*ours.signatures, Note.parse(witness.sign("x\n")).signatures[0]))
    with pytest.raises(BadInput, match="is not over this text"):
        open_checkpoint(false_witness.encode(), [KEY.verifier, witness.verifier])


def test_the_name_does_not_choose_the_key() -> None:
    """Somebody else's key under the same origin opens nothing, and has other anchors."""
    thief = SignerKey.from_seed(ORIGIN, bytes(32))
    with pytest.raises(BadInput, match="expected a signature of"):
        open_checkpoint(sign_checkpoint(5, bytes(32), thief), [KEY.verifier])
    assert anchor_name(thief.verifier) != anchor_name(KEY.verifier)


def test_secrets_are_not_shown() -> None:
    assert KEY.text() not in repr(KEY) and KEY.seed.hex() not in repr(KEY)
    for broken in (KEY.text()[:-2], KEY.text().replace("+01", "+02"), "PRIVATE+KEY+x"):
        with pytest.raises(BadInput) as caught:
            SignerKey.parse(broken.replace(ORIGIN, "other.example"))
        assert KEY.text()[-40:] not in str(caught.value)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "x" * 256, "a\u2003b"])
def test_key_names(name: str) -> None:
    with pytest.raises(BadInput, match="key name"):
        SignerKey.from_seed(name, bytes(32))


@pytest.mark.parametrize(
    "text",
    [
        "a\n05\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "a\n-5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "a\n\u0665\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "a\n" + "9" * 5000 + "\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "a\n5\nAAAA\n",
        "a\n5\n",
        "a\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nx\n",
    ],
)
def test_malformed_checkpoints(text: str) -> None:
    with pytest.raises(BadInput):
        Checkpoint.parse_text(text)
    with pytest.raises(BadInput):
        open_checkpoint(KEY.sign(text), [KEY.verifier])


def test_proof_files_prove_every_entry_and_nothing_else(log: Log) -> None:
    note = log.checkpoints[11]
    for index, line in enumerate(log.entries):
        data = make_proof(index, note, log.read_node)
        assert data.startswith(b"c2sp.org/tlog-proof@v1\nindex %d\n" % index)
        assert data.endswith(b"\n\n" + note)
        assert verify_proof(data, line, [KEY.verifier]).size == 11
        assert Proof.parse(data).encode() == data
        with pytest.raises(BadInput, match="is not proved at index"):
            verify_proof(data, line + b" ", [KEY.verifier])
    older = make_proof(2, log.checkpoints[8], log.read_node)
    assert verify_proof(older, log.entries[2], [KEY.verifier]).size == 8
    extra = Proof(index=0, path=(), checkpoint=note, extra=b"\x00\xff")
    assert Proof.parse(extra.encode()) == extra


def test_every_changed_bit_of_a_proof_is_refused(log: Log) -> None:
    data = make_proof(4, log.checkpoints[11], log.read_node)
    for place in range(len(data)):
        for bit in range(8):
            broken = bytearray(data)
            broken[place] ^= 1 << bit
            with pytest.raises(BadInput):
                verify_proof(bytes(broken), log.entries[4], [KEY.verifier])


def test_consistency_files(log: Log) -> None:
    data = make_consistency(3, 11, log.read_node)
    path = parse_consistency(data)
    heads = {size: open_checkpoint(note, [KEY.verifier]) for size, note in log.checkpoints.items()}
    assert tree.verify_consistency(3, 11, heads[3].root, heads[11].root, path)
    assert parse_consistency(make_consistency(11, 11, log.read_node)) == ()
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 1
        try:
            changed = parse_consistency(bytes(broken))
        except BadInput:
            continue
        assert not tree.verify_consistency(3, 11, heads[3].root, heads[11].root, changed)
