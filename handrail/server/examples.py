"""An example of every request that has a body, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from handrail.model import commands as c

_DECISION = "d_01m7z2zvsxb1x6jwdbj58p2mwy"
_FACTS = {"campaign_id": "4711", "channel": "search", "utm_source": "google"}
_RUN = "8f14e45fceea167a5a36dedd4bea2543"

EXAMPLES: dict[type[c.Command], dict[str, Any]] = {
    c.Submit: {
        "workflow": "campaign-launch",
        "key": "cmp-4711",
        "requester": "ann@example.com",
        "facts": _FACTS,
        "proposal": {"daily_budget": 14000},
        "confidence": 0.91,
        "model": "budgeter@3.2",
    },
    c.SubmitBatch: {
        "rows": [
            {
                "workflow": "campaign-launch",
                "key": "cmp-4711",
                "facts": _FACTS,
                "proposal": {"daily_budget": 14000},
            }
        ]
    },
    c.Preview: {
        "workflow": "campaign-launch",
        "facts": _FACTS,
        "proposal": {"daily_budget": 14000},
    },
    c.WaitOutcomes: {"decision_ids": [_DECISION], "wait": 30},
    c.Withdraw: {"reason": "the campaign was cancelled"},
    c.Reverse: {"reason": "the budget was a typing mistake"},
    c.AddLabel: {"source": "finance", "wrong": True, "loss": "120.00"},
    c.Record: {
        "rows": [
            {
                "key": "4711/2026-11-29",
                "at": "2026-11-29",
                "facts": {"account": "a-17", "spend": "812.40", "leads": 14},
            }
        ]
    },
    c.Redeem: {"digest": "sha256:" + "0" * 64, "run": _RUN, "lease_seconds": 300},
    c.Confirm: {"run": _RUN, "done": True},
    c.Resolve: {"answer": "happened", "note": "seen in the ad account"},
    c.Claim: {"workflow": "campaign-launch"},
    c.CastVote: {
        "said": "edit",
        "card": "card:0",
        "edits": {"daily_budget": 9000},
        "reason": "runaway",
    },
    c.Undo: {"reason": "wrong key"},
    c.Escalate: {"reason": "runaway", "to": ["role:director"]},
    c.Ask: {"comment": "Is this the spring campaign?"},
    c.Snooze: {"seconds": 3600},
    c.Assign: {"to": "team:budget"},
    c.Comment: {"comment": "The client called about it."},
    c.SetStop: {"workflow": "campaign-launch", "reason": "the price feed is wrong"},
    c.ClearStop: {"workflow": "campaign-launch", "reason": "the price feed is right again"},
    c.SetPerson: {"handle": "ann@example.com", "holds": ["team:budget"], "limits": {"*": "50000"}},
    c.ApplyPolicy: {
        "text": "handrail: 1\nworkflow: campaign-launch\n…",
        "author": "ann@example.com",
        "approved_by": "bob@example.com",
        "reference": "https://git.example/policies/merge/418",
        "reason": "the cap of 2027",
    },
    c.ProposeList: {
        "list": "sources",
        "add": ["bing"],
        "days": 90,
        "reason": "a new partner, contract of May",
    },
    c.ProposePolicy: {
        "reason": "half of the holds of last month were approved as they were",
        "evidence": {
            "kind": "backtest",
            "summary": "1,000 decisions: 31 fewer holds, no known error missed",
            "figures": {"holds_before": 84, "holds_after": 53, "missed": [0, 0.11]},
        },
    },
    c.MakeToken: {
        "name": "budgeter",
        "scopes": ["decisions:submit"],
        "workflows": ["campaign-launch"],
        "days": 90,
    },
    c.RevokeToken: {},
    c.Invite: {"handle": "ann@example.com", "holds": ["team:budget"]},
    c.MakeFirstAdmin: {},
    c.MakeLink: {"handle": "ann@example.org"},
    c.AcceptInvitation: {"secret": "hri_…", "password": "three grey herons wait"},
    c.SignIn: {"handle": "ann@example.com", "password": "three grey herons wait"},
    c.FollowLink: {"secret": "hrl_…"},
    c.SignInWith: {"issuer": "https://login.example", "subject": "248289761001"},
    c.SignOut: {"everywhere": False},
    c.ChangePassword: {"old": "three grey herons wait", "new": "four brown bears sleep"},
}
"""Fields that stand in the path are left out."""
