"""The generated program against the reference, and against Google's CEL; and what its text holds.

`make test` runs a few thousand cells of each; `HANDRAIL_FUZZ=1000 pytest …` runs that many random
policies. The seed stands in the name of a failing case.
"""

from __future__ import annotations

import ast
import os
from typing import Any

import pytest
from cel_expr_python import cel as google

from handrail import gate
from handrail.gate import explain
from handrail.gate.compile import Program
from handrail.gate.emit import UNSET
from handrail.gate.outside import Given
from handrail.model.policy import Record
from tests.gate_fuzz import Fuzz, Tree, cel, write

POLICIES = int(os.environ.get("HANDRAIL_FUZZ", "12"))
START = int(os.environ.get("HANDRAIL_FUZZ_SEED", "0"))


@pytest.fixture(autouse=True)
def _compile_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms are told by the compiled functions from the first time on."""
    monkeypatch.setattr("handrail.gate.compile.RARE", 0)


def codes(policy: gate.Policy, record: Record, given: dict[str, Any]) -> tuple[Any, Any]:
    """(generated, reference) codes of one record."""
    program = policy._program
    rest = policy._tail.copy()
    policy._fill(record.slots, rest, Given(0, given["confidence"]), given["aggregates"])
    return sorted(program.judge(record.slots, rest.copy())), program.interpret(record.slots, rest)


def reference_terms(
    policy: gate.Policy, record: Record, given: dict[str, Any], judged: list[Any]
) -> list[Any]:
    """The terms of what is true, by the closures of the type check."""
    rest = policy._tail.copy()
    policy._fill(record.slots, rest, Given(0, given["confidence"]), given["aggregates"])
    draft = policy._draft
    env = [*record.slots, *rest]
    for value in draft.values:
        env[value.slot] = value.expr.run(env)
    found = []
    for item in judged:
        row = draft.rules[item.rule].rows[item.row]
        if not item.unknown:
            held = explain.tell(row.when, env, draft.scope, row.source)
            found.append(tuple(one.term(env) for one in held))
    return found


@pytest.mark.parametrize("seed", range(START, START + POLICIES))
def test_the_generated_program_says_what_the_reference_says(seed: int) -> None:
    fuzz = Fuzz(seed)
    policy = gate.load(fuzz.policy(rules=20))
    assert fuzz.rejected < 8
    met = set()
    for _ in range(25):
        facts, given = fuzz.facts(), fuzz.given()
        record = policy.ingest(facts)
        generated, reference = codes(policy, record, given)
        found = policy._program.findings
        assert generated == reference, (facts, given, [found[code] for code in generated])
        met |= {code % 2 for code in generated}
        ruling = policy.evaluate(record, decision_id="d_x", evaluated_at=0, **given)
        judged = policy.judge(record, **given)
        told = policy.explained(record, **given)
        assert [item for item, _ in told] == judged
        assert [terms for item, terms in told if not item.unknown] == reference_terms(
            policy, record, given, judged
        )
        rules = policy.rules
        assert [item.rule for item in ruling.unknown] == [
            rules[item.rule].id for item in judged if item.unknown
        ]
        acted = [rules[item.rule].id for item in judged if not item.unknown]
        assert acted == [
            rule.id
            for rule in rules
            if rule.id
            in {item.rule for item in (*ruling.fired, *ruling.trials) if not item.unknown}
        ]
    assert met == {0, 1}


@pytest.mark.parametrize("seed", range(START, START + POLICIES))
def test_a_program_that_files_nothing_says_the_same(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fuzz = Fuzz(seed)
    policy = gate.load(fuzz.policy(rules=20))
    monkeypatch.setattr("handrail.gate.compile.LEVELS", 0)
    straight = Program(policy._draft, policy._width)
    for _ in range(25):
        record, given = policy.ingest(fuzz.facts()), fuzz.given()
        rest = policy._tail.copy()
        policy._fill(record.slots, rest, Given(0, given["confidence"]), given["aggregates"])
        assert straight.judge(record.slots, rest) == codes(policy, record, given)[1]
    assert ".get" not in straight.source() and "(s, t, out)" not in straight.source()


@pytest.mark.parametrize("seed", range(START, START + POLICIES))
def test_the_generated_program_says_what_googles_cel_says(seed: int) -> None:
    fuzz = Fuzz(seed, plain=True)
    trees: list[Tree] = [fuzz.condition(3) for _ in range(20)]
    rules = "".join(
        f"  - id: r{at}\n    on_unknown: ignore\n    when: {write(tree)}\n"
        for at, tree in enumerate(trees)
    )
    policy = gate.load(fuzz.head() + rules)
    env = google.NewEnv(variables={"r": google.Type.DYN})
    theirs = [env.compile(text) for tree in trees if (text := cel(tree)) is not None]
    assert len(theirs) == len(trees)
    for _ in range(25):
        facts = fuzz.facts()
        judged = policy.judge(policy.ingest(facts))
        mine = {item.rule: None if item.unknown else True for item in judged}
        # Times, durations and decimals are not read by plain trees: CEL gets what JSON can say.
        for at, program in enumerate(theirs):
            answer = program.eval(data={"r": facts}).value()
            wanted = answer if isinstance(answer, bool) else None
            assert mine.get(at, False) is wanted, (write(trees[at]), facts)


HOSTILE = """\
handrail: 1
workflow: hostile
owners: [team:a]
route: [{to: team:a, silence: block}]
fields:
  import_os: {type: string, optional: true}
  __class__: {type: double, optional: true}
  _: {type: double, optional: true}
  s: {type: double, optional: true}
  t: {type: string, optional: true}
  out: {type: double, optional: true}
  u: {type: bool, optional: true}
  x1: {type: double, optional: true}
  c1: {type: double, optional: true}
  v12: {type: double, optional: true}
  e: {object: {len: {type: double, optional: true}}, optional: true}
lists:
  __import__: ["__import__('os').system('x')", "{0.__class__}"]
values:
  judge: __class__ + out
  get: judge > 2.0 ? x1 : c1
rules:
  - id: import.os
    on_unknown: ignore
    when: import_os == "__import__('os').system('true')" or t == "\\")\\nimport os #"
  - id: lambda
    on_unknown: ignore
    when: t in ["x1)", "'''", "c1 is None", "\\\\"] and matches(t, "^(a+)+b\\\\w$")
  - id: exec
    on_unknown: ignore
    when: import_os in lists.__import__ and v12 > 1.0 and s < 99999999999999999999.5
  - id: eval
    on_unknown: ignore
    when: contains(t, import_os) and startsWith(import_os, "f{x}") and get > judge / _
  - id: getattr
    on_unknown: ignore
    when: u and e.len > 2.0 and size(t) > 3
"""


def test_generated_source_holds_nothing_of_the_policys_text() -> None:
    policy = gate.load(HOSTILE)
    texts = ["__import__('os').system('true')", '")\nimport os #', "x1)", "aab_"]
    for text in texts:
        record = policy.ingest(
            {"import_os": text, "t": text, "u": True, "s": 1.0, "v12": 2.0, "out": 1.0, "_": 1.0,
             "__class__": 0.5, "x1": 2.0, "c1": 9.0, "e": {"len": 3.0}}
        )  # fmt: skip
        policy.evaluate(record, decision_id="d_x", evaluated_at=0)
        assert policy._program.judge(record.slots, policy._tail.copy()) == (
            policy._program.interpret(record.slots, policy._tail.copy())
        )
    source = policy.generated_source()
    assert source.count("def ") >= 3
    for word in ("import", "class", "lambda x", "system", "eval", "getattr", "99999", "f{x}", "'"):
        assert word not in source
    assert '"' not in source
    methods = {"append", "startswith", "endswith", "encode"}
    arguments = {"s", "t", "u", "e", "h", "out"}
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(
            node,
            ast.Import | ast.ImportFrom | ast.Lambda | ast.Global | ast.Try | ast.With | ast.Delete
            | ast.ClassDef | ast.For | ast.comprehension | ast.JoinedStr | ast.Await,
        ), ast.dump(node)  # fmt: skip
        if isinstance(node, ast.Attribute):
            assert node.attr in methods
        if isinstance(node, ast.Name):
            known = node.id in {*arguments, "len", "x"} or (
                node.id[0] in "cfghvx" and node.id[1:].isdigit()
            )
            assert known, node.id
        if isinstance(node, ast.Constant):
            assert node.value is None or isinstance(node.value, bool | int | float)
    names = policy._program.table.names
    assert set(names["__builtins__"]) == {"len"} and names["u"] is UNSET


def test_what_is_missing_is_told_by_every_rule_that_asks_for_it() -> None:
    """Rules filed under a field's values are unknown where it has none, unless they are false."""
    rules = "".join(
        f"  - {{id: r{at}, when: \"kind == '{kind}' and amount > {at}\", on_unknown: ignore}}\n"
        for at, kind in enumerate(["a", "b", "c", "a", "b", "c", "a"])
    )
    head = HOSTILE.partition("fields:")[0]
    policy = gate.load(
        f"{head}fields:\n  kind: {{type: string, optional: true}}\n"
        f"  amount: {{type: int, optional: true}}\nrules:\n{rules}"
    )

    def told(**facts: Any) -> list[tuple[int, bool]]:
        return [(item.rule, item.unknown) for item in policy.judge(policy.ingest(facts))]

    assert told(kind="a", amount=4) == [(0, False), (3, False)]
    assert told(kind="a") == [(0, True), (3, True), (6, True)]
    assert told(amount=3) == [(0, True), (1, True), (2, True)]
    assert told(kind="d", amount=9) == []
    assert told() == [(at, True) for at in range(7)]
    assert policy.generated_source().count("def f") == 2  # of a and of none; d has no rules
