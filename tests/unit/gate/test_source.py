"""The policy file as text: strict YAML, raw conditions, places, bounds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handrail import gate
from handrail.gate import source
from handrail.gate.source import Node, read
from handrail.model.errors import Mistake


def plain(node: Node | None) -> Any:
    if node is None:
        return None
    if node.kind == "scalar":
        return node.value
    if node.kind == "list":
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.items}


def good(text: str) -> Any:
    root, _, mistakes = read(text, "p.yaml")
    assert mistakes == []
    return plain(root)


def bad(text: str | bytes) -> list[Mistake]:
    _, _, mistakes = read(text, "p.yaml")
    assert mistakes
    return mistakes


def test_yaml_1_2_words_and_times_stay_text() -> None:
    texts = "NO, no, on, off, yes, Y, 10:30, 2026-11-21, 1_000, 2%, 0x1F"
    assert good(f"a: [{texts}, .5, -3]") == {"a": [*texts.split(", "), Decimal("0.5"), -3]}


def test_numbers_are_exact() -> None:
    assert good("a: 10000.01\nb: 1e3\nc: 100000000000000000000000000001") == {
        "a": Decimal("10000.01"),
        "b": Decimal("1000"),
        "c": 100000000000000000000000000001,
    }


def test_null_true_false_and_quoted_words() -> None:
    assert good("a: [null, ~, true, False, 'true', \"1\"]") == {
        "a": [None, None, True, False, "true", "1"]
    }


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "the key `a` is here a second time"),
        ("x: {a: 1, a: 2}", 1, 11, "second time"),
        ("a: &x 1\n", 1, 4, "an anchor (`&x`)"),
        ("a: 1\nb: *x\n", 2, 4, "an alias (`*x`)"),
        ("a: !!int 1\n", 1, 4, "a tag (`!!int`)"),
        ("a: !x 1\n", 1, 4, "a tag (`!x`)"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document"),
        ("%YAML 1.1\n---\na: 1\n", 1, 1, "a YAML directive"),
        ("[a]: 1\n", 1, 1, "a list as a key"),
        ("- a\n", 1, 1, "the file holds a list"),
        ("just text", 1, 1, "the file holds `just text`"),
        ("", 1, 1, "the file is empty"),
        ("# only a comment\n", 1, 1, "the file is empty"),
        ("a: [1, 2\nb: 3\n", 2, 2, "not YAML here"),
        ("a:\n  b: 1\n c: 2\n", 3, 2, "indented otherwise"),
        ("a: 'x", 1, 6, "not YAML here"),
        ("a: \x07", 1, 4, "a character that YAML does not allow"),
    ],
)
def test_refuses_at_its_place(text: str, line: int, column: int, says: str) -> None:
    found = bad(text)
    assert any((m.line, m.column) == (line, column) and says in str(m) and m.fix for m in found), [
        str(m) for m in found
    ]


def test_bytes_that_are_not_utf_8_are_refused_with_their_line() -> None:
    (mistake,) = bad(b"a: 1\nb: \xff\n")
    assert (mistake.line, "UTF-8" in str(mistake)) == (2, True)


def test_byte_order_mark_and_windows_line_ends_are_read() -> None:
    root, text, mistakes = read(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "p.yaml")
    assert mistakes == [] and plain(root) == {"a": 1, "b": 2} and text == "a: 1\nb: 2\n"


# ------------------------------------------------------------------------------------ raw text


def raw(line: str, section: str = "rules") -> str:
    indent = "  - " if section == "rules" else "  "
    root, _, mistakes = read(f"{section}:\n{indent}{line}\n", "p.yaml")
    assert mistakes == []
    assert root is not None
    value = root.items[0][1]
    pairs = value.items[0].items if section == "rules" else value.items
    text: str = pairs[0][1].text
    return text


@pytest.mark.parametrize(
    "text",
    [
        "not (utm in lists.x)",
        "!paid && [1, 2]",
        "{a} is: odd, 'isn''t' it",
        "a == \"x: y\" and b == 'z'",
        '"a" == b',
        "'a' == b or c",
        'a > 1 or matches(b, "x # y")',
        "@odd `ticks` %percent *star &and |pipe",
        "- a < 3",
        "a ? b : c",
    ],
)
def test_block_text_is_taken_raw(text: str) -> None:
    assert raw(f"when: {text}") == text
    assert raw(f"name: {text}", "values") == text


def test_quoted_and_block_texts_read_as_yaml_does() -> None:
    assert raw('when: "a > \\u0031"') == "a > 1"
    assert raw("when: 'it''s'   # a comment behind quotes is one") == "it's"
    assert raw("when: |\n      a > 1\n      and b") == "a > 1\nand b"
    assert raw("when: >-   # folded\n      a > 1\n      and b") == "a > 1 and b"
    assert raw('because: "two\n      lines"') == "two lines"


def test_apostrophe_at_the_start_is_raw_text() -> None:
    assert raw("because: 'tis the season {a}") == "'tis the season {a}"


def test_flow_style_keeps_yaml_quoting() -> None:
    root = good("rules:\n  - {id: a, when: 'x, y', because: b c}\n  - {when: a > 1,\n     id: b}\n")
    assert root["rules"][0] == {"id": "a", "when": "x, y", "because": "b c"}
    assert root["rules"][1] == {"when": "a > 1", "id": "b"}


def test_raw_only_under_rules_and_values() -> None:
    assert good("fields:\n  when: {type: int}\n  because: string\n") == {
        "fields": {"when": {"type": "int"}, "because": "string"}
    }
    assert good("values:\n  a: 1 # c\n".replace(" # c", "")) == {"values": {"a": "1"}}
    assert good("review:\n  note: |\n    rules:\n      - when: a # b\n") == {
        "review": {"note": "rules:\n  - when: a # b"}
    }


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("rules:\n  - when: a > 1 # why\n", 2, 17),
        ("rules:\n  - because: A sentence # why\n", 2, 25),
        ("values:\n  x: a / b   # per day\n", 2, 14),
    ],
)
def test_comment_behind_raw_text_is_a_mistake_with_a_hint(
    text: str, line: int, column: int
) -> None:
    (mistake,) = bad(text)
    assert (mistake.line, mistake.column) == (line, column)
    assert "a comment directly behind" in str(mistake) and "quote the whole text" in mistake.fix


def test_text_that_goes_on_is_a_mistake_with_a_hint() -> None:
    (mistake,) = bad("rules:\n  - id: a\n    when: a > 1\n      and b > 2\n    then: refuse\n")
    assert (mistake.line, mistake.column) == (4, 7) and "`when: |`" in mistake.fix
    (mistake,) = bad("rules:\n  - when:\n      a > 1\n")
    assert mistake.line == 2 and "starts on the next line" in str(mistake)


# -------------------------------------------------------------------------------------- bounds


def test_ten_megabytes_are_refused_with_a_sentence() -> None:
    (mistake,) = bad("lists:\n  big: [" + "item, " * 1_700_000 + "x]\n")
    assert "bytes" in mistake.what and "`{file: lists/name.csv}`" in mistake.fix


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 5_000,
        "a: " + "{b: " * 5_000,
        "a:\n" + "".join(" " * n + "- \n" for n in range(300)),
        "- " * 20_000,
        "? " * 20_000,
        "a: [" + "1, " * 60_000 + "1]",
        "a: " + "'" * 50_000,
        "{" * 100_000,
        "rules:\n" + "  - when: '\n" * 5_000,
        "values:\n" + "".join(f"  a{n}: b{n} +\n    c\n" for n in range(2_000)),
        "\n".join(f"k{n % 7}: {n}" for n in range(9_000)),
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
    ],
)
def test_hostile_files_end_in_mistakes(text: str) -> None:
    found = gate.check(text)
    assert 0 < len(found) <= 2 * source.MAX_MISTAKES + 5


@pytest.mark.slow
def test_many_unknown_names_stay_bounded() -> None:
    fields = "\n".join(f"  field_number_{n}: int" for n in range(480))
    rules = "\n".join(f"  - {{id: r{n}, when: fieldd_numberr_{n}x > 1}}" for n in range(900))
    found = gate.check(f"handrail: 1\nfields:\n{fields}\nrules:\n{rules}\n")
    assert 100 < len(found) <= source.MAX_MISTAKES


@settings(
    max_examples=settings().max_examples * 3 // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_check_never_raises(text: str | bytes) -> None:
    assert gate.check(text)


@settings(max_examples=settings().max_examples * 3 // 2, deadline=None)
@given(st.data())
def test_check_never_raises_on_mangled_policies(data: st.DataObject) -> None:
    from handrail import packs

    text = packs.read("marketing/campaign-launch")
    at = data.draw(st.integers(0, len(text) - 1))
    drop = data.draw(st.integers(0, 30))
    put = data.draw(st.text(alphabet="{}[]:#-'\"|>&*!?,% \nabc10.()<=", max_size=8))
    for mistake in gate.check(text[:at] + put + text[at + drop :]):
        assert mistake.line >= 1 and mistake.column >= 1 and mistake.what
