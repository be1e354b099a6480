"""Canonical JSON bytes (RFC 8785) and digests over them.

What a person saw and what runs are compared by these bytes, so there is one way to make them.
"""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from handrail.model.errors import BadInput


def canonical_bytes(value: Any) -> bytes:
    """RFC 8785 bytes of a wire value (text, int, finite float, bool, None, list, dict).

    Raises `BadInput` for NaN, infinity, integers beyond 2^53, lone surrogates, other types.
    """
    try:
        return rfc8785.dumps(value)
    except UnicodeEncodeError as error:
        raise BadInput(
            "text holds a lone surrogate, which is not Unicode text; "
            "send well-formed text (check how it was decoded)"
        ) from error
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise BadInput(f"cannot be written as canonical JSON: {error}") from error


def digest(value: Any) -> str:
    """`sha256:` and the hexadecimal SHA-256 of the canonical bytes of `value`."""
    return "sha256:" + hashlib.sha256(canonical_bytes(value)).hexdigest()
