"""What can be asked of Handrail, as values: one command a use case.

The SDK makes them, both transports carry them, `handrail.flow` has one function for each. `ROUTES`
says how each travels over HTTP; the server and the client read the same table.
"""

from __future__ import annotations

import re
from typing import Any, Literal, TypeVar

import msgspec

from handrail.model.access import Token
from handrail.model.decoding import convert
from handrail.model.errors import BadInput
from handrail.model.feedback import Feedback, Label, PolicyVersion, Stop
from handrail.model.modes import GrantState
from handrail.model.noun import Noun
from handrail.model.observation import Recorded
from handrail.model.outcome import Grant, Outcome, Receipt, Redeemed
from handrail.model.people import Person
from handrail.model.review import Card
from handrail.model.ruling import Ruling
from handrail.model.text import nearest
from handrail.model.versions import (
    DraftState,
    Evidence,
    HistoryLine,
    ListProposal,
    PolicyDiff,
    Proposal,
    StoredList,
    TrialCount,
)
from handrail.model.wire import escape_pointer

C = TypeVar("C", bound="Command")


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all commands."""


class Submit(Command, frozen=True, kw_only=True):
    """Hand in a decision. Idempotent by (workflow, submitter, key)."""

    workflow: str
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    proposal: dict[str, Any] | None = None
    key: str | None = None
    subject: str | None = None
    requester: str | None = None
    confidence: float | dict[str, float] | None = None
    alternatives: tuple[Any, ...] = ()
    model: str | None = None
    current: dict[str, Any] | None = None
    context: Any = None
    links: dict[str, str] | None = None
    callback: str | None = None
    occurred_at: str | None = None
    expires_at: str | None = None
    supersedes: str | None = None
    test: bool = False
    on_bad: Literal["raise", "hold"] = "raise"
    """`hold`: a decision whose required facts are missing becomes a held "bad input" review."""


class SubmitBatch(Command, frozen=True, kw_only=True):
    """Hand in many; each row is answered on its own, in order."""

    rows: list[Submit]


class Preview(Command, frozen=True, kw_only=True):
    """What the gate would answer now. Stores nothing."""

    workflow: str
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    proposal: dict[str, Any] | None = None
    subject: str | None = None
    confidence: float | dict[str, float] | None = None


class GetDecision(Command, frozen=True, kw_only=True):
    """One decision with everything that became of it."""

    decision_id: str


class ListDecisions(Command, frozen=True, kw_only=True):
    """Newest first. `state`: `open`, `done`, `in_doubt`, or None for all."""

    workflow: str | None = None
    lane: str | None = None
    state: str | None = None
    subject: str | None = None
    key: str | None = None
    mine: bool = False
    """Only those one handed in or asked for, whatever else one may see."""
    before: str | None = None
    """Decision id to go on before."""
    limit: int = 100


class WaitOutcome(Command, frozen=True, kw_only=True):
    """The released outcome, or None after `wait` seconds. Only reads."""

    decision_id: str
    wait: float = 0.0


class WaitOutcomes(Command, frozen=True, kw_only=True):
    """Those of several decisions whose outcome is released, in the order they were decided.

    Answers as soon as there is one, and empty after `wait` seconds. Only reads.
    """

    decision_ids: list[str]
    wait: float = 0.0


class Withdraw(Command, frozen=True, kw_only=True):
    """Take a decision back before it is run."""

    decision_id: str
    reason: str


class Redeem(Command, frozen=True, kw_only=True):
    """Spend the grant. `digest` is what the caller is about to run.

    `run` is a random name the caller makes for this run: it fences the confirm, and makes the
    same redeem sent twice (a lost answer) one redeem.
    """

    grant_id: str
    digest: str
    run: str
    lease_seconds: float = 300.0


class Confirm(Command, frozen=True, kw_only=True):
    """Say how the run ended. `run` is the name it was redeemed under."""

    grant_id: str
    run: str
    done: bool
    error: str | None = None


class Resolve(Command, frozen=True, kw_only=True):
    """A person settles a run in doubt or failed: `happened`, or `again` (a new grant)."""

    grant_id: str
    answer: Literal["happened", "again", "never"]
    note: str


class Reverse(Command, frozen=True, kw_only=True):
    """Reverse what passed or was approved. What has not run never will; what has is asked about.

    Then a new decision about the same subject is held, and its outcome goes to the program that
    was told of the first. Asking again answers the same.
    """

    decision_id: str
    reason: str


class AddLabel(Command, frozen=True, kw_only=True):
    """Add the truth about a decision that became known later."""

    decision_id: str
    source: str
    truth: Any = None
    wrong: bool | None = None
    loss: str | None = None
    at: str | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One observation as it is sent."""

    key: str
    """What names it: sent again, it is the same observation."""
    at: str
    """When it happened: RFC 3339 with a zone, or a day (`2026-11-30`) that lies where an
    aggregate's own zone has it."""
    facts: dict[str, Any] = msgspec.field(default_factory=dict)


class Record(Command, frozen=True, kw_only=True):
    """Record observations in a stream, for aggregates to read; each row is answered on its own."""

    stream: str
    rows: list[Row]


class ListReviews(Command, frozen=True, kw_only=True):
    """Open reviews the asker may decide, most urgent first; `all` shows every open one."""

    workflow: str | None = None
    status: str | None = "open"
    mine: bool = False
    limit: int = 100


class GetReview(Command, frozen=True, kw_only=True):
    """The card of a review, as who asks may see it."""

    review_id: str


class Claim(Command, frozen=True, kw_only=True):
    """Take a seat: of one review, or of the most urgent one that is free."""

    review_id: str | None = None
    workflow: str | None = None
    lease_seconds: float = 600.0


class CastVote(Command, frozen=True, kw_only=True):
    """Say approve, edit or reject. `card` is the digest of the card that was painted."""

    review_id: str
    said: Literal["approve", "edit", "reject"]
    card: str
    reason: str | None = None
    comment: str | None = None
    edits: dict[str, Any] = msgspec.field(default_factory=dict)
    token: str | None = None
    """Claim token, where the voter has a seat."""
    seconds: float | None = None


class Undo(Command, frozen=True, kw_only=True):
    """Take back the act that closed the review, within its undo time, by the same person."""

    review_id: str
    reason: str | None = None


class Escalate(Command, frozen=True, kw_only=True):
    """Ask others: those named, or the next that the policy names."""

    review_id: str
    reason: str
    to: tuple[str, ...] = ()
    comment: str | None = None


class Ask(Command, frozen=True, kw_only=True):
    """Put a question to the requester; the review stays open."""

    review_id: str
    comment: str


class Snooze(Command, frozen=True, kw_only=True):
    """Let a review rest for so many seconds."""

    review_id: str
    seconds: float


class Assign(Command, frozen=True, kw_only=True):
    """Give a review to a person or team."""

    review_id: str
    to: str


class Comment(Command, frozen=True, kw_only=True):
    """Add a comment that everybody who may see the review sees."""

    review_id: str
    comment: str


class ListDoubts(Command, frozen=True, kw_only=True):
    """Runs that are in doubt or failed and wait for a person."""

    limit: int = 100


class SetStop(Command, frozen=True, kw_only=True):
    """Press the stop button for a workflow or all (`*`)."""

    workflow: str = "*"
    reason: str


class ClearStop(Command, frozen=True, kw_only=True):
    """Lift the stop button for a workflow or all (`*`)."""

    workflow: str = "*"
    reason: str


class ListStops(Command, frozen=True, kw_only=True):
    """Stop buttons that stand."""


class SetPerson(Command, frozen=True, kw_only=True):
    """Register a person, or replace what they hold. Who is switched off is signed out."""

    handle: str
    holds: tuple[str, ...] = ()
    limits: dict[str, str] | None = None
    """Replaces their limits; None leaves them as they are."""
    active: bool = True


class ListPeople(Command, frozen=True, kw_only=True):
    """Registered persons."""


class _Quiet(Command, frozen=True, kw_only=True):
    """A command with a secret in it: never shown in a log or a traceback."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class MakeToken(Command, frozen=True, kw_only=True):
    """Make an API token for a program. Its secret is answered once."""

    name: str
    scopes: tuple[str, ...]
    workflows: tuple[str, ...]
    """Where it holds; `*` is everywhere."""
    days: int | None = 365
    """It expires after so many days; None: never."""


class ListTokens(Command, frozen=True, kw_only=True):
    """Tokens, the revoked ones too, oldest first."""


class RevokeToken(Command, frozen=True, kw_only=True):
    """Let nobody in with this token from now on."""

    token_id: str


class Invite(Command, frozen=True, kw_only=True):
    """Make a link with which somebody can set a password and sign in. Works once.

    A new one for the same person ends those before. For a person who has a password it is how they
    get a new one.
    """

    handle: str
    holds: tuple[str, ...] | None = None
    """What they will hold; None leaves it as it is."""
    limits: dict[str, str] | None = None
    hours: float = 72.0


class MakeFirstAdmin(Command, frozen=True, kw_only=True):
    """Make the link of the first admin. Only the workspace's owner may, while there is none."""


class MakeLink(Command, frozen=True, kw_only=True):
    """Make a link that signs somebody in by itself, once, on this machine.

    Only the workspace's owner may. Whoever follows it may do what they may do in a terminal here.
    """

    handle: str
    hours: float = 24.0
    """How long the link works."""


class FollowLink(_Quiet, frozen=True, kw_only=True):
    """Sign in by such a link. Only the workspace's owner may send it, for a browser on loopback."""

    secret: str
    session: str | None = None
    """Secret of the session this browser had; it ends."""


class AcceptInvitation(_Quiet, frozen=True, kw_only=True):
    """Take an invitation up: sets the password and signs in."""

    secret: str
    password: str
    handle: str | None = None
    """Only for the first admin, whose invitation names nobody."""


class SignIn(_Quiet, frozen=True, kw_only=True):
    """Sign in with a password."""

    handle: str
    password: str
    session: str | None = None
    """Secret of the session this browser had; it ends."""


class SignInWith(_Quiet, frozen=True, kw_only=True):
    """Sign in somebody whom an identity provider vouches for, as the server has verified.

    Only the workspace's owner may send it. The first time needs an invitation; its secret is what
    links the identity to a person, never a name or address that the provider reports.
    """

    issuer: str
    subject: str
    invitation: str | None = None
    session: str | None = None
    """Secret of the session this browser had; it ends."""


class SignOut(Command, frozen=True, kw_only=True):
    """End the session this is sent with, or all of the person's."""

    everywhere: bool = False


class ChangePassword(_Quiet, frozen=True, kw_only=True):
    """Set another password. All other sessions of the person end."""

    old: str
    new: str


class WhoAmI(Command, frozen=True, kw_only=True):
    """Who sends this, and what they may do."""


class ListPolicies(Command, frozen=True, kw_only=True):
    """The policies that rule now, by workflow, and the files that differ from them."""


class GetPolicy(Command, frozen=True, kw_only=True):
    """One version of a policy, whole. Without `version` the one that rules now.

    `version` is the hash or its first 6 digits or more, `active`, or `draft` for the file as it
    lies there.
    """

    workflow: str
    version: str | None = None


class DiffPolicies(Command, frozen=True, kw_only=True):
    """What changes between two versions: in words, and in effects on their cases.

    Without `old` from the one that rules now, without `new` to the draft.
    """

    workflow: str
    old: str | None = None
    new: str | None = None


class PolicyHistory(Command, frozen=True, kw_only=True):
    """Who proposed, who approved, when and why, newest first."""

    workflow: str
    limit: int = 100


class ProposePolicy(Command, frozen=True, kw_only=True):
    """Ask that a version rule: the draft, a version of before (roll back), or a text.

    Those who own the policy as it rules now decide it, never who proposes. In a workspace of one
    person it rules at once.
    """

    workflow: str
    reason: str
    version: str | None = None
    """A stored version, by at least six digits; without it and without `text` the draft."""
    text: str | None = None
    files: dict[str, str] = msgspec.field(default_factory=dict)
    """Text of each list file that `text` names."""
    base: str | None = None
    """The version this was made against; refused where another one rules."""
    evidence: Evidence | None = None
    """A back test or another test of this version."""


class ListTrials(Command, frozen=True, kw_only=True):
    """How often each rule on trial would have acted, with the interval of its share."""

    workflow: str


class ApplyPolicy(Command, frozen=True, kw_only=True):
    """Let a text rule that was approved elsewhere, as a program with that right does from a CI.

    The approval is recorded by name and reference. Another person approves than wrote it, and who
    owns the policy is not changed in this way.
    """

    workflow: str
    text: str
    files: dict[str, str] = msgspec.field(default_factory=dict)
    """Text of each list file that `text` names."""
    author: str
    """Who wrote the change."""
    approved_by: str
    """Who approved it: not the author."""
    reference: str
    """Where the approval is recorded, such as the address of a merged request."""
    reason: str
    base: str | None = None
    """The version this was made against; refused where another one rules."""
    evidence: Evidence | None = None


class ListLists(Command, frozen=True, kw_only=True):
    """The stored lists of a policy, with what they hold now, from whom and until when."""

    workflow: str


class ProposeList(Command, frozen=True, kw_only=True):
    """Ask that values join or leave a stored list.

    Those who own the policy decide it, never who proposes. In a workspace of one person it is done
    at once.
    """

    workflow: str
    list: str
    reason: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    days: int | None = None
    """How long what joins stays; without it for good."""


class GetCheckpoint(Command, frozen=True, kw_only=True):
    """The latest signed head of the log (C2SP tlog-checkpoint)."""


class ListEntries(Command, frozen=True, kw_only=True):
    """Entries of the log from the index `start` on, each in the very bytes the tree covers."""

    start: int = 0
    limit: int = 1000


class ProveEntry(Command, frozen=True, kw_only=True):
    """The proof (C2SP tlog-proof) that an entry is in the log, under its latest checkpoint."""

    index: int


class ListFeedback(Command, frozen=True, kw_only=True):
    """What people decided, and how fast: proposal, human version, reason, seconds."""

    workflow: str | None = None
    limit: int = 1000


class DecisionView(Noun, frozen=True, kw_only=True):
    """One decision with everything that became of it."""

    decision: dict[str, Any]
    ruling: Ruling
    outcome: Outcome[Any] | None = None
    grant: Grant | None = None
    """For those who run it, and who read every decision."""
    run: GrantState | None = None
    """How its run stands, for everybody who sees the decision; None where nothing is to run."""
    review: dict[str, Any] | None = None
    """Id, status, who is asked, who has it, until when."""
    blind: bool = False
    """True for a seat that is to judge before it sees the proposal: the rest is left out."""
    labels: tuple[Label, ...] = ()
    reversed_by: str | None = None
    """Decision that asks to undo this one."""

    def _repr_html_(self) -> str:
        outcome = "" if self.outcome is None else self.outcome._repr_html_()
        return self.ruling._repr_html_() + outcome


class RowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to one row of a batch: a ruling, or what was wrong with the row."""

    ruling: Ruling | None = None
    error: dict[str, Any] | None = None
    """Its problem document; see `handrail.model.problem`."""


class Seated(Noun, frozen=True, kw_only=True):
    """A claim that won: the card as this person may see it, and the claim token."""

    card: Card
    token: str
    lease_until: int


class Voted(Noun, frozen=True, kw_only=True):
    """What a vote led to."""

    review_id: str
    decided: bool
    """False where more approvals are needed; the review is still open."""
    verdict: str | None = None
    round: int = 1
    missing: tuple[str, ...] = ()
    """Approvals still missing, in words."""
    undo_until: int | None = None
    card: str | None = None
    """Digest of the card of the next round, where the review stays open."""


class Reversal(Noun, frozen=True, kw_only=True):
    """What asking for a reversal led to."""

    decision_id: str
    """What is reversed."""
    ruling: Ruling | None = None
    """Of the new, held decision; None where nothing had run: the grant was taken back."""


class MadeToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new token, and its secret: shown now and never again."""

    token: Token
    secret: str

    def __repr__(self) -> str:
        return f"MadeToken(token={self.token!r}, secret='…')"


class Invited(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation, and the secret its link carries: shown now and never again."""

    id: str
    handle: str | None
    secret: str
    until: int
    link: str | None = None
    """The whole link, where a desk on this machine takes it."""

    def __repr__(self) -> str:
        return f"Invited(id={self.id!r}, handle={self.handle!r}, secret='…')"


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A new session: its secret, for the browser's cookie."""

    secret: str
    person: str
    handle: str
    until: int
    """When it is over if it is not used."""
    last: int
    """When it is over in any case."""

    def __repr__(self) -> str:
        return f"SignedIn(person={self.person!r}, secret='…')"


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends a command, as the rules of access know them."""

    name: str
    """Handle, or the program's name."""
    via: str
    """`local`, `session`, `token` or `nobody`."""
    program: bool
    person: str | None = None
    holds: tuple[str, ...] = ()
    limits: dict[str, str] = msgspec.field(default_factory=dict)
    rights: tuple[str, ...] = ()
    """Names of `handrail.access.RIGHTS`, sorted."""
    workflows: tuple[str, ...] = ("*",)
    """Where they hold."""
    until: int | None = None
    """When the session or token is over, if it is not used before."""


class PolicyLine(msgspec.Struct, frozen=True, kw_only=True):
    """A policy in one line: what rules now, and how its file differs from that."""

    workflow: str | None
    """None for a file that cannot be read so far."""
    title: str
    state: DraftState
    version: str | None = None
    """What rules now; None for a draft of a first version."""
    gate_digest: str | None = None
    activated_at: int | None = None
    activated_by: str | None = None
    """Handle, or the name of a program."""
    path: str | None = None
    """The file; None where the version came on another way."""
    draft: str | None = None
    """Version of the file, where it differs from what rules."""
    decision_id: str | None = None
    """The proposal that is under review."""
    review_id: str | None = None
    mistakes: tuple[str, ...] = ()
    """What is wrong with the file."""


class LogHead(msgspec.Struct, frozen=True, kw_only=True):
    """A signed head of the log."""

    size: int
    checkpoint: str
    """The signed note, as verifiers read it."""
    at: int


class LogEntries(msgspec.Struct, frozen=True, kw_only=True):
    """A run of entries of the log."""

    start: int
    size: int
    """Entries the log has by now."""
    entries: list[str]
    """Canonical JSON, one text an entry; its UTF-8 bytes are what the tree covers."""


class EntryProof(msgspec.Struct, frozen=True, kw_only=True):
    """That an entry is in the log: all that a stranger's program needs beside the verifier key."""

    index: int
    entry: str
    proof: str
    """The proof file, with its checkpoint inside."""


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """A run nobody can vouch for yet."""

    grant: Grant
    decision_id: str
    workflow: str
    subject: str | None
    value: Any


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How a command travels: method, path under `/api/v1`, and what comes back."""

    method: str
    path: str
    answer: Any


def _route(method: str, path: str, answer: Any) -> Route:
    return Route(method=method, path=path, answer=answer)


ROUTES: dict[type[Command], Route] = {
    Submit: _route("POST", "/decisions", Ruling),
    SubmitBatch: _route("POST", "/decisions/batch", list[RowAnswer]),
    Preview: _route("POST", "/decisions/preview", Ruling),
    ListDecisions: _route("GET", "/decisions", list[DecisionView]),
    GetDecision: _route("GET", "/decisions/{decision_id}", DecisionView),
    WaitOutcome: _route("GET", "/decisions/{decision_id}/outcome", Outcome[Any] | None),
    WaitOutcomes: _route("POST", "/decisions/outcomes", list[Outcome[Any]]),
    Withdraw: _route("POST", "/decisions/{decision_id}/withdraw", Outcome[Any]),
    Reverse: _route("POST", "/decisions/{decision_id}/reverse", Reversal),
    AddLabel: _route("POST", "/decisions/{decision_id}/labels", Label),
    Redeem: _route("POST", "/grants/{grant_id}/redeem", Redeemed),
    Confirm: _route("POST", "/grants/{grant_id}/confirm", Receipt),
    Resolve: _route("POST", "/grants/{grant_id}/resolve", Grant),
    ListDoubts: _route("GET", "/grants/doubts", list[Doubt]),
    Record: _route("POST", "/events/{stream}", Recorded),
    ListReviews: _route("GET", "/reviews", list[Card]),
    Claim: _route("POST", "/reviews/claim", Seated),
    GetReview: _route("GET", "/reviews/{review_id}", Card),
    CastVote: _route("POST", "/reviews/{review_id}/verdict", Voted),
    Undo: _route("POST", "/reviews/{review_id}/undo", Card),
    Escalate: _route("POST", "/reviews/{review_id}/escalate", Card),
    Ask: _route("POST", "/reviews/{review_id}/ask", Card),
    Snooze: _route("POST", "/reviews/{review_id}/snooze", Card),
    Assign: _route("POST", "/reviews/{review_id}/assign", Card),
    Comment: _route("POST", "/reviews/{review_id}/comments", Card),
    SetStop: _route("POST", "/stops", Stop),
    ClearStop: _route("POST", "/stops/clear", None),
    ListStops: _route("GET", "/stops", list[Stop]),
    SetPerson: _route("POST", "/people", Person),
    ListPeople: _route("GET", "/people", list[Person]),
    ListFeedback: _route("GET", "/feedback", list[Feedback]),
    ListPolicies: _route("GET", "/policies", list[PolicyLine]),
    GetPolicy: _route("GET", "/policies/{workflow}", PolicyVersion),
    DiffPolicies: _route("GET", "/policies/{workflow}/diff", PolicyDiff),
    ProposePolicy: _route("POST", "/policies/{workflow}/propose", Proposal),
    ApplyPolicy: _route("POST", "/policies/{workflow}/apply", Proposal),
    ListTrials: _route("GET", "/policies/{workflow}/trials", list[TrialCount]),
    ListLists: _route("GET", "/policies/{workflow}/lists", list[StoredList]),
    ProposeList: _route("POST", "/policies/{workflow}/lists", ListProposal),
    PolicyHistory: _route("GET", "/policies/{workflow}/history", list[HistoryLine]),
    GetCheckpoint: _route("GET", "/audit/checkpoint", LogHead),
    ListEntries: _route("GET", "/audit/entries", LogEntries),
    ProveEntry: _route("GET", "/audit/proof", EntryProof),
    MakeToken: _route("POST", "/tokens", MadeToken),
    ListTokens: _route("GET", "/tokens", list[Token]),
    RevokeToken: _route("POST", "/tokens/{token_id}/revoke", Token),
    Invite: _route("POST", "/people/invite", Invited),
    MakeFirstAdmin: _route("POST", "/people/first-admin", Invited),
    MakeLink: _route("POST", "/people/link", Invited),
    AcceptInvitation: _route("POST", "/people/accept", SignedIn),
    SignIn: _route("POST", "/session", SignedIn),
    SignInWith: _route("POST", "/session/vouched", SignedIn),
    FollowLink: _route("POST", "/session/link", SignedIn),
    SignOut: _route("POST", "/session/end", None),
    ChangePassword: _route("POST", "/session/password", None),
    WhoAmI: _route("GET", "/session", Me),
}


_AT = re.compile(r" - at `(?:key in )?\$(.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


def read_command(kind: type[C], fields: Any, *, strict: bool = True) -> C:
    """The command `kind` with these fields, types checked. Raises `BadInput` with a pointer.

    `strict=False` reads numbers and booleans from text, as a query string carries them.
    """
    try:
        return convert(fields, kind, strict=strict)
    except msgspec.ValidationError as error:
        text = str(error)
        found = _AT.search(text)
        pointer = ""
        if found:
            for name, index in _STEP.findall(found[1]):
                if index == "...":  # a value of a mapping; its key is not told
                    break
                pointer += "/" + (index or escape_pointer(name))
            text = text[: found.start()]
        raise _unfit(text, pointer, kind) from error


def _unfit(text: str, pointer: str, kind: type[Command]) -> BadInput:
    """What the conversion found wrong, in our words: what is, what was expected, what to do."""
    if found := _NO_FIELD.fullmatch(text):
        name = found[1]
        known = kind.__struct_encode_fields__ if not pointer else ()
        close = nearest(name, known)
        expected = f"; expected one of {', '.join(known)}" if known else ""
        return BadInput(
            f"no such field{expected}; {close or 'leave it out'}",
            f"{pointer}/{escape_pointer(name)}",
        )
    if found := _NO_VALUE.fullmatch(text):
        return BadInput(
            f"{found[1]} is missing; give it a value", f"{pointer}/{escape_pointer(found[1])}"
        )
    if found := _OTHER_TYPE.fullmatch(text):
        wanted, given = (
            " or ".join(_TYPES.get(one, one) for one in side.split(" | "))
            for side in found.groups()
        )
        return BadInput(f"this is {given}; expected {wanted}", pointer)
    return BadInput(f"{text}; see the fields of {kind.__name__}", pointer)


_NO_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_NO_VALUE = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_OTHER_TYPE = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_TYPES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "nothing",
}
"""How messages about types name them."""
