"""Policies: what rules, what would change, and how they came to be."""

from handrail.model.commands import (
    DiffPolicies,
    GetPolicy,
    ListPolicies,
    PolicyHistory,
    ProposePolicy,
)
from handrail.server.endpoint import endpoints

handlers = endpoints(ListPolicies, GetPolicy, DiffPolicies, PolicyHistory, ProposePolicy)
