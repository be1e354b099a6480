"""What people did with proposals."""

from handrail.model.commands import ListFeedback
from handrail.server.endpoint import endpoints

handlers = endpoints(ListFeedback)
