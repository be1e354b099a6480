"""May it go on? Pure: no clock, no files, no network; time and file contents are arguments.

    load(text, path=…, read_file=…) -> Policy       raises PolicyErrors with every mistake
    check(text, path=…, read_file=…) -> [Mistake]   never raises

    policy.ingest(facts, proposal) -> Record        raises BadRecord with JSON pointers
    policy.aggregate_reads(record, now) -> (AggregateRead, …)   resolve them in the transaction
    policy.aggregate_value(name, since, buckets, now) -> the value that `evaluate` takes
    policy.run_checks(record) -> {name: Checked}    before the transaction
    policy.evaluate(record, decision_id=…, evaluated_at=…, confidence=…, aggregates=…) -> Ruling
    policy.judge(record, …) -> [Finding]            which rules are true or unknown, no more
    policy.explained(record, …)                     the same, each with the values that made it true
    policy.edit(record, changes) -> Record          only fields named in `review.edit`
    policy.got_worse(before, after) -> bool         do earlier votes still stand after an edit
    compare(old, new) -> PolicyDiff                 what changes, in words and in effects on cases
    policy.aggregate_adds(record, over, at) -> (AggregateAdd, …)
    History()                                       the same in memory, for files and replays
    policy.subject_of(record), policy.requester_of(record) -> str | None

`docs/reference/policy.md` is the language; `language.py` is the table it is checked against.
"""

from handrail.gate.difference import compare
from handrail.gate.every import SLOT, Every
from handrail.gate.history import History
from handrail.gate.policy import Check, Policy, check, load
from handrail.gate.series import Aggregate, Series, Unreadable, folder
from handrail.gate.values import read_confidence, read_confidences
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
    "SLOT",
    "Aggregate",
    "AggregateAdd",
    "AggregateRead",
    "BadRecord",
    "Check",
    "Every",
    "Field",
    "History",
    "IfOpen",
    "Policy",
    "Record",
    "RouteLine",
    "Rule",
    "Sampling",
    "Series",
    "Unreadable",
    "check",
    "compare",
    "folder",
    "load",
    "read_confidence",
    "read_confidences",
]
