"""From the root node to a draft: every section read, every mistake collected."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from handrail.gate import values as val
from handrail.gate.checker import Symbol, Type
from handrail.gate.clockwork import Clockwork
from handrail.gate.consequences import Consequences
from handrail.gate.declare import type_of
from handrail.gate.draft import Draft, DraftCase
from handrail.gate.scope import kept
from handrail.gate.shapes import merged, plain
from handrail.gate.source import Node
from handrail.model.modes import Lane, Mode
from handrail.model.policy import IfOpen
from handrail.model.ruling import Approval, Checked
from handrail.model.text import nearest

_WORKFLOW = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)


class Reader(Consequences, Clockwork):
    """Reads one file's root node into a draft; `mistakes` holds all that is wrong."""

    def read(self, root: Node) -> Draft:
        """Every section in the order of their dependence."""
        draft, scope = self.draft, self.draft.scope
        top = self.section(root, "policy")
        self.header(top)
        if "fields" in top:
            self.fields(top["fields"])
        scope.proposed = {name for name, field in draft.fields.items() if field.proposed}
        if "lists" in top:
            self.lists(top["lists"])
        if "tables" in top:
            self.tables(top["tables"])
        if "checks" in top:
            self.checks(top["checks"])
        if "groups" in top:
            self.groups(top["groups"])
        if "aggregates" in top:
            self.aggregates(top["aggregates"])
        if "every" in top:
            self.every(top["every"])
        draft.confidence_slot = scope.slot()
        scope.symbols["confidence"] = Symbol(
            "confidence", "confidence", Type("double"), draft.confidence_slot, maybe=True
        )
        if "values" in top:
            self.values(top["values"])
        if "stakes" in top:
            self.stakes(top["stakes"])
        self.people(top)
        if "review" in top:
            self.review(top["review"])
        if "rules" in top:
            self.rules(top["rules"])
        if "tiers" in top:
            self.tiers(top["tiers"])
        if "route" in top:
            self.route(top["route"])
        if "sampling" in top:
            self.sampling(top["sampling"])
        if "cases" in top:
            self.cases(top["cases"])
        self.in_command(root, top)
        return draft

    def header(self, top: dict[str, Node]) -> None:
        draft = self.draft
        if "handrail" in top and top["handrail"].value != 1:
            self.wrong(
                top["handrail"],
                f"version {top['handrail'].shown} of the policy language",
                "1",
                "write `handrail: 1`",
            )
        if "workflow" in top:
            name = top["workflow"]
            if name.kind != "scalar" or not _WORKFLOW.fullmatch(name.text):
                self.wrong(
                    name,
                    f"the workflow is {name.shown}",
                    "small letters, digits and `-`, a letter first, at most 63",
                    "such as `campaign-launch`",
                )
            else:
                draft.workflow = name.text
        draft.title = self.text(top["title"], "the title") if "title" in top else draft.workflow
        if "owners" in top:
            self.owners(top["owners"])
        if "review_by" in top:
            node = top["review_by"]
            try:
                draft.review_by = date.fromisoformat(node.text).isoformat()
            except ValueError:
                self.wrong(node, f"review_by is {node.shown}", "a day: YYYY-MM-DD", "")
        if "if_open" in top:
            draft.if_open = self.one_of(top["if_open"], "if_open", IfOpen) or IfOpen.REPLACE
        if "tiers" in top:
            draft.otherwise = Mode.AUTO  # the table speaks for every decision
        if "otherwise" in top:
            draft.otherwise = self.one_of(top["otherwise"], "otherwise", Mode) or draft.otherwise

    def owners(self, node: Node) -> None:
        """Who approves changes: any one of the plain names, and each group as it asks."""
        if node.kind == "list" and not node.items:
            self.wrong(node, "no owner", "at least one", "such as `[team:x]`")
        plain_names: list[str] = []
        groups: list[Approval] = []
        for item in node.items if node.kind == "list" else [node]:
            if item.kind == "map":
                groups += self.approval_group(item)
            else:
                plain_names += self.who(item, "owners")
        named = [name for need in groups for name in need.of]
        self.draft.owners = tuple(dict.fromkeys((*plain_names, *named)))
        if plain_names:
            groups.insert(0, Approval(of=tuple(dict.fromkeys(plain_names))))
        self.draft.owner_approvals = tuple(dict.fromkeys(groups))

    def people(self, top: dict[str, Node]) -> None:
        draft = self.draft
        if "subject" in top:
            names = []
            for item in self.items(top["subject"], "the subject", single=True):
                found = self.known_field(item, "the subject")
                if found is None:
                    continue
                if found.optional or found.kind in ("list", "object", "double"):
                    self.wrong(
                        item,
                        f"the subject `{item.text}` is "
                        + ("optional" if found.optional else f"a {found.kind}"),
                        "a required text, number or enum, so that every decision has one",
                        "",
                    )
                names.append(item.text)
            draft.subject = tuple(names)
        if "requester" in top:
            node = top["requester"]
            found = self.known_field(node, "the requester")
            if found is not None:
                if found.kind not in ("person", "string"):
                    self.wrong(node, f"the requester is a {found.kind}", "a person", "")
                draft.requester = found.name

    # ------------------------------------------------------------------ cases

    def cases(self, node: Node) -> None:
        if node.kind != "list":
            self.wrong(node, f"cases is {node.shown}", "a list of cases: `- name: …`", "")
            return
        known: dict[str, DraftCase] = {}
        ids = {rule.id for rule in self.draft.rules if not rule.trial} | self.broken_rules
        trials = {rule.id for rule in self.draft.rules if rule.trial} | self.broken_rules
        for spec in node.items:
            given = self.section(spec, "case")
            if not given:
                continue
            name = self.text(given["name"], "the name") if "name" in given else ""
            case = DraftCase(name, spec)
            if name in known:
                self.wrong(spec, f"the case {name!r} is here a second time", "another name", "")
            if "like" in given:
                base = known.get(given["like"].text)
                if base is None:
                    self.wrong(
                        given["like"],
                        f"like names {given['like'].shown}",
                        "an earlier case",
                        nearest(given["like"].text, known),
                    )
                else:
                    case.facts = base.facts
                    case.proposal = base.proposal
                    case.confidence, case.alternatives = base.confidence, base.alternatives
                    case.at = base.at
                    case.lists, case.aggregates = base.lists, base.aggregates
                    case.tables, case.checks = base.tables, base.checks
            if "facts" in given:
                case.facts = merged(case.facts, self.input(given["facts"], "facts"))
            if "proposal" in given:
                case.proposal = merged(case.proposal, self.input(given["proposal"], "proposal"))
            if "confidence" in given:
                case.confidence = plain(given["confidence"])
            if "alternatives" in given:
                case.alternatives = tuple(plain(given["alternatives"]) or ())
            if "at" in given:
                try:
                    case.at = val.read_timestamp(given["at"].text)
                except val.Wrong as error:
                    self.wrong(given["at"], f"at {error.message}")
            if "given" in given:
                self.given(case, given["given"])
            for key, pool in (("fires", ids), ("unknown", ids), ("trials", trials)):
                if key in given:
                    case.expected[key] = (given[key], self.rule_ids(given[key], key, pool))
            if "lane" in given:
                lane = self.one_of(given["lane"], "lane", Lane)
                case.expected["lane"] = (given["lane"], lane)
            if "mode" in given:
                case.expected["mode"] = (given["mode"], self.one_of(given["mode"], "mode", Mode))
            if "values" in given:
                wanted = self.input(given["values"], "values")
                for key_name in wanted:
                    if key_name not in {value.name for value in self.draft.values}:
                        self.wrong(
                            given["values"],
                            f"there is no value `{key_name}`",
                            "names under `values:`",
                            nearest(key_name, [value.name for value in self.draft.values]),
                        )
                case.expected["values"] = (given["values"], wanted)
            if not case.expected:
                self.wrong(
                    spec, f"the case {name!r} expects nothing", "`fires`, `lane` or `mode`", ""
                )
            known.setdefault(name, case)
            self.draft.cases.append(case)

    def input(self, node: Node, what: str) -> dict[str, Any]:
        if node.kind != "map":
            self.wrong(node, f"{what} is {node.shown}", "a mapping", "")
            return {}
        for key, value in node.items:
            if value.kind == "scalar" and value.style == "plain" and not value.text:
                self.wrong(
                    key,
                    f"`{key.text}` has no value in {what}",
                    "a value, or null for none",
                    "a number has a point for its decimals and nothing between thousands"
                    if key.text.isdigit()
                    else f"write `{key.text}: …`",
                )
        return {key.text: plain(value) for key, value in node.items}

    def given(self, case: DraftCase, node: Node) -> None:
        given = self.section(node, "given")
        lists, aggregates = dict(case.lists), dict(case.aggregates)
        if "lists" in given and given["lists"].kind == "map":
            for key, spec in given["lists"].items:
                if key.text not in self.draft.scope.lists:
                    self.wrong(
                        key,
                        f"there is no list `{key.text}`",
                        "a name under `lists:`",
                        nearest(key.text, self.draft.scope.lists),
                    )
                    continue
                made = self.list_items(key.text, spec, self.items(spec, f"the list {key.text}"))
                if made is not None:
                    lists[key.text] = made.items
        if "aggregates" in given and given["aggregates"].kind == "map":
            for key, spec in given["aggregates"].items:
                found = next((a for a in self.draft.aggregates if a.name == key.text), None)
                if found is None:
                    names = [a.name for a in self.draft.aggregates]
                    self.wrong(
                        key,
                        f"there is no aggregate `{key.text}`",
                        "a name under `aggregates:`",
                        nearest(key.text, names),
                    )
                    continue
                value = plain(spec)
                try:
                    aggregates[key.text] = found.given(value)
                except val.Wrong as error:
                    self.wrong(spec, f"{key.text} {error.message}")
        case.lists, case.aggregates = lists, aggregates
        self.given_tables(case, given.get("tables"))
        self.given_checks(case, given.get("checks"))

    def given_tables(self, case: DraftCase, node: Node | None) -> None:
        case.tables = dict(case.tables)
        for key, spec in node.items if node is not None and node.kind == "map" else ():
            table = self.draft.tables.get(key.text)
            if table is None:
                if key.text not in self.draft.scope.tables:
                    self.wrong(
                        key,
                        f"there is no table `{key.text}`",
                        "a name under `tables:`",
                        nearest(key.text, self.draft.tables),
                    )
                continue
            rows = self.table_rows(spec, table, table.plans, self.draft.fields[table.key])
            if rows is not None:
                case.tables[key.text] = rows

    def given_checks(self, case: DraftCase, node: Node | None) -> None:
        case.checks = dict(case.checks)
        declared = {check.name: check for check in self.draft.checks}
        for key, spec in node.items if node is not None and node.kind == "map" else ():
            check = declared.get(key.text)
            if check is None:
                self.wrong(
                    key,
                    f"there is no check `{key.text}`",
                    "a name under `checks:`",
                    nearest(key.text, declared),
                )
                continue
            value = plain(spec)
            try:
                if value is None:
                    case.checks[key.text] = Checked(problem="gives no answer")
                else:
                    typed = kept(check.read(value), type_of(check.gives))
                    case.checks[key.text] = Checked(value=typed)
            except val.Wrong as error:
                self.wrong(spec, f"{key.text} {error.message}")

    def rule_ids(self, node: Node, what: str, pool: set[str]) -> tuple[str, ...]:
        found = []
        for item in self.items(node, what):
            if item.text not in pool:
                self.wrong(
                    item,
                    f"{what} names {item.shown}",
                    "trial rules" if what == "trials" else "rules that act",
                    nearest(item.text, pool),
                )
            found.append(item.text)
        return tuple(found)
