"""Lines written in one step are those of the reference, and so is every refusal."""

from __future__ import annotations

import random
from typing import Any

import pytest

from handrail.audit import encode
from handrail.audit import events as ev
from handrail.audit.lines import line
from handrail.model.errors import BadInput
from handrail.model.modes import Lane, Mode

from .test_events import NOW, P, sample

STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**53 - 1, 2**53, 1.5, "", "x", "a@b.org", 'say "so"',
    "back\\slash", "Größe ☂", "line\nfeed", "\x7f", "\u2028", "\ud800", "x" * 201, "team:a",
    "sha256:" + "0" * 64,
    b"bytes", [], (), ["a", 1], ("a", "ü"), [None], {"a": 1}, Lane.PASS, Mode.AUTO, ("d_x",),
    ["a", "b"], object, "d_" + "0" * 26 + "\n", "1.0", "-0", "01",
)  # fmt: skip


def both(name: str, at: Any, actor: Any, fields: dict[str, Any]) -> tuple[Any, Any]:
    """What the reference and the quick way say: bytes, or the error's words and place."""

    def told(run: Any) -> Any:
        try:
            return run()
        except BadInput as error:
            return error.message, error.pointer
        except TypeError as error:
            return type(error)

    reference = told(lambda: encode(ev.entry(name, at=at, actor=actor, **fields)))
    return reference, told(lambda: line(name, at, actor, fields))


@pytest.mark.parametrize("name", ev.CATALOGUE)
def test_a_line_is_what_the_reference_writes(name: str) -> None:
    type_ = ev.CATALOGUE[name]
    kinds = {**type_.required, **type_.optional}
    full = {field: sample(kind) for field, kind in kinds.items()}
    rng = random.Random(name)
    for left_out in [(), *((field,) for field in kinds), tuple(type_.optional)]:
        for given in (
            {field: value for field, value in full.items() if field not in left_out},
            {field: None if field in left_out else value for field, value in full.items()},
        ):
            reference, quick = both(name, NOW, P, given)
            assert quick == reference
            assert isinstance(quick, bytes) is (not set(left_out) & set(type_.required))
    for field in kinds:
        for value in STRANGE:
            reference, quick = both(name, NOW, P, {**full, field: value})
            assert quick == reference, (field, value)
    for _ in range(50):
        mixed = {
            field: rng.choice((full[field], full[field], rng.choice(STRANGE))) for field in kinds
        }
        assert both(name, NOW, P, mixed)[0] == both(name, NOW, P, mixed)[1]


@pytest.mark.parametrize("at", [0, -1, 2**53, True, "1", 1.0, None])
@pytest.mark.parametrize("actor", ["system", "a@b", "", "naïve \U0001f600", "\ud800", 5, None])
def test_time_and_actor_are_held_to_the_catalogue(at: Any, actor: Any) -> None:
    reference, quick = both("log.exported", at, actor, {"size": 1})
    assert quick == reference


def test_what_no_type_has_is_refused() -> None:
    for name, fields in (
        ("log.exported", {"size": 1, "more": 2}),
        ("log.exported", {"size": 1, "more": None}),
        ("no.such", {}),
    ):
        reference, quick = both(name, NOW, P, fields)
        assert quick == reference
