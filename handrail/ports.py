"""What the verbs need from the world: a store with transactions, a channel, an anchor, a signer.

A use case is a function of a `Transaction`. It reads inside it, has no effect outside it, and may
be run again from the start (a serialization failure, a roll-back), so it never sends or prints.
`tx.now()` is its only clock. Each store is written natively; `handrail.testing.StoreContract` is
what they share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from handrail.model.access import Identity, Invitation, Password, Session, Token
from handrail.model.decision import Decision
from handrail.model.feedback import Label, Notice, PolicyVersion, Stop
from handrail.model.modes import GrantState
from handrail.model.observation import Observation
from handrail.model.outcome import Grant, Outcome
from handrail.model.people import Person, SubjectKey
from handrail.model.policy import Bucket
from handrail.model.review import Act, Review, Round, Seat, Vote
from handrail.model.ruling import Ruling
from handrail.model.versions import Activation, ListEntry, PolicyDraft

T = TypeVar("T")


class Filed(msgspec.Struct, frozen=True, kw_only=True):
    """A stored decision: what was submitted, the ruling, and the review it hangs on."""

    decision: Decision
    ruling: Ruling
    review_id: str | None
    settled: bool
    """True once the decision has a released outcome."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A signed head of the log, as text (C2SP tlog-checkpoint)."""

    size: int
    text: str
    at: int
    anchored: bool = False


class StateRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a state table as `verify --against-state` compares it with the folded log."""

    table: str
    id: str
    columns: dict[str, Any]
    """Column to value as stored."""
    body: bytes | None = None
    """Stored bytes that the log commits to; None where the row has none."""
    decision_id: str | None = None
    """Decision whose subject key the commitment is made with."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A decision of the past as a back test reads it: stored bytes, and what became known."""

    body: bytes
    """The stored decision."""
    ruling: bytes
    """The stored ruling."""
    said: str | None
    """Verdict a person gave in its review or spot check; None where nobody did (yet)."""
    review: str | None
    """That review."""
    label: bytes | None
    """The latest stored label; None where no truth arrived."""


class Decisions(Protocol):
    """Decisions with their rulings. Insert-only, except which review one hangs on."""

    def insert(self, decision: Decision, ruling: Ruling, *, settled: bool) -> bytes:
        """Store both; returns the stored bytes, which the log commits to.

        Raises `Conflict` where (workflow, submitter, key) exists.
        """

    def get(self, decision_id: str) -> Filed | None: ...

    def by_key(self, workflow: str, submitter: str, key: str) -> Filed | None: ...

    def unsettled_of(self, workflow: str, subject: str) -> list[Filed]:
        """Decisions of a subject without a released outcome, oldest first."""

    def of_review(self, review_id: str, limit: int = 1000) -> list[Filed]:
        """Decisions that hang on a review, oldest first."""

    def attach(self, decision_id: str, review_id: str | None) -> None: ...

    def settle(self, decision_id: str) -> None:
        """Mark that the outcome is released."""

    def expiring(self, now: int, limit: int) -> list[Filed]:
        """Unsettled decisions whose `expires_at` is over."""

    def submitted(self, workflow: str, since: int, limit: int) -> list[tuple[int, Decision]]:
        """(when, decision) of the latest `limit` that were submitted at `since` or later, newest
        first. Locks nothing."""

    def released(self, workflow: str, since: int, limit: int) -> list[tuple[int, Decision]]:
        """(when, decision with what was approved as its proposal) of the latest `limit` whose
        first grant was minted at `since` or later, newest first. Locks nothing."""

    def past(self, workflow: str) -> Iterator[Past]:
        """Every decision of a workflow, oldest first, read as it is asked for."""

    def find(
        self,
        *,
        workflow: str | None,
        lane: str | None,
        state: str | None,
        subject: str | None,
        key: str | None,
        before: str | None,
        limit: int,
        submitter: str | None = None,
        requester: str | None = None,
    ) -> list[Filed]:
        """Newest first. `state`: `open` (unsettled), `done` (settled), `in_doubt`, or None.

        `requester` is compared as `handrail.model.people.folded` writes a name; a store keeps that
        form beside the decision, with an index, so that people find what they asked for at once.
        `submitter` is compared as it is.
        """


class Reviews(Protocol):
    """Reviews with rounds, seats, votes and acts."""

    def insert(self, review: Review, first: Round) -> bytes:
        """Store a review with its first round; returns the round's stored bytes."""

    def get(self, review_id: str) -> Review | None: ...

    def replace(self, old: Review, new: Review) -> bool:
        """Compare-and-set on (status, round, stage) of `old`; False where it moved."""

    def add_round(self, new: Round) -> bytes:
        """Store the next round; returns its stored bytes, which the log commits to."""

    def round(self, review_id: str, number: int) -> Round: ...

    def add_vote(self, vote: Vote) -> bytes | None:
        """Store a vote; returns its stored bytes, None where (review, round, person) has one."""

    def votes(self, review_id: str, round_number: int | None = None) -> list[Vote]:
        """In the order they were cast; of all rounds where no round is named."""

    def drop_vote(self, vote_id: str) -> None:
        """Take a vote out of force (undo). The log keeps it."""

    def seat(self, review_id: str, round_number: int, holder: str) -> Seat | None: ...

    def seats(self, review_id: str, round_number: int, now: int) -> list[Seat]:
        """Seats whose lease holds at `now`."""

    def put_seat(self, seat: Seat) -> None:
        """Insert, or replace the holder's seat in that round."""

    def add_act(self, act: Act) -> None: ...

    def acts(self, review_id: str) -> list[Act]: ...

    def open_case(self, case_key: str) -> Review | None:
        """The open review that takes repeats of this case."""

    def open_list(
        self, *, workflow: str | None, status: str | None, to: Sequence[str] | None, limit: int
    ) -> list[Review]:
        """Most urgent first: severity, due, age. `to`: only those that ask one of these."""

    def claimable(
        self, *, workflow: str | None, to: Sequence[str] | None, now: int, limit: int
    ) -> list[Review]:
        """Open, not snoozed, not behind another, without a living seat; most urgent first."""

    def due(self, now: int, limit: int) -> list[Review]:
        """Open reviews whose `next_at` is over, in order of it."""

    def behind(self, review_id: str) -> list[Review]:
        """Open reviews that wait for this one to end."""


class Outcomes(Protocol):
    """One outcome a decision; final once released."""

    def insert(self, outcome: Outcome[Any]) -> bytes:
        """Store it; returns the stored bytes. Raises `Conflict` where the decision has one."""

    def get(self, decision_id: str) -> Outcome[Any] | None: ...

    def release(self, decision_id: str, grant_id: str | None) -> bool:
        """Compare-and-set unreleased → released; False where it was released or taken back."""

    def body(self, decision_id: str) -> bytes:
        """The stored bytes that `insert` returned. Raises `NotFound`."""

    def take_back(self, decision_id: str) -> bool:
        """Delete an unreleased outcome (undo, supersede); False where it was released."""

    def due(self, now: int, limit: int) -> list[Outcome[Any]]:
        """Unreleased outcomes whose `release_at` is over."""


class Grants(Protocol):
    """Single-use grants. Every change is a compare-and-set on the state and run."""

    def insert(self, grant: Grant) -> None: ...

    def get(self, grant_id: str) -> Grant | None: ...

    def current(self, decision_id: str) -> Grant | None:
        """The latest grant of a decision."""

    def replace(self, old: Grant, new: Grant) -> bool:
        """Compare-and-set on (state, run) of `old`; False where it moved."""

    def overdue(self, now: int, limit: int) -> list[Grant]:
        """Redeemed ones whose lease is over, and granted ones whose validity is over."""

    def in_state(self, states: Sequence[GrantState], limit: int) -> list[Grant]:
        """Oldest first."""


class Labels(Protocol):
    def insert(self, label: Label) -> bytes: ...

    def of(self, decision_id: str) -> list[Label]: ...


class People(Protocol):
    def get(self, person_id: str) -> Person | None: ...

    def by_handle(self, handle: str) -> Person | None:
        """Compared without case."""

    def put(self, person: Person) -> None: ...

    def all(self) -> list[Person]: ...

    def registered(self) -> bool:
        """Whether anybody was registered on purpose (holds a team or role)."""


class Access(Protocol):
    """Ways in. `hash` is always the SHA-256 (hex) of a secret; no store ever sees the secret.

    Ids and hashes are unique; a second insert of one is a bug and may raise anything.
    """

    def add_token(self, token: Token, hash: str) -> None: ...

    def token(self, token_id: str) -> Token | None: ...

    def token_by_hash(self, hash: str) -> Token | None: ...

    def put_token(self, token: Token) -> None:
        """Replace what changes of a stored token: `last_used_at` and `revoked_at`."""

    def tokens(self) -> list[Token]:
        """In the order they were made, the revoked ones too."""

    def put_session(self, session: Session) -> None:
        """Insert by its hash, or replace `seen_at` and `until`."""

    def session(self, hash: str) -> Session | None: ...

    def sessions_of(self, person_id: str) -> list[Session]:
        """In the order they were made."""

    def end_session(self, hash: str) -> bool:
        """Delete it; False where there is none."""

    def end_sessions_of(self, person_id: str, keep: str | None = None) -> int:
        """Delete all of a person's but the one with the hash `keep`; returns how many."""

    def drop_sessions(self, now: int) -> int:
        """Delete those with `until <= now` or `last <= now`; returns how many."""

    def password(self, person_id: str) -> Password | None: ...

    def put_password(self, password: Password) -> None:
        """Insert, or replace the person's."""

    def identity(self, issuer: str, subject: str) -> Identity | None:
        """Both compared exactly."""

    def identities_of(self, person_id: str) -> list[Identity]:
        """In the order they were linked."""

    def add_identity(self, identity: Identity) -> None:
        """Raises `Conflict` where (issuer, subject) is linked already, to whomever."""

    def add_invitation(self, invitation: Invitation) -> None: ...

    def invitation(self, hash: str) -> Invitation | None: ...

    def use_invitation(self, hash: str, at: int) -> bool:
        """Compare-and-set unused → used; False where it was used, ended, or is not there."""

    def end_invitations(self, handle: str | None) -> int:
        """Delete the unused ones for this handle (without case), or with None those for nobody in
        particular; returns how many."""


class Policies(Protocol):
    def active(self, workflow: str) -> str | None:
        """Version that is active; None where the workflow has no policy."""

    def get(self, workflow: str, version: str) -> PolicyVersion | None: ...

    def put(self, policy: PolicyVersion) -> None:
        """Store a version without making it the active one; a second time replaces its body."""

    def activate(self, policy: PolicyVersion) -> None:
        """Store the version and make it the active one."""

    def workflows(self) -> list[str]:
        """Those that have an active version, by name."""

    def versions(self, workflow: str) -> list[str]:
        """Every stored version, active or not, sorted."""

    def add_activation(self, activation: Activation) -> None:
        """Add a line to the history; none is ever changed."""

    def activations(self, workflow: str, limit: int) -> list[Activation]:
        """Newest first."""


class Lists(Protocol):
    """Stored lists of policies, by workflow and name. Entries are ended, never deleted."""

    def version(self, workflow: str, name: str) -> int:
        """How often the list changed; 0 for one that never had an entry."""

    def at(self, workflow: str, name: str, version: int) -> list[ListEntry]:
        """Entries that this version of the list holds, expired ones too, by `since` and value."""

    def add(self, entry: ListEntry) -> None: ...

    def end(self, entry: ListEntry) -> None:
        """Store an entry whose `until` is set now. Raises `Conflict` where it had ended before."""

    def put_version(self, workflow: str, name: str, version: int) -> None: ...


class Subjects(Protocol):
    def key_of(self, workflow: str, subject: str) -> SubjectKey | None: ...

    def insert(self, key: SubjectKey) -> None: ...


class Stops(Protocol):
    def get(self, workflow: str) -> Stop | None:
        """The stop that holds for this workflow: its own, or the one for all."""

    def put(self, stop: Stop) -> None: ...

    def clear(self, workflow: str) -> bool: ...

    def all(self) -> list[Stop]: ...


class Outbox(Protocol):
    def add(self, notice: Notice) -> None: ...

    def due(self, now: int, limit: int, *, calls: bool = False) -> list[Notice]:
        """Those to deliver now: to persons, or (`calls`, topic `outcome.released`) to programs."""

    def put(self, notice: Notice) -> None:
        """Replace (attempts, delivered, parked)."""

    def undelivered(self, limit: int) -> list[Notice]: ...


class Counters(Protocol):
    """Bucketed counters of what happens how often: failed sign-ins, refusals that were logged."""

    def add(self, scope: str, key: str, bucket: int, count: int, total: int) -> None:
        """Add to one bucket. `bucket` is its start in µs UTC; `total` counts minor units."""

    def read(self, scope: str, key: str, start: int, end: int) -> tuple[int, int]:
        """Count and total of the buckets with `start <= bucket < end`."""


class SeriesTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Buckets of one series and key, added up."""

    since: int | None
    """The series has everything from this time on (µs UTC); None: there is no such series."""
    count: int
    total: int


class Buckets(Protocol):
    """Series and their buckets: what the policies' aggregates are read from.

    Whoever reads a key locks it, so that of two decisions the second sees what the first added.
    """

    def since(self, series: str) -> int | None:
        """The time from which the series has everything, µs UTC; None where there is none."""

    def start(self, series: str, source: str, since: int) -> None:
        """Begin a series, or begin it again: what it had is dropped."""

    def cover(self, series: str, since: int) -> None:
        """The series has no longer everything before `since`."""

    def all(self) -> list[tuple[str, str, int, int]]:
        """(id, source, since, how many events came too late) of each, by id."""

    def drop(self, series: str) -> None: ...

    def add(
        self,
        series: str,
        key: str,
        bucket: int,
        count: int,
        total: int,
        fold: Callable[[bytes | None], bytes] | None,
    ) -> None:
        """Add to one bucket; `fold` makes its new body of the one before."""

    def late(self, series: str, count: int) -> None:
        """So many events came too late to be counted."""

    def total(self, series: str, key: str, start: int, end: int) -> SeriesTotal:
        """Count and total of the buckets with `start <= bucket < end`; they may exceed 64 bits."""

    def rows(self, series: str, key: str, start: int, end: int) -> list[Bucket]:
        """These buckets, in order of their start."""

    def keys(self, series: str, start: int, limit: int) -> list[str]:
        """Keys that have a bucket from `start` on, sorted. Locks nothing."""

    def whole(self, series: str) -> Iterator[tuple[str, Bucket]]:
        """(key, bucket) of a whole series, by key and start."""

    def prune(self, series: str, before: int) -> int:
        """Drop buckets that start before; returns how many."""


class Observations(Protocol):
    """What was recorded in streams, as it came. Insert-only, until it is of no use any more."""

    def insert(self, observation: Observation) -> bool:
        """Store it; False where (stream, submitter, key) is taken."""

    def get(self, stream: str, submitter: str, key: str) -> Observation | None: ...

    def since(self, stream: str, start: int, limit: int) -> list[Observation]:
        """The latest `limit` that happened at `start` or later, in the order they were recorded."""

    def of_batch(self, batch: str) -> list[Observation]:
        """In the order they were recorded."""

    def streams(self) -> list[tuple[str, int]]:
        """(name, from when on everything is kept: µs UTC) of each, by name."""

    def kept_from(self, stream: str) -> int:
        """From when on everything is kept, µs UTC; 0 where nothing was ever dropped."""

    def begin(self, stream: str) -> None:
        """Make the stream known."""

    def prune(self, stream: str, before: int, limit: int) -> int:
        """Drop what happened before, at most `limit`; returns how many. Nothing is kept from
        before then on."""


class AuditLog(Protocol):
    """The log: append in the transaction; complete-subtree nodes beside the entries.

    A store may number entries a moment after the commit (`Store.settle_log` waits for that).
    `size`, `root`, `entries`, `node` and `nodes` speak of numbered entries. Their order is an order
    in which the use cases could have run one after another: whoever saw what another had committed
    comes after it.
    """

    def append(self, entry: dict[str, Any] | bytes) -> None:
        """Append one entry (see `handrail.audit.events`), after those of this use case so far.

        Bytes are those of `handrail.audit.encode` or `handrail.audit.lines.line`, as they are.
        """

    def size(self) -> int:
        """In a use case also counts what is not numbered yet, its own entries included."""

    def root(self) -> bytes: ...

    def waiting(self) -> Iterator[bytes]:
        """Entries that are committed and not numbered yet, in an order they may come to stand in.

        After `entries()` they complete what the tables of the same snapshot say.
        """

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[bytes]: ...

    def node(self, level: int, index: int) -> bytes: ...

    def nodes(self, level: int) -> Iterator[tuple[int, bytes]]:
        """(index, hash) of a level, in order."""

    def rows(self) -> Iterator[tuple[int, bytes, bytes, bytes]]:
        """Everything in one pass, by index as stored: index, entry, leaf hash, and the hashes of
        the subtrees that this entry completed (levels 1 and up, 32 bytes each)."""

    def add_checkpoint(self, checkpoint: Checkpoint) -> None: ...

    def checkpoints(self) -> list[Checkpoint]: ...

    def last_checkpoint(self) -> Checkpoint | None:
        """The largest."""


class Tallies(msgspec.Struct, frozen=True, kw_only=True):
    """How a workspace stands, in numbers."""

    open: int
    """Reviews that wait for people."""
    overdue: int
    """… whose time is over."""
    in_doubt: int
    """Runs nobody can vouch for."""
    waiting: int
    """Notices that are to be delivered."""
    parked: int
    """Notices that were given up."""
    stops: int


class Transaction(Protocol):
    """One unit of work: all of it is durable when `write` returns, or none of it is."""

    @property
    def decisions(self) -> Decisions: ...
    @property
    def reviews(self) -> Reviews: ...
    @property
    def outcomes(self) -> Outcomes: ...
    @property
    def grants(self) -> Grants: ...
    @property
    def labels(self) -> Labels: ...
    @property
    def people(self) -> People: ...
    @property
    def access(self) -> Access: ...
    @property
    def policies(self) -> Policies: ...
    @property
    def lists(self) -> Lists: ...
    @property
    def subjects(self) -> Subjects: ...
    @property
    def stops(self) -> Stops: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def buckets(self) -> Buckets: ...
    @property
    def observations(self) -> Observations: ...
    @property
    def audit(self) -> AuditLog: ...

    def now(self) -> int:
        """µs since 1970 UTC, the same throughout the transaction."""

    def wake(self, topic: str) -> None:
        """Tell listeners of `topic` after the commit, and only then."""

    def wake_at(self, at: int) -> None:
        """Tell the scheduler, after the commit, that something falls due at `at`."""

    def tallies(self) -> Tallies:
        """Counted now. Takes a look at each open review, undelivered notice and run in doubt."""

    def state_rows(self) -> Iterator[StateRow]:
        """Every row that `verify --against-state` compares with the folded log."""


class Ahead(msgspec.Struct, frozen=True, kw_only=True):
    """What a use case is about to look up, as far as it is known before it runs."""

    workflow: str
    submitter: str | None = None
    key: str | None = None
    """… whether this submitter used this key (`Decisions.by_key`)."""
    subject: str | None = None
    """… what of this subject is unsettled (`Decisions.unsettled_of`), and its key."""


class Foreseen(Generic[T]):
    """A use case that says what it will look up, for any of the store's ways to run it.

    A store may look that up for many use cases at once, and have them share a commit. It is a
    hint: where it is wrong, or says too little, the use case finds the same and costs more.
    """

    __slots__ = ("_use_case", "ahead")

    def __init__(self, ahead: Ahead, use_case: Callable[[Transaction], T]) -> None:
        self.ahead = ahead
        self._use_case = use_case

    def __call__(self, tx: Transaction) -> T:
        return self._use_case(tx)


MISSED = "*"
"""The topic under which a store says that news of other processes may be missing."""


class Store(Protocol):
    """Durable, transactional. `write` acknowledges only what is safe against a power cut."""

    def write(self, use_case: Callable[[Transaction], T]) -> T:
        """Run a use case in a transaction and return its result once it is durable.

        An exception rolls this use case back, and only this one. Raises `Unavailable` where the
        store could not make it durable: nobody sees it or is told of it, but after a crash it may
        be found stored (the flush failed, and yet the bytes arrived). So it is repeated with its
        key, never taken for done or for undone.
        """

    def begin(self, use_case: Callable[[Transaction], T]) -> Future[T]:
        """As `write`, without waiting. The future is done only when it is durable."""

    def write_many(
        self, use_cases: Iterable[Callable[[Transaction], T]]
    ) -> list[T | BaseException]:
        """Run several, sharing commits; each succeeds or fails on its own, in order."""

    def read(self, query: Callable[[Transaction], T]) -> T:
        """Run a query on one consistent snapshot. Writing in it raises."""

    def settle_log(self) -> None:
        """Return once every entry that was committed before this call is numbered."""

    def listen(self, listener: Callable[[frozenset[str], int | None], None]) -> Callable[[], None]:
        """Call `listener(topics, earliest due)` after each commit; returns how to stop it.

        Called on the writer's thread: it must be quick and never call the store. Commits of other
        processes are told too, a moment later. The topic `MISSED` says that news may be missing:
        anything may have happened.
        """

    def close(self) -> None:
        """Finish what was accepted, then close."""


class Drafts(Protocol):
    """The policy files beside the store, as they lie there now."""

    def look(self) -> Sequence[PolicyDraft]:
        """Read again where a file changed; one item a file, by path. Called outside of
        transactions: it reads files and checks them."""


class NoDrafts:
    """Where there is no folder with policy files."""

    def look(self) -> Sequence[PolicyDraft]:
        return ()


class Channel(Protocol):
    """Tells a person. May raise; the notice is tried again with the same id."""

    name: str

    def deliver(self, notice: Notice) -> None: ...


class Caller(Protocol):
    """Wakes the program that waits for us. May raise; it is tried again with the same id."""

    name: str

    def call(self, notice: Notice, address: str, outcome: Outcome[Any]) -> None:
        """Tell the program at `address` the released outcome of the notice's decision."""


class Anchor(Protocol):
    """Keeps checkpoints outside the database."""

    def publish(self, checkpoint: Checkpoint) -> None: ...

    def last(self) -> Checkpoint | None: ...


class Signer(Protocol):
    """Signs the heads of the log."""

    @property
    def origin(self) -> str: ...

    def sign(self, size: int, root: bytes) -> str:
        """The checkpoint text of this head."""


Steps = Callable[[str], None]
"""Called with the name of a step as it is reached; the fault tests stop the process there."""


def no_steps(name: str) -> None:
    """The ordinary `Steps`: does nothing."""


__all__ = [name for name in dir() if name[0].isupper() or name == "no_steps"]
