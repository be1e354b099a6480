"""The fields of a typed model as fields of a policy: dataclass, msgspec Struct, pydantic model."""

from __future__ import annotations

import datetime as dt
import enum
import types
import typing
from decimal import Decimal
from typing import Any

import msgspec

from handrail.bulk.names import field_name
from handrail.model.errors import BadInput
from handrail.model.policy import Field

_KINDS: dict[Any, str] = {
    str: "string",
    int: "int",
    float: "double",
    bool: "bool",
    Decimal: "decimal",
    dt.datetime: "timestamp",
    dt.timedelta: "duration",
}
_ITEMS = frozenset({"string", "int", "double", "bool"})
PLACES = 2
"""Places of a decimal whose model does not say how many it has."""


def fields_of(model: Any, origin: str) -> list[Field]:
    """What a policy can read of a model. Raises `BadInput` for types that no policy field has."""
    try:
        hints = typing.get_type_hints(model, include_extras=True)
    except (TypeError, NameError) as error:
        raise BadInput(f"{origin}: its types cannot be read: {error}") from error
    names, defaulted = _names(model, origin)
    extra = getattr(model, "model_fields", None)  # pydantic keeps the bounds there
    extra = extra if isinstance(extra, dict) else {}
    fields: list[Field] = []
    problems: list[str] = []
    for name in names:
        try:
            fields.append(_field(name, hints.get(name, Any), name in defaulted, extra.get(name)))
        except BadInput as error:
            problems.append(f"{origin}.{name}: {error}")
    if problems:
        raise BadInput("\n".join(problems))
    return fields


def _names(model: Any, origin: str) -> tuple[list[str], set[str]]:
    """Field names in order, and which of them may be left out."""
    if isinstance(model, type) and issubclass(model, msgspec.Struct):
        infos = msgspec.structs.fields(model)
        return [f.name for f in infos], {f.name for f in infos if not f.required}
    if hasattr(model, "__dataclass_fields__"):
        import dataclasses

        listed = dataclasses.fields(model)
        missing = dataclasses.MISSING
        free = {
            f.name for f in listed if f.default is not missing or f.default_factory is not missing
        }
        return [f.name for f in listed], free
    found = getattr(model, "model_fields", None)
    if isinstance(found, dict):
        return list(found), {name for name, info in found.items() if not info.is_required()}
    raise BadInput(
        f"{origin} is a {type(model).__name__}; "
        "expected a dataclass, a msgspec Struct or a pydantic model"
    )


def _field(name: str, hint: Any, defaulted: bool, extra: Any) -> Field:
    bounds: dict[str, Any] = {}
    _bounds(extra, bounds)
    hint, optional = _strip(hint, bounds)
    if field_name(name) != name:
        raise BadInput(f"{name!r} is no name of a policy field; rename it to {field_name(name)!r}")
    common: dict[str, Any] = {
        "name": name,
        "optional": optional or defaulted,
        "low": bounds.get("low"),
        "high": bounds.get("high"),
    }
    origin = typing.get_origin(hint)
    if origin is typing.Literal or (isinstance(hint, type) and issubclass(hint, enum.Enum)):
        values = typing.get_args(hint) if origin else [member.value for member in hint]
        if not all(isinstance(value, str) for value in values):
            raise BadInput("an enum of other things than text; expected text members")
        return Field(kind="enum", members=tuple(str(value) for value in values), **common)
    if origin in (list, tuple, set, frozenset):
        items = [arg for arg in typing.get_args(hint) if arg is not Ellipsis]
        kind = _KINDS.get(items[0]) if len(items) == 1 else None
        if kind not in _ITEMS:
            raise BadInput(f"a list of {items}; expected a list of text, numbers or yes/no")
        return Field(kind="list", of=kind, **{**common, "low": None, "high": None})
    kind = _KINDS.get(hint)
    if kind is None:
        raise BadInput(
            f"the type {getattr(hint, '__name__', hint)} has no policy field; "
            "expected text, numbers, yes/no, times, enums or lists of these"
        )
    places = int(bounds.get("places", PLACES)) if kind == "decimal" else None
    return Field(kind=kind, places=places, **common)


def _strip(hint: Any, bounds: dict[str, Any]) -> tuple[Any, bool]:
    """The bare type, whether it may be None, and bounds from its annotations."""
    optional = False
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            hint, *extras = typing.get_args(hint)
            for extra in extras:
                _bounds(extra, bounds)
        elif origin in (typing.Union, types.UnionType):
            args = [arg for arg in typing.get_args(hint) if arg is not type(None)]
            if len(args) != 1:
                raise BadInput(f"a choice of types {hint}; expected one type, or one or None")
            optional = optional or len(args) < len(typing.get_args(hint))
            hint = args[0]
        else:
            return hint, optional


def _bounds(extra: Any, bounds: dict[str, Any]) -> None:
    """Bounds out of `msgspec.Meta`, annotated-types marks and pydantic's `Field`."""
    for inner in getattr(extra, "metadata", None) or ():
        _bounds(inner, bounds)
    for name, target in (("ge", "low"), ("le", "high"), ("decimal_places", "places")):
        value = getattr(extra, name, None)
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            bounds[target] = str(value) if target != "places" else int(value)
