"""What the audit log says: the catalogue of entry types, and how a log folds back into state.

`CATALOGUE` names every entry type with its fields and their kinds; `entry` builds one and holds it
to the catalogue. An entry carries ids, closed vocabularies, integers, decimal strings, names that
policies and operators chose, and keyed commitments: never facts, free text, handles or plain
hashes of content, because an entry can neither be repaired nor erased later.

`FOLDED` is the one table that says which columns of which state tables follow from which entry
fields. `fold` rebuilds these columns from the entries alone; `compare` holds the stored rows
against them and so finds a silent UPDATE, INSERT or DELETE, with the entry that says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any

import msgspec

from handrail.audit.entry import INTEGER_LIMIT
from handrail.model.errors import BadInput
from handrail.model.modes import (
    GrantState,
    Lane,
    Mode,
    ReviewKind,
    ReviewStatus,
    Said,
    Severity,
    Verdict,
)
from handrail.model.versions import How

SYSTEM = "system"
"""The actor of what nobody did: deadlines, leases, release after the undo time."""

# --------------------------------------------------------------------------------------------
# Kinds of fields
# --------------------------------------------------------------------------------------------


class Kind(msgspec.Struct, frozen=True):
    """What a field may hold."""

    name: str
    accepts: Callable[[Any], Any]
    """True (or a match) for a value of this kind."""
    expected: str
    """The end of the sentence `… is 12; expected …`."""
    text: Callable[[str], Any] | None = None
    """`accepts` for what is known to be text; None where no text is of this kind."""
    plain: bool = False
    """Whether such text stands in JSON as it is, with nothing to escape."""
    words: tuple[str, ...] = ()
    """All there are, of a closed vocabulary."""
    item: Kind | None = None
    """Kind of each item, of an array."""


_HEX64 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
# Names are chosen by policies and operators. An "@" would let an e-mail address in.
_NAME = re.compile(r"[^\x00-\x1f\x7f@]{1,200}")
_VERSIONED = re.compile(r"[^\x00-\x1f\x7f@]{1,200}@[0-9A-Za-z._:+-]{1,100}")
_AUDIENCE = re.compile(r"(team|role):[^\x00-\x1f\x7f@]{1,200}|p_[0-9abcdefghjkmnpqrstvwxyz]{26}")


def _often(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    """A test that remembers what it saw: names and versions come again and again."""
    match = pattern.fullmatch

    @lru_cache(maxsize=1024)
    def test(text: str) -> bool:
        return match(text) is not None

    return test


def _text(name: str, test: Callable[[str], Any], expected: str, *, plain: bool = False) -> Kind:
    return Kind(name, lambda value: type(value) is str and test(value), expected, test, plain=plain)


def _id(prefix: str, noun: str) -> Kind:
    pattern = re.compile(prefix + r"_[0-9abcdefghjkmnpqrstvwxyz]{26}")
    expected = f"a {noun} id ({prefix}_ and 26 characters)"
    return _text(f"{noun} id", pattern.fullmatch, expected, plain=True)


def _one_of(vocabulary: Iterable[str]) -> Kind:
    words = tuple(str(word) for word in vocabulary)
    said = "one of " + ", ".join(words)
    return msgspec.structs.replace(_text(said, frozenset(words).__contains__, said), words=words)


def _many(kind: Kind, plural: str) -> Kind:
    accepts = kind.accepts

    def all_of(value: Any) -> bool:
        if type(value) is not list:
            return False
        for item in value:  # noqa: SIM110 - a generator would cost more than it saves
            if not accepts(item):
                return False
        return True

    return Kind(plural, all_of, f"an array, each item {kind.expected}", item=kind)


DECISION = _id("d", "decision")
REVIEW = _id("r", "review")
VOTE = _id("v", "vote")
GRANT = _id("g", "grant")
LABEL = _id("l", "label")
PERSON = _id("p", "person")
TOKEN = _id("t", "token")
INVITATION = _id("i", "invitation")
BATCH = _id("b", "batch")
COUNT = Kind(
    "integer",
    lambda value: type(value) is int and 0 <= value < INTEGER_LIMIT,
    "an integer from 0 to 2^53 - 1",
)
TIME = Kind(
    "time",
    lambda value: type(value) is int and 0 <= value < INTEGER_LIMIT,
    "a time in microseconds since 1970 UTC",
)
FLAG = Kind("flag", lambda value: type(value) is bool, "true or false")
DECIMAL = _text("decimal", _DECIMAL.fullmatch, "a decimal string such as 1234.50", plain=True)
_is_name = _often(_NAME)
NAME = _text("name", _is_name, "a name of 1 to 200 characters without @ or control characters")
NAMES = _many(NAME, "names")
POLICY = _text("policy version", _often(_VERSIONED), "workflow@version")
AUDIENCE = _many(
    _text("", _AUDIENCE.fullmatch, "team:…, role:… or a person id (p_…), never a handle"),
    "audience",
)
COMMITMENT = _text(
    "commitment",
    _HEX64.fullmatch,
    "64 hexadecimal digits from handrail.audit.entry.commit",
    plain=True,
)
DIGEST = _text("policy digest", _often(_DIGEST), "sha256: and 64 hexadecimal digits", plain=True)
ACTOR = _text(
    "actor",
    _is_name,
    "a person id (p_…), `system`, or the name of a program without @ or control characters",
)
DECISIONS = _many(DECISION, "decision ids")
ROUND = _text(
    "round id",
    re.compile(r"r_[0-9abcdefghjkmnpqrstvwxyz]{26}/[1-9][0-9]*").fullmatch,
    "a review id, a slash and the number of the round",
    plain=True,
)

# --------------------------------------------------------------------------------------------
# The catalogue
# --------------------------------------------------------------------------------------------


class EntryType(msgspec.Struct, frozen=True):
    """The fields of one entry type, beside `type`, `at` and `actor` which every entry has."""

    says: str
    """What happened, as a sentence."""
    required: dict[str, Kind]
    optional: dict[str, Kind] = msgspec.field(default_factory=dict)


_LANE = _one_of(Lane)
_MODE = _one_of(Mode)
_VERDICT = _one_of(Verdict)
_SEVERITY = _one_of(Severity)

CATALOGUE: dict[str, EntryType] = {
    # The workspace and its rules
    "workspace.created": EntryType(
        "The log starts; its checkpoints carry this origin and are signed by this key.",
        {"origin": NAME},
        {"key_id": NAME, "schema": COUNT},
    ),
    "key.changed": EntryType(
        "Checkpoints are signed by another key from here on.", {"origin": NAME, "key_id": NAME}
    ),
    "policy.activated": EntryType(
        "A policy version rules its workflow from here on.",
        {"workflow": NAME, "policy": POLICY, "gate_digest": DIGEST},
        {
            "previous": POLICY,
            "how": _one_of(How),
            "decision": DECISION,
            "single_person": FLAG,
            "commit": COMMITMENT,
        },
    ),
    "policy.proposed": EntryType(
        "Somebody asks that this version rule; people decide it as a decision.",
        {"workflow": NAME, "policy": POLICY, "decision": DECISION},
        {"previous": POLICY},
    ),
    "list.changed": EntryType(
        "A stored list gained or lost values. `list` is workflow/name, `version` counts its "
        "changes, `commit` seals its values.",
        {"list": NAME, "version": COUNT, "commit": COMMITMENT},
        {"added": COUNT, "removed": COUNT, "decision": DECISION, "single_person": FLAG},
    ),
    "stop.set": EntryType(
        "The stop button is pressed: nothing passes by itself. `*` is every workflow.",
        {"workflow": NAME},
        {"commit": COMMITMENT},
    ),
    "stop.cleared": EntryType(
        "The stop button is released.", {"workflow": NAME}, {"commit": COMMITMENT}
    ),
    "person.added": EntryType(
        "Somebody may decide.",
        {"person": PERSON},
        {"holds": NAMES, "active": FLAG, "commit": COMMITMENT},
    ),
    "person.changed": EntryType(
        "What a person holds has changed. Each limit is a workflow and an amount.",
        {"person": PERSON},
        {"holds": NAMES, "limits": NAMES, "active": FLAG, "commit": COMMITMENT},
    ),
    "person.invited": EntryType(
        "A link was made with which somebody can sign in.",
        {"invitation": INVITATION, "until": TIME},
        {"holds": NAMES, "limits": NAMES, "person": PERSON, "first_admin": FLAG, "local": FLAG},
    ),
    "invitation.accepted": EntryType(
        "Somebody took an invitation up.", {"invitation": INVITATION, "person": PERSON}
    ),
    "password.changed": EntryType("A person has another password.", {"person": PERSON}),
    "identity.linked": EntryType(
        "An identity provider's word for somebody was linked to a person.", {"person": PERSON}
    ),
    "session.started": EntryType(
        "A person signed in.",
        {"person": PERSON, "means": _one_of(("password", "identity", "invitation", "link"))},
        {"until": TIME},
    ),
    "session.ended": EntryType(
        "Sessions of a person were ended, by them or because their rights changed.",
        {"person": PERSON, "sessions": COUNT},
    ),
    "sign_in.paused": EntryType(
        "Wrong passwords in a row: an account takes none until a time.",
        {"person": PERSON, "until": TIME},
    ),
    "token.made": EntryType(
        "A program was given a token.",
        {"token": TOKEN, "name": NAME, "scopes": NAMES, "workflows": NAMES},
        {"expires_at": TIME},
    ),
    "token.revoked": EntryType("A token lets nobody in any more.", {"token": TOKEN}),
    "access.refused": EntryType(
        "Somebody known asked for what they may not do. At most five a minute are kept of each.",
        {"command": NAME},
        {"token": TOKEN},
    ),
    "stream.recorded": EntryType(
        "Observations that aggregates read were recorded.",
        {"stream": NAME, "rows": COUNT, "batch": BATCH, "commit": COMMITMENT},
    ),
    "subject.erased": EntryType(
        "The key of a subject was destroyed: its commitments say nothing any more.",
        {"decisions": DECISIONS},
        {"workflow": NAME},
    ),
    "checkpoint.anchored": EntryType(
        "A checkpoint was kept outside the database.", {"size": COUNT, "place": NAME}
    ),
    "restore.accepted": EntryType(
        "An operator accepted a database smaller than the last anchor: a restored backup.",
        {"size": COUNT, "anchor_size": COUNT},
        {"commit": COMMITMENT},
    ),
    "log.exported": EntryType("The log was exported.", {"size": COUNT}),
    # Decisions
    "decision.submitted": EntryType(
        "A decision came in and the gate ruled on it.",
        {
            "decision": DECISION,
            "workflow": NAME,
            "policy": POLICY,
            "lane": _LANE,
            "mode": _MODE,
            "commit": COMMITMENT,
        },
        {
            "gate_digest": DIGEST,
            "severity": _SEVERITY,
            "rules": NAMES,
            "unknown": NAMES,
            "coins": NAMES,
            "money": DECIMAL,
            "stopped": FLAG,
            "test": FLAG,
            "review": REVIEW,
            "supersedes": DECISION,
            "reverses": DECISION,
            "expires_at": TIME,
        },
    ),
    "decision.withdrawn": EntryType(
        "The caller took the decision back.",
        {"decision": DECISION},
        {"review": REVIEW, "commit": COMMITMENT},
    ),
    "decision.superseded": EntryType(
        "A newer decision about the subject replaced it.",
        {"decision": DECISION, "by": DECISION},
        {"review": REVIEW},
    ),
    "decision.reversed": EntryType(
        "Somebody asked to undo what passed or was approved: its grant is void, or people decide.",
        {"decision": DECISION},
        {"by": DECISION, "grant": GRANT, "commit": COMMITMENT},
    ),
    "decision.expired": EntryType(
        "Its time ran out undecided.", {"decision": DECISION}, {"review": REVIEW}
    ),
    # Reviews
    "review.opened": EntryType(
        "People are asked.",
        {"review": REVIEW, "decision": DECISION, "workflow": NAME, "kind": _one_of(ReviewKind)},
        {
            "severity": _SEVERITY,
            "to": AUDIENCE,
            "due": TIME,
            "round": COUNT,
            "round_id": ROUND,
            "commit": COMMITMENT,
            "behind": REVIEW,
            "blind": FLAG,
        },
    ),
    "review.attached": EntryType(
        "A repeat of the case joined an open review.", {"review": REVIEW, "decision": DECISION}
    ),
    "review.claimed": EntryType(
        "A person took a seat.",
        {"review": REVIEW, "person": PERSON, "round": COUNT},
        {"lease_until": TIME, "blind": FLAG},
    ),
    "review.unclaimed": EntryType(
        "A seat was given up or its lease lapsed.", {"review": REVIEW, "person": PERSON}
    ),
    "vote.cast": EntryType(
        "A person said approve, edit or reject.",
        {
            "vote": VOTE,
            "review": REVIEW,
            "round": COUNT,
            "person": PERSON,
            "said": _one_of(Said),
            "commit": COMMITMENT,
        },
        {
            "reason": NAME,
            "ms": COUNT,
            "blind": FLAG,
            "carried_from": COUNT,
            "single_person": FLAG,
        },
    ),
    "review.advanced": EntryType(
        "An edit started the next round.",
        {"review": REVIEW, "round": COUNT},
        {
            "person": PERSON,
            "mode": _MODE,
            "rules": NAMES,
            "round_id": ROUND,
            "commit": COMMITMENT,
        },
    ),
    "review.decided": EntryType(
        "The review is closed with a verdict, which may be undone for a while.",
        {"review": REVIEW, "verdict": _VERDICT, "round": COUNT},
        {"decisions": DECISIONS, "undo_until": TIME, "why": NAME},
    ),
    "review.undone": EntryType(
        "Who closed the review took it back; the waiting outcomes are gone.",
        {"review": REVIEW, "decisions": DECISIONS},
        {"vote": VOTE, "votes": _many(VOTE, "vote ids"), "round": COUNT, "reason": NAME},
    ),
    "review.closed": EntryType(
        "The review is over: its outcome is out, or it is of no use any more.",
        {"review": REVIEW},
        {"verdict": _VERDICT, "why": NAME},
    ),
    "review.escalated": EntryType(
        "Others are asked.",
        {"review": REVIEW},
        {"to": AUDIENCE, "reason": NAME, "stage": COUNT, "due": TIME, "commit": COMMITMENT},
    ),
    "review.assigned": EntryType(
        "Somebody gave the review to a person or team.",
        {"review": REVIEW},
        {"to": AUDIENCE, "commit": COMMITMENT},
    ),
    "review.snoozed": EntryType(
        "The review rests until a time.", {"review": REVIEW, "until": TIME}
    ),
    "review.asked": EntryType(
        "A question was put to the requester.", {"review": REVIEW}, {"commit": COMMITMENT}
    ),
    "review.commented": EntryType(
        "A comment was added.", {"review": REVIEW}, {"commit": COMMITMENT}
    ),
    "review.reminded": EntryType(
        "Half the time is over; who is asked was reminded.",
        {"review": REVIEW},
        {"stage": COUNT, "to": AUDIENCE, "due": TIME},
    ),
    # Outcomes and runs
    "outcome.set": EntryType(
        "The answer is known and waits for the end of the undo time.",
        {"decision": DECISION, "verdict": _VERDICT, "commit": COMMITMENT},
        {"review": REVIEW, "release_at": TIME},
    ),
    "outcome.released": EntryType(
        "The caller is told, once. What may run gets a single-use grant.",
        {"decision": DECISION, "verdict": _VERDICT, "commit": COMMITMENT},
        {"grant": GRANT, "valid_until": TIME, "review": REVIEW},
    ),
    "grant.minted": EntryType(
        "A single-use grant exists.", {"grant": GRANT, "decision": DECISION}, {"valid_until": TIME}
    ),
    "grant.redeemed": EntryType(
        "A run started under the grant.",
        {"grant": GRANT, "decision": DECISION},
        {"lease_until": TIME},
    ),
    "grant.confirmed": EntryType(
        "The run said how it ended.",
        {
            "grant": GRANT,
            "decision": DECISION,
            "state": _one_of((GrantState.DONE, GrantState.FAILED)),
        },
    ),
    "grant.in_doubt": EntryType(
        "The lease lapsed unconfirmed: nobody knows whether it ran.",
        {"grant": GRANT, "decision": DECISION},
    ),
    "grant.resolved": EntryType(
        "A person settled a run in doubt.",
        {
            "grant": GRANT,
            "decision": DECISION,
            "state": _one_of((GrantState.DONE, GrantState.VOID)),
        },
        {"replaced_by": GRANT, "commit": COMMITMENT},
    ),
    "grant.lapsed": EntryType(
        "The grant was not used in time.", {"grant": GRANT, "decision": DECISION}
    ),
    "grant.voided": EntryType(
        "The grant was taken back before its use.", {"grant": GRANT, "decision": DECISION}
    ),
    "label.added": EntryType(
        "Truth about a decision became known.",
        {"label": LABEL, "decision": DECISION, "commit": COMMITMENT},
        {"wrong": FLAG, "loss": DECIMAL},
    ),
}
"""Every entry type by name."""

_FIELDS: dict[str, dict[str, Kind]] = {
    name: {**kind.required, **kind.optional} for name, kind in CATALOGUE.items()
}
_REQUIRED: dict[str, tuple[str, ...]] = {
    name: tuple(kind.required) for name, kind in CATALOGUE.items()
}
_TESTS: dict[str, tuple[frozenset[str], dict[str, Any], dict[str, Any]]] = {
    name: (
        frozenset(kind.required),
        {field: of.text for field, of in _FIELDS[name].items() if of.text is not None},
        {field: of.accepts for field, of in _FIELDS[name].items()},
    )
    for name, kind in CATALOGUE.items()
}
"""By entry type: the required fields, how text is tested in each field, and any other value."""


_NO_TESTS: tuple[frozenset[str], dict[str, Any], dict[str, Any]] = (frozenset(("",)), {}, {})


def entry(type_: str, /, *, at: int, actor: str, **fields: Any) -> dict[str, Any]:
    """An audit entry of type `type_`, held to the catalogue; hand it to `handrail.audit.encode`.

    `at` is µs since 1970 UTC; `actor` a person id, `system` or a program's name. Fields that are
    None are left out; enums and tuples become text and arrays. Raises `BadInput`, with a pointer,
    for an unknown type or field, a missing field, or a value of another kind.

    >>> entry("stop.set", at=1, actor="system", workflow="*")
    {'type': 'stop.set', 'at': 1, 'actor': 'system', 'workflow': '*'}
    """
    made: dict[str, Any] = {"type": type_, "at": at, "actor": actor}
    required, texts, others = _TESTS.get(type_, _NO_TESTS)
    sound = type(at) is int and 0 <= at < INTEGER_LIMIT and type(actor) is str
    sound = sound and _is_name(actor)
    for name, value in fields.items():
        if value is None:
            continue
        kind = type(value)
        if kind is not str and isinstance(value, Enum):
            value = value._value_
            kind = type(value)
        if kind is str:
            test = texts.get(name)
        else:
            if kind is tuple:
                value = [item._value_ if isinstance(item, Enum) else item for item in value]
            test = others.get(name)
        if test is None or not test(value):
            sound = False
        made[name] = value
    if not sound or not made.keys() >= required:
        validate(made)  # which says what is wrong
    return made


def validate(made: Mapping[str, Any]) -> None:
    """Hold an entry to the catalogue. Raises `BadInput` with a pointer to the first mistake."""
    type_ = made.get("type")
    kinds = _FIELDS.get(type_) if type(type_) is str else None
    if kinds is None:
        raise BadInput(
            f"the entry type is {type_!r}; expected one of handrail.audit.events.CATALOGUE", "/type"
        )
    if not TIME.accepts(made.get("at")):
        raise BadInput(f"the time is {made.get('at')!r}; expected {TIME.expected}", "/at")
    if not ACTOR.accepts(made.get("actor")):
        raise BadInput(f"the actor is {made.get('actor')!r}; expected {ACTOR.expected}", "/actor")
    for name in _REQUIRED[type_]:  # type: ignore[index]
        if name not in made:
            raise BadInput(f"{type_} has no {name}; expected {kinds[name].expected}", f"/{name}")
    for name, value in made.items():
        kind = kinds.get(name)
        if kind is None:
            if name in ("type", "at", "actor"):
                continue
            raise BadInput(
                f"{type_} has a field {name}; expected only {', '.join(kinds)}", f"/{name}"
            )
        if not kind.accepts(value):
            raise BadInput(f"{name} of {type_} is {value!r}; expected {kind.expected}", f"/{name}")


# --------------------------------------------------------------------------------------------
# The fold
# --------------------------------------------------------------------------------------------


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A state table as the log knows it."""

    key: str
    """Column that names the row."""
    columns: tuple[str, ...]
    """Columns that follow from the log, the key apart."""


TABLES: dict[str, Table] = {
    "decisions": Table(key="id", columns=("workflow", "lane", "mode", "commit")),
    "reviews": Table(key="id", columns=("status", "round", "verdict")),
    "rounds": Table(key="id", columns=("commit",)),
    "votes": Table(key="id", columns=("review", "round", "person", "said", "commit")),
    "outcomes": Table(key="decision", columns=("verdict", "commit", "released")),
    "grants": Table(key="id", columns=("decision", "state")),
    "labels": Table(key="id", columns=("decision", "commit")),
    "policies": Table(key="workflow", columns=("policy",)),
    "lists": Table(key="list", columns=("version", "commit")),
    "people": Table(key="id", columns=("holds", "limits", "active", "commit")),
    "tokens": Table(key="id", columns=("name", "scopes", "workflows", "expires_at", "revoked")),
    "stops": Table(key="workflow", columns=("commit",)),
}
"""What `compare` wants to see: every row of these tables with these columns.

`commit` is best recomputed from the stored content while its key exists, so that a changed fact is
found and not only a changed column; NULL is None; `released` and `revoked` are 0 or 1; several
names are a tuple.
"""


Value = str | int | bool | tuple[str, ...] | None


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """What one entry type does to one table."""

    table: str
    key: str
    """Entry field with the row's key, or an array of keys; where it is absent nothing happens."""
    sets: dict[str, str] = msgspec.field(default_factory=dict)
    """Column from entry field; an absent optional field leaves the column as it is."""
    fixed: dict[str, Value] = msgspec.field(default_factory=dict)
    """Column to a constant, where the entry says nothing else."""
    drops: bool = False
    """The row is gone."""


def _grant(state: GrantState) -> tuple[Fold, ...]:
    return (Fold(table="grants", key="grant", fixed={"state": state.value}),)


_MINTED = Fold(
    table="grants",
    key="grant",
    sets={"decision": "decision"},
    fixed={"state": GrantState.GRANTED.value},
)

_ROUND = Fold(table="rounds", key="round_id", sets={"commit": "commit"})


_ADDED = Fold(
    table="people",
    key="person",
    sets={"holds": "holds", "active": "active", "commit": "commit"},
    fixed={"holds": (), "limits": (), "active": True},
)
"""Who was just met holds nothing."""
_CHANGED = Fold(
    table="people",
    key="person",
    sets={"holds": "holds", "limits": "limits", "active": "active", "commit": "commit"},
    fixed={"limits": ()},
)
"""Limits are named only where there are some."""

FOLDED: dict[str, tuple[Fold, ...]] = {
    "policy.activated": (Fold(table="policies", key="workflow", sets={"policy": "policy"}),),
    "list.changed": (
        Fold(table="lists", key="list", sets={"version": "version", "commit": "commit"}),
    ),
    "stop.set": (Fold(table="stops", key="workflow", sets={"commit": "commit"}),),
    "stop.cleared": (Fold(table="stops", key="workflow", drops=True),),
    "token.made": (
        Fold(
            table="tokens",
            key="token",
            sets={
                "name": "name",
                "scopes": "scopes",
                "workflows": "workflows",
                "expires_at": "expires_at",
            },
            fixed={"expires_at": None, "revoked": 0},
        ),
    ),
    "token.revoked": (Fold(table="tokens", key="token", fixed={"revoked": 1}),),
    "person.added": (_ADDED,),
    "person.changed": (_CHANGED,),
    "decision.submitted": (
        Fold(
            table="decisions",
            key="decision",
            sets={"workflow": "workflow", "lane": "lane", "mode": "mode", "commit": "commit"},
        ),
    ),
    "review.opened": (
        Fold(
            table="reviews",
            key="review",
            fixed={"status": ReviewStatus.OPEN.value, "round": 1, "verdict": None},
        ),
        _ROUND,
    ),
    "review.advanced": (
        Fold(table="reviews", key="review", sets={"round": "round"}),
        _ROUND,
    ),
    "review.decided": (
        Fold(
            table="reviews",
            key="review",
            sets={"verdict": "verdict", "round": "round"},
            fixed={"status": ReviewStatus.DECIDED.value},
        ),
    ),
    "review.undone": (
        Fold(
            table="reviews",
            key="review",
            sets={"round": "round"},
            fixed={"status": ReviewStatus.OPEN.value, "verdict": None},
        ),
        Fold(table="outcomes", key="decisions", drops=True),
        Fold(table="votes", key="vote", drops=True),
        Fold(table="votes", key="votes", drops=True),
    ),
    "review.closed": (
        Fold(
            table="reviews",
            key="review",
            sets={"verdict": "verdict"},
            fixed={"status": ReviewStatus.CLOSED.value},
        ),
    ),
    "vote.cast": (
        Fold(
            table="votes",
            key="vote",
            sets={
                "review": "review",
                "round": "round",
                "person": "person",
                "said": "said",
                "commit": "commit",
            },
        ),
    ),
    "outcome.set": (
        Fold(
            table="outcomes",
            key="decision",
            sets={"verdict": "verdict", "commit": "commit"},
            fixed={"released": 0},
        ),
    ),
    "outcome.released": (
        Fold(
            table="outcomes",
            key="decision",
            sets={"verdict": "verdict", "commit": "commit"},
            fixed={"released": 1},
        ),
        _MINTED,
    ),
    "grant.minted": (_MINTED,),
    "grant.redeemed": _grant(GrantState.REDEEMED),
    "grant.confirmed": (Fold(table="grants", key="grant", sets={"state": "state"}),),
    "grant.in_doubt": _grant(GrantState.IN_DOUBT),
    "grant.resolved": (
        Fold(table="grants", key="grant", sets={"state": "state"}),
        Fold(
            table="grants",
            key="replaced_by",
            sets={"decision": "decision"},
            fixed={"state": GrantState.GRANTED.value},
        ),
    ),
    "grant.lapsed": _grant(GrantState.LAPSED),
    "grant.voided": _grant(GrantState.VOID),
    "label.added": (
        Fold(table="labels", key="label", sets={"decision": "decision", "commit": "commit"}),
    ),
}
"""Entry type to what it does to the state tables. Types that are absent change none of them."""


class Folded:
    """State tables as the log tells them: `rows[table][key][column] = (value, entry index)`."""

    __slots__ = ("dropped", "rows", "size")

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, dict[str, tuple[Value, int]]]] = {
            table: {} for table in TABLES
        }
        self.dropped: dict[tuple[str, str], int] = {}
        """Index of the entry that removed a row, by (table, key)."""
        self.size = 0
        """How many entries were folded."""

    def add(self, made: Mapping[str, Any]) -> None:
        """Fold the next entry. Raises `BadInput` where it does not follow the catalogue."""
        index = self.size
        try:
            validate(made)
        except BadInput as error:
            raise BadInput(f"entry {index}: {error.message}", error.pointer) from error
        self.size = index + 1
        for rule in FOLDED.get(made["type"], ()):
            keys = made.get(rule.key)
            if keys is None:
                continue
            table = self.rows[rule.table]
            for key in keys if type(keys) is list else (keys,):
                if rule.drops:
                    if table.pop(key, None) is not None:
                        self.dropped[rule.table, key] = index
                    continue
                row = table.setdefault(key, {})
                for column, value in rule.fixed.items():
                    row[column] = (value, index)
                for column, field in rule.sets.items():
                    if field in made:
                        said = made[field]
                        row[column] = (tuple(said) if type(said) is list else said, index)


def fold(entries: Iterable[Mapping[str, Any]]) -> Folded:
    """The state tables that follow from `entries` (decoded, from index 0, without gaps)."""
    folded = Folded()
    for made in entries:
        folded.add(made)
    return folded


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One place where a table does not say what the log says."""

    table: str
    row: str
    column: str | None
    """None where the whole row is missing or should not be there."""
    log: Value
    """What the log says; None also where it knows no such row."""
    stored: Value
    """What the table says; None also where it has no such row."""
    index: int | None
    """Entry that last said so; None where no entry speaks of the row."""

    def __str__(self) -> str:
        place = f"{self.table} {self.row}"
        if self.column is not None:
            return (
                f"{place}: {self.column} is {self.stored!r} in the table; "
                f"entry {self.index} of the log says {self.log!r}"
            )
        if self.index is None:
            return f"{place}: the table has the row; no entry of the log made it"
        if self.stored is not None:
            return f"{place}: the table has the row; entry {self.index} of the log removed it"
        return f"{place}: the table has no such row; entry {self.index} of the log says it exists"


def compare(folded: Folded, stored: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[Difference]:
    """Differences between the log and the stored rows, in order of table, then of row.

    `stored` gives every row of every table of `TABLES`, with its key and columns by name. Raises
    `BadInput` where a table or column is not given: what is not looked at must not pass.
    """
    found: list[Difference] = []
    for name, table in TABLES.items():
        if name not in stored:
            raise BadInput(f"no rows of the table {name} were given; expected all of its rows")
        rows = folded.rows[name]
        seen: set[str] = set()
        here: list[Difference] = []
        for actual in stored[name]:
            absent = [c for c in (table.key, *table.columns) if c not in actual]
            if absent:
                raise BadInput(f"a row of {name} has no {', '.join(absent)}; expected all columns")
            key = actual[table.key]
            seen.add(key)
            wanted = rows.get(key)
            if wanted is None:
                here.append(
                    Difference(
                        table=name,
                        row=key,
                        column=None,
                        log=None,
                        stored=key,
                        index=folded.dropped.get((name, key)),
                    )
                )
                continue
            for column in table.columns:
                value, index = wanted.get(column, (None, _first(wanted)))
                if actual[column] != value:
                    here.append(
                        Difference(
                            table=name,
                            row=key,
                            column=column,
                            log=value,
                            stored=actual[column],
                            index=index,
                        )
                    )
        here.extend(
            Difference(table=name, row=key, column=None, log=key, stored=None, index=_last(wanted))
            for key, wanted in rows.items()
            if key not in seen
        )
        here.sort(key=lambda difference: difference.row)
        found.extend(here)
    return found


def _first(row: Mapping[str, tuple[Value, int]]) -> int:
    return min(index for _, index in row.values())


def _last(row: Mapping[str, tuple[Value, int]]) -> int:
    return max(index for _, index in row.values())
