"""Checks: what packs can find out about facts that no expression can. Pure, by `PACK.NAME`.

A check gets the fields that the policy names (stored form; None where there is no value) and
gives its answer, or None where it has none. The policy says what type the answer has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IBAN = re.compile(
    r"(?<![A-Z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?",
    re.ASCII | re.IGNORECASE,
)
_CARD = re.compile(r"(?<![0-9A-Za-z])[1-6](?:[ -]?[0-9]){11,18}(?![0-9A-Za-z])", re.ASCII)
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w-])")
_IP = re.compile(
    r"(?<![\w.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})"
    r"(?![\w:]|\.[0-9])",
    re.ASCII,
)


def pii(fields: Mapping[str, Any]) -> list[str]:
    """Kinds of personal data that stand in the texts: those whose form alone gives them away.

    `email`, `iban` and `card` (both with their check digits), `ssn` (United States), `ip`.
    Names, addresses and phone numbers have no such form: this finds none of them.
    """
    texts = [text for value in fields.values() for text in _texts(value)]
    found = {
        "email": any(_EMAIL.search(text) for text in texts),
        "iban": any(_is_iban(match[0]) for text in texts for match in _IBAN.finditer(text)),
        "card": any(_is_card(match[0]) for text in texts for match in _CARD.finditer(text)),
        "ssn": any(_SSN.search(text) for text in texts),
        "ip": any(_is_ip(match[0]) for text in texts for match in _IP.finditer(text)),
    }
    return [kind for kind, there in found.items() if there]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _is_iban(text: str) -> bool:
    """ISO 13616: the country and check digits moved to the end give 1 modulo 97."""
    plain = text.replace(" ", "")
    # What follows an account number in a sentence may look like the rest of it.
    return any(
        15 <= length <= 34
        and int("".join(str(int(c, 36)) for c in plain[4:length] + plain[:4])) % 97 == 1
        for length in range(len(plain), 14, -1)
    )


def _is_card(text: str) -> bool:
    """ISO/IEC 7812: the check digit of Luhn."""
    digits = [int(c) for c in text if c.isdigit()]
    doubled = [2 * d - 9 * (d > 4) if at % 2 else d for at, d in enumerate(reversed(digits))]
    return len(set(digits)) > 1 and sum(doubled) % 10 == 0


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return text != "::"


CHECKS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {"support.pii": pii}
"""The checks that are installed, as `gate.load` takes them."""
