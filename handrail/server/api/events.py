"""Events: observations that aggregates read."""

from handrail.model.commands import Record
from handrail.server.endpoint import endpoints

handlers = endpoints(Record)
