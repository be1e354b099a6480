"""Hand in a decision: gate it, and let it pass, hold it or refuse it, in one transaction."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future

import msgspec

from handrail.access import Denied, Thing, Who, allow, may
from handrail.audit.entry import commit_bytes, field_key
from handrail.flow.aggregates import count, resolve_aggregates
from handrail.flow.close import seal_round, settle, supersede
from handrail.flow.lists import filled
from handrail.flow.ports import Ports
from handrail.flow.records import audience, key_of, note, owner_of
from handrail.flow.refusals import tell
from handrail.flow.trials import tried
from handrail.flow.who import able, decision_thing, enter, stake_in
from handrail.gate import IfOpen, Policy, Record, read_confidences
from handrail.model.canonical import keyed_digest
from handrail.model.commands import Preview, RowAnswer, Submit, SubmitBatch, Withdraw
from handrail.model.decision import Decision
from handrail.model.errors import BadInput, Conflict, HandrailError, NotFound, Unknown
from handrail.model.feedback import Notice
from handrail.model.ids import new_id
from handrail.model.modes import GrantState, Lane, Mode, ReviewKind, ReviewStatus, Verdict
from handrail.model.people import Actor, Via
from handrail.model.problem import problem_of
from handrail.model.review import Review, Round
from handrail.model.ruling import Checked, Coin, Route, Ruling
from handrail.model.versions import BUILT_IN
from handrail.model.wire import (
    MAX_FACTS_BYTES,
    check_address,
    check_wire,
    read_time,
    time_text,
)
from handrail.ports import Ahead, Filed, Foreseen, Transaction
from handrail.review.cases import case_key
from handrail.review.deadlines import first_dates

_encode = msgspec.json.Encoder(order="deterministic").encode
MAX_KEY = 500
SUPERSEDED_BY = "superseded by "
"""How the note of a grant begins that was taken back for a newer decision."""
MISSING = "missing-facts"
"""Name of what holds a decision whose required facts are missing (`on_bad="hold"`)."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A submit checked before the transaction: nothing slow is left to do inside it."""

    command: Submit
    actor: Actor
    occurred_at: int | None
    expires_at: int | None
    confidence: float | dict[str, float] | None
    body_digest: str
    checks: tuple[str, dict[str, Checked]] | None = None
    """Version of the policy that was active before the transaction, and what its checks said."""


def prepare(command: Submit, actor: Actor) -> Prepared:
    """Check everything that needs neither policy nor store. Raises `BadInput` with a pointer."""
    for name in ("facts", "proposal", "current", "context", "links"):
        value = getattr(command, name)
        if value is not None:
            check_wire(value, f"/{name}")
    for index, value in enumerate(command.alternatives):
        check_wire(value, f"/alternatives/{index}")
    for name in ("workflow", "key", "subject", "requester", "model", "supersedes"):
        value = getattr(command, name)
        if value is not None:
            if type(value) is not str or not value.isascii():
                check_wire(value, f"/{name}")
            if not 1 <= len(value) <= MAX_KEY:
                raise BadInput(f"has {len(value)} characters; expected 1 to {MAX_KEY}", f"/{name}")
    if command.callback is not None:
        check_address(command.callback)
    body = _encode(
        [
            command.workflow,
            command.facts,
            command.proposal,
            command.subject,
            command.requester,
            command.confidence,
            command.alternatives,
            command.model,
            command.current,
            command.context,
            command.links,
            command.callback,
            command.occurred_at,
            command.expires_at,
            command.supersedes,
            command.test,
        ]
    )
    if len(body) > MAX_FACTS_BYTES:
        raise BadInput(
            f"the decision has {len(body)} bytes; at most {MAX_FACTS_BYTES} are taken. "
            f"Send large content as a link",
            "/facts",
            status=413,
        )
    return Prepared(
        command=command,
        actor=actor,
        occurred_at=_time(command.occurred_at, "/occurred_at"),
        expires_at=_time(command.expires_at, "/expires_at"),
        confidence=read_confidences(command.confidence),
        body_digest="sha256:" + hashlib.sha256(body).hexdigest(),
    )


def _time(text: str | None, pointer: str) -> int | None:
    return None if text is None else read_time(text, pointer)


def submit(command: Submit, actor: Actor, ports: Ports) -> Ruling:
    """The ruling, once it is durable. A repeat with the same key gets the first ruling again."""
    return ports.store.write(_filing(checked(prepare(command, actor), ports), ports))


def begin_submit(command: Submit, actor: Actor, ports: Ports) -> Future[Ruling]:
    """As `submit`, without waiting: the future is done when the ruling is durable, or refused."""
    return ports.store.begin(_filing(checked(prepare(command, actor), ports), ports))


def _filing(prepared: Prepared, ports: Ports) -> Foreseen[Ruling]:
    """The use case, and what it will look up."""
    command, actor = prepared.command, prepared.actor
    named = actor.via is Via.TOKEN or actor.program  # else a person, whose id is not known yet
    ahead = Ahead(
        workflow=command.workflow,
        submitter=actor.name if named else None,
        key=command.key,
        subject=command.subject or ports.shelf.subject_in(command),
    )
    return Foreseen(ahead, lambda tx: file(tx, prepared, ports))


def checked(prepared: Prepared, ports: Ports) -> Prepared:
    """Run the policy's checks before the transaction, which is no place for slow work.

    Whatever is wrong with the facts is said inside it, where a repeat is recognised first.
    """
    command = prepared.command
    if command.workflow not in ports.shelf.checking:
        return prepared
    policy = ports.store.read(lambda tx: ports.shelf.active(tx, command.workflow))
    try:
        record = policy.ingest(command.facts, command.proposal)
    except BadInput:
        return prepared
    answers = policy.run_checks(record)
    return msgspec.structs.replace(prepared, checks=(policy.version, answers))


def submit_batch(command: SubmitBatch, actor: Actor, ports: Ports) -> list[RowAnswer]:
    """Each row on its own: one bad row costs the others nothing. Answers in the rows' order."""
    answers: list[RowAnswer | None] = [None] * len(command.rows)
    prepared: list[tuple[int, Prepared]] = []
    for index, row in enumerate(command.rows):
        try:
            prepared.append((index, checked(prepare(row, actor), ports)))
        except HandrailError as error:
            answers[index] = _bad_row(error)
    results = ports.store.write_many([_filing(item, ports) for _, item in prepared])
    for (index, _), result in zip(prepared, results, strict=True):
        if isinstance(result, Unknown):
            raise result  # it is not the row that is wrong
        if isinstance(result, HandrailError):
            if isinstance(result, Denied):
                tell(SubmitBatch, actor, ports)
            answers[index] = _bad_row(result)
        elif isinstance(result, BaseException):
            raise result
        else:
            answers[index] = RowAnswer(ruling=result)
    return [answer for answer in answers if answer is not None]


def _bad_row(error: HandrailError) -> RowAnswer:
    return RowAnswer(error=problem_of(error))


def preview(command: Preview, actor: Actor, ports: Ports) -> Ruling:
    """What the gate would answer now. Stores nothing and counts nothing."""
    prepared = prepare(
        Submit(
            workflow=command.workflow,
            facts=command.facts,
            proposal=command.proposal,
            subject=command.subject,
            confidence=command.confidence,
        ),
        actor,
    )

    def query(tx: Transaction) -> Ruling:
        allow(enter(tx, actor, meet=False), Preview, Thing(workflow=command.workflow))
        policy = filled(tx, ports, ports.shelf.active(tx, command.workflow))
        record = policy.ingest(command.facts, command.proposal)
        _refuse_missing(policy, record)
        return _rule(tx, policy, record, prepared, new_id("d", tx.now()))

    return ports.store.read(query)


def file(tx: Transaction, prepared: Prepared, ports: Ports) -> Ruling:
    """The use case: re-runnable, all or nothing."""
    command, now = prepared.command, tx.now()
    who = enter(tx, prepared.actor)
    allow(who, Submit, Thing(workflow=command.workflow))
    if command.workflow in BUILT_IN:
        raise BadInput(
            f"decisions of {command.workflow} are made by `handrail policy propose`, never handed "
            "in",
            "/workflow",
        )
    submitter = who.id
    if command.key is not None:
        earlier = tx.decisions.by_key(command.workflow, submitter, command.key)
        if earlier is not None:
            return _repeat(earlier, prepared)
    policy = filled(tx, ports, ports.shelf.active(tx, command.workflow))
    record = policy.ingest(command.facts, command.proposal)
    if record.missing and command.on_bad == "raise":
        _refuse_missing(policy, record)
    decision_id = new_id("d", now)
    decision = Decision(
        id=decision_id,
        workflow=command.workflow,
        subject=_subject(command, policy, record),
        submitter=submitter,
        requester=command.requester or policy.requester_of(record),
        key=command.key,
        facts=record.facts,
        proposal=record.proposal,
        confidence=prepared.confidence,
        alternatives=command.alternatives,
        model=command.model,
        current=None if command.current is None else policy.state(command.current),
        context=command.context,
        links=command.links,
        callback=command.callback,
        occurred_at=prepared.occurred_at,
        expires_at=prepared.expires_at,
        supersedes=command.supersedes,
        test=command.test,
        submitted_at=now,
        body_digest=prepared.body_digest,
    )
    if decision.expires_at is not None and decision.expires_at <= now:
        raise BadInput("has passed already; leave it out or name a later time", "/expires_at")
    ruling = _rule(tx, policy, record, prepared, decision_id)
    coins = _throw(policy, ruling, ports.secret)
    behind = _make_way(tx, ports, policy, decision, who)
    review, opened = None, False
    if ruling.lane is Lane.HOLD:
        review, opened = _seat_review(tx, ports, decision, ruling, behind)
    elif ruling.lane is Lane.PASS and any(coin.drawn for coin in coins):
        review, opened = _new_review(tx, ports, decision, ruling, ReviewKind.SPOT_CHECK), True
    ruling = msgspec.structs.replace(
        ruling,
        coins=coins,
        review_id=review.id if review else None,
        due=review.due if review else None,
    )
    filed = Filed(
        decision=decision,
        ruling=ruling,
        review_id=ruling.review_id,
        settled=ruling.lane is not Lane.HOLD,
    )
    key = _record(tx, filed, review, opened)
    count(tx, ports, decision, "submitted", policy, record)
    tried(tx, policy, decision, ruling)
    if ruling.lane is Lane.PASS:
        settle(
            tx,
            ports,
            filed,
            verdict=Verdict.PASSED,
            why=ruling.why,
            actor=submitter,
            by="gate",
            value=decision.proposal,
            record=record,
            key=key,
        )
    elif ruling.lane is Lane.REFUSE:
        settle(
            tx, ports, filed, verdict=Verdict.REFUSED, why=ruling.why, actor=submitter, by="gate"
        )
    if decision.expires_at is not None:
        tx.wake_at(decision.expires_at)
    return ruling


def hold(tx: Transaction, ports: Ports, decision: Decision, ruling: Ruling) -> Ruling:
    """Store a decision that is held without the gate's asking, with a review of its own."""
    review = _new_review(tx, ports, decision, ruling, ReviewKind.HOLD)
    ruling = msgspec.structs.replace(ruling, review_id=review.id, due=review.due)
    filed = Filed(decision=decision, ruling=ruling, review_id=review.id, settled=False)
    _record(tx, filed, review, opened=True)
    return ruling


def _record(tx: Transaction, filed: Filed, review: Review | None, opened: bool) -> bytes:
    """Store a decision and the review it hangs on, and log both; returns its subject's key."""
    decision, ruling = filed.decision, filed.ruling
    body = tx.decisions.insert(decision, ruling, settled=filed.settled)
    key = key_of(tx, owner_of(decision.workflow, decision.subject, decision.id))
    note(
        tx,
        "decision.submitted",
        decision.submitter,
        decision=decision.id,
        workflow=decision.workflow,
        policy=ruling.policy,
        lane=ruling.lane,
        mode=ruling.mode,
        commit=commit_bytes(field_key(key, "decision"), body),
        gate_digest=ruling.gate_digest,
        severity=ruling.severity,
        rules=tuple(fired.rule for fired in ruling.fired) or None,
        unknown=tuple(found.rule for found in ruling.unknown) or None,
        coins=tuple(coin.kind for coin in ruling.coins if coin.drawn) or None,
        stopped=True if ruling.stopped is not None else None,
        test=True if decision.test else None,
        review=review.id if review else None,
        supersedes=decision.supersedes,
        reverses=decision.reverses,
        expires_at=decision.expires_at,
    )
    if review is not None:
        _record_review(tx, decision, ruling, review, opened)
    return key


def _repeat(earlier: Filed, prepared: Prepared) -> Ruling:
    if earlier.decision.body_digest != prepared.body_digest:
        command, first = prepared.command, earlier.decision
        changed = [
            name
            for name in ("requester", "confidence", "model", "current", "context", "links", "test")
            if getattr(command, name) != getattr(first, name)
        ]
        raise Conflict(
            f"the key {command.key!r} was used before for {first.id}, with other content"
            + (f" ({', '.join(changed)} differ)" if changed else "")
            + "; a new decision needs a new key",
            {"decision_id": first.id},
        )
    return earlier.ruling


def _refuse_missing(policy: Policy, record: Record) -> None:
    if record.missing:
        # What is misspelt is missing, and stands there under another name.
        strange = ", ".join(repr(name) for name in record.undeclared[:5])
        raise BadInput(
            f"required by the policy {policy.workflow} and not given"
            + (f" (also {', '.join(record.missing[1:])})" if len(record.missing) > 1 else "")
            + (f"; given were {strange}, which it does not declare" if strange else ""),
            record.missing[0],
            status=422,
        )


def _subject(command: Submit, policy: Policy, record: Record) -> str | None:
    named = policy.subject_of(record)
    if command.subject is not None and named is not None and command.subject != named:
        raise BadInput(
            f"is {command.subject!r}, but the policy's subject field says {named!r}; "
            f"send one of them",
            "/subject",
        )
    return command.subject if command.subject is not None else named


def _rule(
    tx: Transaction, policy: Policy, record: Record, prepared: Prepared, decision_id: str
) -> Ruling:
    stop = tx.stops.get(policy.workflow)
    version, checks = prepared.checks or ("", {})
    if version != policy.version:
        checks = policy.run_checks(record)
    ruling = policy.evaluate(
        record,
        decision_id=decision_id,
        evaluated_at=tx.now(),
        confidence=prepared.confidence,
        alternatives=prepared.command.alternatives,
        checks=checks,
        aggregates=resolve_aggregates(tx, policy, record),
        stopped=stop.reason if stop else None,
    )
    if record.missing and ruling.lane is not Lane.REFUSE:
        ruling = msgspec.structs.replace(
            ruling,
            lane=Lane.HOLD,
            mode=max(ruling.mode, Mode.IN_THE_LOOP, key=lambda mode: mode.rank),
            why=f"Bad input: {', '.join(record.missing)} required and not given",
            route=ruling.route or _fallback_route(policy),
        )
    return ruling


def _fallback_route(policy: Policy) -> Route:
    return policy.routes[-1].route if policy.routes else Route(to=policy.owners)


def _throw(policy: Policy, ruling: Ruling, secret: bytes) -> tuple[Coin, ...]:
    """Independent coins, seeded by the secret and the server-made id: nobody can steer them."""
    if ruling.lane is Lane.REFUSE:
        return ()
    sampling = policy.sampling
    seed = keyed_digest(secret, b"coins:" + ruling.decision_id.encode())
    if ruling.lane is Lane.HOLD:
        return (_coin("blind", sampling.blind, seed[:8]),)
    return (
        _coin("uniform", sampling.spot_check, seed[:8]),
        _coin("active", sampling.active_check, seed[8:16]),
    )


def _coin(kind: str, probability: float, seed: bytes) -> Coin:
    drawn = int.from_bytes(seed) / 2**64 < probability
    return Coin(kind=kind, probability=probability, drawn=drawn)


def _make_way(
    tx: Transaction, ports: Ports, policy: Policy, decision: Decision, who: Who
) -> str | None:
    """Deal with what is under review for the same subject, as the policy's `if_open` says.

    Returns the review this decision has to queue behind, if any.
    """
    replaced: dict[str, Filed] = {}
    if decision.supersedes is not None:
        old = tx.decisions.get(decision.supersedes)
        if (
            old is None
            or old.decision.workflow != decision.workflow
            or not may(who, Withdraw, decision_thing(tx, ports, old, who))
        ):
            raise NotFound(
                f"{decision.supersedes} is no decision of {decision.workflow}; "
                f"`supersedes` names the one to replace"
            )
        if old.settled:
            _refuse_second(tx, old)
            _void_unspent(tx, old, decision)
        else:
            replaced[old.decision.id] = old
    behind = None
    if decision.subject is not None:
        for earlier in tx.decisions.unsettled_of(decision.workflow, decision.subject):
            if earlier.decision.id in replaced or earlier.decision.reverses is not None:
                continue  # what asks to undo the past stands beside what is asked for now
            if policy.if_open is IfOpen.REFUSE:
                raise Conflict(
                    f"{decision.subject} is under review already as {earlier.decision.id}; "
                    f"wait for its outcome or withdraw it",
                    {"decision_id": earlier.decision.id, "review_id": earlier.review_id},
                )
            if policy.if_open is IfOpen.QUEUE:
                behind = earlier.review_id
            else:
                replaced[earlier.decision.id] = earlier
    for old in replaced.values():
        supersede(tx, ports, old, decision, actor=who.id)
    return behind


def _refuse_second(tx: Transaction, old: Filed) -> None:
    """One decision is replaced by one: a second replacement would stand beside the first."""
    outcome = tx.outcomes.get(old.decision.id)
    grant = tx.grants.current(old.decision.id)
    at, why = None, ""
    if outcome is not None and outcome.verdict is Verdict.SUPERSEDED:
        at, why = outcome.at, outcome.why
    elif (
        grant is not None
        and grant.state is GrantState.VOID
        and (grant.note or "").startswith(SUPERSEDED_BY)
    ):
        at, why = grant.finished_at, grant.note or ""
    if at is not None:
        raise Conflict(
            f"{old.decision.id} was superseded already at {time_text(at)} ({why}); "
            f"name the decision that replaced it",
            {"verdict": Verdict.SUPERSEDED.value, "at": time_text(at)},
        )


def _void_unspent(tx: Transaction, old: Filed, decision: Decision) -> None:
    """Take back the unspent grant of a decision that is replaced after its release."""
    grant = tx.grants.current(old.decision.id)
    if grant is None or grant.state in (GrantState.VOID, GrantState.LAPSED):
        return
    if grant.state is not GrantState.GRANTED:
        raise Conflict(
            f"{old.decision.id} ran already ({grant.state.value}); "
            f"it cannot be superseded, only followed by a new decision",
            {"grant_id": grant.id, "state": grant.state.value},
        )
    voided = msgspec.structs.replace(
        grant, state=GrantState.VOID, note=SUPERSEDED_BY + decision.id, finished_at=tx.now()
    )
    if not tx.grants.replace(grant, voided):
        raise Conflict(f"the grant of {old.decision.id} moved; try again")
    note(tx, "grant.voided", decision.submitter, grant=grant.id, decision=old.decision.id)


def _seat_review(
    tx: Transaction, ports: Ports, decision: Decision, ruling: Ruling, behind: str | None
) -> tuple[Review, bool]:
    """The review a held decision hangs on: the open one of its case, or a new one."""
    key = case_key(decision.workflow, ruling)
    if key is not None and behind is None:
        review = tx.reviews.open_case(key)
        if review is not None:
            grown = msgspec.structs.replace(review, attached=review.attached + 1)
            if not tx.reviews.replace(review, grown):
                raise Conflict(f"{review.id} moved; submit again")
            return grown, False
    return (
        _new_review(tx, ports, decision, ruling, ReviewKind.HOLD, case=key, behind=behind),
        True,
    )


def _new_review(
    tx: Transaction,
    ports: Ports,
    decision: Decision,
    ruling: Ruling,
    kind: ReviewKind,
    case: str | None = None,
    behind: str | None = None,
) -> Review:
    policy = ports.shelf.named(tx, ruling.policy)
    route = ruling.route or _fallback_route(policy)
    due, next_at = None, None
    if kind is ReviewKind.HOLD and behind is None:  # in a queue the time starts at its head
        due, next_at = first_dates(route, tx.now(), ports.hours)
    names = route.to or policy.owners
    needs = [name for need in ruling.approvals for name in need.of]
    stake = stake_in(tx, ports, ruling)
    to = able(tx, audience(tx, dict.fromkeys((*names, *needs))), decision.workflow, stake)
    if not to:
        # Each one named is above their limit or gone: the fallback and the owners are next.
        to = able(tx, audience(tx, (*route.fallback, *policy.owners)), decision.workflow, stake)
    return Review(
        id=new_id("r", tx.now()),
        kind=kind,
        workflow=decision.workflow,
        subject=decision.subject,
        lead=decision.id,
        status=ReviewStatus.OPEN,
        severity=ruling.severity,
        to=to,
        next_at=next_at,
        due=due,
        case_key=case,
        behind=behind,
        opened_at=tx.now(),
    )


def _blind(ruling: Ruling) -> bool:
    """Whether who is asked is to judge first: then the notice does not name any values."""
    return any(coin.kind == "blind" and coin.drawn for coin in ruling.coins)


def _record_review(
    tx: Transaction,
    decision: Decision,
    ruling: Ruling,
    review: Review,
    opened: bool,
) -> None:
    """Store the review of a decision that stands in the store already, and tell who is asked."""
    if not opened:
        note(tx, "review.attached", decision.submitter, review=review.id, decision=decision.id)
        tx.wake(f"review:{review.id}")
        return
    first = Round(
        review=review.id,
        number=1,
        proposal=decision.proposal,
        ruling=ruling,
        started_at=tx.now(),
    )
    body = tx.reviews.insert(review, first)
    note(
        tx,
        "review.opened",
        decision.submitter,
        review=review.id,
        decision=decision.id,
        workflow=review.workflow,
        kind=review.kind,
        severity=review.severity,
        to=review.to or None,
        due=review.due,
        round=1,
        round_id=f"{review.id}/1",
        commit=seal_round(tx, first, body, decision),
        behind=review.behind,
    )
    tx.outbox.add(
        Notice(
            id=new_id("n", tx.now()),
            topic="review.opened",
            to=review.to,
            review=review.id,
            decision_id=decision.id,
            text="" if _blind(ruling) else ruling.why,
            made_at=tx.now(),
            next_at=tx.now(),
        )
    )
    if review.next_at is not None:
        tx.wake_at(review.next_at)
    tx.wake("reviews")


__all__ = ["begin_submit", "file", "prepare", "preview", "submit", "submit_batch"]
