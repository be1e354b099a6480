"""Decisions: submitted, previewed, listed, waited for, withdrawn, reversed, labelled."""

from handrail.model.commands import (
    AddLabel,
    GetDecision,
    ListDecisions,
    Preview,
    Reverse,
    Submit,
    SubmitBatch,
    WaitOutcome,
    WaitOutcomes,
    Withdraw,
)
from handrail.server.endpoint import endpoints

handlers = endpoints(
    AddLabel,
    GetDecision,
    ListDecisions,
    Preview,
    Reverse,
    Submit,
    SubmitBatch,
    WaitOutcome,
    WaitOutcomes,
    Withdraw,
)
