"""The run: spend an outcome's single-use grant around the effect, and say how it ended."""

from __future__ import annotations

import secrets
from types import TracebackType
from typing import Generic, TypeVar

from handrail.client.transport import Transport
from handrail.model.commands import Confirm, Redeem
from handrail.model.errors import NotAllowed, Unavailable
from handrail.model.outcome import Outcome, Receipt, Redeemed
from handrail.model.people import Actor

V = TypeVar("V")

ERROR_CHARS = 500
"""Most characters of an effect's error that a receipt keeps."""


class Run(Generic[V]):
    """One run of an allowed effect, as a context manager.

        with hr.run(outcome) as run:
            if run:
                launch(**run.value, idempotency_key=run.key)

    Entering redeems the grant; leaving confirms that the effect is done, or failed with the error
    that is on its way out, whatever it is. False, and nothing is redeemed, where the outcome does
    not allow the effect. Raises `AlreadyRun` with the receipt where the grant was redeemed before.
    """

    def __init__(
        self, transport: Transport, actor: Actor, outcome: Outcome[V], lease_seconds: float
    ) -> None:
        self._transport = transport
        self._actor = actor
        self._outcome = outcome
        self._lease_seconds = lease_seconds
        self._name = secrets.token_hex(16)
        self._redeemed: Redeemed | None = None
        self.receipt: Receipt | None = None
        """Record of the run; None until it has ended."""

    def __bool__(self) -> bool:
        return self._redeemed is not None

    @property
    def value(self) -> V:
        """What was approved, edits included. Raises `NotAllowed` where nothing may run."""
        return self._spent().value  # type: ignore[no-any-return]

    @property
    def key(self) -> str:
        """The grant's id: hand it to the effect as its idempotency key."""
        return self._spent().grant_id

    @property
    def digest(self) -> str:
        """Digest of what was approved, which is what runs."""
        return self._spent().digest

    def _spent(self) -> Redeemed:
        if self._redeemed is None:
            if self._outcome.allowed:
                raise RuntimeError(
                    "nothing is redeemed yet; enter it: `with hr.run(outcome) as run:`"
                )
            raise NotAllowed(self._outcome)
        return self._redeemed

    def __enter__(self) -> Run[V]:
        if self._redeemed is not None or self.receipt is not None:
            raise RuntimeError("this run was entered before; call `hr.run(outcome)` for each")
        if not self._outcome.allowed:
            return self
        if self._outcome.grant_id is None:
            raise Unavailable(
                f"the outcome of {self._outcome.decision_id} carries no grant; "
                "wait for the released one with `hr.wait`"
            )
        self._redeemed = self._transport.call(
            Redeem(
                grant_id=self._outcome.grant_id,
                digest=self._outcome.digest,
                run=self._name,
                lease_seconds=self._lease_seconds,
            ),
            self._actor,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._redeemed is None:
            return
        confirm = Confirm(
            grant_id=self._redeemed.grant_id,
            run=self._name,
            done=error is None,
            error=None if error is None else error_text(error),
        )
        try:
            self.receipt = self._transport.call(confirm, self._actor)
        except Exception as lost:
            if error is None:
                raise Unavailable(
                    f"the effect of {self._outcome.decision_id} ran, and that could not be "
                    f"recorded ({lost}); the run becomes in doubt when its lease ends: a person "
                    "says `it happened`, do not run it again"
                ) from lost
            error.add_note(
                f"Handrail could not record that this run failed ({lost}); it becomes in doubt "
                "when its lease ends, for a person to settle."
            )


def error_text(error: BaseException) -> str:
    """Type and message of `error`, cut to what a receipt keeps."""
    message = str(error)
    name = type(error).__qualname__
    text = f"{name}: {message}" if message else name
    # A lone surrogate in somebody's message must not lose the receipt.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= ERROR_CHARS else text[: ERROR_CHARS - 1] + "…"
