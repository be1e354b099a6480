"""Secrets of tokens, sessions, invitations and links: a prefix and 256 random bits, kept hashed."""

from __future__ import annotations

import hashlib
import secrets

TOKEN, SESSION, INVITATION, LINK = "hrt_", "hrs_", "hri_", "hrl_"
"""What a secret begins with, so that people and scanners tell what they have found."""

SHOWN = 10
"""Characters of a token's secret that are kept readable: the prefix and 36 of 256 bits."""


def new_secret(prefix: str) -> str:
    """A new secret: the prefix and 43 characters that carry 256 random bits."""
    return prefix + secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """What is stored and looked up. Plain SHA-256 will do: nobody guesses 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
