"""Journals tell what was meant, what was told, and what nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from handrail.model import commands as c
from handrail.model.errors import Conflict, Unavailable
from handrail.model.people import Actor
from tests.faults.journal import Journal, Journaled, Memory, effects, ops, read_lines

WHO = Actor(name="local")
SUBMIT = c.Submit(workflow="pay", key="k1")


class Product:
    """Answers one command as told."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def call(self, command: c.Command, actor: Actor) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def close(self) -> None:
        pass


def test_an_answer_acknowledges() -> None:
    journal = Memory()
    Journaled(Product({"decision_id": "d"}), journal, "c").call(SUBMIT, WHO)
    (op,) = ops(journal.lines)
    assert op.acked and not op.in_flight
    assert (op.op, op.actor, op.args["key"]) == ("Submit", "local", "k1")


def test_an_error_is_kept_with_its_winner() -> None:
    journal = Memory()
    lost = Conflict("too late", {"by": "ann"})
    with pytest.raises(Conflict):
        Journaled(Product(lost), journal, "c").call(SUBMIT, WHO)
    (op,) = ops(journal.lines)
    assert not op.acked and not op.in_flight and op.failed == "conflict"
    assert op.error is not None and op.error["winner"] == {"by": "ann"}


@pytest.mark.parametrize("failure", [Unavailable("gone"), KeyError("x")])
def test_without_an_answer_nobody_knows(failure: Exception) -> None:
    journal = Memory()
    with pytest.raises(type(failure)):
        Journaled(Product(failure), journal, "c").call(SUBMIT, WHO)
    (op,) = ops(journal.lines)
    assert op.in_flight and not op.acked


def test_a_torn_line_was_never_written(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    journal = Journal(path)
    Journaled(Product({"decision_id": "d"}), journal, "c").call(SUBMIT, WHO)
    journal.close()
    path.write_bytes(path.read_bytes()[:-5])
    (op,) = ops(read_lines(path))
    assert op.in_flight, "the intent is there, the answer is torn"
    assert list(read_lines(tmp_path / "nothing")) == []


def test_what_comes_after_the_power_went_was_never_told() -> None:
    power = [True]
    journal = Memory(lambda: power[0])
    journaled = Journaled(Product({"decision_id": "d"}), journal, "c")
    journaled.call(SUBMIT, WHO)
    power[0] = False
    journaled.call(c.Submit(workflow="pay", key="k2"), WHO)
    assert [op.args["key"] for op in ops(journal.lines)] == ["k1"]


def test_an_effect_without_an_end_was_interrupted() -> None:
    begun = {"grant": "g", "decision": "d", "run": "r", "digest": "x", "at": 1, "say": "begin"}
    assert [effect.ended for effect in effects([begun])] == [False]
    ended = {"grant": "g", "run": "r", "say": "end", "at": 2}
    assert [effect.ended for effect in effects([begun, ended])] == [True]
