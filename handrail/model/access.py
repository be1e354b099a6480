"""Ways in: API tokens, sessions, passwords, linked identities, invitations.

None of these nouns carries a secret. Stores keep the SHA-256 of tokens, sessions and invitations
(256 random bits each, so that a plain hash cannot be guessed back) and the argon2id hash of
passwords. A secret is answered once, when it is made.
"""

from __future__ import annotations

import msgspec


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A key of a program. Two tokens of one name are two keys of one program (rotation)."""

    id: str
    name: str
    """The program's name: what it hands in is handed in under this name."""
    prefix: str
    """The first characters of the secret, to tell tokens apart."""
    scopes: tuple[str, ...]
    """What it may do; see `handrail.access.SCOPES`."""
    workflows: tuple[str, ...]
    """Where it may do so; `*` is everywhere."""
    made_by: str
    """Person id, or the name of a local program."""
    made_at: int
    expires_at: int | None = None
    """From then on it lets nobody in (µs UTC); None where it does not expire."""
    last_used_at: int | None = None
    """To within a minute."""
    revoked_at: int | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A person who is signed in, from one browser or program."""

    hash: str
    """SHA-256 (hex) of the secret that the browser keeps."""
    person: str
    made_at: int
    seen_at: int
    """When it was last used, to within a minute."""
    until: int
    """It is over then unless it is used before; moves on with use, up to `last`."""
    last: int
    """It is over then, used or not."""
    local: bool = False
    """Begun by a link of this machine: whoever has it may do what they may do in a terminal."""


class Password(msgspec.Struct, frozen=True, kw_only=True):
    """What a person's password is checked against, and how often that failed of late."""

    person: str
    hash: str
    """argon2id, with its parameters and salt, in the usual text form."""
    changed_at: int
    failures: int = 0
    """Wrong passwords in a row."""
    locked_until: int | None = None
    """Until then every password is wrong (µs UTC)."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who an identity provider says somebody is, and which person that is here."""

    issuer: str
    subject: str
    """The provider's own, lasting name; never an e-mail address it merely reports."""
    person: str
    linked_at: int


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """A link that makes somebody a person who can sign in, or signs them in. Works once."""

    id: str
    hash: str
    """SHA-256 (hex) of the link's secret."""
    handle: str | None
    """Whom it is for; None for the first admin, who chooses it."""
    holds: tuple[str, ...] | None = None
    """What they will hold; None leaves it as it is (a new password for a known person)."""
    limits: dict[str, str] | None = None
    made_by: str
    until: int
    used_at: int | None = None
    local: bool = False
    """Signs in by itself, without a password, and only on the machine that it was made on."""
