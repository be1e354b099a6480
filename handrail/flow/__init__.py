"""The verbs: one use case a file, each one function of (command, actor, ports).

`USE_CASES` says which function answers which command; the composition root calls them through it.
What time does (`sweep`, `deliver`, `checkpoint`) and what a start does (`activate`, `create_log`)
have no command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handrail.flow.acts import ask, assign, comment, escalate, snooze
from handrail.flow.aggregates import Astray, astray, let_go, mend
from handrail.flow.claim import claim
from handrail.flow.invitations import has_admin, invite, make_first_admin, make_link
from handrail.flow.labels import add_label
from handrail.flow.lists import filled, list_lists
from handrail.flow.log import accept_restore, against_state, checkpoint, create_log, rolled_back
from handrail.flow.people import list_people, set_person
from handrail.flow.policies import (
    activate,
    diff_policies,
    find_version,
    get_policy,
    list_policies,
    policy_history,
    take_file,
)
from handrail.flow.ports import Ports, Shelf, read_policy
from handrail.flow.propose import apply_policy, propose_list, propose_policy
from handrail.flow.queries import (
    get_decision,
    list_decisions,
    list_feedback,
    list_reviews,
    read_outcome,
    show_review,
)
from handrail.flow.readiness import lacking
from handrail.flow.reading import get_checkpoint, list_entries, prove_entry
from handrail.flow.record import record
from handrail.flow.refusals import refused, told
from handrail.flow.replay import Replayed, replay
from handrail.flow.reverse import reverse
from handrail.flow.runs import confirm, list_doubts, redeem, resolve
from handrail.flow.secret import LINK
from handrail.flow.sessions import (
    accept_invitation,
    change_password,
    follow_link,
    recognise,
    sign_in,
    sign_in_with,
    sign_out,
    who_am_i,
)
from handrail.flow.stops import clear_stop, list_stops, set_stop
from handrail.flow.submit import begin_submit, preview, submit, submit_batch
from handrail.flow.sweep import call_back, deliver, sweep, try_again
from handrail.flow.tick import tick
from handrail.flow.tokens import list_tokens, make_token, revoke_token
from handrail.flow.trials import list_trials
from handrail.flow.undo import undo
from handrail.flow.vote import cast_vote
from handrail.flow.who import alone
from handrail.flow.withdraw import withdraw
from handrail.model import commands as c
from handrail.model.people import Actor

_VERBS: dict[type[c.Command], Callable[[Any, Actor, Ports], Any]] = {
    c.Submit: submit,
    c.SubmitBatch: submit_batch,
    c.Preview: preview,
    c.GetDecision: get_decision,
    c.ListDecisions: list_decisions,
    c.WaitOutcome: read_outcome,
    c.Withdraw: withdraw,
    c.Reverse: reverse,
    c.AddLabel: add_label,
    c.Record: record,
    c.Redeem: redeem,
    c.Confirm: confirm,
    c.Resolve: resolve,
    c.ListDoubts: list_doubts,
    c.ListReviews: list_reviews,
    c.GetReview: show_review,
    c.Claim: claim,
    c.CastVote: cast_vote,
    c.Undo: undo,
    c.Escalate: escalate,
    c.Ask: ask,
    c.Snooze: snooze,
    c.Assign: assign,
    c.Comment: comment,
    c.SetStop: set_stop,
    c.ClearStop: clear_stop,
    c.ListStops: list_stops,
    c.SetPerson: set_person,
    c.ListPeople: list_people,
    c.ListFeedback: list_feedback,
    c.MakeToken: make_token,
    c.ListTokens: list_tokens,
    c.RevokeToken: revoke_token,
    c.Invite: invite,
    c.MakeFirstAdmin: make_first_admin,
    c.MakeLink: make_link,
    c.AcceptInvitation: accept_invitation,
    c.SignIn: sign_in,
    c.SignInWith: sign_in_with,
    c.FollowLink: follow_link,
    c.SignOut: sign_out,
    c.ChangePassword: change_password,
    c.WhoAmI: who_am_i,
    c.ListPolicies: list_policies,
    c.GetPolicy: get_policy,
    c.DiffPolicies: diff_policies,
    c.PolicyHistory: policy_history,
    c.ProposePolicy: propose_policy,
    c.ListLists: list_lists,
    c.ListTrials: list_trials,
    c.ApplyPolicy: apply_policy,
    c.ProposeList: propose_list,
    c.GetCheckpoint: get_checkpoint,
    c.ListEntries: list_entries,
    c.ProveEntry: prove_entry,
}

USE_CASES = {kind: told(kind, verb) for kind, verb in _VERBS.items()}
"""Command to the function that answers it."""

__all__ = [
    "LINK",
    "USE_CASES",
    "Astray",
    "Ports",
    "Replayed",
    "Shelf",
    "accept_restore",
    "activate",
    "against_state",
    "alone",
    "astray",
    "begin_submit",
    "call_back",
    "checkpoint",
    "create_log",
    "deliver",
    "filled",
    "find_version",
    "has_admin",
    "lacking",
    "let_go",
    "mend",
    "read_policy",
    "recognise",
    "refused",
    "replay",
    "rolled_back",
    "sweep",
    "take_file",
    "tick",
    "try_again",
]
