"""Policies as they rule."""

from handrail.model.commands import GetPolicy, ListPolicies
from handrail.server.endpoint import endpoints

handlers = endpoints(GetPolicy, ListPolicies)
