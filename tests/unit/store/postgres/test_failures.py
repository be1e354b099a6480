"""What the driver's errors are told as: each says what to do about it."""

from __future__ import annotations

import pytest

from handrail.model.errors import Unavailable
from tests import postgres

pytestmark = pytest.mark.needs("postgres")

if postgres.is_here():
    from psycopg import errors

    from handrail.store.postgres.failures import mapped


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("53100", "free space on its machine"),
        ("53200", "more memory or connections"),
        ("53300", "more memory or connections"),
        ("25006", "connect to the primary"),
        ("42P01", "this is a defect"),
    ],
)
def test_what_to_do_follows_from_what_it_lacks(state: str, advice: str) -> None:
    made = mapped(errors.lookup(state)("what the server says"))
    assert isinstance(made, Unavailable)
    assert "what the server says" in str(made)
    assert advice in str(made)
