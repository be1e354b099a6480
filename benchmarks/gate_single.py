"""One decision at a time: the compiled gate beside hand-written Python and Google's CEL.

    python benchmarks/gate_single.py [--records N] [--rounds N] [--json]

The same 50 or 200 rules over 40 fields run as a person would write them (`_gate_hand.py`: one
function, `if` by `if`, Python's own `re`), and as the gate compiles them. Both decide the same
records; the rules that fire are compared on every one of them first, and so is each value that an
explanation shows, with what the interpreter of the type check says. A round times every contestant
in turn over all records, in CPU time of the thread; a figure is the median over the rounds of the
ratios within each round. Half of the records have a hit rate of about 25 %, half of about 5 %.

Both start from what they would hold: the hand-written function from the dictionary of typed
values, the gate from the record that `ingest` made of that dictionary. `hand_50_from_dict` starts
both from the dictionary. What `ingest` and a whole ruling cost stands beside it.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from _figures import Figure, arguments, show
from _gate_hand import by_hand
from _gate_rules import FIELDS, facts, others, policy_text, rules

from handrail.gate import Policy, load
from handrail.gate import explain as reference
from handrail.gate.policy import check
from handrail.gate.reader import Reader
from handrail.gate.source import read
from handrail.model.policy import Record

ODD = (0.044, 0.0085)
"""Probability that a value is out of line: gives hit rates of about 25 % and 5 %."""
MISSING = 0.06
WARM = 4
"""Turns before the race: the gate compiles what a record needs, and terms when a row has fired
three times."""


def cpu(run: Callable[[Any], object], given: Sequence[Any]) -> float:
    """µs of CPU a call."""
    start = time.thread_time_ns()
    for one in given:
        run(one)
    return (time.thread_time_ns() - start) / len(given) / 1_000


class Race:
    """Contestants that take turns; medians of their times, and of ratios within a round."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.entries: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {}
        self.times: dict[str, list[float]] = {}

    def enter(self, name: str, run: Callable[[Any], object], given: Sequence[Any]) -> None:
        self.entries[name] = (run, given)

    def run(self) -> None:
        names = list(self.entries)
        for name in names:
            for _ in range(WARM):
                cpu(*self.entries[name])
        self.times = {name: [] for name in names}
        for turn in range(self.rounds):
            for name in names if turn % 2 else reversed(names):
                self.times[name].append(cpu(*self.entries[name]))

    def us(self, name: str) -> float:
        return statistics.median(self.times[name])

    def ratio(self, name: str, by: str) -> float:
        pairs = zip(self.times[name], self.times[by], strict=True)
        return statistics.median(a / b for a, b in pairs)


def ids(policy: Policy, record: Record) -> list[str]:
    return [policy.rules[item.rule].id for item in policy.judge(record)]


def same_values(policy: Policy, record: Record) -> int:
    """Compare every explained value with the interpreter's; how many rules were explained."""
    draft = policy._draft
    env = [*record.slots, *policy._tail]
    told = policy.explained(record)
    for item, terms in told:
        row = draft.rules[item.rule].rows[item.row]
        held = reference.tell(row.when, env, draft.scope, row.source)
        if terms != tuple(one.term(env) for one in held):
            raise SystemExit(f"{policy.rules[item.rule].id} is explained otherwise: {terms}")
    return len(told)


def cel_function(chosen: list[tuple[str, str]]) -> Callable[[dict[str, Any]], object] | None:
    """The rules as one list expression of Google's CEL; None where it is not installed."""
    try:
        from cel_expr_python import cel
    except ImportError:
        return None
    import re as spelling

    def spelt(when: str) -> str:
        parts = spelling.split(r'("[^"]*")', when)
        for at in range(0, len(parts), 2):
            text = parts[at]
            text = text.replace("lists.sources", str(list(SOURCES)).replace("'", '"'))
            text = spelling.sub(r"\bnot\s*\(", "!(", text)
            text = spelling.sub(r"\bnot (?!in)", "!", text)
            text = text.replace(" and ", " && ").replace(" or ", " || ")
            parts[at] = text
        text = "".join(parts)
        text = spelling.sub(r"(\w+) not in (\[[^\]]*\])", r"!(\1 in \2)", text)
        text = spelling.sub(r"\b(contains|matches)\((\w+), (\"[^\"]*\")\)", r"\2.\1(\3)", text)
        return spelling.sub(
            r"\babs\(((?:[^()]|\([^()]*\))*)\)", r"((\1) < 0.0 ? -(\1) : (\1))", text
        )

    kinds = {
        **dict.fromkeys(FIELDS[:14], cel.Type.STRING),
        **dict.fromkeys(FIELDS[14:34], cel.Type.DOUBLE),
        **dict.fromkeys(FIELDS[34:36], cel.Type.INT),
        **dict.fromkeys(FIELDS[36:39], cel.Type.BOOL),
        "topics": cel.Type.DYN,
    }
    env = cel.NewEnv(variables=kinds)
    program = env.compile("[" + ", ".join(f"({spelt(when)})" for _, when in chosen) + "]")

    def judge(record: dict[str, Any]) -> list[str]:
        answers = program.eval(data=record).value()
        fired = [getattr(answer, "value", lambda a=answer: a)() for answer in answers]
        return [name for (name, _), answer in zip(chosen, fired, strict=True) if answer is True]

    return judge


SOURCES = ("google", "linkedin", "newsletter", "meta", "bing", "partner")


def cases_text(chosen: list[tuple[str, str]], count: int) -> str:
    """A policy with `count` cases, each with its expected rules."""
    r = random.Random(7)
    base = facts(r, 0.0)
    hand, _ = by_hand(chosen, {"sources": SOURCES})
    lines = ["cases:", "  - name: base", "    facts:"]
    for name, value in base.items():
        lines.append(f"      {name}: {_yaml(value)}")
    lines.append(f"    fires: [{', '.join(hand(base))}]")
    for at in range(count - 1):
        changed = {**base, "kind": r.choice(["campaign", "sales", "support", "quality"])}
        for name, value in facts(r, 0.3).items():
            if r.random() < 0.12 and name != "kind":
                changed[name] = value
        over = ", ".join(
            f"{name}: {_yaml(value)}" for name, value in changed.items() if value != base[name]
        )
        fires = ", ".join(hand(changed))
        lines.append(f"  - {{name: c{at}, like: base, facts: {{{over}}}, fires: [{fires}]}}")
    return policy_text(chosen, extra="\n".join(lines) + "\n")


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return repr(value)


def showing(rounds: int) -> list[Figure]:
    """What a check of 200 rules with 500 cases costs, and where it goes."""
    text = cases_text(rules(200), 500)
    mistakes = check(text)
    if mistakes:
        raise SystemExit(f"the cases come out otherwise: {mistakes[:3]}")

    def timed(run: Callable[[], object]) -> float:
        gc.collect()  # what the round before left is no part of this one
        start = time.thread_time_ns()
        run()
        return (time.thread_time_ns() - start) / 1e6

    whole, yaml, checked = [], [], []
    for _ in range(rounds):
        whole.append(timed(lambda: load(text)))
        yaml.append(timed(lambda: read(text, "p.yaml", quick=True)))
        root, decoded, _ = read(text, "p.yaml", quick=True)
        if root is None:
            raise SystemExit("unreadable")
        checked.append(timed(partial(Reader("p.yaml", decoded, None).read, root)))
    total, loading, reading = map(statistics.median, (whole, yaml, checked))
    how = (
        f"{len(text) / 1024:.0f} KB, load() once more each of {rounds} rounds: {loading:.0f} ms "
        f"YAML, {reading:.0f} ms types, {total - loading - reading:.0f} ms digests and cases"
    )
    return [Figure.at_most("cases_200_rules_500_ms", total, "ms of CPU", goal=100, how=how)]


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--records", type=int, default=1200, help="even; half of each hit rate")
    parser.add_argument("--rounds", type=int, default=21)
    given = parser.parse_args()
    r = random.Random(20261121)
    some = [facts(r, odd) for odd in ODD for _ in range(given.records // 2)]
    holes = [{k: v for k, v in one.items() if r.random() > MISSING} for one in some]
    shown = showing(9)  # first: what is on the heap would count for the collector of garbage
    race = Race(given.rounds)
    hits: list[float] = []
    explained = 0
    for count in (50, 200):
        chosen = rules(count)
        policy = load(policy_text(chosen))
        open_policy = load(policy_text(chosen, optional=True))
        hand, _ = by_hand(chosen, policy.lists)  # type: ignore[arg-type]
        records = [policy.ingest(one) for one in some]
        missing = [open_policy.ingest(one) for one in holes]
        pick, program, tail = itemgetter(*FIELDS), policy._program, policy._tail
        for one, record in zip(some, records, strict=True):
            if hand(one) != ids(policy, record):
                raise SystemExit(f"the gate and hand-written code differ on {one}")
            explained += same_values(policy, record)
        for record in missing:
            codes = sorted(open_policy._program.judge(record.slots, open_policy._tail))
            if codes != open_policy._program.interpret(record.slots, open_policy._tail):
                raise SystemExit(f"the gate and its interpreter differ on {record}")
        half = len(some) // 2
        hits += [
            sum(bool(policy.judge(record)) for record in part) / half
            for part in (records[:half], records[half:])
        ]

        def from_dict(one: dict[str, Any], p: Any = program, t: Any = tail, k: Any = pick) -> Any:
            return p.judge_complete(k(one), t)

        race.enter(f"hand_{count}", hand, some)
        race.enter(f"gate_{count}", policy.judge, records)
        race.enter(f"gate_{count}_explained", policy.explained, records)
        race.enter(f"gate_{count}_missing", open_policy.judge, missing)
        race.enter(f"gate_{count}_from_dict", from_dict, some)
        if count == 50:
            whole = partial(policy.evaluate, decision_id="d_benchmark", evaluated_at=0)
            race.enter("ingest", policy.ingest, some)
            race.enter("evaluate", whole, records)
            wide = load(policy_text([*chosen, *others(450)]))
            race.enter("gate_500", wide.judge, [wide.ingest(one) for one in some])
            cel = cel_function(chosen)
            if cel is not None:
                for one in some[:: max(1, len(some) // 200)]:
                    if hand(one) != cel(one):
                        raise SystemExit(f"CEL and hand-written code differ on {one}")
                race.enter("cel", cel, some)
    race.run()
    rate = " and ".join(f"{100 * hit:.0f} %" for hit in hits[2:])
    base = f"{len(some)} records, hit rates {rate}, median of {given.rounds} rounds, thread CPU; "

    def figure(name: str, ours: str, by: str, goal: float, how: str) -> Figure:
        words = f"{how}: {race.us(ours):.2f} µs ÷ {race.us(by):.2f} µs"
        return Figure.at_most(name, race.ratio(ours, by), "ratio", goal=goal, how=base + words)

    made = []
    for count, goal, goal_explained in ((50, 1.0, 1.2), (200, 0.5, 0.5)):
        hand_name, gate_name = f"hand_{count}", f"gate_{count}"
        rows = (
            ("", goal, "judge(record) ÷ one function of ifs over the dictionary; reading out"),
            ("_explained", goal_explained, "the same with the terms of every rule that fired"),
            ("_missing", 3.0, "6 % of the fields missing, exact ÷ by hand on complete ones"),
        )
        for suffix, bound, how in rows:
            made.append(figure(f"hand_{count}{suffix}", gate_name + suffix, hand_name, bound, how))
        made.append(
            Figure.plain(
                f"hand_{count}_from_dict",
                race.ratio(f"{gate_name}_from_dict", hand_name),
                "ratio",
                how=base + "both from the dictionary of typed values: picking the fields is in",
            )
        )
    if "cel" in race.entries:
        made.append(
            figure("cel_50", "gate_50", "cel", 0.1, "÷ Google's CEL, all rules in one list")
        )
    made += [
        figure("rules_500_over_50", "gate_500", "gate_50", 1.3, "450 rules of other kinds added"),
        Figure.plain("ingest_us", race.us("ingest"), "µs", how="a dictionary of 40 fields read"),
        Figure.plain(
            "evaluate_us", race.us("evaluate"), "µs", how="a whole ruling of 50 rules, of a record"
        ),
        Figure.plain(
            "explained_rules", explained, "rules", how="each value compared with the interpreter's"
        ),
        *shown,
    ]
    show(made)


if __name__ == "__main__":
    main()
