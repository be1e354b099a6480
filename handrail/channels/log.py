"""The log channel: every notice as one line of the program's log."""

from __future__ import annotations

import json
import logging

from handrail.model.feedback import Notice


class LogChannel:
    """Tells whoever reads the log. Persons stay the opaque ids that the notice carries."""

    name = "log"

    def __init__(self) -> None:
        self._log = logging.getLogger("handrail.notices")

    def deliver(self, notice: Notice) -> None:
        """Write the notice at level INFO, with its fields as `extra`."""
        self._log.info(
            "%s to %s: %s",
            notice.topic,
            ", ".join(notice.to) or "nobody",
            json.dumps(notice.text, ensure_ascii=False),  # no text of others starts a new line
            extra={
                "notice": notice.id,
                "review": notice.review,
                "decision": notice.decision_id,
                "attempt": notice.attempts + 1,
            },
        )
