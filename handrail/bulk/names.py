"""From the headers of a file to names a policy can use.

A field of a policy is a lower-case identifier. A header becomes one by the same rule everywhere:
accents go, words are split at case changes, everything else than letters and digits becomes `_`.
`Approved_Conversion` is `approved_conversion`, `Date (UTC)` is `date_utc`, `campaignId` is
`campaign_id`. Two headers that become one name are refused, never merged.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from handrail.model.errors import BadInput

RESERVED = frozenset(
    {
        "aggregates",
        "and",
        "as",
        "break",
        "confidence",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "has",
        "if",
        "import",
        "in",
        "let",
        "lists",
        "loop",
        "namespace",
        "not",
        "null",
        "or",
        "package",
        "proposal",
        "return",
        "stakes",
        "tables",
        "true",
        "values",
        "var",
        "void",
        "while",
    }
)
"""Words of the policy language: a header that is one of them gets `_value` behind it."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]+")


def field_name(header: str) -> str:
    """The field name of a header; `""` where nothing of it can be kept.

    >>> [field_name(h) for h in ("Approved_Conversion", "Date (UTC)", "campaignId", "2nd click")]
    ['approved_conversion', 'date_utc', 'campaign_id', 'n2nd_click']
    >>> [field_name(h) for h in ("VIDEO_VIEWS_P_75", "\\ufeffid", "Größe", "in")]
    ['video_views_p_75', 'id', 'grosse', 'in_value']
    """
    text = unicodedata.normalize("NFKD", header.replace("\ufeff", "").replace("ß", "ss"))
    text = "".join(char for char in text if not unicodedata.combining(char))
    if not text.isupper():
        text = _CAMEL.sub("_", text)
    name = _OTHER.sub("_", text.lower()).strip("_")
    if name[:1].isdigit():
        name = "n" + name
    return f"{name}_value" if name in RESERVED else name


def name_columns(headers: Iterable[str], path: str) -> dict[str, str]:
    """Header → field name, in the order of the file.

    Raises `BadInput` that names every two headers which become one name. A header of which nothing
    can be kept is named by its place: `column_3`.
    """
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    clashes: list[str] = []
    nameless: list[str] = []
    for place, header in enumerate(headers, start=1):
        name = field_name(header) or f"column_{place}"
        if not header.strip():
            nameless.append(str(place))
        if header in found:
            if not header.strip():
                continue
            clashes.append(f"{path}:1:1: the header {header!r} stands twice; rename one of the two")
        elif name in taken:
            clashes.append(
                f"{path}:1:1: the headers {taken[name]!r} and {header!r} both become the field "
                f"{name!r}; rename one of the two"
            )
        else:
            found[header] = name
            taken[name] = header
    if len(nameless) > 1:
        clashes.append(
            f"{path}:1:1: the columns {', '.join(nameless)} have no name; the first line has to "
            "hold the names of all columns: name them, or delete them"
        )
    if clashes:
        raise BadInput("\n".join(clashes))
    return found
