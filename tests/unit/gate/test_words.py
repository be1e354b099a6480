"""Keywords: words, not letters; any case and spelling; inflected; found once, shown where."""

from __future__ import annotations

from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from handrail.gate import words
from handrail.gate.words import Search, fold, forms, odd


def found(text: str, *keywords: str, exact: bool = False) -> list[str]:
    return [text[hit.start : hit.end] for hit in Search([(keywords, exact)]).find(text)]


@pytest.mark.parametrize(
    ("text", "keyword", "hits"),
    [
        ("I want a REFUND!", "refund", ["REFUND"]),
        ("prefund the account", "refund", []),
        ("refunded, refunding; refunds", "refund", ["refunded", "refunding", "refunds"]),
        ("the refund's status", "refund", ["refund"]),
        ("refund_request", "refund", ["refund"]),
        ("two policies", "policy", ["policies"]),
        ("it stopped", "stop", ["stopped"]),
        ("boxes and buses", "box", ["boxes"]),
        ("cancelling", "cancel", ["cancelling"]),
        ("closing", "close", ["closing"]),
        ("a credit-card\nfraud", "credit card", ["credit-card"]),
        ("credit, card", "credit card", []),
        ("re\u00adfund", "refund", ["re\u00adfund"]),
        (
            "\uff32\uff25\uff26\uff35\uff2e\uff24",
            "refund",
            ["\uff32\uff25\uff26\uff35\uff2e\uff24"],
        ),
        ("die STRASSE", "Straße", ["STRASSE"]),
        ("U\u0308BER uns", "über", ["U\u0308BER"]),
        ("refund", "refunds", []),
        ("no", "not", []),
        ("pin 1234", "1234", ["1234"]),
    ],
)
def test_what_counts_as_a_mention(text: str, keyword: str, hits: list[str]) -> None:
    assert found(text, keyword) == hits


def test_exactly_means_no_inflection_but_any_case() -> None:
    assert found("Refunds and a REFUND", "refund", exact=True) == ["REFUND"]


def test_hits_may_overlap_and_lie_in_several_lists() -> None:
    search = Search([(["credit card"], False), (["card fraud"], False), (["card"], True)])
    assert [(hit.source, hit.word) for hit in search.find("credit card fraud")] == [
        (0, "credit card"),
        (2, "card"),
        (1, "card fraud"),
    ]


def test_the_places_kept_are_bounded_and_every_list_keeps_one() -> None:
    search = Search([(["a1"], True), (["zz"], True)])
    hits = search.find("a1 " * 500 + "zz")
    assert len(hits) == words.MAX_HITS + 1
    assert {hit.source for hit in hits} == {0, 1}


@pytest.mark.parametrize(
    ("keyword", "sign"), [("C++", "+"), ("AT&T", "&"), ("don't", ""), ("e-mail", ""), ("$5", "$")]
)
def test_signs_are_no_words(keyword: str, sign: str) -> None:
    assert odd(keyword) == sign


TEXTS = st.text(alphabet="aAbBsé\u0301ß \n-_.,'İıＡ가각\u1100\u1161½", max_size=30)
KEYWORDS = st.lists(
    st.text(alphabet="abséß -", min_size=1, max_size=6).filter(
        lambda word: bool(words.split(word))
    ),
    min_size=1,
    max_size=4,
)


@given(text=TEXTS, keywords=KEYWORDS, exact=st.booleans())
def test_the_pattern_of_a_list_says_the_same_as_the_walk(
    text: str, keywords: list[str], exact: bool
) -> None:
    search = Search([(keywords, exact)])
    pattern = search.pattern(0)
    assert pattern is not None
    hits = search.find(text)
    assert bool(hits) == (re2.search(pattern, fold(text)) is not None)
    for hit in hits:
        assert 0 <= hit.start <= hit.end <= len(text)


@given(text=TEXTS, keywords=KEYWORDS)
def test_a_hit_is_a_run_of_words_with_the_forms_of_the_keyword(
    text: str, keywords: list[str]
) -> None:
    for hit in Search([(keywords, False)]).find(text.lower() if text.isascii() else ""):
        spelt = words.split(text[hit.start : hit.end])
        assert len(spelt) == len(words.split(hit.word))
        for one, word in zip(spelt, words.split(hit.word), strict=True):
            assert one in forms(word)


SUPPORT = """\
fields: {body: string, subject_line: {type: string, optional: true}}
lists:
  sensitive: [refund, legal action, chargeback]
rules:
  - id: sensitive
    when: mentions(body, lists.sensitive)
  - id: angry
    when: body.mentions(["angry", "Lawyer"], "exact") or body.contains("!!!")
  - id: subject
    when: has(subject_line) and mentions(subject_line, lists.sensitive)
"""


@pytest.mark.ledger("A-024")
def test_the_ruling_shows_which_words_were_found_where(policy: Any, ruled: Any) -> None:
    made = policy(SUPPORT)
    ruling = ruled(made, {"body": "I take Legal Action and want refunds, says my LAWYER"})
    assert [fired.rule for fired in ruling.fired] == ["sensitive", "angry"]
    assert ruling.lane == "hold"
    one, other = ruling.fired
    assert one.because == "Body mentions “legal action”, “refund”"
    assert [(f.word, f.start, f.end) for f in one.terms[0].found] == [
        ("legal action", 7, 19),
        ("refund", 29, 36),
    ]
    assert [f.word for f in other.terms[0].found] == ["Lawyer"]


def test_all_lists_are_looked_for_in_one_search_a_text(
    policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = policy(SUPPORT)
    seen: list[str] = []
    true_find = Search.find

    def find(self: Search, text: str) -> Any:
        seen.append(text)
        return true_find(self, text)

    monkeypatch.setattr(Search, "find", find)
    record = made.ingest({"body": "refund, angry", "subject_line": "hello"})
    made.evaluate(record, decision_id="d", evaluated_at=0)
    assert sorted(seen) == ["hello", "refund, angry"]


def test_a_case_looks_for_the_lists_it_gives(policy: Any) -> None:
    policy(
        SUPPORT
        + """\
cases:
  - {name: own list, facts: {body: a goat}, given: {lists: {sensitive: [goats, goat]}},
     fires: [sensitive]}
  - {name: the file's, facts: {body: a goat}, fires: []}
"""
    )


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("mentions(body, lists.no)", "there is no list `no`"),
        ("mentions(body, body)", "`mentions` looks for no list"),
        ("mentions(body, [])", "`mentions` looks for no list"),
        ("mentions(body, [1])", "no quoted text"),
        ('mentions(body, ["C++"])', "holds `+`"),
        ('mentions(body, ["--"])', "holds no letter or digit"),
        ('mentions(body, ["' + "a" * 101 + '"])', "a keyword of 101 characters"),
        ('mentions(body, ["a"], "loose")', 'write "exact"'),
        ("mentions(n, lists.sensitive)", "`mentions` looks at an int"),
        ("mentions(body, lists.numbers)", "holds numbers"),
        ("mentions(body)", "`mentions` with 1 values"),
    ],
)
def test_mistakes_about_keywords(mistakes: Any, condition: str, says: str) -> None:
    body = SUPPORT.replace("fields: {", "fields: {n: int, ").replace(
        "lists:\n", "lists:\n  numbers: [1, 2]\n"
    )
    found = mistakes(body + f"  - id: more\n    when: {condition}\n")
    assert [says in str(mistake) for mistake in found] == [True], [str(m) for m in found]


def test_more_keywords_than_can_be_searched_are_refused(mistakes: Any) -> None:
    lines = "\n".join(f"w{n}" for n in range(5_001)).encode()
    found = mistakes(
        "fields: {body: string}\nlists: {many: {file: many.txt}}\n"
        "rules:\n  - id: r\n    when: mentions(body, lists.many)\n",
        read_file={"many.txt": lines}.__getitem__,
    )
    assert ["5,001 keywords" in str(mistake) for mistake in found] == [True]
