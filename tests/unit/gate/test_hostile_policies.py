"""Policies that mean harm: refused or bounded, with a sentence, and nothing of theirs runs."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import handrail.gate
from handrail import gate
from handrail.gate import limits
from handrail.model.policy import BadRecord
from tests.unit.gate.conftest import HEAD

FIELDS = """\
fields:
  amount: {type: decimal, places: 2}
  text: string
  tags: {list: string}
  person: person
"""


def rule(when: str, more: str = "") -> str:
    return f"{FIELDS}{more}rules:\n  - id: r\n    when: {when}\n"


def edits(keywords: str, parts: str = "") -> str:
    """A policy whose schema of edits says this of its one field. `parts`: of its `$defs`."""
    return (
        f"{FIELDS}  edited: {{type: string, from: proposal}}\n"
        f"review: {{edit: {{$defs: {{{parts}}}, properties: {{edited: {{{keywords}}}}}}}}}\n"
    )


def because(sentence: str) -> str:
    return rule("amount > 1") + f"    because: {sentence}\n"


def told(body: str, **more: Any) -> str:
    """What is said about the policy, one mistake a line."""
    return "\n".join(str(m) for m in gate.check(HEAD + body, path="p.yaml", **more))


# ----------------------------------------------------------------------------- names and code

TRICKS = [
    (rule("amount.__class__ > 1"), "there is no `amount.__class__`"),
    (rule('__import__("os").system("touch /tmp/x")'), "there is no function `system`"),
    (rule('eval("1") > 1'), "there is no function `eval`"),
    (rule('open("/etc/passwd").read() == "x"'), "there is no function `read`"),
    (rule('getattr(amount, "real") > 1'), "there is no function `getattr`"),
    (rule("text[0] > 1"), "`[` here"),
    (rule("(lambda: 1)() > 1"), "`:` here"),
    (rule("[x for x in tags] == 1"), "`for` here"),
    (rule("amount ** 9999999 > 1"), "a field, a number, a text or `(`"),
    (rule("`id` > 1"), "the character '`'"),
    (rule("amount > 1; import os"), "the character ';'"),
    (rule("${amount} > 1"), "the sign $"),
    (rule("s.tags > 1"), "there is no `s.tags`"),
    (rule("t[0] > 1"), "`[` here"),
    (because('"{amount.__class__}"'), "there is no `amount.__class__`"),
    (because('"{amount!r}"'), "`{amount!r}` in a sentence"),
    (because('"{amount:>99999999}"'), "the format `>99999999`"),
    (because('"{amount:{amount}}"'), "the format"),
    (because('"{__import__}"'), "there is no `__import__`"),
    (because('"{0}"'), "`{0}` in a sentence"),
    (because('"{text[0]}"'), "`{text[0]}` in a sentence"),
    (because('"{{{amount}"'), ""),
    (because('"%(amount)s {amount:%}"'), ""),
    (FIELDS + "rules: !!python/object/apply:os.system ['id']\n", "a tag"),
    (FIELDS + "rules: &a [*a]\n", "an anchor"),
    (FIELDS + "lists: {a: {file: ../../../etc/passwd}}\n", "below the policy's own folder"),
    (FIELDS + "lists: {a: {file: /etc/passwd}}\n", "below the policy's own folder"),
    (FIELDS + "lists: {a: {file: 'C:\\x'}}\n", "below the policy's own folder"),
    (FIELDS + "lists: {a: {file: 'http://x/y'}}\n", "below the policy's own folder"),
    (FIELDS + "tables: {a: {key: text, columns: {b: int}, file: ../x.csv}}\n", "own folder"),
    (FIELDS + "checks: {a: {run: ../x.y, reads: [text], gives: bool}}\n", "`PACK.NAME`"),
]


@pytest.mark.parametrize(("body", "says"), TRICKS)
def test_tricks_with_names_and_formats_are_refused_or_plain_text(body: str, says: str) -> None:
    mistakes = told(body)
    assert says in mistakes
    assert bool(mistakes) is bool(says)


ACTIVE = False
SEEN: list[str] = []
DOING = {"open", "os.system", "subprocess.Popen", "exec", "compile", "import", "socket.connect"}


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if ACTIVE and event in DOING:
        SEEN.append(f"{event} {args[:1]!r}")


sys.addaudithook(_hook)


def test_while_a_hostile_policy_is_read_nothing_is_opened_imported_or_run() -> None:
    global ACTIVE
    bodies = [body for body, says in TRICKS if says]
    for body in bodies:
        told(body)  # what the reader itself loads late is loaded now
    ACTIVE = True
    try:
        for body in bodies:
            told(body)
    finally:
        ACTIVE = False
    assert SEEN == []


def test_no_pattern_of_a_policy_reaches_the_backtracking_engine() -> None:
    """`re` is called in the gate with patterns that stand in the code, and with nothing else."""
    for info in pkgutil.iter_modules(handrail.gate.__path__):
        path = Path(next(iter(handrail.gate.__path__))) / f"{info.name}.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            called = node.func
            if isinstance(called.value, ast.Name) and called.value.id == "re":
                pattern = node.args[0]
                fixed = isinstance(pattern, ast.Constant | ast.JoinedStr) or (
                    path.stem == "syntax" and isinstance(pattern, ast.Name)
                )  # the words for signs, a constant of that module
                assert fixed, f"{path.name}:{node.lineno}"


# ----------------------------------------------------------------------------------- patterns


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a*)*b", "(.*a){20}b"])
def test_patterns_that_would_explode_elsewhere_are_linear_here(
    policy: Any, ruled: Any, pattern: str
) -> None:
    made = policy(rule(f'matches(text, "{pattern}")'))
    facts = {"amount": 1, "tags": [], "person": "a", "text": "a" * 65_536}
    assert ruled(made, facts).fired == ()


@pytest.mark.parametrize(
    "pattern", ["(a{1000}){1000}", "((a{100}){100}){100}", "(?=a)b", r"(a)\\1"]
)
def test_patterns_without_a_bound_are_refused(pattern: str) -> None:
    assert "the pattern does not compile" in told(rule(f'matches(text, "{pattern}")'))


@pytest.mark.parametrize("word", ["a.*b", "(x|y)", "a|b", "[a-z]", "x*", "\\\\pL"])
def test_keywords_are_words_and_no_patterns(word: str) -> None:
    assert "the keyword" in told(rule(f'mentions(text, ["{word}"])'))


# ---------------------------------------------------------------------------- nesting and cost


def test_exists_five_deep_is_refused() -> None:
    inner = "x5 == x1"
    for depth in range(5, 0, -1):
        inner = f"tags.all(x{depth}, {inner})"
    assert "`all` inside another `exists` or `all`" in told(rule(inner))


def test_a_policy_says_what_it_costs_and_may_not_cost_more() -> None:
    asked = " or ".join(f'tags.exists(x, x == "{n}")' for n in range(60))
    lines = "".join(f"  - id: r{n}\n    when: {asked}\n" for n in range(7))
    mistakes = told(f"{FIELDS}rules:\n{lines}")
    assert "one decision may take 1,260,8" in mistakes
    assert "at most 1,000,000" in mistakes
    cheaper = "".join(f"  - id: r{n}\n    when: {asked}\n" for n in range(5))
    assert told(f"{FIELDS}rules:\n{cheaper}") == ""


# ---------------------------------------------------------------------------------- look-alikes


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("fields:\n  \u0430mount: int\n", "holds the letter CYRILLIC SMALL LETTER A"),
        (rule("\u0430mount > 1"), "the letter CYRILLIC SMALL LETTER A"),
        (rule("am\u03bfunt > 1"), "the letter GREEK SMALL LETTER OMICRON"),
        (rule('text == "g\u043eogle"'), "the letter CYRILLIC SMALL LETTER O"),
        (rule('text in ["p\u0430y"]'), "the letter CYRILLIC SMALL LETTER A"),
        (FIELDS + "lists: {a: [g\u043eogle]}\n", "the letter CYRILLIC SMALL LETTER O"),
        ("fields: {e: {enum: [\u0430dmin, user]}}\n", "the letter CYRILLIC SMALL LETTER A"),
        ("fields: {a: int}\nrules:\n  - id: c\u0430p\n    when: a > 1\n", "the rule id"),
        (rule("amount\u200b > 1"), "the character"),
        (rule("amount > 1\u202e"), "the character"),
        (rule("\uff41mount > 1"), "the letter FULLWIDTH LATIN SMALL LETTER A"),
    ],
)
def test_letters_that_look_alike_are_named(body: str, says: str) -> None:
    assert says in told(body)


@pytest.mark.parametrize(
    "text", ["Привет мир", "Ελλάδα", "5 µs", "naïve", "東京 tower", "Straße", "é", "я"]
)
def test_whole_words_of_any_script_are_texts_like_others(text: str) -> None:
    assert told(rule(f'text == "{text}"')) == ""


# ------------------------------------------------------------------------------- every limit


def many(count: int, line: Callable[[int], str]) -> str:
    return "".join(line(n) for n in range(count))


FILES = {
    "bytes.csv": b"x" * (4 * 1024 * 1024 + 1),
    "ten-mb.csv": b"word\n" * 2_000_000,
    "items.csv": b"w\n" * 200_001,
    "item.csv": b"w" * 1_001,
    "rows.csv": b"text,b\n" + b"".join(b"k%d,1\n" % n for n in range(50_001)),
}
OVER: dict[str, tuple[str, str]] = {
    "source.MAX_BYTES": ("#" * (256 * 1024), "at most 262,144"),
    "source.MAX_DEPTH": ("a: " + "[" * 17 + "]" * 17, "nested deeper than 16"),
    "source.MAX_NODES": ("lists: {a: [" + "1," * 30_001 + "]}", "more than 30,000 values"),
    "source.MAX_MISTAKES": ("a: 1\n" * 300, "here a second time"),
    "shapes.MAX_MISTAKES": (
        "fields:\n" + many(300, lambda n: f"  f{n}: goat\n"),
        "is no type",
    ),
    "shapes.MAX_NAMES": (
        "fields:\n" + many(501, lambda n: f"  f{n}: int\n"),
        "more than 500 names",
    ),
    "consequences.MAX_RULES": (
        "fields: {a: int}\nrules:\n" + many(1_001, lambda n: f"  - {{id: r{n}, when: a > {n}}}\n"),
        "more than 1,000 rules",
    ),
    "policy.MAX_COST": (
        FIELDS
        + "rules:\n"
        + many(400, lambda n: f"  - {{id: r{n}, when: \"tags.exists(x, x == '{n}')\"}}\n"),
        "at most 1,000,000",
    ),
    "syntax.MAX_TEXT": (rule("amount > 1" + " " * 4_000 + "or amount > 2"), "4,"),
    "syntax.MAX_EXPR_NODES": (rule("amount > 1 or " * 200 + "amount > 1"), "more than 500 parts"),
    "syntax.MAX_EXPR_DEPTH": (rule("(" * 41 + "amount" + ")" * 41 + " > 1"), "deeper than 40"),
    "syntax.MAX_INLINE": (rule("amount in [" + "1, " * 200 + "2]"), "more than 200 items"),
    "syntax.MAX_DIGITS": (rule("amount > " + "1" * 35), "a number of 35 digits"),
    "checker.MAX_GROWTH": (rule(" * ".join(["amount"] * 31) + " > 1"), "at most 1,000"),
    "calls.MAX_PATTERN": (rule('matches(text, "' + "a" * 501 + '")'), "at most 500"),
    "words.MAX_KEYWORD": (rule('mentions(text, ["' + "a" * 101 + '"])'), "of 101 characters"),
    "declare.MAX_LIST_BYTES": (FIELDS + "lists: {a: {file: bytes.csv}}\n", "at most 4,194,304"),
    "declare.MAX_LIST_ITEMS": (FIELDS + "lists: {a: {file: items.csv}}\n", "more than 200,000"),
    "declare.MAX_LIST_ITEM": (FIELDS + "lists: {a: {file: item.csv}}\n", "at most 1,000 an item"),
    "declare.MAX_TABLE_ROWS": (
        FIELDS + "tables: {a: {key: text, columns: {b: int}, file: rows.csv}}\n",
        "more than 50,000 rows",
    ),
    "declare.MAX_COLUMNS": (
        FIELDS
        + "tables: {a: {key: text, rows: {}, columns: {"
        + many(51, lambda n: f"c{n}: int, ")
        + "}}}\n",
        "51 columns",
    ),
    "declare.MAX_CHECKS": (
        FIELDS
        + "checks:\n"
        + many(51, lambda n: f"  c{n}: {{run: a.b, reads: [text], gives: bool}}\n"),
        "51 checks",
    ),
    "schema.MAX_VISITS": (edits("allOf: [" + "true, " * 20_000 + "]"), "at most 20,000"),
    "schema.MAX_DEEP": (
        edits(
            '$ref: "#/$defs/d0"',
            many(20, lambda n: f'd{n}: {{$ref: "#/$defs/d{n + 1}"}}, ') + "d20: {type: string}",
        ),
        "16 deep",
    ),
    "schema.MAX_PATTERN": (edits(f"pattern: {'a' * 1_001}"), "at most 1000 characters"),
    "series.MOST_BUCKETS": (
        FIELDS
        + "aggregates: {a: {count: decisions, over: decisions:submitted, window: 365d, "
        + "bucket: 1m}}\n",
        "1 to 1,000 of them",
    ),
    "sentence.MAX_SENTENCE": (because("a" * 1_001), "at most 1,000"),
}
"""For each limit a policy just over it, and what is said about it."""
TEXTS = {"person": "a" * 321, "text": "a" * 65_537, "tags": ["a"] * 1_001}
ELSEWHERE = {
    "words.MAX_HITS": "test_words.py",
    "schema.MAX_PROBLEMS": "test_edit_schema.py",
    "words.MAX_KEYWORDS": "test_words.py",
    "sentence.MAX_SHOWN_TEXT": "test_policy.py",
    "sentence.MAX_SHOWN_ITEMS": "test_policy.py",
    "values.MAX_INT": "test_ingest.py",
    "values.MAX_DIGITS": "test_ingest.py",
    "values.MAX_DEPTH": "test_ingest.py",
    "values.MAX_VALUES": "test_ingest.py",
}
HERE = {"values.MAX_TEXT", "values.MAX_PERSON", "values.MAX_ITEMS"}


@pytest.mark.parametrize("limit", list(OVER))
def test_what_is_over_a_limit_is_refused_with_a_sentence(limit: str) -> None:
    body, says = OVER[limit]
    mistakes = gate.check(HEAD + body, read_file=FILES.__getitem__)
    assert len(mistakes) <= 2 * limits.shapes.MAX_MISTAKES
    assert any(says in str(mistake) for mistake in mistakes), [str(m) for m in mistakes][:3]
    assert all(str(mistake) for mistake in mistakes)


@pytest.mark.slow
def test_a_list_of_ten_megabytes_and_ten_thousand_rules_are_refused() -> None:
    assert "has 10,000,000 bytes" in told(
        FIELDS + "lists: {a: {file: ten-mb.csv}}\n", read_file=FILES.__getitem__
    )
    rules = many(10_000, lambda n: f"  - id: r{n}\n    when: amount > {n}\n")
    assert "at most 262,144 are read" in told(FIELDS + "rules:\n" + rules)
    rows = ",".join(f"[{n}]" for n in range(10_000))
    matrix = f"rules:\n  - {{matrix: m, columns: [amount >], rows: [{rows}]}}\n"
    assert "more than 1,000 rules" in told(FIELDS + matrix)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_facts_over_a_limit_are_refused(policy: Any, name: str) -> None:
    good = {"amount": 1, "text": "", "tags": [], "person": "a"}
    with pytest.raises(BadRecord) as caught:
        policy(rule("amount > 1")).ingest({**good, name: TEXTS[name]})
    assert caught.value.pointer == f"/facts/{name}"


def test_every_limit_is_in_the_table_and_has_a_test() -> None:
    found: dict[str, int] = {}
    for info in pkgutil.iter_modules(handrail.gate.__path__):
        module = importlib.import_module(f"handrail.gate.{info.name}")
        source = Path(str(module.__file__)).read_text("utf-8")
        for name in re.findall(r"^(M(?:AX|OST)_[A-Z_]+) = ", source, re.MULTILINE):
            found[f"{info.name}.{name}"] = getattr(module, name)
    assert {limit.where: limit.most for limit in limits.LIMITS} == found
    tested = set(OVER) | HERE | set(ELSEWHERE)
    assert {limit.where for limit in limits.LIMITS} == tested
