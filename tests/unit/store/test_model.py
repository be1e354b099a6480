"""Any mixture of groups, failures, looks, restarts and power cuts: the tables, the counters and the
tree are those of what was acknowledged."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from handrail.audit.tree import Frontier, leaf_hash
from handrail.model.errors import Conflict
from handrail.ports import Transaction
from handrail.settings import Settings
from handrail.store.sqlite import SqliteStore
from handrail.testing import FakeClock

from .conftest import filing, numbers
from .disk import Disk

END = ("keep", "look", "raise", "repeat")


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="handrail-model-"))
        self.clock = FakeClock()
        self.kept: list[int] = []
        self.next = 0
        self.cuts = 0
        self.path = self.folder / "store.db"
        self.open()

    def open(self) -> None:
        self.disk = Disk()
        self.store = SqliteStore.open(
            str(self.path),
            clock=self.clock,
            settings=Settings(group_commit_max=4),
            vfs=self.disk.name,
        )
        assert self.store.refusal is None

    @rule(ends=st.lists(st.sampled_from(END), min_size=1, max_size=9))
    def write(self, ends: list[str]) -> None:
        def case(number: int, end: str) -> Any:
            def use_case(tx: Transaction) -> None:
                filing(number)(tx)
                if end == "look":
                    assert numbers(tx)[-1] == number
                if end == "raise":
                    raise ZeroDivisionError
                if end == "repeat":
                    filing(number)(tx)

            return use_case

        cases = []
        for end in ends:
            cases.append(case(self.next, end))
            if end in ("keep", "look"):
                self.kept.append(self.next)
            self.next += 1
        wanted = {"raise": ZeroDivisionError, "repeat": Conflict}
        for end, result in zip(ends, self.store.write_many(cases), strict=True):
            assert type(result) is wanted.get(end, type(None)), (end, result)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.open()

    @rule(dice=st.none() | st.randoms(use_true_random=False))
    def cut_the_power(self, dice: Any) -> None:
        self.cuts += 1
        after = self.folder / f"cut-{self.cuts}"
        after.mkdir()
        self.disk.cut(after, dice)
        self.store.close()
        self.path = after / "store.db"
        self.open()

    @invariant()
    def the_store_is_what_was_acknowledged(self) -> None:
        def query(tx: Transaction) -> tuple[list[int], list[bytes], bytes]:
            return numbers(tx), list(tx.audit.entries()), tx.audit.root()

        stored, entries, root = self.store.read(query)
        assert stored == self.kept
        assert root == Frontier().extend([leaf_hash(entry) for entry in entries]).root()

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
