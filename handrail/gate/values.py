"""Values: from what a caller sends to what a rule reads and what the store keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from handrail.model.errors import BadInput


def read_confidence(value: Any, pointer: str = "/confidence") -> float | None:
    """One number from 0 to 1, or the smallest of one a field; None where none is given."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        numbers = [read_confidence(item, f"{pointer}/{name}") for name, item in value.items()]
        return min((number for number in numbers if number is not None), default=None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(f"confidence is {value!r}; expected a number from 0 to 1", pointer)
    number = float(value)
    if not math.isfinite(number) or not 0.0 <= number <= 1.0:
        raise BadInput(f"confidence is {value!r}; expected a number from 0 to 1", pointer)
    return number
