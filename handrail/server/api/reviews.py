"""Reviews: listed, claimed, shown, decided, and handed on."""

from handrail.model.commands import (
    Ask,
    Assign,
    CastVote,
    Claim,
    Comment,
    Escalate,
    GetReview,
    ListReviews,
    Snooze,
    Undo,
)
from handrail.server.endpoint import endpoints

handlers = endpoints(
    Ask, Assign, CastVote, Claim, Comment, Escalate, GetReview, ListReviews, Snooze, Undo
)
