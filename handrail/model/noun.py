"""What every public noun can do beside hold its fields.

Plain values for JSON, a table in a notebook, and a place in signatures that FastAPI reads: as the
type of a parameter or of an answer. pydantic asks a type how it is checked by two methods, which
answer in plain dictionaries, so nothing of pydantic is imported here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.model.decoding import convert

_REFS = "#/$defs/{name}"


class Noun(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the nouns that programs are given."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]

    def _repr_html_(self) -> str:
        from handrail.model.html import html_table

        return html_table(type(self).__name__, self.to_dict().items())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        """How pydantic checks this type: by converting, and back by `to_dict`."""

        def read(value: Any) -> Any:
            if isinstance(value, cls):
                return value
            try:
                return convert(value, source)
            except msgspec.ValidationError as error:
                raise ValueError(str(error)) from error

        return {
            "type": "function-plain",
            "function": {"type": "no-info", "function": read},
            "serialization": {"type": "function-plain", "function": lambda noun: noun.to_dict()},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """The JSON Schema of this type, whole, for OpenAPI documents."""
        [found], components = msgspec.json.schema_components([cls], ref_template=_REFS)
        resolved = _resolved(found, components)
        assert isinstance(resolved, dict)
        return resolved


def _resolved(part: Any, components: dict[str, Any]) -> Any:
    """A schema with what it refers to put in its place. Nouns do not hold themselves."""
    if isinstance(part, dict):
        if "$ref" in part:
            return _resolved(components[part["$ref"].rpartition("/")[2]], components)
        return {name: _resolved(item, components) for name, item in part.items()}
    if isinstance(part, list):
        return [_resolved(item, components) for item in part]
    return part
