"""The judge: holds what clients were told and what the world saw to what the store says afterwards.

It knows nothing of how the product works inside. It is given a `History`, and holds it to
`PROMISES`, each of which is one function here; `check` names every promise that is broken, and
where. Each promise has a hand-broken history in `tests/unit/faults` that it must find.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec

from tests.faults.journal import Effect, Op, effect_digest

ALLOWS = frozenset(("passed", "approved", "edited"))
ENDS = frozenset(("withdrawn", "superseded", "expired"))
"""Verdicts from outside, which take a waiting outcome back."""


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as the store has it."""

    id: str
    workflow: str = "pay"
    subject: str | None = None
    submitter: str = "caller"
    key: str | None = None
    facts: dict[str, Any] = {}
    proposal: dict[str, Any] = {}
    lane: str = "hold"
    fired: tuple[str, ...] = ()
    review: str | None = None
    settled: bool = False
    expires_at: int | None = None


class ReviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """A review as the store has it."""

    id: str
    kind: str = "hold"
    status: str = "open"
    round: int = 1
    lead: str
    verdict: str | None = None
    by: str | None = None
    at: int | None = None
    needs: tuple[tuple[tuple[str, ...], int], ...] = ()
    """Of each round's ruling, the last round's: who may approve, and how many must."""
    silence: str = "block"
    reversible: bool = False


class VoteRow(msgspec.Struct, frozen=True, kw_only=True):
    """A vote in force, as the store has it."""

    id: str
    review: str
    round: int
    person: str
    said: str


class OutcomeRow(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome as the store has it."""

    decision: str
    verdict: str
    value: Any = None
    digest: str
    release_at: int = 0
    released: bool = True
    grant: str | None = None


class GrantRow(msgspec.Struct, frozen=True, kw_only=True):
    """A grant as the store has it."""

    id: str
    decision: str
    state: str = "granted"
    digest: str
    valid_until: int | None = None
    lease_until: int | None = None
    run: str | None = None
    replaced_by: str | None = None


class PersonRow(msgspec.Struct, frozen=True, kw_only=True):
    """A person as the store has them."""

    id: str
    handle: str
    holds: tuple[str, ...] = ()


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the store and the log say after a run."""

    decisions: tuple[DecisionRow, ...] = ()
    reviews: tuple[ReviewRow, ...] = ()
    votes: tuple[VoteRow, ...] = ()
    outcomes: tuple[OutcomeRow, ...] = ()
    grants: tuple[GrantRow, ...] = ()
    people: tuple[PersonRow, ...] = ()
    doubts: tuple[str, ...] = ()
    """Grants that people are asked about."""
    entries: tuple[bytes, ...] = ()
    """The log, as stored."""
    indexes: tuple[int, ...] | None = None
    """Index of each entry; None for 0, 1, 2, …"""
    root: bytes | None = None
    """Root of the tree, as the product says it."""
    damage: tuple[str, ...] = ()
    """What the product's own verification of the log found."""
    differences: tuple[tuple[str, str, str | None], ...] = ()
    """Where log and tables differ, by the product's own fold: (table, row, what)."""
    anchored: int = 0
    """Size of the last checkpoint that was kept outside."""
    rolled_back: bool = False
    """Whether the product says that an older database was put in place."""
    registered: bool = True
    """Whether rights are by team and role, because somebody was registered on purpose."""
    now: int = 0
    """µs UTC by the store's clock."""
    swept: bool = True
    """Whether everything that was due at `now` was done before this was read."""


class History(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One run, as told from outside, and what is left of it."""

    ops: tuple[Op, ...]
    effects: tuple[Effect, ...]
    state: State
    whole: bool = True
    """Whether the journals tell of every client there was."""
    one_clock: bool = True
    """Whether the outside world's clock and the store's are the same and never jump."""

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The entries, decoded."""
        return [json.loads(entry) for entry in self.state.entries]

    @cached_property
    def by_type(self) -> dict[str, list[dict[str, Any]]]:
        """The entries of each type, in order."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for entry in self.log:
            found[entry["type"]].append(entry)
        return found

    def entries(self, *types: str) -> list[dict[str, Any]]:
        """Entries of these types, in the order of the types."""
        return [entry for name in types for entry in self.by_type.get(name, ())]

    @cached_property
    def decisions(self) -> dict[str, DecisionRow]:
        return {row.id: row for row in self.state.decisions}

    @cached_property
    def reviews(self) -> dict[str, ReviewRow]:
        return {row.id: row for row in self.state.reviews}

    @cached_property
    def outcomes(self) -> dict[str, OutcomeRow]:
        return {row.decision: row for row in self.state.outcomes}

    @cached_property
    def grants(self) -> dict[str, GrantRow]:
        return {row.id: row for row in self.state.grants}

    @cached_property
    def people(self) -> dict[str, PersonRow]:
        return {row.id: row for row in self.state.people}

    @cached_property
    def person_of(self) -> dict[str, str]:
        """Person id of each handle."""
        return {row.handle.casefold(): row.id for row in self.state.people}

    def acked(self, *names: str) -> Iterator[Op]:
        """Acknowledged calls of these commands."""
        return (op for op in self.ops if op.op in names and op.acked)


class Finding(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One broken promise."""

    promise: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.where}: {self.what}"


Promise = Callable[[History], Iterator[tuple[str, str]]]
"""Gives (where, what) for each place where the promise is broken."""

PROMISES: dict[str, Promise] = {}


def promise(name: str) -> Callable[[Promise], Promise]:
    """Register a promise under a name; its docstring says it."""

    def keep(function: Promise) -> Promise:
        PROMISES[name] = function
        return function

    return keep


def check(history: History) -> list[Finding]:
    """Every broken promise of this history; empty where all were kept."""
    return [
        Finding(promise=name, where=where, what=what)
        for name, function in PROMISES.items()
        for where, what in function(history)
    ]


# ------------------------------------------------------------------------------ acknowledged


@promise("lost")
def lost(h: History) -> Iterator[tuple[str, str]]:
    """What was acknowledged is there: submits, votes and everything else."""
    for op in h.acked("Submit"):
        yield from _lost_submit(h, op, op.args, op.answer)
    for op in h.acked("SubmitBatch"):
        for row, answer in zip(op.args["rows"], op.answer, strict=True):
            if answer.get("ruling"):
                yield from _lost_submit(h, op, row, answer["ruling"])
    votes = {(entry["review"], entry["person"], entry["said"]) for entry in h.entries("vote.cast")}
    undone = {vote for entry in h.entries("review.undone") for vote in entry.get("votes", ())}
    stored = {(row.review, row.person, row.said) for row in h.state.votes}
    taken_back = {
        (entry["review"], entry["person"], entry["said"])
        for entry in h.entries("vote.cast")
        if entry["vote"] in undone
    }
    for op in h.acked("CastVote"):
        person = h.person_of.get(op.actor.casefold(), "")
        cast = (op.args["review_id"], person, op.args["said"])
        if cast not in votes:
            yield op.args["review_id"], f"the log has no acknowledged {cast[2]} by {op.actor}"
        if cast not in stored | taken_back:
            yield op.args["review_id"], f"no acknowledged {cast[2]} by {op.actor} is stored"
    for op in h.acked("Withdraw"):
        outcome = h.outcomes.get(op.args["decision_id"])
        if outcome is None or outcome.verdict != "withdrawn":
            yield op.args["decision_id"], "the acknowledged withdrawal is gone"
    for op in h.acked("Redeem"):
        grant = h.grants.get(op.args["grant_id"])
        if grant is None or grant.run != op.args["run"]:
            yield op.args["grant_id"], "the acknowledged redeem is gone"
    settled = {entry["grant"] for entry in h.entries("grant.resolved")}
    for op in h.acked("Confirm"):
        grant = h.grants.get(op.args["grant_id"])
        wanted = "done" if op.args["done"] else "failed"
        if grant is None or (grant.state != wanted and grant.id not in settled):
            yield op.args["grant_id"], f"the acknowledged confirm ({wanted}) is gone"
    by_person: Counter[tuple[str, str]] = Counter(
        (entry["review"], entry["actor"]) for entry in h.entries("review.undone")
    )
    undos = Counter(
        (op.args["review_id"], h.person_of.get(op.actor.casefold(), "")) for op in h.acked("Undo")
    )
    for (review, person), many in undos.items():
        if by_person[review, person] < many:
            yield review, f"{many} acknowledged undos, the log has {by_person[review, person]}"
    for op in h.acked("Resolve"):
        if op.args["grant_id"] not in settled:
            yield op.args["grant_id"], "the acknowledged answer to a doubt is gone"
    for name, type_ in (("SetStop", "stop.set"), ("ClearStop", "stop.cleared")):
        told = Counter(op.args["workflow"] for op in h.acked(name))
        logged = Counter(entry["workflow"] for entry in h.entries(type_))
        for workflow, many in told.items():
            if logged[workflow] < many:
                yield workflow, f"{many} acknowledged {name}, the log has {logged[workflow]}"


def _lost_submit(
    h: History, op: Op, args: Mapping[str, Any], ruling: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    row = h.decisions.get(ruling["decision_id"])
    if row is None:
        yield ruling["decision_id"], f"the submit acknowledged to {op.client} is gone"
        return
    kept = (row.workflow, row.submitter, row.lane, row.fired)
    told = (
        args["workflow"],
        op.actor,
        ruling["lane"],
        tuple(fired["rule"] for fired in ruling.get("fired", ())),
    )
    if kept != told or (args.get("key") is not None and row.key != args["key"]):
        yield row.id, f"acknowledged was {told}, stored is {kept}"


# ------------------------------------------------------------------------------ decided once


@promise("decided-twice")
def decided_twice(h: History) -> Iterator[tuple[str, str]]:
    """Each decision has one terminal outcome, each key one decision, each review one end."""
    released = Counter(entry["decision"] for entry in h.entries("outcome.released"))
    for decision, many in released.items():
        if many > 1:
            yield decision, f"{many} outcomes were released"
    keys = Counter(
        (row.workflow, row.submitter, row.key) for row in h.state.decisions if row.key is not None
    )
    for key, many in keys.items():
        if many > 1:
            yield str(key), f"{many} decisions have this key"
    seen: dict[str, tuple[Any, ...]] = {}
    for decision, outcome in _seen(h):
        told = (outcome["verdict"], outcome["digest"], json.dumps(outcome.get("value")))
        if seen.setdefault(decision, told) != told:
            yield decision, f"one caller saw {seen[decision]}, another {told}"
        row = h.outcomes.get(decision)
        if row is None or not row.released:
            yield decision, "an outcome that was seen is not released"
        elif (row.verdict, row.digest) != told[:2]:
            yield decision, f"an outcome was seen as {told[:2]} and is {row.verdict}, {row.digest}"
    yield from _review_lives(h)
    told_decided: dict[str, dict[str, str]] = defaultdict(dict)
    for op in h.acked("CastVote"):
        if op.answer["decided"]:
            told_decided[op.args["review_id"]][op.answer["verdict"]] = op.actor
    undone = {entry["review"] for entry in h.entries("review.undone")}
    for review, verdicts in told_decided.items():
        if len(verdicts) > 1 and review not in undone:
            yield review, f"people were told different verdicts as final: {verdicts}"


def _seen(h: History) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for op in h.acked("WaitOutcome", "Withdraw"):
        yield op.args["decision_id"], op.answer
    for op in h.acked("WaitOutcomes"):
        for outcome in op.answer:
            yield outcome["decision_id"], outcome


def _review_lives(h: History) -> Iterator[tuple[str, str]]:
    """A review is opened, then decided or closed; only an undo opens it again."""
    status: dict[str, str] = {}
    voted: set[tuple[str, int, str]] = set()
    votes: dict[str, tuple[str, int, str]] = {}
    for entry in h.log:
        type_, review = entry["type"], entry.get("review", "")
        if type_ == "review.opened":
            if review in status:
                yield review, "opened twice"
            status[review] = "open"
        elif type_ == "vote.cast":
            if status.get(review) != "open":
                yield review, f"a vote was cast while it was {status.get(review)}"
            place = (review, entry["round"], entry["person"])
            if place in voted:
                yield review, f"{entry['person']} voted twice in round {entry['round']}"
            voted.add(place)
            votes[entry["vote"]] = place
        elif type_ == "review.decided":
            if status.get(review) != "open":
                yield review, f"decided while it was {status.get(review)}"
            status[review] = "decided"
        elif type_ == "review.closed":
            if status.get(review) == "closed":
                yield review, "closed twice"
            status[review] = "closed"
        elif type_ == "review.undone":
            if status.get(review) != "decided":
                yield review, f"undone while it was {status.get(review)}"
            status[review] = "open"
            for vote in entry.get("votes", ()):
                voted.discard(votes.get(vote, ("", 0, "")))


@promise("undone-too-late")
def undone_too_late(h: History) -> Iterator[tuple[str, str]]:
    """What was released is never taken back."""
    released: set[str] = set()
    for entry in h.log:
        if entry["type"] == "outcome.released":
            released.add(entry["decision"])
        elif entry["type"] == "review.undone":
            for decision in entry["decisions"]:
                if decision in released:
                    yield decision, "its outcome was released, then taken back"
        elif entry["type"] == "outcome.set" and entry["decision"] in released:
            yield entry["decision"], "an outcome was set after one was released"


@promise("unbacked-verdict")
def unbacked_verdict(h: History) -> Iterator[tuple[str, str]]:
    """Each verdict has one winning set of votes; silence approves nothing it must not."""
    cast: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    votes: dict[str, tuple[tuple[str, int], str]] = {}
    decided: dict[str, dict[str, Any]] = {}
    backing: dict[str, dict[str, str]] = {}
    for entry in h.log:
        if entry["type"] == "vote.cast":
            place = (entry["review"], entry["round"])
            cast[place][entry["person"]] = entry["said"]
            votes[entry["vote"]] = (place, entry["person"])
        elif entry["type"] == "review.undone":
            decided.pop(entry["review"], None)
            for vote in entry.get("votes", ()):
                if vote in votes:
                    place, person = votes[vote]
                    cast[place].pop(person, None)
        elif entry["type"] == "review.decided":
            decided[entry["review"]] = entry
            backing[entry["review"]] = dict(cast[entry["review"], entry["round"]])
    for review, entry in decided.items():
        row = h.reviews.get(review)
        if row is None or row.kind != "hold":
            continue
        said = backing[review]
        verdict, actor = entry["verdict"], entry["actor"]
        if actor == "system":
            if verdict in ALLOWS and not (row.silence == "approve" and row.reversible):
                yield review, f"silence {verdict} what is not to be approved by silence"
            continue
        if verdict == "rejected":
            if said.get(actor) != "reject":
                yield review, f"rejected by {actor}, who said {said.get(actor)}"
            continue
        for_it = {person for person, word in said.items() if word != "reject"}
        if actor not in for_it:
            yield review, f"{verdict} by {actor}, who said {said.get(actor)}"
        if "reject" in said.values():
            yield review, f"{verdict} over a rejection that stands"
        for names, count in row.needs:
            fit = {
                person for person in for_it if not h.state.registered or _holds(h, person, names)
            }
            if len(fit) < count:
                yield review, f"{verdict} with {len(fit)} of {count} votes of {' or '.join(names)}"


def _holds(h: History, person: str, names: tuple[str, ...]) -> bool:
    row = h.people.get(person)
    return row is not None and bool(
        {*row.holds, row.id, f"person:{row.handle.casefold()}"}
        & {name.casefold() for name in names}
    )


@promise("loser-misled")
def loser_misled(h: History) -> Iterator[tuple[str, str]]:
    """Who lost is told so, with winner, verdict and time; nobody is told somebody else's verdict
    as their own."""
    ends: dict[str, list[tuple[str | None, str | None, str]]] = defaultdict(list)
    for entry in h.entries("review.decided", "review.closed"):
        by = entry["actor"] if entry["type"] == "review.decided" else None
        by = by if by in h.people else None
        ends[entry["review"]].append((by, entry.get("verdict"), time_text(entry["at"])))
    cast = {(vote["review"], vote["person"], vote["said"]) for vote in h.entries("vote.cast")}
    for op in h.ops:
        if op.op != "CastVote":
            continue
        review = op.args["review_id"]
        if op.failed == "conflict":
            winner = (op.error or {}).get("winner") or {}
            if "verdict" in winner:
                by = h.person_of.get(str(winner.get("by")).casefold())
                told = (by, winner["verdict"], winner.get("at"))
                if told not in ends[review]:
                    yield review, f"a loser was told {winner}, the log says {ends[review]}"
            elif not winner:
                yield review, f"a loser was told nothing: {(op.error or {}).get('detail')}"
        elif op.acked and op.answer["decided"]:
            person, said = h.person_of.get(op.actor.casefold(), ""), op.args["said"]
            verdict = op.answer["verdict"]
            if (review, person, said) not in cast:
                yield review, f"{op.actor} was told {verdict}, and the log has no {said} of theirs"
            if not any(end[1] == verdict for end in ends[review]):
                yield review, f"{op.actor} was told {verdict}; the log says {ends[review]}"


# ------------------------------------------------------------------------------ effects


@promise("before-permission")
def before_permission(h: History) -> Iterator[tuple[str, str]]:
    """No effect before the durable outcome that allows it; no outcome before its undo time ends."""
    minted: dict[str, dict[str, Any]] = {}
    redeemed: dict[str, dict[str, Any]] = {}
    set_at: dict[str, dict[str, Any]] = {}
    for entry in h.log:
        type_ = entry["type"]
        if type_ == "outcome.set":
            set_at[entry["decision"]] = entry
        elif type_ == "review.undone":
            for decision in entry["decisions"]:
                set_at.pop(decision, None)
        elif type_ == "outcome.released":
            waiting = set_at.pop(entry["decision"], None)
            if (
                waiting is not None
                and entry["verdict"] not in ENDS
                and entry["at"] < waiting["release_at"]
            ):
                yield entry["decision"], "released before its undo time was over"
            if entry["verdict"] in ALLOWS and "grant" in entry:
                minted[entry["grant"]] = entry
        elif type_ == "grant.resolved" and "replaced_by" in entry:
            minted[entry["replaced_by"]] = entry
        elif type_ == "grant.redeemed":
            if entry["grant"] not in minted:
                yield entry["grant"], "redeemed, and no outcome that allows it was released before"
            redeemed[entry["grant"]] = entry
            row = h.grants.get(entry["grant"])
            decision = h.decisions.get(entry["decision"])
            if row is not None and row.valid_until is not None and entry["at"] >= row.valid_until:
                yield entry["grant"], "redeemed after the approval had lapsed"
            if (
                decision is not None
                and decision.expires_at is not None
                and entry["at"] >= decision.expires_at
            ):
                yield entry["grant"], "redeemed after the decision had expired"
    for effect in h.effects:
        permit = redeemed.get(effect.grant)
        if permit is None or permit["decision"] != effect.decision:
            yield effect.decision, f"ran under {effect.grant}, which the log never saw redeemed"
        elif h.one_clock and effect.at < permit["at"]:
            yield effect.decision, "ran before its grant was redeemed"


@promise("ran-twice")
def ran_twice(h: History) -> Iterator[tuple[str, str]]:
    """One grant, one effect; one decision, one effect, unless a person said: try again."""
    per_grant = Counter(effect.grant for effect in h.effects)
    for grant, many in per_grant.items():
        if many > 1:
            yield grant, f"{many} effects ran under this grant"
    again = {entry["grant"] for entry in h.entries("grant.resolved") if "replaced_by" in entry}
    per_decision: dict[str, set[str]] = defaultdict(set)
    for effect in h.effects:
        if effect.grant not in again:
            per_decision[effect.decision].add(effect.grant)
    for decision, grants in per_decision.items():
        if len(grants) > 1:
            yield decision, f"ran under {len(grants)} grants, and no person said: try again"
    runs: dict[str, set[str]] = defaultdict(set)
    for op in h.acked("Redeem"):
        runs[op.args["grant_id"]].add(op.args["run"])
    for grant, names in runs.items():
        if len(names) > 1:
            yield grant, f"{len(names)} runs were told that they may start"
    redeems = Counter(entry["grant"] for entry in h.entries("grant.redeemed"))
    for grant, many in redeems.items():
        if many > 1:
            yield grant, f"redeemed {many} times"
    live = Counter(
        row.decision for row in h.state.grants if row.state in ("granted", "redeemed", "done")
    )
    for decision, many in live.items():
        if many > 1:
            yield decision, f"{many} grants are good at once"


@promise("hidden-doubt")
def hidden_doubt(h: History) -> Iterator[tuple[str, str]]:
    """A run that was not confirmed is in doubt once its lease is over, and people are asked."""
    settled = {entry["grant"] for entry in h.entries("grant.resolved")}
    for effect in h.effects:
        row = h.grants.get(effect.grant)
        if row is None:
            yield effect.grant, "an effect ran under a grant that is not stored"
        elif row.state in ("granted", "lapsed") or (row.state == "void" and row.id not in settled):
            yield effect.grant, f"an effect ran, and the grant is {row.state}"
        elif row.state == "done" and not effect.ended and row.id not in settled:
            yield effect.grant, "the effect was interrupted, and the grant is done"
    for row in h.state.grants:
        if (
            h.state.swept
            and row.state == "redeemed"
            and row.lease_until is not None
            and row.lease_until <= h.state.now
        ):
            yield row.id, "its lease is over, and it is not in doubt"
        if row.state == "in_doubt" and row.id not in h.state.doubts:
            yield row.id, "in doubt, and nobody is asked"


@promise("forbidden-run")
def forbidden_run(h: History) -> Iterator[tuple[str, str]]:
    """What was rejected, refused, expired, withdrawn or superseded never ran."""
    for effect in h.effects:
        outcome = h.outcomes.get(effect.decision)
        if outcome is None:
            yield effect.decision, "ran without an outcome"
        elif outcome.verdict not in ALLOWS:
            yield effect.decision, f"ran although it was {outcome.verdict}"


@promise("wrong-effect")
def wrong_effect(h: History) -> Iterator[tuple[str, str]]:
    """What ran is what was approved, by digest; what was approved is what was proposed, unless
    somebody edited it; and the digest is that of what is stored."""
    for effect in h.effects:
        grant = h.grants.get(effect.grant)
        outcome = h.outcomes.get(effect.decision)
        if grant is not None and effect.digest != grant.digest:
            yield effect.decision, f"ran {effect.digest}, granted was {grant.digest}"
        if outcome is not None and effect.digest != outcome.digest:
            yield effect.decision, f"ran {effect.digest}, approved was {outcome.digest}"
    edited = {vote["review"] for vote in h.entries("vote.cast") if vote["said"] == "edit"}
    for outcome in h.state.outcomes:
        row = h.decisions.get(outcome.decision)
        if row is not None and outcome.verdict == "edited" and row.review not in edited:
            yield row.id, f"proposed {row.proposal}, edited to {outcome.value} by nobody"
        if row is not None and outcome.digest != effect_digest(
            row.workflow, row.subject, row.facts, outcome.value
        ):
            yield row.id, "the approved digest is not that of the stored facts and value"
        unedited = outcome.verdict in ("passed", "approved")
        if row is not None and unedited and outcome.value != row.proposal:
            yield row.id, f"proposed {row.proposal}, {outcome.verdict} {outcome.value}, unedited"


# ------------------------------------------------------------------------------ the log


_ROWS: tuple[tuple[str, str, str], ...] = (
    ("decision.submitted", "decision", "decisions"),
    ("review.opened", "review", "reviews"),
    ("vote.cast", "vote", "votes"),
    ("outcome.set", "decision", "outcomes"),
    ("outcome.released", "decision", "outcomes"),
    ("outcome.released", "grant", "grants"),
    ("grant.resolved", "replaced_by", "grants"),
)
"""Entry type, its field, and the table whose row it makes."""


def _stored(h: History) -> dict[str, set[str]]:
    state = h.state
    return {
        "decisions": {row.id for row in state.decisions},
        "reviews": {row.id for row in state.reviews},
        "votes": {row.id for row in state.votes},
        "outcomes": {row.decision for row in state.outcomes},
        "grants": {row.id for row in state.grants},
    }


@promise("unlogged")
def unlogged(h: History) -> Iterator[tuple[str, str]]:
    """Nothing is in the tables that the log does not tell of."""
    told: dict[str, set[str]] = defaultdict(set)
    for type_, field, table in _ROWS:
        told[table].update(entry[field] for entry in h.entries(type_) if field in entry)
    for table, rows in _stored(h).items():
        for row in sorted(rows - told[table]):
            yield row, f"stands in {table} without an entry"
    redeemed = {entry["grant"] for entry in h.entries("grant.redeemed")}
    for grant in h.state.grants:
        if grant.run is not None and grant.id not in redeemed:
            yield grant.id, "was redeemed without an entry"


@promise("unstored")
def unstored(h: History) -> Iterator[tuple[str, str]]:
    """Nothing is in the log that the tables do not show; every column follows from the log."""
    stored = _stored(h)
    gone: set[tuple[str, str]] = set()
    told: set[tuple[str, str]] = set()
    for entry in h.log:
        if entry["type"] == "review.undone":
            gone.update(("outcomes", decision) for decision in entry["decisions"])
            gone.update(("votes", vote) for vote in entry.get("votes", ()))
        for type_, field, table in _ROWS:
            if entry["type"] == type_ and field in entry:
                told.add((table, entry[field]))
                gone.discard((table, entry[field]))
    for table, row in sorted(told - gone):
        if row not in stored[table]:
            yield row, f"the log tells of it, and {table} has no such row"
    for table, row in sorted(gone):
        if row in stored[table]:
            yield row, f"the log says that it was taken back, and {table} still has it"
    for table, row, what in h.state.differences:
        yield row, f"{table}: {what}"


@promise("broken-log")
def broken_log(h: History) -> Iterator[tuple[str, str]]:
    """The log has no gaps, and its root is the one rebuilt from the bytes of its entries."""
    indexes = h.state.indexes
    if indexes is not None and indexes != tuple(range(len(h.state.entries))):
        gap = next(n for n, (a, b) in enumerate(zip(indexes, _count(), strict=False)) if a != b)
        yield f"entry {gap}", f"has index {indexes[gap]}"
    root = rebuilt_root(h.state.entries)
    if h.state.root is not None and h.state.root != root:
        yield "the tree", f"its root is {h.state.root.hex()}, rebuilt it is {root.hex()}"
    for sentence in h.state.damage:
        yield "the log", sentence


def _count() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def rebuilt_root(entries: tuple[bytes, ...]) -> bytes:
    """The root of RFC 6962, section 2.1, written as it stands there."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    half = 1 << (len(entries) - 1).bit_length() - 1
    left, right = rebuilt_root(entries[:half]), rebuilt_root(entries[half:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@promise("cried-wolf")
def cried_wolf(h: History) -> Iterator[tuple[str, str]]:
    """What was anchored is durable: no crash looks like a restored backup."""
    if h.state.rolled_back or h.state.anchored > len(h.state.entries):
        yield (
            "the log",
            f"{h.state.anchored} entries were anchored, and it has {len(h.state.entries)}",
        )


# ------------------------------------------------------------------------------ wholeness


@promise("half")
def half(h: History) -> Iterator[tuple[str, str]]:
    """Whatever was in flight is wholly there or wholly absent."""
    opened = {entry["review"] for entry in h.entries("review.opened")}
    for row in h.state.decisions:
        outcome = h.outcomes.get(row.id)
        if row.lane == "hold":
            if row.review is None and not (outcome and outcome.verdict in ENDS):
                yield row.id, "held, and there is no review"
        elif outcome is None or not outcome.released:
            yield row.id, f"{row.lane}, and no outcome is out"
        if row.review is not None and (row.review not in h.reviews or row.review not in opened):
            yield row.id, f"hangs on {row.review}, which is not there"
        if row.settled != (outcome is not None and outcome.released):
            yield row.id, "its outcome is out, or not, and the decision says otherwise"
        review = h.reviews.get(row.review or "")
        if review is not None and review.kind == "hold":
            if review.status == "decided" and outcome is None:
                yield row.id, f"{review.id} is decided, and the decision has no outcome"
            if review.status == "open" and outcome is not None:
                yield row.id, f"{review.id} is open, and the decision has an outcome"
    for outcome in h.state.outcomes:
        if outcome.decision not in h.decisions:
            yield outcome.decision, "has an outcome and is not there"
        allowed = outcome.verdict in ALLOWS
        if outcome.released and allowed and outcome.grant not in h.grants:
            yield outcome.decision, "released, allowed, and there is no grant"
        if outcome.grant is not None and not (outcome.released and allowed):
            yield outcome.decision, f"{outcome.verdict}, and it has a grant"
    for grant in h.state.grants:
        if grant.decision not in h.outcomes:
            yield grant.id, "a grant without an outcome"
        started = grant.run is not None and grant.lease_until is not None
        if grant.state in ("redeemed", "done", "failed", "in_doubt") and not started:
            yield grant.id, f"{grant.state}, and no run is named"
        if grant.state in ("granted", "lapsed") and grant.run is not None:
            yield grant.id, f"{grant.state}, and a run is named"
        if grant.replaced_by is not None and grant.replaced_by not in h.grants:
            yield grant.id, f"replaced by {grant.replaced_by}, which is not there"
    for vote in h.state.votes:
        if vote.review not in h.reviews:
            yield vote.id, "a vote without a review"


@promise("invented")
def invented(h: History) -> Iterator[tuple[str, str]]:
    """Nothing is there that nobody asked for."""
    if not h.whole:
        return
    asked: set[tuple[str, str, str | None]] = set()
    for op in h.ops:
        if op.op == "Submit":
            asked.add((op.args["workflow"], op.actor, op.args.get("key")))
        elif op.op == "SubmitBatch":
            asked.update((row["workflow"], op.actor, row.get("key")) for row in op.args["rows"])
    for row in h.state.decisions:
        if (row.workflow, row.submitter, row.key) not in asked:
            yield row.id, "nobody submitted it"
    cast = {
        (op.args["review_id"], op.actor.casefold(), op.args["said"])
        for op in h.ops
        if op.op == "CastVote"
    }
    for vote in h.state.votes:
        handle = h.people[vote.person].handle.casefold() if vote.person in h.people else ""
        if (vote.review, handle, vote.said) not in cast:
            yield vote.review, f"nobody cast {vote.said} as {handle or vote.person}"
    runs = {op.args["run"] for op in h.ops if op.op == "Redeem"}
    for grant in h.state.grants:
        if grant.run is not None and grant.run not in runs:
            yield grant.id, f"redeemed by {grant.run}, which nobody sent"


@promise("fired-twice")
def fired_twice(h: History) -> Iterator[tuple[str, str]]:
    """Each deadline happens once, whatever clock and downtime do."""
    stages = Counter(
        (entry["review"], entry.get("stage"), entry["type"])
        for entry in h.entries("review.reminded", "review.escalated")
        if entry["actor"] == "system"
    )
    for (review, stage, type_), many in stages.items():
        if many > 1:
            yield review, f"{type_} of stage {stage} happened {many} times"
    for type_, field in (
        ("decision.expired", "decision"),
        ("grant.in_doubt", "grant"),
        ("grant.lapsed", "grant"),
    ):
        for name, many in Counter(entry[field] for entry in h.entries(type_)).items():
            if many > 1:
                yield name, f"{type_} happened {many} times"
    leases: dict[str, int] = {}
    for entry in h.log:
        if entry["type"] == "grant.redeemed":
            leases[entry["grant"]] = entry.get("lease_until", 0)
        elif entry["type"] == "grant.in_doubt" and entry["at"] < leases.get(entry["grant"], 0):
            yield entry["grant"], "in doubt before its lease was over"


def time_text(at: int) -> str:
    """RFC 3339 text of µs since 1970 UTC, written apart from the product."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=at)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
