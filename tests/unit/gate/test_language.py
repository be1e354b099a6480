"""The language's table, the published JSON Schema and the reference page say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from handrail import gate, packs
from handrail.gate import language, limits
from handrail.gate.shapes import plain
from handrail.gate.source import read

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = (DOCS / "reference" / "policy.md").read_text("utf-8")
DESIGN = DOCS.parent.parent / "shared" / "design" / "interfaces.md"


def test_the_published_schema_is_the_generated_one() -> None:
    assert (DOCS / "policy.schema.json").read_text("utf-8") == language.schema_text(), (
        "write language.schema_text() to docs/policy.schema.json"
    )


def test_the_reference_page_ends_in_the_generated_tables() -> None:
    assert PAGE.endswith(language.markdown_keys()), (
        "write language.markdown_keys() behind the heading `Every key`"
    )


@pytest.mark.parametrize(
    ("call", "gives"), [example for each in language.CALLS for example in each.examples]
)
def test_every_example_of_a_function_comes_out_as_the_reference_says(call: str, gives: Any) -> None:
    if isinstance(gives, bool):
        comparison = call if gives else f"not ({call})"
    else:
        comparison = f"{call} == {json.dumps(gives) if isinstance(gives, str) else gives}"
    policy = gate.load(
        "handrail: 1\nworkflow: example\nowners: [team:a]\n"
        "route: [{to: team:a, silence: block}]\n"
        "fields: {text: string, tags: {list: string}, amount: {type: decimal, places: 2},\n"
        "         when: {type: timestamp, optional: true}}\n"
        f"rules:\n  - id: r\n    when: ({comparison}) and has(text)\n"
    )
    record = policy.ingest(language.EXAMPLE)
    ruling = policy.evaluate(record, decision_id="d", evaluated_at=0)
    assert [fired.rule for fired in ruling.fired] == ["r"]


def test_every_function_has_an_example_and_a_check() -> None:
    assert all(each.examples for each in language.CALLS)
    assert all(each.form.startswith(f"{each.name}(") for each in language.CALLS)


def test_every_limit_is_on_the_page() -> None:
    assert f"## Limits\n\n{limits.markdown()}\n" in PAGE, "write limits.markdown() under `Limits`"


def test_every_example_of_the_page_loads() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    policies = [block for block in blocks if block.startswith("handrail:")]
    assert policies
    for block in policies:
        assert gate.check(block, require_cases=True) == []


@pytest.mark.parametrize("mode", list(language.MODES))
def test_every_mode_is_on_the_page(mode: str) -> None:
    assert f"`{mode}`" in PAGE


@pytest.mark.parametrize("kind", language.KINDS)
def test_every_type_is_on_the_page(kind: str) -> None:
    assert f"| `{kind}`" in PAGE


# A small validator of the part of JSON Schema that the published file uses.


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "") -> list[str]:
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].rpartition("/")[2]]
        return problems(
            value, {**target, **{k: v for k, v in schema.items() if k != "$ref"}}, root, at
        )
    found: list[str] = []
    if "anyOf" in schema:
        branches = [problems(value, branch, root, at) for branch in schema["anyOf"]]
        if all(branches):
            found += min(branches, key=len)
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: not {schema['const']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is none of {schema['enum']}")
    kinds = schema.get("type")
    if kinds is not None and not any(
        is_kind(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)
    ):
        return [*found, f"{at}: {value!r} is no {kinds}"]
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{at}: {value!r} does not match {schema['pattern']}")
    if isinstance(value, list) and "items" in schema:
        for n, item in enumerate(value):
            found += problems(item, schema["items"], root, f"{at}/{n}")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        rest = schema.get("additionalProperties", True)
        for key, item in value.items():
            if key in known:
                found += problems(item, known[key], root, f"{at}/{key}")
            elif rest is False:
                found.append(f"{at}: the key {key}")
            elif isinstance(rest, dict):
                found += problems(item, rest, root, f"{at}/{key}")
        found += [f"{at}: no {key}" for key in schema.get("required", []) if key not in value]
    return found


def is_kind(value: Any, kind: str) -> bool:
    number = not isinstance(value, bool) and isinstance(value, int | float)
    return {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "number": number,
        "integer": number and value == int(value),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
        "null": value is None,
    }[kind]


def as_json(text: str) -> Any:
    root, _, mistakes = read(text, "p.yaml")
    assert root is not None and not mistakes
    return json.loads(json.dumps(plain(root), default=float))


@pytest.mark.parametrize("name", packs.names())
def test_shipped_policies_fit_the_published_schema(name: str) -> None:
    schema = json.loads((DOCS / "policy.schema.json").read_text("utf-8"))
    assert problems(as_json(packs.read(name)), schema, schema) == []


def test_the_schema_refuses_a_misspelt_key() -> None:
    schema = language.json_schema()
    text = packs.read("marketing/campaign-launch").replace("severity: low", "severty: low")
    assert any("severty" in item for item in problems(as_json(text), schema, schema))


def test_schema_and_reader_know_the_same_keys() -> None:
    schema = language.json_schema()
    for name, keys in language.SECTIONS.items():
        part = schema if name == "policy" else schema["$defs"][name]
        part = (
            part.get("properties")
            or next(p for p in part["anyOf"] if "properties" in p)["properties"]
        )
        assert set(part) == {key.name for key in keys}


@pytest.mark.needs("data")
def test_the_policy_of_the_design_is_the_shipped_one() -> None:
    if not DESIGN.exists():
        pytest.skip("needs the design pages")
    printed = DESIGN.read_text("utf-8").split("```yaml\n")[1].split("```")[0]
    assert packs.read("marketing/campaign-launch").startswith(printed)
    assert gate.check(printed) == []
