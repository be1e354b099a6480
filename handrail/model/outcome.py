"""The outcome a caller gets, the grant it may spend once, and the receipt of what ran."""

from __future__ import annotations

from typing import Any, Generic, NoReturn, TypeVar

import msgspec

from handrail.model.errors import NotAllowed
from handrail.model.modes import GrantState, Verdict
from handrail.model.noun import Noun
from handrail.model.wire import time_text

V = TypeVar("V")


class Outcome(Noun, Generic[V], frozen=True, kw_only=True):
    """What the caller gets, and why. Final once released."""

    decision_id: str
    verdict: Verdict
    edited: bool = False
    approved: Any = msgspec.field(default=None, name="value")
    """The value that may run; None where nothing may. Read it through `value`."""
    why: str = ""
    """One sentence."""
    reason: str | None = None
    """Reason code the person chose."""
    by: str | None = None
    """Who: a person's handle, `gate`, `silence`, or the caller for a withdrawal."""
    at: int
    """When it was decided (µs UTC)."""
    digest: str
    """RFC 8785 + SHA-256 over workflow, subject, facts and value: what was seen is what runs."""
    release_at: int
    """When the undo time ends and the caller is told (µs UTC)."""
    reverses: str | None = None
    """Decision whose effect this one undoes: `value` is then `{"undo": …}` with what had run."""
    released: bool = False
    grant_id: str | None = None
    """The single-use grant; None unless allowed and released."""

    @property
    def allowed(self) -> bool:
        """Whether the effect may run."""
        return self.verdict.allows

    @property
    def value(self) -> V:
        """What may run, edits included. Raises `NotAllowed` where nothing may."""
        if not self.allowed:
            raise NotAllowed(self)
        return self.approved  # type: ignore[no-any-return]

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "an Outcome is neither true nor false; ask `outcome.allowed`, "
            "or `with hr.run(outcome) as run: if run: …`"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, `allowed` included."""
        return {**msgspec.to_builtins(self), "allowed": self.allowed}

    def _repr_html_(self) -> str:
        from handrail.model.html import html_table

        return html_table(
            f"Outcome of {self.decision_id}",
            [
                ("verdict", self.verdict),
                ("allowed", self.allowed),
                ("value", self.approved),
                ("why", self.why),
                ("reason", self.reason),
                ("by", self.by),
                ("at", time_text(self.at)),
            ],
        )


class Grant(Noun, frozen=True, kw_only=True):
    """Single-use permission to run one effect. Redeemed by compare-and-set."""

    id: str
    """Also the idempotency key handed to the effect."""
    decision_id: str
    state: GrantState
    digest: str
    minted_at: int
    valid_until: int | None = None
    """An unused grant lapses then; None where it does not."""
    redeemed_at: int | None = None
    lease_until: int | None = None
    """A redeemed grant that is not confirmed by then is in doubt."""
    run: str | None = None
    """Name of the run that redeemed it, made by the caller; fences the confirm."""
    by: str | None = None
    """Who redeemed it, as they name themselves."""
    finished_at: int | None = None
    error: str | None = None
    """What the effect raised, where it failed."""
    resolved_by: str | None = None
    """Person id of who settled a doubt."""
    note: str | None = None
    replaced_by: str | None = None
    """The new grant, where a person said: try again."""


class Receipt(Noun, frozen=True, kw_only=True):
    """Record of a run: started, done, failed, in doubt."""

    grant_id: str
    decision_id: str
    state: GrantState
    started_at: int | None
    finished_at: int | None = None
    lease_until: int | None = None
    by: str | None = None
    error: str | None = None


class Redeemed(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a redeem that won: what to run, under which name, until when."""

    grant_id: str
    decision_id: str
    run: str
    value: Any
    digest: str
    lease_until: int
