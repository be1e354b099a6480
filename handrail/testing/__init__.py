"""Public: fakes and contract suites for those who build on Handrail."""

from handrail.testing.clock import FakeClock
from handrail.testing.store_contract import StoreContract

__all__ = ["FakeClock", "StoreContract"]
