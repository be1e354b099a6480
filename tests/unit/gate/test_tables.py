"""Tables: looked up by a field before the rules run; what has no row is unknown, and says so."""

from __future__ import annotations

from typing import Any

import pytest

from handrail import gate

UTM = """\
fields:
  utm_source: {type: string, normal: lower}
  utm_medium: {type: string, normal: lower}
  budget: {type: decimal, places: 2, unit: USD}
tables:
  sources:
    key: utm_source
    columns:
      medium_ok: {list: string, normal: lower}
      cap: {type: decimal, places: 2, unit: USD}
      paid: bool
    rows:
      google: {medium_ok: [cpc, CPM], cap: 5000, paid: true}
      Newsletter: {medium_ok: [email], paid: false}
rules:
  - id: medium
    when: utm_medium not in tables.sources.medium_ok
    on_unknown: hold
  - id: cap
    when: has(tables.sources.cap) and budget > tables.sources.cap
    because: "{utm_source} may cost {tables.sources.cap}"
"""


def test_a_row_is_found_by_the_normal_form_of_its_key(policy: Any, ruled: Any) -> None:
    facts = {"utm_source": "GOOGLE ", "utm_medium": "cpm", "budget": 5000.01}
    ruling = ruled(policy(UTM), facts)
    assert [fired.rule for fired in ruling.fired] == ["cap"]
    assert ruling.fired[0].because == "google may cost 5,000 USD"
    assert ruling.fired[0].terms[0].fields == {
        "budget": "5000.01",
        "tables.sources.cap": "5000.00",
    }
    assert ruling.tables == policy(UTM).table_digests


@pytest.mark.parametrize(
    ("source", "unknown"),
    [
        ("tiktok", "the table sources has no row for the text 'tiktok'"),
        ("newsletter", None),
    ],
)
def test_what_has_no_row_is_unknown_and_says_so(
    policy: Any, ruled: Any, source: str, unknown: str | None
) -> None:
    facts = {"utm_source": source, "utm_medium": "email", "budget": 1}
    ruling = ruled(policy(UTM), facts)
    assert [item.why for item in ruling.unknown] == ([unknown] if unknown else [])
    assert not ruling.fired


RATES = """\
fields:
  amount: {type: decimal, places: 2, unit: EUR}
  currency: string
  paid: {type: decimal, places: 2}
tables:
  eur: {key: currency, columns: {usd: {type: decimal, places: 4, unit: USD/EUR}},
        rows: {EUR: {usd: 1.1}}}
  rates: {key: currency, columns: {usd: {type: decimal, places: 4, unit: USD}}, file: rates.csv}
values:
  dollars: paid * tables.rates.usd
  converted: amount * tables.eur.usd
rules:
  - {id: large, when: dollars > 100, on_unknown: hold, because: "{dollars} and {converted}"}
"""
CSV = b"currency,usd,note\nEUR,1.1000,x\nJPY,,late\nUSD,1,\n"


@pytest.mark.parametrize(
    ("currency", "lane", "says"),
    [
        ("EUR", "hold", "220 USD and 220 USD"),
        ("USD", "hold", "200 USD and unknown"),
        ("JPY", "hold", "says no usd for the text 'JPY'"),
        ("CHF", "hold", "has no row for the text 'CHF'"),
    ],
)
def test_a_missing_rate_is_unknown(
    policy: Any, ruled: Any, currency: str, lane: str, says: str
) -> None:
    made = policy(RATES, read_file={"rates.csv": CSV}.__getitem__)
    ruling = ruled(made, {"currency": currency, "paid": 200, "amount": 200})
    assert ruling.lane == lane
    assert says in ruling.why


def test_a_table_is_part_of_the_version_and_of_what_decides(policy: Any) -> None:
    one = policy(RATES, read_file={"rates.csv": CSV}.__getitem__)
    other = policy(RATES, read_file={"rates.csv": CSV.replace(b"1.1", b"1.2")}.__getitem__)
    assert one.version != other.version
    assert one.gate_digest != other.gate_digest
    assert one.table_digests["eur"] == other.table_digests["eur"]
    assert one.table_digests["rates"] != other.table_digests["rates"]


def test_cases_give_rows(policy: Any) -> None:
    policy(
        UTM
        + """\
cases:
  - {name: no row, facts: {utm_source: tiktok, utm_medium: cpc, budget: 1}, unknown: [medium]}
  - {name: a row, like: no row, given: {tables: {sources: {tiktok: {medium_ok: [cpc]}}}}, fires: []}
"""
    )


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("{key: no, columns: {a: int}, rows: {}}", "which is no field"),
        ("{key: d, columns: {a: int}, rows: {}}", "a double; expected a text, an enum or an int"),
        ("{key: s, columns: {a: object}, rows: {}}", "no type"),
        ("{key: s, columns: {a: {type: int, optional: true}}, rows: {}}", "no key of a column"),
        ("{key: s, columns: {a: int}}", "neither of `rows` and `file`"),
        ("{key: s, columns: {a: int}, rows: {x: {b: 1}}}", "has no column `b`"),
        ("{key: s, columns: {a: int}, rows: {x: {a: one}}}", "a is the text 'one'"),
        ("{key: s, columns: {a: int}, rows: {x: 1}}", "the row `x` is `1`"),
        ("{key: s, columns: {a: int}, rows: {x: {a: 1}, X: {a: 2}}}", "a second row for `x`"),
        ("{key: e, columns: {a: int}, rows: {tree: {a: 1}}}", "is no member of `e`"),
        ("{key: s, columns: {a: int}, file: ../x.csv}", "below the policy's own folder"),
        ("{key: s, columns: {a: int}, file: no.csv}", "cannot be read (KeyError)"),
        ("{key: s, columns: {a: int}, file: t.csv}", "no column `a`"),
        ("{key: s, columns: {b: int}, file: t.csv}", "line 3 of `t.csv`: b is the text 'two'"),
        ("{key: s, columns: {}, rows: {}}", "columns is a mapping"),
    ],
)
def test_mistakes_in_tables_say_what_to_do(mistakes: Any, table: str, says: str) -> None:
    body = (
        "fields: {s: {type: string, normal: lower}, d: double, e: {enum: [oak, elm]}}\n"
        f"tables:\n  t: {table}\nrules:\n  - id: r\n    when: d > 1\n"
    )
    found = mistakes(body, read_file={"t.csv": b"s,b\nx,1\ny,two\n"}.__getitem__)
    assert len(found) == 1, [str(m) for m in found]
    assert says in str(found[0])


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("tables.sources.kap > 1", "did you mean `cap`?"),
        ("tables.sorces.cap > 1", "did you mean `sources`?"),
        ("tables.sources > 1", "has no column ``"),
        ("budget > tables.sources.cap", "may have no value here"),
        ("utm_medium in tables.sources.paid", "`in` looks into yes or no"),
    ],
)
def test_mistakes_in_conditions_over_tables(mistakes: Any, condition: str, says: str) -> None:
    found = mistakes(UTM + f"  - id: more\n    when: {condition}\n")
    assert [says in str(mistake) for mistake in found] == [True], [str(m) for m in found]


def test_a_table_is_looked_up_only_where_a_rule_reads_it() -> None:
    made = gate.load(
        "handrail: 1\nworkflow: w\nowners: [team:a]\nroute: [{to: team:a, silence: block}]\n" + UTM
    )
    assert "tables.sources.paid" not in {
        name for name in made._draft.scope.symbols if name.startswith("tables.")
    }
