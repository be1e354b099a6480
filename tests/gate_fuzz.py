"""Random policies and records with missing values, for every comparison of evaluators.

    fuzz = Fuzz(seed)
    text = fuzz.policy(rules=20)          # a policy file: valid, all types, named values, matrices
    facts = fuzz.facts()                  # one record; `missing` of its values are left out
    head = fuzz.head()                    # or its head up to `rules:`, and
    e = fuzz.condition(depth=3)           # single conditions, as trees
    write(e), cel(e)                      # in our language, in Google's CEL (None: not sayable)

A tree is a nested tuple `(op, …)`; leaves are `("field", name)`, `("num", text)`, `("str", text)`,
`("bool", text)` and `("list", name)`. The same seed gives the same policies and records.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import Any

from handrail import gate

Tree = tuple[Any, ...]

FIELDS: dict[str, str] = {
    "f1": "{type: double, optional: true}",
    "f2": "{type: double, optional: true}",
    "f3": "{type: double, optional: true}",
    "i1": "{type: int, optional: true}",
    "i2": "{type: int, optional: true}",
    "d1": "{type: decimal, places: 2, optional: true}",
    "d2": "{type: decimal, places: 3, optional: true}",
    "b1": "{type: bool, optional: true}",
    "b2": "{type: bool, optional: true}",
    "s1": "{type: string, optional: true}",
    "s2": "{type: string, optional: true}",
    "n1": "{type: string, normal: lower, optional: true}",
    "p1": "{type: person, optional: true}",
    "e1": "{enum: [a, b, c, ab], optional: true}",
    "e2": "{enum: [x, y, z], optional: true}",
    "t1": "{type: timestamp, optional: true}",
    "t2": "{type: timestamp, optional: true}",
    "u1": "{type: duration, optional: true}",
    "u2": "{type: duration, optional: true}",
    "l1": "{list: string, optional: true}",
    "l2": "{list: int, optional: true}",
    "l3": "{list: double, optional: true}",
    "l4": "{list: {enum: [x, y, z]}, optional: true}",
    "l5": "{list: {object: {p: {enum: [x, y]}, d: {type: decimal, places: 2}, "
    "m: {type: double, optional: true}}}, optional: true}",
    "o1": "{object: {f: {type: double, optional: true}, s: {type: string, optional: true}, "
    "deep: {object: {b: bool}, optional: true}}, optional: true}",
}
"""Every field with its declaration. None is required: what is missing is missing anywhere."""

HEAD = """\
handrail: 1
workflow: fuzz
owners: [team:a]
route: [{to: team:a, silence: block}]
fields:
"""
LISTS = """\
lists:
  words: [a, ab, c, x]
  numbers: [0, 1, 2.5, -3, 100]
tables:
  rates:
    key: e1
    columns:
      cap: {type: decimal, places: 2}
      on: bool
      named: {list: string}
    rows:
      a: {cap: 1.5, on: true, named: [a, ab]}
      b: {cap: 0, named: []}
      c: {on: false}
"""
WORDS = ("a", "ab", "c", "x")
NUMBERS = ("0", "1", "2.5", "-3", "100")

COMPARE = ("==", "!=", "<", "<=", ">", ">=")
SOME_TEXTS = ("", "a", "ab", "b", "c", "x", "é", "aé", "A", "a b", 'q"', "\\", "ab\n", "Ⅷ")
SOME_PATTERNS = ("^a", "b$", "a.*b", "[é]", "^$", "\\d", "(a+)+b", "^(a|b)c?$", "é|x")
SOME_DOUBLES = ("0.0", "0.1", "0.5", "2.0", "3.7", "100.0", "1e99")
SOME_WHOLES = ("0", "1", "2", "3", "100")
SOME_DECIMALS = ("0.25", "1.5", "10.00", "0.001", "2.0")
SOME_TIMES = ("2026-11-21T08:00:00Z", "2026-11-21T09:30:00+01:00", "1969-12-31T23:59:59.5Z")
SOME_SPANS = ("0s", "30m", "1h30m", "0.25s", "7d")
NUMERIC = ("double", "exact", "int", "wide")


class Fuzz:
    """Everything random of one run. `missing` is the share of values that a record leaves out."""

    def __init__(
        self, seed: int, *, missing: float = 0.18, plain: bool = False, values: bool = True
    ) -> None:
        """`plain` keeps to what every engine means the same by: doubles, no division, no huge
        numbers. `values` adds named values, aggregates and confidence to what is read."""
        self.seed = seed
        self.random = random.Random(seed)
        self.missing = missing
        self.plain = plain
        self.values: dict[str, tuple[str, Tree]] = {}
        """Named values of the last policy: name → (type, tree)."""
        self._with_values = values and not plain
        self._aggregates = self._with_values
        self.rejected = 0
        """Rules that the type check refused, such as a division by a constant 0."""

    # ---------------------------------------------------------------- trees

    def one(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def name(self, kind: str) -> Tree:
        """A field or a named value of a type."""
        pools = {
            "double": ("f1", "f2", "f3") if self.plain else ("f1", "f2", "f3", "o1.f"),
            "exact": ("d1", "d2"),
            "int": ("i1", "i2"),
            "bool": ("b1", "b2") if self.plain else ("b1", "b2", "o1.deep.b"),
            "text": ("s1", "s2") if self.plain else ("s1", "s2", "n1", "p1", "e1", "e2", "o1.s"),
            "time": ("t1", "t2"),
            "span": ("u1", "u2"),
        }
        pool = list(pools[kind])
        pool += [name for name, (have, _) in self.values.items() if have == kind] * 2
        if self._with_values and kind == "double":
            pool.append("confidence")
        if not self.plain:
            pool += {"exact": ["tables.rates.cap"], "bool": ["tables.rates.on"]}.get(kind, [])
        if self._aggregates and kind in ("int", "exact"):
            pool.append({"int": "count_1", "exact": "sum_1"}[kind])
        return ("field", self.random.choice(pool))

    def number(self, kind: str, depth: int) -> Tree:
        """`double`, `int`, `exact` (decimals) or `wide` (anything that has an order)."""
        if kind == "wide":
            kind = "double" if self.plain else self.one("double", "exact", "int", "exact")
        if depth <= 0 or self.chance(0.35):
            if self.chance(0.62):
                return self.name(kind)
            pool = {"double": SOME_DOUBLES, "exact": SOME_DECIMALS, "int": SOME_WHOLES}[kind]
            found = self.random.choice(pool)
            return ("num", "2.0" if self.plain and found == "1e99" else found)
        if self.chance(0.12):
            return (self.one("-1", "abs") if not self.plain else "-1", self.number(kind, depth - 1))
        if self.chance(0.08):
            asked, yes, no = self.boolean(depth - 2), *self.pair(kind, depth - 1)
            return ("?", asked, yes, no)
        if kind == "int":
            if self.chance(0.2):
                return ("size", self.one(self.name("text"), ("field", "l1"), ("field", "l2")))
            return (self.one("+", "-", "*"), *self.pair("int", depth - 1))
        signs = "+-*" if self.plain else "+-*/"
        other = "int" if not self.plain and self.chance(0.15) else kind
        left, right = self.number(kind, depth - 1), self.number(other, depth - 1)
        return (self.random.choice(signs), *((left, right) if self.chance(0.7) else (right, left)))

    def pair(self, kind: str, depth: int) -> tuple[Tree, Tree]:
        return self.number(kind, depth), self.number(kind, depth)

    def text(self, beside: Tree) -> Tree:
        """A text to compare `beside` with: for an enum one of its members."""
        if self.chance(0.55):
            return self.name("text")
        return ("str", self.random.choice(self._texts(beside)))

    def _texts(self, beside: Tree) -> tuple[str, ...]:
        name = str(beside[1])
        small = SOME_TEXTS[:8] if self.plain or name == "n1" else SOME_TEXTS
        return {"e1": ("a", "b", "c", "ab"), "e2": ("x", "y", "z")}.get(name, small)

    def boolean(self, depth: int) -> Tree:
        """A condition, `depth` levels of `and`, `or`, `not`, `?:` deep at most."""
        kind = self.one("leaf", "and", "or", "and", "or", "not", "?")
        if depth > 0 and kind != "leaf":
            count = {"not": 1, "?": 3}.get(kind, self.one(2, 2, 3))
            return (kind, *(self.boolean(depth - 1) for _ in range(count)))
        return self.random.choice(self._leaves())()

    def _leaves(self) -> list[Callable[[], Tree]]:
        s = self.name("text")
        compare = self.random.choice(COMPARE)
        equal = self.one("==", "!=")
        member = self.one("in", "in", "not in")
        leaves: list[Callable[[], Tree]] = [
            lambda: (compare, self.number("wide", 2), self.name("double")),
            lambda: (compare, self.number("double", 3), self.number("double", 2)),
            lambda: (equal, s, self.text(s)),
            lambda: self.name("bool"),
            lambda: ("has", ("field", self.one("f1", "s1", "b1", "l1"))),
            lambda: (member, s, ("field", "l1")),
            lambda: ("array", member, s, self.random.sample(self._texts(s)[:7], self.one(1, 2, 3))),
            lambda: (self.one("contains", "startsWith", "endsWith"), s, self.text(("field", ""))),
            lambda: ("matches", s, ("str", self.random.choice(SOME_PATTERNS))),
            lambda: (compare, ("size", s), ("num", self.one("0", "1", "2"))),
        ]
        if not self.plain:
            leaves += [
                lambda: (compare, self.number("wide", 3), self.number("wide", 2)),
                lambda: (compare, self.number("exact", 3), self.number("exact", 2)),
                lambda: (compare, self.number("int", 3), self.number("wide", 1)),
                lambda: (compare, self.moment(2), self.moment(1)),
                lambda: (compare, self.span(2), self.span(1)),
                lambda: (compare, ("/", self.span(1), self.span(1)), ("num", self.one("0.5", "2"))),
                lambda: (equal, self.name("bool"), self.boolean(0)),
                lambda: ("array", member, ("field", "e2"), ["x", "y"]),
                lambda: (equal, ("field", "e1"), ("str", self.one("a", "b"))),
                lambda: ("list", member, s, "words"),
                lambda: ("list", member, self.number("wide", 1), "numbers"),
                lambda: ("array", member, self.number("int", 1), ["0", "1", "3"], "num"),
                lambda: ("array", member, self.name("double"), ["0.0", "0.5", "-2.0"], "num"),
                lambda: ("array", member, self.name("exact"), ["0.25", "1.50", "3"], "num"),
                lambda: (member, self.number("int", 1), ("field", "l2")),
                lambda: (member, self.name("double"), ("field", "l3")),
                lambda: (member, ("field", "e2"), ("field", "l4")),
                lambda: (member, s, ("field", "tables.rates.named")),
                lambda: ("mentions", s, ("words", self.one("words", "words", "a b"))),
                lambda: (equal, ("hour", self.moment(1)), ("num", self.one("8", "9", "23"))),
                lambda: (equal, ("weekday", self.moment(0)), ("str", "saturday")),
                lambda: (self.one("exists", "all"), ("field", "l1"), self._item("s", "text")),
                lambda: (self.one("exists", "all"), ("field", "l2"), self._item("n", "int")),
                lambda: (self.one("exists", "all"), ("field", "l5"), self._part()),
                lambda: (
                    "has",
                    (
                        "field",
                        self.one(
                            "tables.rates.cap", "o1", "o1.f", "o1.deep", "e1", "d1", "t1", "l2"
                        ),
                    ),
                ),
            ]
        return leaves

    def _item(self, name: str, kind: str) -> Tree:
        """A condition of an item `name` of a list."""
        item: Tree = ("field", name)
        if kind == "text":
            leaf: Tree = self.one(
                ("==", item, self.name("text")),
                ("startsWith", item, ("str", "a")),
                ("array", "in", item, ["", "b"]),
            )
        else:
            leaf = (self.random.choice(COMPARE), item, self.number("int", 1))
        return self._beside(leaf)

    def _part(self) -> Tree:
        """A condition of an item of `l5`, whose parts may be missing."""
        leaf = self.one(
            ("==", ("field", "l.p"), ("str", "x")),
            (">", ("field", "l.d"), self.number("exact", 1)),
            ("<", ("field", "l.m"), self.name("double")),
            ("and", ("has", ("field", "l.m")), (">", ("field", "l.m"), ("num", "0.5"))),
        )
        return self._beside(leaf)

    def _beside(self, leaf: Tree) -> Tree:
        other = self.one(self.name("bool"), ("has", ("field", "s1")), ("not", leaf))
        return self.one(leaf, leaf, ("or", leaf, other), ("and", other, leaf))

    def moment(self, depth: int) -> Tree:
        if depth and self.chance(0.3):
            return (self.one("+", "-"), self.moment(depth - 1), self.span(depth - 1))
        if self.chance(0.6):
            return self.name("time")
        return ("timestamp", ("str", self.random.choice(SOME_TIMES)))

    def span(self, depth: int) -> Tree:
        if depth and self.chance(0.3):
            return (self.one("+", "-"), self.span(depth - 1), self.span(depth - 1))
        if depth and self.chance(0.3):
            return ("-", self.moment(depth - 1), self.moment(depth - 1))
        if self.chance(0.1):
            return (self.one("-1", "abs"), self.name("span"))
        if self.chance(0.6):
            return self.name("span")
        return ("duration", ("str", self.random.choice(SOME_SPANS)))

    def condition(self, depth: int = 3) -> Tree:
        """A condition that reads a field; half of them ask a field for a value first."""
        while True:
            tree = self.boolean(depth)
            if self.chance(0.5):
                first: Tree = ("==", ("field", "e1"), ("str", self.one("a", "b", "c")))
                if self.chance(0.3):
                    first = ("array", "in", ("field", "s1"), self.random.sample(["a", "ab", ""], 2))
                elif self.chance(0.3):
                    first = ("==", ("field", "i1"), ("num", self.one("0", "1", "2")))
                elif self.chance(0.2):
                    first = ("or", *(("==", ("field", "e1"), ("str", v)) for v in "ab"))
                if self.chance(0.4):
                    first = ("and", first, ("==", ("field", "e2"), ("str", self.one("x", "y"))))
                tree = ("and", first, tree)
            if reads(tree) and len(write(tree)) < 1_500:
                return tree

    # ---------------------------------------------------------------- policies and records

    def head(self) -> str:
        """A policy up to its rules; new named values are drawn, which conditions then read."""
        self.values = {}
        fields = "".join(f"  {name}: {kind}\n" for name, kind in FIELDS.items())
        head = HEAD + fields + LISTS
        if self._with_values:
            head += (
                "aggregates:\n"
                "  count_1: {count: decisions, over: decisions:submitted, window: 24h}\n"
                "  sum_1: {sum: d1, over: decisions:released, window: 1h}\n"
                "values:\n"
            )
            for number in range(self.random.randrange(1, 6)):
                kind = self.one("double", "exact", "int", "bool", "span")
                makers = {"bool": self.boolean, "span": self.span}
                make = makers.get(kind) or (lambda depth, k=kind: self.number(k, depth))
                tree = make(2)
                line = f"  v{number}: {write(tree)}\n"
                if not reads(tree) or gate.check(f"{head}{line}{_RULES}{_ANY}"):
                    self.rejected += 1
                    continue
                head += line
                self.values[f"v{number}"] = (kind, tree)
            if not self.values:
                head += "  v0: f1 + f2\n"
                self.values["v0"] = ("double", ("+", ("field", "f1"), ("field", "f2")))
        return head + _RULES

    def policy(self, rules: int = 20, *, depth: int = 3) -> str:
        """The text of a policy that loads, of at most `rules` rules (matrices included)."""
        head = self.head()
        blocks = [self._rule(number, depth) for number in range(rules)]
        while True:
            text = head + "".join(blocks)
            mistakes = gate.check(text)
            if not mistakes:
                return text
            first = head.count("\n") + 1
            bad, starts = set(), []
            for block in blocks:
                starts.append(first)
                first += block.count("\n")
            for mistake in mistakes:
                bad.add(max(at for at, line in enumerate(starts) if line <= mistake.line))
            self.rejected += len(bad)
            blocks = [block for at, block in enumerate(blocks) if at not in bad] or [_ANY]

    def _rule(self, number: int, depth: int) -> str:
        unknown = self.one("hold", "ignore", "fire", "ignore")
        extra = f"    on_unknown: {unknown}\n" + ("    trial: true\n" if self.chance(0.1) else "")
        if self.chance(0.1) and not self.plain:
            rows = ", ".join(
                f"[{self.one('a', 'b', 'c', '-')}, {self.one('0.5', '2', '-1', '-')}, "
                f"{self.one('-', '[x, y]', '[z]')}, in_the_loop]"
                for _ in range(self.random.randrange(1, 5))
            )
            columns = "[e1 ==, f1 >, e2 in, then]"
            return f"  - matrix: m{number}\n{extra}    columns: {columns}\n    rows: [{rows}]\n"
        return f"  - id: r{number}\n{extra}    when: {write(self.condition(depth))}\n"

    def facts(self) -> dict[str, Any]:
        """One record's facts, by wire types; each value is missing with probability `missing`."""
        r = self.random
        huge = [] if self.plain else [1e308, -1e308, 5e-324, 1e-300]
        doubles = [0.0, 0.1, 0.5, -2.0, 3.7, 100.0, r.uniform(-10, 10), r.uniform(0, 1), *huge]
        texts = [t for t in SOME_TEXTS if not self.plain or t.isalpha() or not t]
        whole: dict[str, Any] = {
            "f1": r.choice(doubles),
            "f2": r.choice(doubles),
            "f3": r.choice(doubles),
            "i1": r.choice([0, 1, 2, 3, r.randrange(-100, 100), 2**53 - 1]),
            "i2": r.choice([0, 1, -1, r.randrange(-5, 5)]),
            "d1": r.choice(["0.25", "1.50", "0", "-10.00", f"{r.uniform(-50, 50):.2f}"]),
            "d2": r.choice(["0.001", "10", "-2.500", f"{r.uniform(-5, 5):.3f}"]),
            "b1": self.chance(0.5),
            "b2": self.chance(0.5),
            "s1": r.choice(texts),
            "s2": r.choice(texts),
            "n1": r.choice(["A", " ab ", "ｘ", "É", "c"]),
            "p1": r.choice(["ann@example.com", "a", "ab"]),
            "e1": r.choice(["a", "b", "c", "ab"]),
            "e2": r.choice(["x", "y", "z"]),
            "t1": r.choice([*SOME_TIMES, f"2026-11-21T{r.randrange(24):02}:00:00Z"]),
            "t2": r.choice(SOME_TIMES),
            "u1": r.choice([*SOME_SPANS, f"{r.randrange(100)}m"]),
            "u2": r.choice(SOME_SPANS),
            "l1": r.sample(["a", "b", "", "é", "ab"], r.randrange(4)),
            "l2": r.sample([0, 1, 2, 3, -1], r.randrange(4)),
            "l3": r.sample([0.0, 0.5, -2.0, 3.7], r.randrange(4)),
            "l4": r.sample(["x", "y", "z"], r.randrange(3)),
            "l5": [
                {
                    name: value
                    for name, value in (
                        ("p", r.choice(["x", "y"])),
                        ("d", r.choice(["0.25", "1.50", "-1"])),
                        ("m", r.choice([0.0, 0.6, 2.5])),
                    )
                    if not self.chance(self.missing)
                }
                for _ in range(r.randrange(4))
            ],
        }
        inner: dict[str, Any] = {
            "f": r.choice(doubles),
            "s": r.choice(texts),
            "deep": {"b": self.chance(0.5)},
        }
        whole["o1"] = {k: v for k, v in inner.items() if not self.chance(self.missing)}
        return {name: value for name, value in whole.items() if not self.chance(self.missing)}

    def given(self) -> dict[str, Any]:
        """What else an evaluation takes: `confidence` and `aggregates`, sometimes missing."""
        r = self.random
        return {
            "confidence": None if self.chance(self.missing) else r.choice([0.0, 0.5, 1.0, 0.1]),
            "aggregates": {
                "count_1": None if self.chance(self.missing) else r.randrange(5),
                "sum_1": None if self.chance(self.missing) else r.randrange(-500, 500),
            },
        }


_RULES = "rules:\n"
_ANY = "  - id: any\n    when: has(b1) or not has(b1)\n"


# ------------------------------------------------------------------------------- writing trees


def reads(tree: Any) -> bool:
    """Whether a field is read anywhere in the tree."""
    return isinstance(tree, tuple) and (tree[:1] == ("field",) or any(map(reads, tree)))


def quoted(text: str) -> str:
    """A text as our language and CEL both write it."""
    plain = set(string.printable) - set("\\\"'\n\t\r\x0b\x0c")
    return '"' + "".join(c if c in plain else f"\\u{ord(c):04x}" for c in text) + '"'


def write(tree: Tree) -> str:
    """The tree as a condition of a policy."""
    op, *args = tree
    if op in ("field", "num", "bool"):
        return str(args[0])
    if op == "str":
        return quoted(args[0])
    if op == "not":
        return f"(not {write(args[0])})"
    if op == "-1":
        return f"(-{write(args[0])})"
    if op == "?":
        return f"({write(args[0])} ? {write(args[1])} : {write(args[2])})"
    if op in _CALLS:
        return f"{op}({', '.join(map(write, args))})"
    if op == "array":
        word, item, items = args[:3]
        inside = ", ".join(items if len(args) == 4 else map(quoted, items))
        return f"({write(item)} {word} [{inside}])"
    if op == "list":
        return f"({write(args[1])} {args[0]} lists.{args[2]})"
    if op in ("exists", "all"):
        item = {"l1": "s", "l2": "n"}.get(args[0][1], "l")
        return f"{op}({write(args[0])}, {item}, {write(args[1])})"
    if op == "mentions":
        words = args[1][1]
        pool = "lists.words" if words == "words" else f'["{words}"]'
        return f"mentions({write(args[0])}, {pool})"
    if op in ("hour", "weekday"):
        return f'{op}({write(args[0])}, "Europe/Berlin")'
    return "(" + f" {op} ".join(map(write, args)) + ")"


_CALLS = ("has", "size", "abs", "contains", "startsWith", "endsWith", "matches", "timestamp",
          "duration")  # fmt: skip


def cel(tree: Tree) -> str | None:
    """The same in Google's CEL over one map `r`; None where CEL has no such thing or means
    another by it (exact decimals, mixed numbers, named lists and values)."""
    op, *args = tree
    if op == "field":
        return f"r.{args[0]}" if args[0] in FIELDS else None
    if op in ("num", "bool"):
        return str(args[0])
    if op == "str":
        return quoted(args[0])
    if op in ("list", "abs", "timestamp", "duration", "mentions", "hour", "weekday", "exists"):
        return None
    if op == "all":
        return None
    if op == "array":
        item = cel(args[1])
        inside = ", ".join(args[2] if len(args) == 4 else map(quoted, args[2]))
        if item is None:
            return None
        return f"({'!' if args[0] == 'not in' else ''}({item} in [{inside}]))"
    parts = [cel(arg) for arg in args]
    if None in parts:
        return None
    if op == "not":
        return f"(!{parts[0]})"
    if op == "-1":
        return f"(-{parts[0]})"
    if op == "?":
        return f"({parts[0]} ? {parts[1]} : {parts[2]})"
    if op in ("has", "size"):
        return f"{op}({parts[0]})"
    if op in ("contains", "startsWith", "endsWith", "matches"):
        return f"{parts[0]}.{op}({parts[1]})"
    if op == "not in":
        return f"(!({parts[0]} in {parts[1]}))"
    sign = {"and": "&&", "or": "||"}.get(op, op)
    return "(" + f" {sign} ".join(str(part) for part in parts) + ")"
