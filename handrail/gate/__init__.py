"""May it go on? Pure: no clock, no files, no network; time and file contents are arguments.

    load(text, path=…, read_file=…) -> Policy       raises PolicyErrors with every mistake
    check(text, path=…, read_file=…) -> [Mistake]   never raises

    policy.ingest(facts, proposal) -> Record        raises BadRecord with JSON pointers
    policy.aggregate_reads(record) -> (AggregateRead, …)    resolve them in the transaction
    policy.evaluate(record, decision_id=…, evaluated_at=…, confidence=…, aggregates=…) -> Ruling
    policy.edit(record, changes) -> Record          only fields named in `review.edit`
    policy.got_worse(before, after) -> bool         do earlier votes still stand after an edit
    policy.aggregate_adds(record, over) -> (AggregateAdd, …)
    compare(old, new) -> PolicyDiff                 what changes, in words and in effects on cases
    policy.subject_of(record), policy.requester_of(record) -> str | None

`docs/reference/policy.md` is the language; `language.py` is the table it is checked against.
"""

from handrail.gate.difference import compare
from handrail.gate.policy import Policy, check, load
from handrail.gate.values import read_confidence
from handrail.model.policy import (
    AggregateAdd,
    AggregateRead,
    BadRecord,
    Field,
    IfOpen,
    Record,
    RouteLine,
    Rule,
    Sampling,
)

__all__ = [
    "AggregateAdd",
    "AggregateRead",
    "BadRecord",
    "Field",
    "IfOpen",
    "Policy",
    "Record",
    "RouteLine",
    "Rule",
    "Sampling",
    "check",
    "compare",
    "load",
    "read_confidence",
]
