"""The log: its signed head, its entries, proofs."""

from handrail.model.commands import GetCheckpoint, ListEntries, ProveEntry
from handrail.server.endpoint import endpoints

handlers = endpoints(GetCheckpoint, ListEntries, ProveEntry)
