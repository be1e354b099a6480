"""Everybody × every command × whose it is: nothing is allowed but what the table says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from handrail.access import COMMAND_RIGHTS, RIGHTS, ROLES, SCOPES, TITLES, Denied, Hidden, Tie
from handrail.access.rights import EVERYBODY, LOCAL
from handrail.access.rights import NOBODY as NOBODYS
from handrail.flow import recognise, sweep
from handrail.model import commands as c
from handrail.model.errors import HandrailError, NotFound, Unknown
from handrail.model.people import Actor
from handrail.model.problem import problem_of

from .access import NOBODY, PASSWORD, Office
from .conftest import PROGRAM, REFUND

RUN = "run-0123456789abcdef"
READS = "aggregates: {seen: {count: events, over: events:spend, window: 1h}}\n"
"""Recording in a stream takes rights in the workflows whose policies read it."""
ELSEWHERE = REFUND.replace("workflow: refund", "workflow: payout").replace(
    "team:refunds", "team:payouts"
)


def every_command() -> set[type[c.Command]]:
    """Commands that can be sent: the leaves of the tree."""

    def leaves(kind: type[c.Command]) -> Iterator[type[c.Command]]:
        below = kind.__subclasses__()
        if not below:
            yield kind
        for one in below:
            yield from leaves(one)

    return set(leaves(c.Command))


def test_every_command_has_one_rule() -> None:
    assert set(COMMAND_RIGHTS) == every_command() == set(c.ROUTES)


def test_rules_roles_and_scopes_name_rights_that_there_are() -> None:
    named = {way.right for rule in COMMAND_RIGHTS.values() for way in rule.ways}
    held = [EVERYBODY, LOCAL, NOBODYS, *(role.rights for role in ROLES.values())]
    held += [scope.rights for scope in SCOPES.values()]
    assert named <= set(RIGHTS)
    assert frozenset().union(*held) <= set(RIGHTS)
    assert {role for roles in TITLES.values() for role in roles} <= set(ROLES)
    for rule in COMMAND_RIGHTS.values():
        assert rule.ways


@pytest.mark.ledger("A-105")
def test_every_title_maps_to_a_set_of_rights() -> None:
    for title in ("supervisor", "compliance officer", "data steward", "clinician", "auditor"):
        rights = EVERYBODY.union(*(ROLES[name].rights for name in TITLES[title]))
        assert "reviews.decide" in rights
        assert "people.write" not in rights


def test_no_scope_decides_and_no_role_gives_a_verdict() -> None:
    never = {"reviews.decide", "vouch", "grants.settle", "people.write", "tokens.write"}
    for scope in SCOPES.values():
        assert not scope.rights & never
    for role in ROLES.values():
        assert "reviews.decide" not in role.rights
    assert not ROLES["auditor"].rights & {name for name in RIGHTS if name.endswith(".write")}


# ------------------------------------------------------------------------------ the scene

THEIRS = {Tie.OWN, Tie.SUBMITTER}
TIES: dict[str, tuple[frozenset[str], set[Tie]]] = {}
"""Who there is: their rights, and their ties to the refund that is the scene's subject."""


def _roles(*names: str) -> frozenset[str]:
    return EVERYBODY.union(*(ROLES[name].rights for name in names))


PEOPLE: dict[str, tuple[tuple[str, ...], set[Tie]]] = {
    "stranger": ((), set()),
    "of another team": (("team:payouts",), set()),
    "asked": (("team:refunds",), {Tie.ASKED}),
    "voter": (("team:refunds",), {Tie.ASKED, Tie.VOTED}),
    "requester": ((), {Tie.OWN}),
    "requester who is asked": (("team:refunds",), {Tie.OWN, Tie.ASKED}),
    "admin": (("role:admin",), set()),
    "lead": (("role:lead",), set()),
    "lead who is asked": (("role:lead", "team:refunds"), {Tie.ASKED}),
    "auditor": (("role:auditor",), set()),
    "owner": (("role:owner",), set()),
    "integrator": (("role:integrator",), set()),
    "everything but asked": (tuple(f"role:{name}" for name in ROLES), set()),
}
TOKENS: dict[str, tuple[tuple[str, ...], tuple[str, ...], set[Tie]]] = {
    "submitter": (("decisions:submit",), ("refund",), THEIRS),
    "submitter elsewhere": (("decisions:submit",), ("payout",), set()),
    "all scopes elsewhere": (tuple(SCOPES), ("payout",), set()),
    "all scopes": (tuple(SCOPES), ("*",), set()),
    **{scope: ((scope,), ("refund",), set()) for scope in SCOPES},
}
GONE = ("revoked", "expired", "signed out", "switched off")


class Scene(SimpleNamespace):
    """One held refund, one refund that ran into doubt, one open grant, and everybody."""

    office: Office
    actors: dict[str, Actor]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    office = Office()
    office.policy(REFUND + READS)
    office.policy(ELSEWHERE)
    brief = office.send(c.MakeToken(name="brief", scopes=tuple(SCOPES), workflows=("*",), days=1))
    actors = {"nobody": NOBODY, "expired": recognise(brief.secret, office.ports)}
    office.clock.advance(24 * 3600)
    for name, (holds, _) in PEOPLE.items():
        actors[name] = office.join(f"{name.replace(' ', '-')}@example.org", *holds)
    for name, (scopes, workflows, _) in TOKENS.items():
        actors[name] = office.token(name.replace(" ", "-"), *scopes, workflows=workflows)
    submitter = actors["submitter"]

    def submit(amount: int, order: str, requester: str | None = None) -> Any:
        facts = {"order": order, "kind": "goods"}
        return office.send(
            c.Submit(
                workflow="refund",
                facts=facts,
                proposal={"amount": amount},
                requester=requester,
            ),
            submitter,
        )

    held, decided, passed, doubt = (
        submit(2000, "held"),
        submit(200, "decided"),
        submit(20, "passed"),
        submit(20, "doubt"),
    )
    for one in (held, decided):
        card = office.send(c.GetReview(review_id=one.review_id), actors["voter"])
        vote = c.CastVote(review_id=one.review_id, said="approve", card=card.digest)
        office.send(vote, actors["voter"])
    granted = office.send(c.WaitOutcome(decision_id=passed.decision_id))
    outcome = office.send(c.WaitOutcome(decision_id=doubt.decision_id))
    office.send(c.Redeem(grant_id=outcome.grant_id, digest=outcome.digest, run=RUN), submitter)
    office.clock.advance(301)
    while sweep(office.ports):
        pass
    # The requesters: written in other ways than their handles are.
    with_requester: dict[str, Any] = {}
    for name in ("requester", "requester who is asked"):
        handle = f"{name.replace(' ', '-')}@example.org"
        with_requester[name] = submit(2000, name, f" person:{handle.upper()} ")
    gone = office.token("gone", *SCOPES, workflows=("*",))
    office.send(c.RevokeToken(token_id=gone.credential or ""))
    actors["revoked"] = gone
    actors["signed out"] = office.join("out@example.org", "team:refunds", "role:lead")
    office.send(c.SignOut(), actors["signed out"])
    actors["switched off"] = office.join("off@example.org", "team:refunds", "role:lead")
    office.send(c.SetPerson(handle="off@example.org", active=False))
    office.clock.advance(3600)  # within every session's rest
    yield Scene(
        office=office,
        actors=actors,
        held=held,
        decided=decided,
        passed=granted,
        doubt=outcome,
        requests=with_requester,
    )
    office.store.close()


# ------------------------------------------------------------------------------ the commands

Make = Callable[[Scene, Any, str], c.Command]
NO_ID = "0" * 26

COMMANDS: dict[type[c.Command], Callable[[Scene, Any], c.Command]] = {
    c.Submit: lambda s, it: c.Submit(
        workflow="refund", facts={"order": "n", "kind": "goods"}, proposal={"amount": 1}
    ),
    c.SubmitBatch: lambda s, it: c.SubmitBatch(
        rows=[
            c.Submit(
                workflow="refund", facts={"order": "n", "kind": "goods"}, proposal={"amount": 1}
            )
        ]
    ),
    c.Preview: lambda s, it: c.Preview(
        workflow="refund", facts={"order": "n", "kind": "goods"}, proposal={"amount": 1}
    ),
    c.GetDecision: lambda s, it: c.GetDecision(decision_id=it.decision),
    c.ListDecisions: lambda s, it: c.ListDecisions(),
    c.WaitOutcome: lambda s, it: c.WaitOutcome(decision_id=it.decision),
    c.Withdraw: lambda s, it: c.Withdraw(decision_id=it.decision, reason="no more"),
    c.Reverse: lambda s, it: c.Reverse(decision_id=it.decision, reason="wrong"),
    c.AddLabel: lambda s, it: c.AddLabel(decision_id=it.decision, wrong=True, source="audit"),
    c.Record: lambda s, it: c.Record(
        stream="spend", rows=[c.Row(key="k", at="2026-09-01T08:00:00Z", facts={"amount": 1})]
    ),
    c.Redeem: lambda s, it: c.Redeem(grant_id=it.granted, digest=s.passed.digest, run=RUN + "-new"),
    c.Confirm: lambda s, it: c.Confirm(grant_id=it.doubt, run=RUN, done=True),
    c.Resolve: lambda s, it: c.Resolve(grant_id=it.doubt, answer="happened", note="saw it"),
    c.ListDoubts: lambda s, it: c.ListDoubts(),
    c.ListReviews: lambda s, it: c.ListReviews(),
    c.GetReview: lambda s, it: c.GetReview(review_id=it.review),
    c.Claim: lambda s, it: c.Claim(review_id=it.review),
    c.CastVote: lambda s, it: c.CastVote(review_id=it.review, said="approve", card="card:old"),
    c.Undo: lambda s, it: c.Undo(review_id=it.decided),
    c.Escalate: lambda s, it: c.Escalate(review_id=it.review, reason="policy"),
    c.Ask: lambda s, it: c.Ask(review_id=it.review, comment="why?"),
    c.Snooze: lambda s, it: c.Snooze(review_id=it.review, seconds=60),
    c.Assign: lambda s, it: c.Assign(review_id=it.review, to="team:refunds"),
    c.Comment: lambda s, it: c.Comment(review_id=it.review, comment="so"),
    c.SetStop: lambda s, it: c.SetStop(workflow="refund", reason="fraud"),
    c.ClearStop: lambda s, it: c.ClearStop(workflow="refund", reason="over"),
    c.ListStops: lambda s, it: c.ListStops(),
    c.SetPerson: lambda s, it: c.SetPerson(handle="new@example.org", holds=("team:refunds",)),
    c.ListPeople: lambda s, it: c.ListPeople(),
    c.ListFeedback: lambda s, it: c.ListFeedback(),
    c.MakeToken: lambda s, it: c.MakeToken(
        name="new", scopes=("labels:write",), workflows=("refund",)
    ),
    c.ListTokens: lambda s, it: c.ListTokens(),
    c.RevokeToken: lambda s, it: c.RevokeToken(token_id="t_" + NO_ID),
    c.Invite: lambda s, it: c.Invite(handle="new@example.org"),
    c.MakeFirstAdmin: lambda s, it: c.MakeFirstAdmin(),
    c.MakeLink: lambda s, it: c.MakeLink(handle="new@example.org"),
    c.AcceptInvitation: lambda s, it: c.AcceptInvitation(secret="hri_x", password=PASSWORD),
    c.SignIn: lambda s, it: c.SignIn(handle="asked@example.org", password=PASSWORD),
    c.SignInWith: lambda s, it: c.SignInWith(issuer="https://id.example", subject="1"),
    c.FollowLink: lambda s, it: c.FollowLink(secret="hrl_x"),
    c.SignOut: lambda s, it: c.SignOut(),
    c.ChangePassword: lambda s, it: c.ChangePassword(old=PASSWORD, new="four brown bears sleep"),
    c.WhoAmI: lambda s, it: c.WhoAmI(),
    c.ListPolicies: lambda s, it: c.ListPolicies(),
    c.GetPolicy: lambda s, it: c.GetPolicy(workflow="refund"),
    c.DiffPolicies: lambda s, it: c.DiffPolicies(workflow="refund", new="active"),
    c.ListTrials: lambda s, it: c.ListTrials(workflow="refund"),
    c.ApplyPolicy: lambda s, it: c.ApplyPolicy(
        workflow="refund",
        text=REFUND.replace("Nobody", "No one"),
        author="ann",
        approved_by="bob",
        reference="merge 418",
        reason="more",
    ),
    c.ListLists: lambda s, it: c.ListLists(workflow="refund"),
    c.ProposeList: lambda s, it: c.ProposeList(
        workflow="refund", list="known", add=("x",), reason="more"
    ),
    c.ProposePolicy: lambda s, it: c.ProposePolicy(
        workflow="refund", reason="more", text=REFUND.replace("Nobody", "No one")
    ),
    c.PolicyHistory: lambda s, it: c.PolicyHistory(workflow="refund"),
    c.GetCheckpoint: lambda s, it: c.GetCheckpoint(),
    c.ListEntries: lambda s, it: c.ListEntries(),
    c.ProveEntry: lambda s, it: c.ProveEntry(index=0),
}

ABOUT = {
    kind: "grant" if kind in (c.Redeem, c.Confirm, c.Resolve) else "decision"
    for kind, rule in COMMAND_RIGHTS.items()
    if rule.sees is not None
}
"""Commands about one thing, which may be a secret."""


def the_thing(scene: Scene, name: str) -> Any:
    """What `name` is tied to as `PEOPLE` and `TOKENS` say; the requesters have each their own."""
    held = scene.requests.get(name, scene.held)
    return SimpleNamespace(
        decision=held.decision_id,
        review=held.review_id,
        decided=scene.decided.review_id if name not in scene.requests else held.review_id,
        granted=scene.passed.grant_id,
        doubt=scene.doubt.grant_id,
    )


MADE_UP = SimpleNamespace(
    decision="d_" + NO_ID,
    review="r_" + NO_ID,
    decided="r_" + NO_ID,
    granted="g_" + NO_ID,
    doubt="g_" + NO_ID,
)


def answer(scene: Scene, kind: type[c.Command], name: str, thing: Any) -> int | HandrailError:
    """What came of it: 200 where the rules let it through, else the refusal."""
    command = COMMANDS[kind](scene, thing)
    try:
        found = scene.office.send(command, scene.actors[name], scene.office.trial())
    except (Denied, Hidden, Unknown) as error:
        if kind is c.SignInWith and "belongs to nobody" in str(error):
            return 200
        return error
    except HandrailError:
        return 200  # let through, and then wrong for another reason
    if kind is c.SubmitBatch and found[0].error is not None:
        return Denied(found[0].error["detail"])
    return 200


def wanted(kind: type[c.Command], name: str) -> int:
    """What the tables say, worked out apart from the code that asks them."""
    if name in GONE:
        return 401
    rule = COMMAND_RIGHTS[kind]
    ties: set[Tie] = set()
    elsewhere = False
    if name == "nobody":
        rights = NOBODYS
    elif name in PEOPLE:
        holds, ties = PEOPLE[name]
        rights = _roles(*(one[5:] for one in holds if one.startswith("role:")))
        if ABOUT.get(kind) == "grant":
            ties = set()  # what ran was asked for and decided by nobody of them
    else:
        scopes, workflows, ties = TOKENS[name]
        rights = frozenset({"account.see"}).union(*(SCOPES[one].rights for one in scopes))
        elsewhere = workflows == ("payout",)

    def passes(one: type[c.Command]) -> bool:
        asks = COMMAND_RIGHTS[one]
        bound = one in ABOUT or one in (
            c.Submit,
            c.SubmitBatch,
            c.Preview,
            c.SetStop,
            c.ClearStop,
            c.GetPolicy,
            c.DiffPolicies,
            c.PolicyHistory,
            c.Record,
            c.ProposePolicy,
            c.ListLists,
            c.ListTrials,
            c.ApplyPolicy,
            c.ProposeList,
        )
        if elsewhere and bound:
            return False
        if asks.people and name in TOKENS:
            return False
        if not any(w.right in rights and (w.tie is None or w.tie in ties) for w in asks.ways):
            return False
        return not (asks.not_own and Tie.OWN in ties)

    if passes(kind):
        return 200
    if name == "nobody":
        return 401
    if rule.people and name in TOKENS:
        return 403  # a program never does that, whatever it is about
    if rule.sees is not None and not passes(rule.sees):
        return 404
    return 403


EVERYONE = ("nobody", *PEOPLE, *TOKENS, *GONE)


@pytest.mark.ledger("A-108")
@pytest.mark.parametrize("name", EVERYONE)
def test_nobody_may_what_the_table_does_not_say(scene: Scene, name: str) -> None:
    wrong = []
    for kind in COMMANDS:
        got = answer(scene, kind, name, the_thing(scene, name))
        status = got if isinstance(got, int) else got.status
        if status != wanted(kind, name):
            wrong.append(f"{kind.__name__}: {status}, not {wanted(kind, name)}: {got}")
    assert not wrong, "\n".join(wrong)


def test_the_matrix_has_every_command() -> None:
    assert set(COMMANDS) == every_command() - {c.WaitOutcomes}


@pytest.mark.parametrize("name", EVERYONE)
def test_what_one_may_not_know_of_is_as_if_it_were_not_there(scene: Scene, name: str) -> None:
    """The very same answer for an id that exists and for one that was made up."""
    thing = the_thing(scene, name)
    looked = 0
    for kind in ABOUT:
        if kind is c.WaitOutcomes or wanted(kind, name) == 200:
            continue
        got = answer(scene, kind, name, thing)
        people = COMMAND_RIGHTS[kind].people and name in TOKENS
        if isinstance(got, int) or (got.status == 403 and not people):
            continue  # may know of it
        command = COMMANDS[kind](scene, MADE_UP)
        with pytest.raises(HandrailError) as made_up:
            scene.office.send(command, scene.actors[name], scene.office.trial())
        told, there = problem_of(made_up.value), problem_of(got)
        for real, fake in zip(vars(thing).values(), vars(MADE_UP).values(), strict=True):
            there["detail"] = there["detail"].replace(real, fake)
        assert told == there, kind
        looked += 1
    assert looked or wanted(c.GetDecision, name) == 200


def test_local_use_needs_no_credential(scene: Scene) -> None:
    """Whoever can open the workspace does everything but decide what does not ask them, and say
    that something was approved elsewhere: that takes a token made for it."""
    office, thing = scene.office, the_thing(scene, "asked")
    trial = office.trial()
    for kind, make in COMMANDS.items():
        try:
            office.send(make(scene, thing), PROGRAM, trial)
        except (Denied, Hidden) as error:
            person = COMMAND_RIGHTS[kind].people or kind in (
                c.SignOut,
                c.ChangePassword,
                c.ApplyPolicy,
            )
            assert person, f"{kind}: {error}"
        except HandrailError:
            pass


# ------------------------------------------------------------------------------ what is listed


@pytest.mark.ledger("A-014")
def test_each_sees_only_their_queue(scene: Scene) -> None:
    office, actors = scene.office, scene.actors

    def seen(name: str) -> set[str]:
        return {card.review for card in office.send(c.ListReviews(), actors[name])}

    open_ones = {scene.held.review_id, *(one.review_id for one in scene.requests.values())}
    assert seen("asked") == seen("lead") == seen("auditor") == seen("reviews:read") == open_ones
    assert seen("stranger") == seen("of another team") == seen("requester") == set()
    assert seen("all scopes elsewhere") == set()


def test_lists_hold_what_one_may_see(scene: Scene) -> None:
    office, actors = scene.office, scene.actors

    def seen(name: str) -> set[str]:
        views = office.send(c.ListDecisions(), actors[name])
        for view in views:
            office.send(c.GetDecision(decision_id=view.decision["id"]), actors[name])
        return {view.decision["id"] for view in views}

    everything = {view.decision["id"] for view in office.send(c.ListDecisions())}
    mine = scene.requests["requester"].decision_id
    assert len(everything) == 6
    assert seen("lead") == seen("auditor") == seen("decisions:read") == everything
    assert seen("submitter") == everything
    assert seen("submitter elsewhere") == seen("all scopes elsewhere") == set()
    assert seen("stranger") == seen("admin") == set()
    assert seen("requester") == {mine}
    assert mine in seen("asked")
    assert len(seen("requester who is asked")) == 3


def test_a_requester_sees_where_it_stands_and_not_what_others_said(scene: Scene) -> None:
    office, actors = scene.office, scene.actors
    office_vote = scene.requests["requester"]
    card = office.send(c.GetReview(review_id=office_vote.review_id), actors["asked"])
    with pytest.raises(NotFound):
        office.send(c.GetReview(review_id=scene.held.review_id), actors["requester"])
    vote = c.CastVote(
        review_id=office_vote.review_id,
        said="approve",
        card=card.digest,
        comment="between us",
    )
    office.send(vote, actors["asked"])
    office.send(c.Claim(review_id=office_vote.review_id), actors["voter"])
    mine = office.send(c.GetReview(review_id=office_vote.review_id), actors["requester"])
    assert mine.votes == () and mine.due and mine.holder == "voter@example.org"
    theirs = office.send(c.GetReview(review_id=office_vote.review_id), actors["voter"])
    assert [said["comment"] for said in theirs.votes] == ["between us"]
    view = office.send(c.GetDecision(decision_id=office_vote.decision_id), actors["requester"])
    assert view.review["holders"] == ["voter@example.org"] and view.review["due"]
    assert view.review["to"] == ["team:refunds", "role:director"]
    assert view.grant is None


def test_recording_takes_rights_wherever_the_stream_is_read() -> None:
    office = Office()
    office.policy(REFUND + READS)
    office.policy(ELSEWHERE)
    one = office.token("one", "events:record")
    both = office.token("both", "events:record", workflows=("refund", "payout"))
    every = office.token("every", "events:record", workflows=("*",))

    def rows(number: int) -> list[c.Row]:
        return [c.Row(key=f"k{number}", at="2026-09-20T08:00:00Z")]

    assert office.send(c.Record(stream="spend", rows=rows(1)), one).recorded == 1
    with pytest.raises(Denied):  # nobody reads it, and who reads it one day is not known
        office.send(c.Record(stream="other", rows=rows(1)), one)
    assert office.send(c.Record(stream="other", rows=rows(1)), every).recorded == 1
    office.policy(ELSEWHERE + READS)
    with pytest.raises(Denied):
        office.send(c.Record(stream="spend", rows=rows(2)), one)
    assert office.send(c.Record(stream="spend", rows=rows(2)), both).recorded == 1
    office.store.close()
