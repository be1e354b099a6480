"""The stop button."""

from handrail.model.commands import ClearStop, ListStops, SetStop
from handrail.server.endpoint import endpoints

handlers = endpoints(ClearStop, ListStops, SetStop)
