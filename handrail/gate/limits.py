"""Every limit of a policy and of what it is asked about, in one table: what, and how much.

So the longest evaluation is known before a policy is accepted, whatever the facts will be. The
numbers stand beside the code that keeps them; a test finds one that is missing here.
"""

from __future__ import annotations

from typing import NamedTuple

from handrail.gate import (
    calls,
    checker,
    consequences,
    declare,
    policy,
    schema,
    sentence,
    series,
    shapes,
    source,
    syntax,
    values,
    words,
)


class Limit(NamedTuple):
    """At most `most` of what `of` says."""

    most: int
    of: str
    where: str
    """`MODULE.NAME` in this room."""


LIMITS = (
    Limit(source.MAX_BYTES, "bytes of a policy file", "source.MAX_BYTES"),
    Limit(source.MAX_DEPTH, "levels of mappings and lists in it", "source.MAX_DEPTH"),
    Limit(source.MAX_NODES, "keys, items and texts in it", "source.MAX_NODES"),
    Limit(shapes.MAX_NAMES, "fields, values, aggregates and tables' and checks' names that rules "
          "read", "shapes.MAX_NAMES"),
    Limit(consequences.MAX_RULES, "rules, rows of matrices counted", "consequences.MAX_RULES"),
    Limit(policy.MAX_COST, "node visits of one evaluation (the declared cost)", "policy.MAX_COST"),
    Limit(syntax.MAX_TEXT, "characters of a condition", "syntax.MAX_TEXT"),
    Limit(syntax.MAX_EXPR_NODES, "parts of a condition", "syntax.MAX_EXPR_NODES"),
    Limit(syntax.MAX_EXPR_DEPTH, "levels of a condition", "syntax.MAX_EXPR_DEPTH"),
    Limit(syntax.MAX_INLINE, "items of a list inside a condition", "syntax.MAX_INLINE"),
    Limit(syntax.MAX_DIGITS, "digits of a number in a condition", "syntax.MAX_DIGITS"),
    Limit(checker.MAX_GROWTH, "digits that an exact result may need", "checker.MAX_GROWTH"),
    Limit(calls.MAX_PATTERN, "characters of a pattern; its program is bounded at 1 MiB",
          "calls.MAX_PATTERN"),
    Limit(words.MAX_KEYWORDS, "keywords that one policy looks for", "words.MAX_KEYWORDS"),
    Limit(words.MAX_KEYWORD, "characters of a keyword", "words.MAX_KEYWORD"),
    Limit(words.MAX_HITS, "places of keywords that a ruling shows", "words.MAX_HITS"),
    Limit(declare.MAX_LIST_BYTES, "bytes of a file of a list or a table",
          "declare.MAX_LIST_BYTES"),
    Limit(declare.MAX_LIST_ITEMS, "items of a list from a file", "declare.MAX_LIST_ITEMS"),
    Limit(declare.MAX_LIST_ITEM, "characters of an item", "declare.MAX_LIST_ITEM"),
    Limit(declare.MAX_TABLE_ROWS, "rows of a table", "declare.MAX_TABLE_ROWS"),
    Limit(declare.MAX_COLUMNS, "columns of a table", "declare.MAX_COLUMNS"),
    Limit(declare.MAX_CHECKS, "checks of a policy", "declare.MAX_CHECKS"),
    Limit(schema.MAX_VISITS, "visits of a schema's parts in checking one edit",
          "schema.MAX_VISITS"),
    Limit(schema.MAX_DEEP, "levels of a schema of edits", "schema.MAX_DEEP"),
    Limit(schema.MAX_PATTERN, "characters of a pattern in a schema of edits",
          "schema.MAX_PATTERN"),
    Limit(schema.MAX_PROBLEMS, "things named as wrong with one edit", "schema.MAX_PROBLEMS"),
    Limit(series.MOST_BUCKETS, "buckets in the window of an aggregate", "series.MOST_BUCKETS"),
    Limit(sentence.MAX_SENTENCE, "characters of a sentence as written", "sentence.MAX_SENTENCE"),
    Limit(sentence.MAX_SHOWN_TEXT, "characters of a text shown in a sentence",
          "sentence.MAX_SHOWN_TEXT"),
    Limit(sentence.MAX_SHOWN_ITEMS, "items of a list shown in a sentence",
          "sentence.MAX_SHOWN_ITEMS"),
    Limit(values.MAX_INT, "of an int, in both directions", "values.MAX_INT"),
    Limit(values.MAX_DIGITS, "digits of a decimal", "values.MAX_DIGITS"),
    Limit(values.MAX_TEXT, "characters of a text in facts or proposal", "values.MAX_TEXT"),
    Limit(values.MAX_PERSON, "characters of a person's name", "values.MAX_PERSON"),
    Limit(values.MAX_ITEMS, "items of a list in facts or proposal", "values.MAX_ITEMS"),
    Limit(values.MAX_DEPTH, "levels of facts that are not declared", "values.MAX_DEPTH"),
    Limit(values.MAX_VALUES, "values in facts that are not declared", "values.MAX_VALUES"),
    Limit(source.MAX_MISTAKES, "mistakes named at once", "source.MAX_MISTAKES"),
    Limit(shapes.MAX_MISTAKES, "mistakes named at once", "shapes.MAX_MISTAKES"),
)  # fmt: skip


def markdown() -> str:
    """The table, as docs/reference/policy.md holds it."""
    lines = {f"| {limit.most:,} | {limit.of} |": None for limit in LIMITS}
    return "\n".join(["| at most | of what |", "|---:|---|", *lines]) + "\n"
