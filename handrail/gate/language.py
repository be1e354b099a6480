"""The policy language as one table: what the reader accepts, the JSON Schema and the docs say.

`schema_text()` is docs/policy.schema.json, `markdown_keys()` the end of docs/reference/policy.md;
a test compares them.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NamedTuple

from handrail.model.modes import Mode, OnUnknown, Severity, Silence
from handrail.model.policy import IfOpen


class Key(NamedTuple):
    """One key of a section."""

    name: str
    meaning: str
    """For the docs and for completion in editors."""
    shape: dict[str, Any]
    """JSON Schema of the value."""
    required: bool = False


_TEXT: dict[str, Any] = {"type": "string"}
_BOOL: dict[str, Any] = {"type": "boolean"}
_SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
_OBJECT: dict[str, Any] = {"type": "object"}
_NUMBER_OR_TEXT: dict[str, Any] = {"type": ["number", "string"]}
_SHARE: dict[str, Any] = {
    "type": ["string", "number"],
    "pattern": "^[0-9]+(\\.[0-9]+)?%$",
    "minimum": 0,
    "maximum": 1,
}
_SPAN: dict[str, Any] = {"type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(us|ms|s|m|h|d|w))+$"}
_NAMES: dict[str, Any] = {"type": "array", "items": _TEXT}
_ONE_OR_NAMES: dict[str, Any] = {"type": ["string", "array"], "items": _TEXT}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _enum(*members: str) -> dict[str, Any]:
    return {"enum": list(members)}


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def _map(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": value}


MODES = tuple(Mode)
KINDS = (
    "string",
    "double",
    "int",
    "bool",
    "decimal",
    "person",
    "timestamp",
    "duration",
)
"""Kinds of fields that are written as a name; enums, lists and objects have keys of their own."""

NORMAL_FORMS = ("lower", "url")

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""What `weekday` gives, in the order of ISO 8601."""

POLICY = (
    Key("handrail", "version of the language: 1", {"const": 1}, required=True),
    Key(
        "workflow",
        "name of the workflow: small letters, digits and `-`",
        {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$"},
        required=True,
    ),
    Key("title", "what people call it; default: the name", _TEXT),
    Key(
        "owners",
        "who approves changes: any one of `team:x`, `role:x`, `person:x`; two persons by "
        "`{any: 2, of: team:x}`, each of several by `{all: [..]}`",
        {"anyOf": [_ref("approve"), {**_list(_ref("approve")), "minItems": 1}]},
        required=True,
    ),
    Key("review_by", "day (YYYY-MM-DD) by which the policy is looked at again", _TEXT),
    Key("subject", "field (or fields) that name the object; part of every case key", _ONE_OR_NAMES),
    Key(
        "if_open",
        "a new submit for a subject under review: `replace` (default), `queue`, `refuse`",
        _enum(*IfOpen),
    ),
    Key("requester", "field that names who asked; that person never decides it", _TEXT),
    Key("fields", "typed fields: what a rule may read", _map(_ref("field")), required=True),
    Key("stakes", "what is at stake; undeclared means irreversible", _ref("stakes")),
    Key("values", "named expressions; unknown if an input is missing or a divisor is 0",
        _map(_NUMBER_OR_TEXT)),
    Key("lists", "named lists: `[..]`, or `{file: lists/x.csv}`", _map(_ref("list"))),
    Key("tables", "rows looked up by a field; read as `tables.NAME.COLUMN`", _map(_ref("table"))),
    Key("aggregates", "figures over earlier decisions and recorded events",
        _map(_ref("aggregate"))),
    Key("checks", "answers of a pack's code; read as `checks.NAME`", _map(_ref("check"))),
    Key("groups", "facts (enum, bool or text) by which rates are cut, to see whom it treats worse",
        _NAMES),
    Key("every", "handed in by the clock, without a caller: `hour :15`, `day 07:00 ZONE`, "
        "`week monday 07:00 ZONE`, `month 1 07:00 ZONE`, or `{at: …, each: field}`",
        {"anyOf": [_TEXT, _ref("every")]}),
    Key(
        "otherwise",
        "mode when no rule fires and no tier says more; default `in_the_loop`, with tiers `auto`",
        _enum(*MODES),
    ),
    Key("rules", "all run; the strictest `then` wins",
        _list({"anyOf": [_ref("rule"), _ref("matrix")]})),
    Key("tiers", "mode by confidence × risk", _ref("tiers")),
    Key("route", "who gets it: first line that matches; the last has no condition",
        {**_list(_ref("route")), "minItems": 1}, required=True),
    Key("review", "what people see and may do", _ref("review")),
    Key("sampling", "shares that people check although they pass", _ref("sampling")),
    Key("cases", "examples that must come out as written, or the policy does not load",
        _list(_ref("case"))),
)  # fmt: skip

FIELD = (
    Key("type", "one of " + ", ".join(f"`{kind}`" for kind in KINDS), _enum(*KINDS)),
    Key("enum", "the members of an enum, instead of `type`", _list(_TEXT)),
    Key("list", "what a list holds, instead of `type`: a kind, or `{enum: [..]}`",
        {"anyOf": [_enum(*KINDS), _ref("field")]}),
    Key("object", "fields of a nested object, instead of `type`; read as `name.part`",
        _map(_ref("field"))),
    Key("places", "digits after the point of a decimal, 0 to 12",
        {"type": "integer", "minimum": 0, "maximum": 12}),
    Key("optional", "whether it may be absent; default no", _BOOL),
    Key("unit", "unit, shown behind the number; two units never mix", _TEXT),
    Key("from", "`proposal`: what will run, all that an edit may change", _enum("proposal")),
    Key("derived_from", "`proposal`: a fact that tells of the proposal; a blind reviewer does not "
        "see it", _enum("proposal")),
    Key("min", "smallest value allowed", _NUMBER_OR_TEXT),
    Key("max", "largest value allowed", _NUMBER_OR_TEXT),
    Key("normal", "normal form read, compared and stored: `lower` (Unicode NFKC, small letters, "
        "no blanks around), `url` (percent-encoding undone), or a list of both",
        {"anyOf": [_enum(*NORMAL_FORMS), _list(_enum(*NORMAL_FORMS))]}),
)  # fmt: skip

STAKES = (
    Key("money", "expression: the money at stake; rules and tiers read it as `stakes.money`",
        _NUMBER_OR_TEXT),
    Key("reversible", "whether the effect can be undone; default false", _BOOL),
)  # fmt: skip

LIST = (
    Key("file", "path beside the policy: one item a line, or a CSV file", _TEXT),
    Key("column", "name of the column in a CSV file with a header line", _TEXT),
    Key("stored", "`true`: kept in the store, with owner and end of each item; `remember:` and "
        "`handrail policy add` let it grow", {"const": True}),
)  # fmt: skip

REMEMBER = (
    Key("list", "a stored list", _TEXT, required=True),
    Key("field", "text field whose approved value joins it", _TEXT, required=True),
    Key("for", "how long it stays, such as `90d`; default for good", _SPAN),
)

FUNCTIONS = (
    "count",
    "sum",
    "mean",
    "stddev",
    "smallest",
    "largest",
    "last",
    "distinct",
    "quantile",
    "top",
)
"""What an aggregate may compute."""

COLUMN = tuple(
    key
    for key in FIELD
    if key.name in ("type", "enum", "list", "places", "unit", "min", "max", "normal")
)
"""What a column of a table holds, and what a check gives."""

TABLE = (
    Key("key", "field whose value names the row", _TEXT, required=True),
    Key("columns", "typed columns: a kind, or keys as a field has them",
        {"type": "object", "additionalProperties": {"anyOf": [_enum(*KINDS), _ref("column")]}},
        required=True),
    Key("rows", "row by key; `name: value` for each column it knows", _map(_OBJECT)),
    Key("file", "CSV file beside the policy, with a header line, instead of `rows`; items of a "
        "list are separated by `|`", _TEXT),
)  # fmt: skip

CHECK = (
    Key("run", "the code: `PACK.NAME`",
        {"type": "string", "pattern": "^[a-z][a-z0-9_-]*\\.[a-z][a-z0-9_-]*$"}, required=True),
    Key("reads", "fields it is given", {**_NAMES, "minItems": 1}, required=True),
    Key("gives", "what it answers: a kind, or keys as a field has them",
        {"anyOf": [_enum(*KINDS), _ref("column")]}, required=True),
)  # fmt: skip

AGGREGATE = (
    Key("count", "how many there were: `events`, or `decisions`", _enum("decisions", "events")),
    Key("sum", "number (int or decimal) to add up", _TEXT),
    Key("mean", "number to take the mean of; with four more places", _TEXT),
    Key("stddev", "number to take the standard deviation of (n - 1); with four more places", _TEXT),
    Key("smallest", "number to take the smallest of", _TEXT),
    Key("largest", "number to take the largest of", _TEXT),
    Key("last", "field whose latest value it is", _TEXT),
    Key("distinct", "field whose different values it counts: up to 256 exactly, more with a "
        "standard error of 1.6 %", _TEXT),
    Key("quantile", "the number of `of` below which this share lies, such as 0.95, from a "
        "histogram of 1,000 bins",
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
    Key("top", "the share of decisions with the highest `of`, such as `5%`: the number from which "
        "they begin. In a file by exact rank, ties broken by the hash of the key; elsewhere as "
        "`quantile`", {"type": ["string", "number"]}),
    Key("of", "number that `quantile` or `top` is taken of", _TEXT),
    Key("between", "ends of the histogram, `[0, 1]`; default: `min` and `max` of the field",
        {"type": "array", "minItems": 2, "maxItems": 2}),
    Key("like", "an aggregate above: what is not said here is as there", _TEXT),
    Key("over", "`decisions:submitted`, `decisions:released`, or `events:STREAM` for what was "
        "recorded",
        {"type": "string", "pattern": "^(decisions:(submitted|released)|events:[a-z].*)$"}),
    Key("by", "fields: one value for each of theirs; events have them under the same names",
        _NAMES),
    Key("window", "how far back, such as `24h`; the current decision is not part of it", _SPAN),
    Key("offset", "how long ago the window ends, such as `7d` for the week before", _SPAN),
    Key("bucket", "how finely time is kept: a window reaches back up to one bucket further than it "
        "says; default 1/96 of the window or finer, but 1/24 for other functions than count, sum "
        "and mean", _SPAN),
    Key("complete", "`day`: whole days only, the running one left out", _enum("day")),
    Key("same", "`weekday`: the median over the days of the window that are the same weekday as "
        "the last complete day, which is not among them", _enum("weekday")),
    Key("tz", "time zone of its days, such as `Europe/Berlin`; default UTC", _TEXT),
    Key("min", "below so many samples (with `same`: days) it is unknown",
        {"type": "integer", "minimum": 1}),
    Key("lateness", "events that arrive later than this are reported and not counted; default: all "
        "that are still kept count", _SPAN),
    Key("places", "digits after the point of a number of events that is no field; 0 for an int",
        {"type": "integer", "minimum": 0, "maximum": 12}),
    Key("unit", "unit of a number of events that is no field", _TEXT),
)  # fmt: skip

EVERY = (
    Key("at", "the moments, such as `day 07:00 Europe/Berlin`", _TEXT, required=True),
    Key("each", "field with one decision for each of its values: the members of an enum, else what "
        "the events of an aggregate `by` it said", _TEXT),
)  # fmt: skip

RULE = (
    Key("id", "name of the rule, in rulings, cases and case keys", _TEXT, required=True),
    Key("when", "the condition", {"type": ["string", "boolean"]}, required=True),
    Key("then", "mode: " + ", ".join(f"`{mode}`" for mode in MODES) + "; default `in_the_loop`",
        _enum(*MODES)),
    Key("severity", "`low`, `medium` (default), `high`", _enum(*Severity)),
    Key("because", "sentence a person reads, with `{names}`", _TEXT),
    Key("on_unknown", "when the condition cannot be known: `hold` (default), `ignore`, `fire`",
        _enum(*OnUnknown)),
    Key("same_case", "fields whose values merge repeats across subjects", _NAMES),
    Key("approve", "who must approve: each item is needed; `{all: [..]}`, `{any: 2, of: team:x}`",
        _list(_ref("approve"))),
    Key("remember", "what a person approves joins a stored list: `{list: x, field: y, for: 90d}`",
        _ref("remember")),
    Key("trial", "evaluated and counted, never acts; default no", _BOOL),
)  # fmt: skip

MATRIX = (
    Key("matrix", "name of the decision table; the first matching row fires", _TEXT, required=True),
    Key("columns", "conditions such as `amount >`, and `then`, `severity`, `approve`, `because`",
        _NAMES, required=True),
    Key("rows", "one value a column; `-` means any, or not said",
        _list({"type": "array"}), required=True),
    *(key for key in RULE if key.name in ("because", "on_unknown", "trial")),
    Key("then", "mode of rows that say none; default `in_the_loop`", _enum(*MODES)),
    Key("severity", "severity of rows that say none; default `medium`", _enum(*Severity)),
)  # fmt: skip

APPROVE = (
    Key("all", "each of these must approve", _NAMES),
    Key("any", "how many distinct persons of `of`", {"type": "integer", "minimum": 1}),
    Key("of", "who counts for `any`", _ONE_OR_NAMES),
)

TIERS = (
    Key("risk", "name of a risk: its condition; the first true one holds, the last is `else`",
        _map({"type": ["string", "boolean"]}), required=True),
    Key("at_least", "lower bounds of confidence, falling to 0, then `none` for none given",
        _list({"type": ["number", "string"]}), required=True),
)  # fmt: skip
"""Besides these, one row of modes for each name under `risk`."""

ROUTE = (
    Key("severity", "only rulings of this severity", _enum(*Severity)),
    Key("rule", "only rulings in which this rule fired", _TEXT),
    Key("to", "who gets it: a name or a list", _ONE_OR_NAMES, required=True),
    Key("sla", "time to the verdict, such as `30m`", _SPAN),
    Key("clock", "`always` (default) or `business`", _enum("always", "business")),
    Key("fallback", "who gets it when the time is over", _ONE_OR_NAMES),
    Key("silence", "what it means that nobody answers: `block`, `escalate`, `reject`, or `approve` "
        "(only what is reversible and asks for no named approvals)",
        _enum(*Silence), required=True),
)  # fmt: skip

REVIEW = (
    Key("reasons", "reason codes of edit, reject and escalate, each with its words", _map(_TEXT)),
    Key(
        "edit",
        "fields `from: proposal` that a person may change, or a JSON Schema (2020-12) whose "
        "`properties` are such fields",
        {"anyOf": [_NAMES, {"type": "object"}]},
    ),
    Key("choices", "labels a person chooses from", _list(_TEXT)),
    Key("if_approved", "sentence: what happens then", _TEXT),
    Key("if_rejected", "sentence: what happens then", _TEXT),
    Key("undo", "how long the person who closed it may take it back; default `10s`", _SPAN),
    Key("valid", "an approval not used by then lapses; default never", _SPAN),
    Key("remember", "as under a rule, whichever rule held it", _ref("remember")),
)

SAMPLING = (
    Key("spot_check", "share of passed decisions that people check, drawn at random", _SHARE),
    Key("active_check", "share of passed decisions that look wrong and are checked", _SHARE),
    Key("blind", "share of reviews whose first person does not see the proposal", _SHARE),
)

CASE = (
    Key("name", "what the case shows", _TEXT, required=True),
    Key("like", "name of an earlier case whose input this one starts from", _TEXT),
    Key("facts", "facts", _OBJECT),
    Key("proposal", "proposal", _OBJECT),
    Key(
        "confidence",
        "confidence, 0 to 1, or one for each proposed field; null gives none",
        {"type": ["number", "null", "object"], "minimum": 0, "maximum": 1},
    ),
    Key(
        "alternatives",
        "other answers of the model, each `{confidence: 0.4}`",
        _list({"type": ["object", "string", "number", "boolean", "null", "array"]}),
    ),
    Key("at", "time of the evaluation, RFC 3339; default 1970-01-01T00:00:00Z", _TEXT),
    Key(
        "given", "`lists:`, `tables:`, `aggregates:` and `checks:` to evaluate with", _ref("given")
    ),
    Key("fires", "ids of exactly the rules that fire", _NAMES),
    Key("unknown", "ids of exactly the rules that cannot be known", _NAMES),
    Key("trials", "ids of exactly the trial rules that would fire", _NAMES),
    Key("lane", "`pass`, `hold` or `refuse`", _enum("pass", "hold", "refuse")),
    Key("mode", "the mode", _enum(*MODES)),
    Key("values", "named values as they come out; null is unknown", _map(_SCALAR)),
)

GIVEN = (
    Key("lists", "list name: items", _map({"type": "array"})),
    Key("tables", "table name: its rows", _map(_map(_OBJECT))),
    Key("aggregates", "aggregate name: value; null is unknown", _map(_SCALAR)),
    Key("checks", "check name: its answer; null is unknown", _OBJECT),
)

SECTIONS: dict[str, tuple[Key, ...]] = {
    "policy": POLICY,
    "field": FIELD,
    "stakes": STAKES,
    "list": LIST,
    "remember": REMEMBER,
    "table": TABLE,
    "column": COLUMN,
    "check": CHECK,
    "aggregate": AGGREGATE,
    "every": EVERY,
    "rule": RULE,
    "matrix": MATRIX,
    "approve": APPROVE,
    "tiers": TIERS,
    "route": ROUTE,
    "review": REVIEW,
    "sampling": SAMPLING,
    "case": CASE,
    "given": GIVEN,
}

INSTEAD: dict[tuple[str, str], str] = {
    ("aggregate", "max"): "write `largest:`",
    ("aggregate", "avg"): "write `mean:`",
    ("aggregate", "average"): "write `mean:`",
    ("aggregate", "std"): "write `stddev:`",
    ("aggregate", "unique"): "write `distinct:`",
    ("aggregate", "median"): "write `quantile: 0.5` and `of:`, or `same: weekday`",
    ("aggregate", "percentile"): "write `quantile: 0.95` and `of:`",
    ("aggregate", "timezone"): "write `tz:`",
    ("aggregate", "group_by"): "write `by:`",
}
"""Keys that people try: (section, key) → what it is called here."""


class Call(NamedTuple):
    """One function of conditions."""

    name: str
    form: str
    """As it is written."""
    meaning: str
    examples: tuple[tuple[str, Any], ...]
    """(call, what it gives); None is unknown. `text`, `tags`, `amount` and `when` are the fields
    of `EXAMPLE`."""
    least: int = 1
    """Fewest values it takes."""
    most: int = 1
    """Most values it takes."""


CALLS = (
    Call("has", "has(name)", "whether a name has a value: a field, named value, aggregate, "
        "column, check, `confidence` or `margin`",
        (("has(amount)", True), ("has(when)", False))),
    Call("size", "size(x)", "characters of a text (code points), or items of a list; also "
        "`x.size()`",
        (("size(text)", 19), ("tags.size()", 2), ('size("é😀")', 2))),
    Call("abs", "abs(x)", "a number or duration without its sign",
        (("abs(amount)", Decimal("12.50")),)),
    Call("contains", "contains(text, part)", "whether `part` is in `text`, letter for letter; "
        "also `text.contains(part)`",
        (('contains(text, "refund")', True), ('text.contains("Refund")', False)), 2, 2),
    Call("startsWith", "startsWith(text, part)", "whether `text` begins with `part`",
        (('startsWith(text, "Two")', True),), 2, 2),
    Call("endsWith", "endsWith(text, part)", "whether `text` ends with `part`",
        (('endsWith(text, "!")', True),), 2, 2),
    Call("matches", 'matches(text, "pattern")', "whether the RE2 pattern is found in `text`; "
        "`^` and `$` are its ends, `\\d` and `\\w` are ASCII, backslashes are doubled",
        (('matches(text, "^Two \\\\w+")', True), ('matches("x\\n", "x$")', False)), 2, 2),
    Call("mentions", 'mentions(text, lists.NAME, "exact")', "whether one of the keywords is in "
        'a text as a word, in any case, inflected unless `"exact"`; also over `["a", "b"]`',
        (('mentions(text, ["refund"])', True), ('mentions(text, ["refund"], "exact")', False),
         ('mentions(text, ["fund"])', False)), 2, 3),
    Call("exists", "exists(list, x, condition)", "whether the condition holds for an item of "
        "the list; also `list.exists(x, …)`. Parts of an object are `x.part`",
        (('exists(tags, x, x == "vip")', True), ('tags.exists(x, size(x) > 5)', False)), 3, 3),
    Call("all", "all(list, x, condition)", "whether it holds for every item; of none, yes",
        (("tags.all(x, size(x) >= 3)", True),), 3, 3),
    Call("timestamp", 'timestamp("…")', "a point in time, RFC 3339 with an offset",
        (('timestamp("2026-11-21T08:00:00Z") > timestamp("2026-11-21T08:30:00+01:00")', True),)),
    Call("duration", 'duration("…")', "a span, such as `90s`, `30m`, `1h30m`, `7d`",
        (('duration("1h") / duration("20m") == 3', True),)),
    Call("hour", 'hour(time, "zone")', "hour of the day in a time zone, 0 to 23",
        (('hour(timestamp("2026-11-21T23:30:00Z"), "Europe/Berlin")', 0),), 2, 2),
    Call("weekday", 'weekday(time, "zone")', "day of the week: `monday` to `sunday`",
        (('weekday(timestamp("2026-11-21T23:30:00Z"), "Europe/Berlin")', "sunday"),), 2, 2),
    Call("day", 'day(time, "zone")', "day of the month, 1 to 31",
        (('day(timestamp("2026-11-30T23:30:00Z"), "Europe/Berlin")', 1),), 2, 2),
    Call("month", 'month(time, "zone")', "month, 1 to 12",
        (('month(timestamp("2026-11-30T23:30:00Z"), "UTC")', 11),), 2, 2),
    Call("date", 'date(time, "zone")', "day as text, `YYYY-MM-DD`",
        (('date(timestamp("2026-11-30T23:30:00Z"), "Asia/Tokyo")', "2026-12-01"),), 2, 2),
)  # fmt: skip
"""Every function of conditions. The examples are run by the tests."""

EXAMPLE: dict[str, Any] = {
    "text": "Two refunds, again!",
    "tags": ["vip", "new"],
    "amount": Decimal("-12.50"),
    "when": None,
}
"""The record that the examples of `CALLS` read; `when` is an optional timestamp."""


def _section(name: str, keys: tuple[Key, ...]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": {"type": "array"} if name == "tiers" else False,
        "properties": {key.name: {"description": key.meaning, **key.shape} for key in keys},
    }
    required = [key.name for key in keys if key.required]
    if required:
        schema["required"] = required
    return schema


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a policy file, for completion in editors.

    It knows the shapes; names, types and conditions are `handrail check`'s to judge.
    """
    defs = {name: _section(name, keys) for name, keys in SECTIONS.items() if name != "policy"}
    defs["field"] = {"anyOf": [_enum(*KINDS), defs["field"]]}
    defs["list"] = {"anyOf": [{"type": "array", "items": _SCALAR}, defs["list"]]}
    defs["approve"] = {"anyOf": [_TEXT, defs["approve"]]}
    defs["case"]["properties"]["given"] = _ref("given")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Handrail policy",
        "description": "Which decisions may go on, which wait for a person, and for whom.",
        **_section("policy", POLICY),
        "$defs": defs,
    }


def markdown_keys() -> str:
    """The tables of keys and functions, as docs/reference/policy.md holds them."""
    blocks = []
    for name, keys in SECTIONS.items():
        rows = [f"### Keys: {name}", "", "| key | meaning |", "|---|---|"]
        rows += [
            f"| `{key.name}`{' (required)' if key.required else ''} | {key.meaning} |"
            for key in keys
        ]
        blocks.append("\n".join(rows))
    rows = ["### Functions", "", "| function | gives | for example |", "|---|---|---|"]
    rows += [
        f"| `{function.form}` | {function.meaning} | {_examples(function)} |" for function in CALLS
    ]
    blocks.append("\n".join(rows))
    return "\n\n".join(blocks) + "\n"


def _examples(function: Call) -> str:
    return "; ".join(f"`{call}` is {_shown(value)}" for call, value in function.examples)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value}`"


def schema_text() -> str:
    """The JSON Schema as the published file holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
