"""Reads `every:`: when the clock hands a workflow in, and what it can say then."""

from __future__ import annotations

from dataclasses import replace

from handrail.gate.every import FORMS, SLOT, parse
from handrail.gate.series import known_zone
from handrail.gate.shapes import Shapes
from handrail.gate.source import Node


class Clockwork(Shapes):
    """Reads `every:`."""

    def every(self, node: Node) -> None:
        draft = self.draft
        at, each = node, None
        if node.kind == "map":
            given = self.section(node, "every")
            if "at" not in given:
                return
            at, each = given["at"], given.get("each")
        made = parse(at.text) if at.kind == "scalar" else None
        if made is None:
            self.wrong(at, f"every is {at.shown}", FORMS, "")
            return
        if not made.zone:
            self.wrong(
                at,
                f"every is {at.shown}, which does not say by whose clocks",
                "a time zone behind the time",
                f"write `{at.text} Europe/Berlin`, or `{at.text} UTC`",
            )
            return
        if not known_zone(made.zone):
            self.wrong(
                at,
                f"every names the time zone {made.zone!r}, which is not known here",
                "a name of the IANA list, such as Europe/Berlin",
                "",
            )
            return
        name = None
        if each is not None:
            name = each.text if each.kind == "scalar" else ""
            field = draft.fields.get(name)
            if field is None or field.proposed or field.kind not in ("string", "enum", "int"):
                self.wrong(
                    each,
                    f"each names {each.shown}",
                    "a field of facts: a text, an enum or an int",
                    "",
                )
                return
            if field.kind != "enum" and not any(
                made.over == "events" and [part.field.name for part in made.series.by] == [name]
                for made in draft.aggregates
            ):
                self.wrong(
                    each,
                    f"each names `{name}`, and no aggregate over events is `by: [{name}]`",
                    "one, so that the values are known",
                    f"add `by: [{name}]` to an aggregate over `events:…`",
                )
                return
        for field in draft.fields.values():
            top = "." not in field.name
            if top and not field.optional and field.name not in (name, SLOT):
                self.wrong(
                    at,
                    f"`{field.name}` is required, and with `every` nobody gives it",
                    "fields that are optional",
                    f"write `optional: true`, or `each: {field.name}`",
                )
        slot = draft.fields.get(SLOT)
        if slot is not None and slot.kind != "timestamp" and not slot.optional:
            self.wrong(at, f"`{SLOT}` is a {slot.kind}", "a timestamp: it gets the moment", "")
        draft.every = replace(made, each=name)


__all__ = ["Clockwork"]
