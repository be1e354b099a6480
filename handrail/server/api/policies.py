"""Policies: what rules, what would change, and how they came to be."""

from handrail.model.commands import (
    ApplyPolicy,
    DiffPolicies,
    GetPolicy,
    ListLists,
    ListPolicies,
    ListTrials,
    PolicyHistory,
    ProposeList,
    ProposePolicy,
)
from handrail.server.endpoint import endpoints

handlers = endpoints(
    ListPolicies,
    GetPolicy,
    DiffPolicies,
    PolicyHistory,
    ProposePolicy,
    ApplyPolicy,
    ListLists,
    ProposeList,
    ListTrials,
)
