"""Rights as data: what there is to do, who holds what, and which command needs which.

A person holds rights by their roles (`role:admin` and so on), and everybody who is signed in holds
those of `EVERYBODY`: reviewers need no role, because being asked by a review is what lets them
decide it. A token holds rights by its scopes, in the workflows it is bound to. Whoever can open
the workspace itself holds those of `LOCAL`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from handrail.model import commands as c

RIGHTS: dict[str, str] = {
    "sign_in": "sign in, or take up an invitation",
    "vouch": "say who somebody is, as the workspace's owner",
    "account.see": "see who one is",
    "account.own": "sign out and change one's own password",
    "decisions.submit": "hand in decisions, and preview them",
    "decisions.own": "see, withdraw and comment what one handed in or asked for",
    "decisions.read": "read every decision with its outcome",
    "grants.own": "run what one handed in",
    "grants.run": "run what others handed in",
    "grants.settle": "settle runs in doubt",
    "labels.write": "add the truth about decisions",
    "events.record": "record observations that aggregates read",
    "reviews.decide": "decide the reviews that ask for one",
    "reviews.read": "read every review",
    "reviews.assign": "hand on, snooze and comment anybody's reviews",
    "feedback.read": "read what people decided, and how fast",
    "stops.read": "see the stop buttons that stand",
    "stops.write": "press and release the stop button",
    "people.read": "see who there is, and what they hold",
    "people.write": "invite and switch off people, and change what they hold",
    "tokens.read": "list API tokens",
    "tokens.write": "make and revoke API tokens",
    "policies.read": "read policies and their versions",
    "policies.write": "propose policies",
    "policies.apply": "let policies rule that were approved elsewhere",
    "settings.write": "change settings",
    "audit.read": "read and verify the log",
    "export.read": "export the log and the decisions",
    "metrics.read": "read counters and gauges of the server",
}
"""Each right with what it lets one do."""

EVERYBODY = frozenset(
    {
        "sign_in",
        "account.see",
        "account.own",
        "decisions.own",
        "reviews.decide",
        "stops.read",
        "policies.read",
    }
)
"""What each person who is signed in may do, whatever they hold."""

NOBODY = frozenset({"sign_in"})
"""What may be done by who is not known."""

LOCAL = frozenset(RIGHTS) - {"account.own", "policies.apply", "reviews.assign"}
"""What the workspace's own user may do. Deciding a review takes being asked here too."""

AT_HOME = LOCAL - {"vouch"}
"""What a browser may do that followed a link of this machine: as in a terminal, for oneself."""


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A set of rights with a name; a person has it by holding `role:<name>`."""

    says: str
    rights: frozenset[str]


ROLES: dict[str, Role] = {
    "admin": Role(
        says="Runs the workspace: people, tokens, settings. Gives no right to decide anything.",
        rights=frozenset(
            {
                "metrics.read",
                "people.read",
                "people.write",
                "settings.write",
                "tokens.read",
                "tokens.write",
            }
        ),
    ),
    "lead": Role(
        says="Leads the queues: reads and hands on every review, stops, settles doubts.",
        rights=frozenset(
            {
                "decisions.read",
                "feedback.read",
                "grants.settle",
                "metrics.read",
                "people.read",
                "reviews.assign",
                "reviews.read",
                "stops.write",
            }
        ),
    ),
    "auditor": Role(
        says="Reads, verifies and exports everything; changes nothing.",
        rights=frozenset(
            {
                "audit.read",
                "decisions.read",
                "export.read",
                "feedback.read",
                "metrics.read",
                "people.read",
                "reviews.read",
                "tokens.read",
            }
        ),
    ),
    "owner": Role(says="Owns policies and proposes changes.", rights=frozenset({"policies.write"})),
    "integrator": Role(
        says="Connects programs.", rights=frozenset({"tokens.read", "tokens.write"})
    ),
}
"""Roles that mean something here. Other `role:…` names are as good in policies, and give no
rights but that of being asked."""

TITLES: dict[str, tuple[str, ...]] = {
    "annotator": (),
    "reviewer": (),
    "domain expert": (),
    "clinician": (),
    "analyst": (),
    "fallback approver": (),
    "supervisor": ("lead",),
    "escalation manager": ("lead",),
    "support": ("lead",),
    "quality lead": ("lead", "auditor"),
    "performance evaluator": ("auditor",),
    "compliance officer": ("auditor",),
    "risk assessor": ("auditor",),
    "governance officer": ("auditor", "owner"),
    "auditor": ("auditor",),
    "data steward": ("owner",),
    "protocol designer": ("owner",),
    "trainer": ("owner", "auditor"),
    "feedback manager": ("auditor",),
    "developer": ("integrator",),
    "integrator": ("integrator",),
    "architect": ("integrator", "owner"),
    "administrator": ("admin",),
}
"""Titles in a team around human decisions, and the roles that fit them. Those without a role
decide what asks them, and nothing else."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a token may be made for. Tokens are programs, and no scope lets a program decide."""

    says: str
    rights: frozenset[str]


SCOPES: dict[str, Scope] = {
    "decisions:submit": Scope(
        says="Hand in decisions; wait for, run and withdraw its own.",
        rights=frozenset({"decisions.submit", "decisions.own", "grants.own", "policies.read"}),
    ),
    "decisions:read": Scope(
        says="Read every decision.", rights=frozenset({"decisions.read", "policies.read"})
    ),
    "grants:run": Scope(
        says="Run what others handed in.", rights=frozenset({"decisions.read", "grants.run"})
    ),
    "reviews:read": Scope(says="Read every review.", rights=frozenset({"reviews.read"})),
    "labels:write": Scope(says="Add the truth.", rights=frozenset({"labels.write"})),
    "events:record": Scope(
        says="Record observations that aggregates read.", rights=frozenset({"events.record"})
    ),
    "feedback:read": Scope(says="Read what people decided.", rights=frozenset({"feedback.read"})),
    "stops:write": Scope(
        says="Press and release the stop button.",
        rights=frozenset({"stops.read", "stops.write"}),
    ),
    "policies:propose": Scope(
        says="Propose policies; people decide them.",
        rights=frozenset({"policies.read", "policies.write", "decisions.own"}),
    ),
    "policies:apply": Scope(
        says="Let policies rule that were approved elsewhere, as a CI does.",
        rights=frozenset({"policies.read", "policies.apply"}),
    ),
    "audit:read": Scope(
        says="Read and verify the log.", rights=frozenset({"audit.read", "policies.read"})
    ),
    "export:read": Scope(
        says="Export the log and the decisions.", rights=frozenset({"export.read"})
    ),
    "metrics:read": Scope(
        says="Read counters and gauges of the server.", rights=frozenset({"metrics.read"})
    ),
}
"""What a token can be made for."""


class Tie(StrEnum):
    """How somebody may be tied to what a command is about."""

    OWN = "own"
    """Handed it in, or it was asked for on their behalf."""
    SUBMITTER = "submitter"
    """Handed it in."""
    ASKED = "asked"
    """A person whom the review asks. In a workspace where nobody is registered, everybody."""
    VOTED = "voted"
    """A person who voted in the review."""


class Way(msgspec.Struct, frozen=True):
    """One way to be let through: a right, and where it takes one, a tie to the thing."""

    right: str
    tie: Tie | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a command needs: any one of its ways."""

    ways: tuple[Way, ...]
    sees: type[c.Command] | None = None
    """Who may not send this one either is told that there is no such thing."""
    people: bool = False
    """Only people do it; a program is refused, whatever it holds."""
    not_own: bool = False
    """Never by whom it was handed in or asked for."""
    within_limits: bool = False
    """Never above the person's limit in money."""


def _any(*rights: str) -> Rule:
    return Rule(ways=tuple(Way(right) for right in rights))


_SEES_DECISION = Rule(
    ways=(
        Way("decisions.read"),
        Way("decisions.own", Tie.OWN),
        Way("reviews.decide", Tie.ASKED),
        Way("reviews.decide", Tie.VOTED),
    ),
    sees=c.GetDecision,
)
_SEES_REVIEW = Rule(
    ways=(
        Way("reviews.read"),
        Way("decisions.own", Tie.OWN),
        Way("reviews.decide", Tie.ASKED),
        Way("reviews.decide", Tie.VOTED),
    ),
    sees=c.GetReview,
)
_HANDS_ON = Rule(
    ways=(Way("reviews.decide", Tie.ASKED), Way("reviews.assign")),
    sees=c.GetReview,
    people=True,
)
_DECIDES = Rule(
    ways=(Way("reviews.decide", Tie.ASKED),),
    sees=c.GetReview,
    people=True,
    not_own=True,
    within_limits=True,
)
_RUNS = Rule(ways=(Way("grants.own", Tie.SUBMITTER), Way("grants.run")), sees=c.GetDecision)

COMMAND_RIGHTS: dict[type[c.Command], Rule] = {
    c.Submit: _any("decisions.submit"),
    c.SubmitBatch: _any("decisions.submit"),
    c.Preview: _any("decisions.submit"),
    c.GetDecision: _SEES_DECISION,
    c.ListDecisions: _any("decisions.read", "decisions.own"),
    c.WaitOutcome: _SEES_DECISION,
    c.WaitOutcomes: _SEES_DECISION,
    c.Withdraw: Rule(ways=(Way("decisions.own", Tie.OWN),), sees=c.GetDecision),
    c.Reverse: Rule(
        ways=(
            Way("decisions.own", Tie.OWN),
            Way("reviews.decide", Tie.ASKED),
            Way("reviews.decide", Tie.VOTED),
            Way("reviews.assign"),
        ),
        sees=c.GetDecision,
    ),
    c.AddLabel: Rule(ways=(Way("labels.write"),), sees=c.GetDecision),
    c.Record: _any("events.record"),
    c.Redeem: _RUNS,
    c.Confirm: _RUNS,
    c.Resolve: Rule(ways=(Way("grants.settle"),), sees=c.GetDecision, people=True, not_own=True),
    c.ListDoubts: _any("grants.settle", "decisions.read"),
    c.ListReviews: _any("reviews.read", "reviews.decide"),
    c.GetReview: _SEES_REVIEW,
    c.Claim: _DECIDES,
    c.CastVote: _DECIDES,
    c.Undo: Rule(
        ways=(Way("reviews.decide", Tie.ASKED), Way("reviews.decide", Tie.VOTED)),
        sees=c.GetReview,
        people=True,
    ),
    c.Escalate: _HANDS_ON,
    c.Ask: _HANDS_ON,
    c.Snooze: _HANDS_ON,
    c.Assign: _HANDS_ON,
    c.Comment: Rule(
        ways=(*_HANDS_ON.ways, Way("decisions.own", Tie.OWN)), sees=c.GetReview, people=True
    ),
    c.SetStop: _any("stops.write"),
    c.ClearStop: _any("stops.write"),
    c.ListStops: _any("stops.read", "stops.write"),
    c.SetPerson: _any("people.write"),
    c.ListPeople: _any("people.read"),
    c.ListFeedback: _any("feedback.read"),
    c.MakeToken: _any("tokens.write"),
    c.ListTokens: _any("tokens.read", "tokens.write"),
    c.RevokeToken: _any("tokens.write"),
    c.Invite: _any("people.write"),
    c.MakeFirstAdmin: _any("vouch"),
    c.MakeLink: _any("vouch"),
    c.AcceptInvitation: _any("sign_in"),
    c.SignIn: _any("sign_in"),
    c.SignInWith: _any("vouch"),
    c.FollowLink: _any("vouch"),
    c.SignOut: _any("account.own"),
    c.ChangePassword: _any("account.own"),
    c.WhoAmI: _any("account.see"),
    c.ListPolicies: _any("policies.read"),
    c.GetPolicy: _any("policies.read"),
    c.DiffPolicies: _any("policies.read"),
    c.PolicyHistory: _any("policies.read"),
    c.ProposePolicy: _any("policies.write"),
    c.ListLists: _any("policies.read"),
    c.ListTrials: _any("policies.read"),
    c.ApplyPolicy: _any("policies.apply"),
    c.ProposeList: _any("policies.write"),
    c.GetCheckpoint: _any("audit.read"),
    c.ListEntries: _any("audit.read"),
    c.ProveEntry: _any("audit.read"),
}
"""What each command needs. A command without a rule is refused to everybody."""
