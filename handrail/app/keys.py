"""The workspace's keys: made once, readable by their owner only."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from handrail.audit.checkpoint import sign_checkpoint
from handrail.audit.note import SignerKey
from handrail.model.errors import HandrailError, Unavailable

SECRET_BYTES = 32


class NoteSigner:
    """Signs the heads of the log with the workspace's Ed25519 note key."""

    def __init__(self, key: SignerKey) -> None:
        self.key = key

    @property
    def origin(self) -> str:
        return self.key.name

    def sign(self, size: int, root: bytes) -> str:
        return sign_checkpoint(size, root, self.key).decode()


def read_signer(path: Path) -> NoteSigner:
    """The signer of this workspace; its key is made where there is none."""

    def make() -> bytes:
        name = f"handrail.local/{secrets.token_hex(8)}"
        return SignerKey.from_seed(name, secrets.token_bytes(32)).text().encode() + b"\n"

    text = _kept(path, make).decode("ascii", "replace").strip()
    try:
        return NoteSigner(SignerKey.parse(text))
    except HandrailError as error:
        raise Unavailable(
            f"{path} holds no signer key ({error}); restore it from a backup: "
            "the log's checkpoints are signed with it"
        ) from error


def read_secret(path: Path) -> bytes:
    """The installation secret: keys the coins and the card digests. Made where there is none."""
    secret = _kept(path, lambda: secrets.token_bytes(SECRET_BYTES))
    if len(secret) != SECRET_BYTES:
        raise Unavailable(
            f"{path} has {len(secret)} bytes; expected {SECRET_BYTES}: restore it from a backup"
        )
    return secret


def read_webhook_secret(path: Path) -> str:
    """The secret that webhooks are signed with (`whsec_…`); receivers get a copy."""

    def make() -> bytes:
        return b"whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)) + b"\n"

    return _kept(path, make).decode("ascii", "replace").strip()


def _kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """Contents of `path`, made whole or not at all, with mode 0600."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)  # of a start that was cut short
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(make())
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    sync_folder(path.parent)
    return path.read_bytes()


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where the platform has such a thing."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
