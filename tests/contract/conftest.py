"""Contract suites live in the package; their assertions are to explain themselves all the same."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("handrail.testing.store_contract")
