"""Grants: redeemed, confirmed, and settled by a person where a run is in doubt."""

from handrail.model.commands import Confirm, ListDoubts, Redeem, Resolve
from handrail.server.endpoint import endpoints

handlers = endpoints(Confirm, ListDoubts, Redeem, Resolve)
