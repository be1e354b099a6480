"""Tell a person (channels), and keep checkpoints outside the database (anchors)."""

from handrail.channels.anchor import FileAnchor
from handrail.channels.log import LogChannel

__all__ = ["FileAnchor", "LogChannel"]
