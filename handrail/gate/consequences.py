"""Consequences: rules, matrices, tiers, the route, the review block and sampling."""

from __future__ import annotations

import json
import re
from decimal import Decimal

from handrail.gate.checker import Checker, Fault
from handrail.gate.declare import Declarations
from handrail.gate.draft import DraftRemember, DraftRule, DraftTiers, Row
from handrail.gate.sentence import Sentence, compile_sentence
from handrail.gate.shapes import ID
from handrail.gate.source import Node, shorten
from handrail.gate.syntax import Expr, ExprError, parse
from handrail.model.modes import Lane, Mode, OnUnknown, Severity, Silence
from handrail.model.policy import RouteLine, Sampling
from handrail.model.ruling import Approval, Route
from handrail.model.text import nearest

MAX_RULES = 1_000
"""Most rules (matrix rows included) of one policy."""

_COLUMN = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*)\s*(==|!=|<=|>=|<|>|not\s+in|in)?", re.ASCII)
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%", re.ASCII)


class Consequences(Declarations):
    """Reads what follows from what: conditions, modes, who gets it, what a person may do."""

    # ------------------------------------------------------------------ rules

    def rules(self, node: Node) -> None:
        if node.kind != "list":
            self.wrong(node, f"rules is {node.shown}", "a list of rules: `- id: …`", "")
            return
        seen: dict[str, Node] = {}
        for spec in node.items:
            before = len(self.mistakes)
            is_matrix = spec.kind == "map" and any(key.text == "matrix" for key, _ in spec.items)
            rule = self.matrix(spec) if is_matrix else self.rule(spec)
            if rule is None:
                continue
            if rule.id in seen:
                self.wrong(
                    spec,
                    f"the rule id `{rule.id}` is here a second time",
                    f"an id of its own (first on line {seen[rule.id].line})",
                    "rename one",
                )
            seen.setdefault(rule.id, spec)
            if len(self.mistakes) == before or rule.rows:
                self.draft.rules.append(rule)
            else:
                self.broken_rules.add(rule.id)
            self.rows += len(rule.rows)
            if self.rows > MAX_RULES:
                self.wrong(spec, f"more than {MAX_RULES:,} rules", f"at most {MAX_RULES:,}", "")
                return

    def rule_id(self, given: dict[str, Node], key: str, spec: Node) -> str:
        if key not in given:
            return f"(line {spec.line})"
        node = given[key]
        if node.kind != "scalar" or not ID.fullmatch(node.text):
            self.wrong(
                node,
                f"the rule id is {node.shown}",
                "letters, digits, `-`, `_` and `.`, at most 63",
                "such as `over-the-cap`",
            )
            return f"(line {spec.line})"
        return node.text

    def rule(self, spec: Node) -> DraftRule | None:
        given = self.section(spec, "rule")
        if not given:
            return None
        name = self.rule_id(given, "id", spec)
        on_unknown = self.on_unknown(given)
        when = None
        if "when" in given:
            when = self.condition(
                given["when"], f"the condition of {name}", guarded="on_unknown" in given
            )
        then = self.mode(given.get("then"))
        severity = self.severity(given.get("severity"))
        approvals = self.approvals(given["approve"], then) if "approve" in given else ()
        because = self.sentence(given["because"]) if "because" in given else None
        trial = self.flag(given["trial"], "trial") if "trial" in given else False
        same_case = self.same_case(given["same_case"], then) if "same_case" in given else ()
        remember = self.remember(given["remember"]) if "remember" in given else ()
        rows = []
        if when is not None:
            rows = [Row(when, given["when"].text, then, severity, approvals, because)]
        return DraftRule(
            name, spec.line, spec.column, rows, on_unknown, trial, same_case, False, remember
        )

    def remember(self, node: Node) -> tuple[DraftRemember, ...]:
        """What joins which stored list after an approval."""
        given = self.section(node, "remember")
        if "list" not in given or "field" not in given:
            return ()
        span = self.span(given["for"], "for") if "for" in given else None
        name = given["list"].text
        named = self.draft.lists.get(name)
        if named is None or not named.stored:
            self.wrong(
                given["list"],
                f"remember names {given['list'].shown}",
                "a stored list under `lists:`",
                nearest(name, [one for one, known in self.draft.lists.items() if known.stored])
                or f"declare it: `{name}: {{stored: true}}`",
            )
            return ()
        field = self.known_field(given["field"], "remember")
        if field is None:
            return ()
        if field.kind not in ("string", "enum", "person"):
            self.wrong(
                given["field"],
                f"remember takes {field.name}, a {field.kind}",
                "a text: a stored list holds texts",
                "",
            )
            return ()
        return (DraftRemember(name, field.name, span),)

    def on_unknown(self, given: dict[str, Node]) -> OnUnknown:
        if "on_unknown" not in given:
            return OnUnknown.HOLD
        return self.one_of(given["on_unknown"], "on_unknown", OnUnknown) or OnUnknown.HOLD

    def mode(self, node: Node | None, default: Mode = Mode.IN_THE_LOOP) -> Mode:
        return default if node is None else self.one_of(node, "the mode", Mode) or default

    def severity(self, node: Node | None, default: Severity = Severity.MEDIUM) -> Severity:
        return default if node is None else self.one_of(node, "severity", Severity) or default

    def sentence(self, node: Node) -> Sentence | None:
        if node.kind != "scalar":
            self.wrong(
                node,
                f"the sentence is {node.shown}",
                "a text",
                'quote it: it starts with a sign that YAML reads, such as "{amount} is …"',
            )
            return None
        if not node.text.strip():
            self.wrong(node, "an empty sentence", "a sentence a person reads", "")
            return None
        faults: list[Fault] = []
        made = compile_sentence(node.text, self.draft.scope, faults)
        self.faults(node, faults)
        return made

    def same_case(self, node: Node, then: Mode) -> tuple[str, ...]:
        names = []
        for item in self.items(node, "same_case"):
            symbol = self.draft.scope.symbols.get(item.text)
            if symbol is None or symbol.type.kind in ("object", "ratio", "number"):
                if item.text not in self.draft.scope.broken:
                    self.wrong(
                        item,
                        f"same_case names {item.shown}",
                        "fields",
                        nearest(item.text, self.draft.fields),
                    )
            else:
                names.append(item.text)
        if then is Mode.IN_COMMAND:
            self.wrong(
                node,
                "same_case of a rule that is in_command",
                "each such decision by itself",
                "delete same_case",
            )
        if not self.draft.reversible:
            self.wrong(
                node,
                "same_case where the effect is irreversible",
                "`stakes: {reversible: true}`",
                "declare it, or delete same_case",
            )
        return tuple(names)

    def approvals(self, node: Node, then: Mode) -> tuple[Approval, ...]:
        if node.kind == "scalar" and node.text == "-":
            return ()
        if then.lane is not Lane.HOLD:
            self.wrong(
                node,
                f"approve on a rule whose mode is {then}",
                "in_the_loop or in_command: only what is held is approved",
                "change `then`, or delete approve",
            )
        needs: dict[Approval, None] = {}
        entries = node.items if node.kind == "list" else [node]
        for entry in entries:
            if entry.kind == "map":
                for need in self.approval_group(entry):
                    needs[need] = None
            else:
                for name in self.who(entry, "approve"):
                    needs[Approval(of=(name,))] = None
        return tuple(needs)

    def approval_group(self, node: Node) -> list[Approval]:
        given = self.section(node, "approve")
        if set(given) == {"all"}:
            return [Approval(of=(name,)) for name in self.who(given["all"], "all")]
        if set(given) == {"any", "of"}:
            count = given["any"].value if given["any"].kind == "scalar" else None
            if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 20:
                self.wrong(
                    given["any"], f"any is {given['any'].shown}", "a whole number, 1 to 20", ""
                )
                return []
            names = self.who(given["of"], "of")
            if names and all(n.startswith("person:") for n in names) and count > len(names):
                self.wrong(given["any"], f"{count} of {len(names)} persons", "enough persons", "")
            return [Approval(of=names, count=count)] if names else []
        self.wrong(node, "an approval of that form", "`{all: [..]}` or `{any: 2, of: team:x}`", "")
        return []

    def matrix(self, spec: Node) -> DraftRule | None:
        given = self.section(spec, "matrix")
        name = self.rule_id(given, "matrix", spec)
        on_unknown = self.on_unknown(given)
        trial = self.flag(given["trial"], "trial") if "trial" in given else False
        then = self.mode(given.get("then"))
        severity = self.severity(given.get("severity"))
        because = self.sentence(given["because"]) if "because" in given else None
        if "columns" not in given or "rows" not in given:
            return None
        columns: list[tuple[str, str]] = []
        for item in self.items(given["columns"], "columns"):
            match = _COLUMN.fullmatch(item.text.strip())
            if match is None:
                self.wrong(item, f"the column {item.shown}", "such as `amount >` or `then`", "")
                return None
            columns.append((match[1], re.sub(r"\s+", " ", match[2] or "")))
        if given["rows"].kind != "list" or not given["rows"].items:
            self.wrong(given["rows"], f"rows is {given['rows'].shown}", "a list of rows", "")
            return None
        rows = []
        for row in given["rows"].items:
            made = self.matrix_row(
                row, columns, then, severity, because, guarded="on_unknown" in given
            )
            if made is not None:
                rows.append(made)
        return DraftRule(name, spec.line, spec.column, rows, on_unknown, trial, (), matrix=True)

    def matrix_row(
        self,
        row: Node,
        columns: list[tuple[str, str]],
        then: Mode,
        severity: Severity,
        because: Sentence | None,
        *,
        guarded: bool,
    ) -> Row | None:
        if row.kind != "list" or len(row.items) != len(columns):
            have = f"{len(row.items)} cells" if row.kind == "list" else row.shown
            self.wrong(row, f"a row of {have}", f"{len(columns)}, one a column", "")
            return None
        cells = {name: cell for (name, op), cell in zip(columns, row.items, strict=True) if not op}
        said = {
            key: cells[key]
            for key in ("then", "severity", "approve", "because")
            if key in cells and cells[key].text != "-"
        }
        then = self.mode(said.get("then"), then)
        severity = self.severity(said.get("severity"), severity)
        approvals = self.approvals(said["approve"], then) if "approve" in said else ()
        if "because" in said:
            because = self.sentence(said["because"])
        parts: list[str] = []
        for (name, op), cell in zip(columns, row.items, strict=True):
            if not op and name in ("then", "severity", "approve", "because"):
                continue
            if cell.kind == "scalar" and cell.style == "plain" and cell.text == "-":
                continue
            text = f"{name} {op or '=='} {self.cell(cell)}"
            try:
                tree = parse(text)
            except ExprError as error:
                self.wrong(cell, error.what, error.expected, error.fix)
                return None
            checker = Checker(self.draft.scope)
            checker.condition(tree, guarded)
            for fault in checker.faults:
                self.wrong(cell, fault.what, fault.expected, fault.fix)
            parts.append(text)
        source = " and ".join(parts) or "true"
        whole = parse(source)
        Checker(self.draft.scope).visit(whole)
        return Row(whole, source, then, severity, approvals, because)

    def cell(self, node: Node) -> str:
        if node.kind == "list":
            return "[" + ", ".join(self.cell(item) for item in node.items) + "]"
        value = node.value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | Decimal):
            return format(Decimal(value), "f")
        return json.dumps(str(value), ensure_ascii=False)

    # ------------------------------------------------------------------ tiers, route, review

    def tiers(self, node: Node) -> None:
        given = self.section(node, "tiers", extra=True)
        if "risk" not in given or "at_least" not in given:
            return
        risks = self.risks(given["risk"])
        bounds = self.bounds(given["at_least"])
        cells: dict[str, list[Mode]] = {}
        names = [name for name, _, _ in risks]
        for key, row in node.items:
            if key.text in ("risk", "at_least"):
                continue
            if key.text not in names:
                if risks:
                    self.wrong(
                        key,
                        f"`{shorten(key.text)}` is no risk of these tiers",
                        "one of " + ", ".join(names),
                        nearest(key.text, names),
                    )
                continue
            modes = [self.mode(item) for item in self.items(row, f"tier {key.text}")]
            if row.kind == "list" and bounds and len(modes) != len(bounds):
                self.wrong(row, f"{len(modes)} modes", f"{len(bounds)}, one a bound", "")
            cells[key.text] = modes
        for name, _, _ in risks:
            if name not in {key.text for key, _ in node.items}:
                self.wrong(node, f"no modes for the risk `{name}`", f"`{name}: [..]`", "add it")
        floats = [None if bound is None else float(bound) for bound in bounds]
        self.draft.tiers = DraftTiers(risks, floats, cells)

    def risks(self, node: Node) -> list[tuple[str, Expr | None, str]]:
        if node.kind != "map" or not node.items:
            self.wrong(node, f"risk is {node.shown}", "`{high: condition, low: else}`", "")
            return []
        found: list[tuple[str, Expr | None, str]] = []
        last = node.items[-1][0]
        for key, spec in node.items:
            if spec.kind == "scalar" and spec.text == "else":
                if key is not last:
                    self.wrong(key, "`else` before the last risk", "`else` last", "move it down")
                found.append((key.text, None, "else"))
                continue
            if key is last and all(tree is not None for _, tree, _ in found):
                self.wrong(key, "the last risk has a condition", "`else`, so that one holds", "")
            tree = self.condition(spec, f"the risk {key.text}", guarded=True)
            if tree is not None:
                found.append((key.text, tree, spec.text))
        return found

    def bounds(self, node: Node) -> list[Decimal | None]:
        """Falling bounds of confidence, None for `none`; empty after a mistake."""
        before = len(self.mistakes)
        found: list[Decimal | None] = []
        for item in self.items(node, "at_least"):
            value = item.value
            if item.text == "none":
                found.append(None)
            elif isinstance(value, bool) or not isinstance(value, int | Decimal):
                self.wrong(item, f"the bound {item.shown}", "a number from 0 to 1, or `none`", "")
            elif not 0 <= value <= 1:
                self.wrong(item, f"the bound {item.shown}", "a number from 0 to 1", "")
            elif found and (found[-1] is None or found[-1] <= value):
                self.wrong(item, f"{item.shown} after {found[-1]}", "falling bounds", "sort them")
            else:
                found.append(Decimal(value))
        clean = len(self.mistakes) == before
        if found and clean and (found[-1] is not None or Decimal(0) not in found):
            self.wrong(
                node,
                "bounds that leave a gap",
                "`0` and then `none` at the end",
                "write such as `[0.95, 0.80, 0, none]`",
            )
        return found if len(self.mistakes) == before else []

    def route(self, node: Node) -> None:
        if node.kind != "list" or not node.items:
            self.wrong(node, f"route is {node.shown}", "a list of lines", "`- {to: team:x, …}`")
            return
        ids = {rule.id for rule in self.draft.rules}
        for spec in node.items:
            given = self.section(spec, "route")
            to = self.who(given["to"], "to") if "to" in given else ()
            sla = self.span(given["sla"], "sla") if "sla" in given else None
            silence = self.mute(given.get("silence"))
            if silence is Silence.APPROVE and not self.draft.reversible:
                self.wrong(
                    given["silence"],
                    "silence approves what is irreversible",
                    "block, escalate or reject; approve only with `stakes: {reversible: true}`",
                    "write `silence: block`",
                )
            clock = "always"
            if "clock" in given:
                clock = self.one_of(given["clock"], "clock", ("always", "business")) or clock
            fallback = self.who(given["fallback"], "fallback") if "fallback" in given else ()
            if sla is None and fallback:
                self.wrong(given["fallback"], "a fallback without `sla`", "when it is due", "")
            severity = None
            if "severity" in given:
                severity = self.one_of(given["severity"], "severity", Severity)
            rule = given["rule"].text if "rule" in given else None
            if rule is not None and rule not in ids and self.draft.rules:
                self.wrong(
                    given["rule"], f"there is no rule `{rule}`", "a rule's id", nearest(rule, ids)
                )
            unconditional = "severity" not in given and "rule" not in given
            if unconditional and spec is not node.items[-1]:
                self.wrong(
                    spec, "a line without condition before the last", "it last", "move it down"
                )
            if not unconditional and spec is node.items[-1]:
                self.wrong(
                    spec,
                    "the last route has a condition",
                    "a last line for all the rest",
                    "add `- {to: team:x, sla: 4h, silence: block}`",
                )
            self.draft.routes.append(
                RouteLine(
                    severity=severity,
                    rule=rule,
                    route=Route(
                        to=to,
                        sla_seconds=None if sla is None else max(1, sla // 1_000_000),
                        clock=clock,
                        fallback=fallback,
                        silence=silence,
                    ),
                )
            )

    def mute(self, node: Node | None) -> Silence:
        if node is None:
            return Silence.BLOCK
        return self.one_of(node, "silence", Silence) or Silence.BLOCK

    def review(self, node: Node) -> None:
        draft = self.draft
        given = self.section(node, "review")
        if "reasons" in given:
            reasons = given["reasons"]
            if reasons.kind != "map":
                self.wrong(reasons, f"reasons is {reasons.shown}", "`{code: Words}`", "")
            else:
                for key, words in reasons.items:
                    if not ID.fullmatch(key.text):
                        self.wrong(key, f"the reason code {key.shown}", "letters, digits, `-`", "")
                    draft.reasons[key.text] = self.text(words, f"the reason {key.text}")
        if "edit" in given:
            self.edit(given["edit"])
        if "choices" in given:
            seen = [item.text for item in self.items(given["choices"], "choices")]
            if len(set(seen)) != len(seen):
                self.wrong(given["choices"], "a choice twice", "each choice once", "delete one")
            draft.choices = tuple(seen)
        if "if_approved" in given:
            draft.if_approved = self.sentence(given["if_approved"])
        if "if_rejected" in given:
            draft.if_rejected = self.sentence(given["if_rejected"])
        if "remember" in given:
            draft.remember = self.remember(given["remember"])
        if "undo" in given:
            undo = self.span(given["undo"], "undo")
            draft.undo_us = draft.undo_us if undo is None else undo
        if "valid" in given:
            draft.valid_us = self.span(given["valid"], "valid")

    def edit(self, node: Node) -> None:
        if node.kind == "map":
            from handrail.gate.schema import read_schema  # few policies have one

            made = read_schema(self, node)
            if made is not None:
                self.draft.edit_schema, self.draft.edit = made, made.names
            return
        names = []
        for item in self.items(node, "edit"):
            found = self.known_field(item, "edit")
            if found is None:
                continue
            if not found.proposed:
                self.wrong(
                    item,
                    f"edit names `{found.name}`, which is a fact",
                    "fields with `from: proposal`: an edit changes only what will run",
                    f"declare `{found.name}` with `from: proposal`, or leave it out",
                )
            names.append(found.name)
        self.draft.edit = tuple(dict.fromkeys(names))

    def sampling(self, node: Node) -> None:
        given = self.section(node, "sampling")
        shares: dict[str, float] = {}
        for key, spec in given.items():
            match = _SHARE.fullmatch(spec.text) if spec.kind == "scalar" else None
            value = spec.value if spec.kind == "scalar" else None
            if match:
                share = Decimal(match[1]) / 100
            elif isinstance(value, int | Decimal) and not isinstance(value, bool):
                share = Decimal(value)
            else:
                share = Decimal(-1)
            if not 0 <= share <= 1:
                self.wrong(spec, f"{key} is {spec.shown}", "a share such as 2% or 0.02", "")
            else:
                shares[key] = float(share)
        self.draft.sampling = Sampling(**shares)

    def in_command(self, root: Node, top: dict[str, Node]) -> None:
        """Where a person enters the value, there must be something to enter."""
        draft = self.draft
        modes = {row.then for rule in draft.rules for row in rule.rows} | {draft.otherwise}
        if draft.tiers is not None:
            modes |= {mode for row in draft.tiers.cells.values() for mode in row}
        review = top.get("review")
        tried = (
            review is not None
            and review.kind == "map"
            and any(key.text in ("edit", "choices") for key, _ in review.items)
        )
        if Mode.IN_COMMAND in modes and not tried:
            at = root
            for rule in draft.rules:
                if any(row.then is Mode.IN_COMMAND for row in rule.rows):
                    at = Node("map", rule.line, rule.column)
                    break
            self.wrong(
                at,
                "a mode is in_command, and a person has nothing to enter",
                "`review.edit` (fields from the proposal) or `review.choices`",
                "add `edit: [field]`",
            )
