"""Who may, and what do they see? Pure. Deny by default."""

from handrail.access.rules import may_act, may_decide
from handrail.access.view import Shown, card_digest, view

__all__ = ["Shown", "card_digest", "may_act", "may_decide", "view"]
