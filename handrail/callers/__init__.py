"""Wake the program that waits for us, wherever it runs."""

from handrail.callers.webhook import Guard, WebhookCaller

__all__ = ["Guard", "WebhookCaller"]
