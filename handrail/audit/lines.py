"""The bytes of an entry in one step: checked by the catalogue and written, by a function a type.

`events.entry` and `entry.encode` are the reference: whatever a function here does not expect (a
field it does not know, a value of another kind, text that is no Unicode) goes their way, which
says what is wrong. A state change leaves one or two entries, so this is a good part of what a
submit or a vote costs.

The functions are generated from the catalogue when a type is first written. Their text holds names
of fields and nothing that anybody sends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from handrail.audit.entry import INTEGER_LIMIT, encode, encoder
from handrail.audit.events import ACTOR, CATALOGUE, Kind, entry

Write = Callable[[int, str, dict[str, Any]], bytes | None]

_writers: dict[str, Write] = {}


def line(type_: str, at: int, actor: str, fields: dict[str, Any]) -> bytes:
    """The canonical bytes of an entry, as `encode(entry(type_, at=at, actor=actor, **fields))`.

    Raises `BadInput` as these do.

    >>> line("stop.set", 1, "system", {"workflow": "*", "commit": None})
    b'{"actor":"system","at":1,"type":"stop.set","workflow":"*"}'
    """
    write = _writers.get(type_)
    if write is None and type_ in CATALOGUE:
        write = _writers[type_] = _written(type_)
    if write is not None:
        try:
            made = write(at, actor, fields)
        except (TypeError, UnicodeEncodeError):
            made = None
        if made is not None:
            return made
    return encode(entry(type_, at=at, actor=actor, **fields))


# ------------------------------------------------------------------------------- writing them


def _written(type_: str) -> Write:
    kinds = {**CATALOGUE[type_].required, **CATALOGUE[type_].optional}
    names: dict[str, Any] = {
        "__builtins__": {"type": type, "int": int, "list": list, "tuple": tuple},
        "limit": INTEGER_LIMIT,
        "text": _quoted(ACTOR),
        "known": frozenset(kinds),
    }
    head = [
        "if not f.keys() <= known or type(at) is not int or not 0 <= at < limit:",
        "    return",
        "g = f.get",
        "if (actor := text(actor)) is None:",
        "    return",
    ]
    parts = {"actor": '"actor":{actor},', "at": '"at":{at},', "type": f'"type":"{type_}",'}
    body: list[str] = []
    for place, (name, kind) in enumerate(kinds.items()):
        x = f"x{place}"
        needed = name in CATALOGUE[type_].required
        tests, shown = _value(kind, x, place, names)
        body.append(f"{x} = g({name!r})")
        part = f'"{name}":{shown},'
        if needed:
            body += tests
            parts[name] = part
        else:
            body += [f"if {x} is None:", f"    {x} = ''", "else:"]
            body += [f"    {line}" for line in [*tests, f"{x} = f'{part}'"]]
            parts[name] = f"{{{x}}}"
    whole = "".join(parts[name] for name in sorted(parts))
    lines = [*head, *body, f"return (f'{{{{{whole}'[:-1] + '}}').encode()"]
    source = "def write(at, actor, f):\n" + "".join(f"    {line}\n" for line in lines)
    module = compile(source, f"<{type_}>", "exec", dont_inherit=True)
    code = next(item for item in module.co_consts if isinstance(item, CodeType))
    return FunctionType(code, names, "write")


def _value(kind: Kind, x: str, place: int, names: dict[str, Any]) -> tuple[list[str], str]:
    """(statements that give up on what is not of the kind, how it stands in the entry)."""
    test = f"t{place}"
    if kind.item is not None:
        names[test] = _each(kind.item)
        return [f"if ({x} := {test}({x})) is None:", "    return"], f"{{{x}}}"
    if kind.words:
        names[test] = {word: encoder.encode(word).decode() for word in kind.words}.get
        return [f"if ({x} := {test}({x})) is None:", "    return"], f"{{{x}}}"
    if kind.plain:
        names[test] = kind.text
        return [f"if not {test}({x}):", "    return"], f'"{{{x}}}"'
    if kind.text is not None:
        names[test] = _quoted(kind)
        return [f"if ({x} := {test}({x})) is None:", "    return"], f"{{{x}}}"
    if kind.name == "flag":
        shown = [f"{x} = 'true' if {x} else 'false'"]
        return [f"if {x} is not True and {x} is not False:", "    return", *shown], f"{{{x}}}"
    return [f"if type({x}) is not int or not 0 <= {x} < limit:", "    return"], f"{{{x}}}"


def _quoted(kind: Kind) -> Callable[[Any], str | None]:
    """Text of a kind as it stands in JSON, None for other text; it comes again and again."""
    accepts = kind.text

    @lru_cache(maxsize=1024)
    def quoted(text: Any) -> str | None:
        if accepts is None or not accepts(text):
            return None
        return encoder.encode(text).decode()

    return quoted


def _each(kind: Kind) -> Callable[[Any], str | None]:
    """An array of texts of a kind as it stands in JSON; None for anything else."""
    quoted = _quoted(kind)

    def each(items: Any) -> str | None:
        if type(items) is not tuple and type(items) is not list:
            return None
        found = [quoted(item) for item in items]
        return None if None in found else f"[{','.join(found)}]"  # type: ignore[arg-type]

    return each
