"""C2SP signed notes: text with one or more signature lines under it.

    <text, each line ended by LF>
    <empty line>
    — <key name> <base64(4-byte key id || signature)>

Verifier keys are public text (`name+hash8+base64(algorithm || public key)`), signer keys secret
text (`PRIVATE+KEY+name+hash8+base64(algorithm || seed)`), both as Go's `sumdb/note` writes them.
The algorithm byte is open: keys of other algorithms are read and kept, only Ed25519 (0x01) signs
and verifies here, and signatures of keys nobody asked about are ignored, as the format demands.

Everything is read strictly: one spelling only, so that no byte of a note can change unnoticed.
Sources: https://c2sp.org/signed-note, https://pkg.go.dev/golang.org/x/mod/sumdb/note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from handrail.model.errors import BadInput

ED25519 = 0x01
"""Algorithm byte of plain Ed25519 note signatures."""

_DASH = "— "
_PRIVATE = "PRIVATE+KEY+"
_HEX8 = re.compile(r"[0-9a-f]{8}")
_MOST_SIGNATURES = 100


class VerifierKey(msgspec.Struct, frozen=True):
    """A public key with the name it signs under. `str(key)` is its text form."""

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name || LF || algorithm || public key)."""
        return _key_id(self.name, bytes([self.algorithm]) + self.public)

    def __str__(self) -> str:
        material = bytes([self.algorithm]) + self.public
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(material).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key written as `name+hash8+base64`. Raises `BadInput` where it is not exactly so."""
        name, hash8, encoded = _key_parts(text, "verifier key")
        material = b64_decode(encoded)
        if len(material) < 2:
            raise BadInput("the verifier key has no key in it; expected algorithm byte and key")
        key = cls(name, material[0], material[1:])
        if key.key_id.hex() != hash8:
            raise BadInput(
                f"the verifier key says hash {hash8} and its name and key hash to "
                f"{key.key_id.hex()}; expected both equal: it was changed or mistyped"
            )
        if key.algorithm == ED25519 and len(key.public) != 32:
            raise BadInput(f"the Ed25519 verifier key has {len(key.public)} bytes; expected 32")
        return key

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` over `message` is this key's. `BadInput` for other algorithms."""
        if self.algorithm != ED25519:
            raise BadInput(
                f"the verifier key has algorithm 0x{self.algorithm:02x}; this program verifies "
                "Ed25519 (0x01): use a newer one"
            )
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class SignerKey(msgspec.Struct, frozen=True):
    """A secret Ed25519 key with the name it signs under. `text()` is its secret text form."""

    name: str
    seed: bytes

    def __repr__(self) -> str:
        return f"SignerKey(name={self.name!r})"

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> SignerKey:
        """A key made of 32 random bytes (`secrets.token_bytes(32)`)."""
        check_name(name)
        if len(seed) != 32:
            raise BadInput(f"the signer key's seed has {len(seed)} bytes; expected 32 random ones")
        return cls(name, seed)

    @classmethod
    def parse(cls, text: str) -> SignerKey:
        """The key written as `PRIVATE+KEY+name+hash8+base64`. Never repeats the text in errors."""
        text = text.strip()
        if not text.startswith(_PRIVATE):
            raise BadInput(
                "the signer key does not start with PRIVATE+KEY+; expected one that does"
            )
        name, hash8, encoded = _key_parts(text[len(_PRIVATE) :], "signer key")
        material = b64_decode(encoded)
        if len(material) != 33 or material[0] != ED25519:
            raise BadInput("the signer key is not Ed25519; expected algorithm 0x01 and 32 bytes")
        key = cls.from_seed(name, material[1:])
        if key.verifier.key_id.hex() != hash8:
            raise BadInput("the signer key does not belong to its hash; it was changed or mistyped")
        return key

    def text(self) -> str:
        """The secret text form: keep it outside the database, readable by its owner only."""
        material = base64.b64encode(bytes([ED25519]) + self.seed).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{material}"

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        return VerifierKey(self.name, ED25519, public)

    def sign(self, text: str) -> bytes:
        """The signed note of `text`, which must end with LF and hold no other control character."""
        _check_text(text)
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        line = Signature(self.name, self.verifier.key_id, signature)
        return Note(text, (line,)).encode()


class Signature(msgspec.Struct, frozen=True):
    """One signature line."""

    name: str
    key_id: bytes
    signature: bytes


class Note(msgspec.Struct, frozen=True):
    """Text and signature lines, read but not yet verified."""

    text: str
    """Ends with LF."""
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """The bytes of the note."""
        lines = [
            f"{_DASH}{line.name} {base64.b64encode(line.key_id + line.signature).decode()}\n"
            for line in self.signatures
        ]
        return (self.text + "\n" + "".join(lines)).encode()

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Read a note. Raises `BadInput` naming the line that is not as the format wants it."""
        try:
            content = data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise BadInput(f"line {line} of the note is not UTF-8; expected UTF-8 text") from error
        text, gap, tail = content.rpartition("\n\n")
        if not gap or not tail:
            raise BadInput(
                "the note has no signatures; expected text, an empty line, signature lines"
            )
        text += "\n"
        _check_text(text)
        if not tail.endswith("\n"):
            raise BadInput("the last line of the note has no LF; expected every line to end so")
        first = text.count("\n") + 2
        lines = tail[:-1].split("\n")
        if len(lines) > _MOST_SIGNATURES:
            raise BadInput(f"the note has {len(lines)} signatures; expected {_MOST_SIGNATURES}")
        return cls(text, tuple(_signature(line, first + n) for n, line in enumerate(lines)))

    def signed_by(self, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
        """Those of `keys` that signed. Raises `BadInput` where none did, or a signature is false.

        A signature line is looked up by name *and* key id; lines of unknown keys are ignored.
        """
        known = {(key.name, key.key_id): key for key in keys}
        message = self.text.encode()
        found: list[VerifierKey] = []
        for line in self.signatures:
            key = known.get((line.name, line.key_id))
            if key is None:
                continue
            if key in found:
                raise BadInput(f"the note is signed twice by {key.name}; expected one line a key")
            if not key.verify(message, line.signature):
                raise BadInput(
                    f"the signature of {line.name} ({line.key_id.hex()}) is not over this text; "
                    "the text or the signature was changed"
                )
            found.append(key)
        if not found:
            names = ", ".join(f"{name} ({key_id.hex()})" for name, key_id in known)
            there = ", ".join(f"{s.name} ({s.key_id.hex()})" for s in self.signatures)
            raise BadInput(
                f"the note is signed by {there}; expected a signature of {names or 'a known key'}"
            )
        return tuple(found)


def open_note(data: bytes, keys: Iterable[VerifierKey]) -> str:
    """The text of a note that at least one of `keys` signed; raises `BadInput` otherwise."""
    note = Note.parse(data)
    note.signed_by(keys)
    return note.text


def check_name(name: str) -> None:
    """Hold a key name (an origin) to the format: no spaces, no plus, no control characters."""
    if (
        not name
        or len(name.encode()) > 255
        or "+" in name
        or any(c.isspace() or ord(c) < 0x20 or ord(c) == 0x7F for c in name)
    ):
        raise BadInput(
            f"the key name is {name!r}; expected 1 to 255 bytes without spaces, plus signs or "
            "control characters, such as example.com/handrail"
        )


def b64_decode(text: str) -> bytes:
    """Standard base64 with padding, in its one canonical spelling; raises `BadInput` otherwise."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f"{text[:60]!r} is not base64; expected RFC 4648 with padding") from error
    if base64.b64encode(data).decode() != text:
        raise BadInput(f"{text[:60]!r} is not canonical base64; expected its one right spelling")
    return data


def _key_id(name: str, material: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]


def _key_parts(text: str, what: str) -> tuple[str, str, str]:
    name, plus, rest = text.partition("+")
    hash8, second, encoded = rest.partition("+")
    if not plus or not second or not _HEX8.fullmatch(hash8):
        raise BadInput(f"the {what} is not name+hash8+base64; expected eight small hex digits")
    check_name(name)
    return name, hash8, encoded


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise BadInput("the text of a note does not end with LF; expected it to")
    for number, line in enumerate(text.split("\n"), 1):
        if any(ord(c) < 0x20 for c in line):
            raise BadInput(
                f"line {number} of the note holds a control character; expected none but LF"
            )


def _signature(line: str, number: int) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise BadInput(f"line {number} of the note is not a signature; expected — name base64")
    try:
        check_name(name)
        blob = b64_decode(encoded)
    except BadInput as error:
        raise BadInput(f"line {number} of the note: {error.message}") from error
    if len(blob) < 5:
        raise BadInput(f"line {number} of the note is too short for key id and signature")
    return Signature(name, blob[:4], blob[4:])
