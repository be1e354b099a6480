"""Every error Handrail raises on purpose, in one tree.

    HandrailError
    ├── BadInput            what was given cannot be used; `pointer` says where
    │   └── PolicyErrors    a policy file with every mistake in it, each with line and column
    ├── Refused             the gate, a right or the stop button said no
    │   └── Unknown         who asks is not known: nothing was shown, or it holds no longer
    ├── Held                a review is open and the caller asked not to wait; carries the ruling
    ├── NotAllowed          the outcome is a "no"; carries the outcome
    ├── WaitTimeout         no outcome within the time asked for; nothing was changed
    ├── AlreadyRun          the grant was redeemed before; carries the receipt
    ├── Conflict            somebody or something was first; carries the winner
    ├── NotFound            no such decision, review, grant, workflow or person
    └── Unavailable         the store or server cannot answer now; never means "allowed"
        └── TooMany         too much was asked in a short time; `retry_after` says when again

Each message says what is, what was expected and what to do next.
"""

from __future__ import annotations

from typing import Any


class HandrailError(Exception):
    """Base of all deliberate errors. `exit_code` is what the command line returns for it."""

    exit_code = 2
    status = 400
    title = "Bad request"

    def __reduce__(self) -> tuple[Any, ...]:
        # The constructors take nouns, not the message: pickle what came of them.
        return _restore, (type(self), self.args, dict(self.__dict__))

    def details(self) -> dict[str, Any]:
        """What a problem document or `--json` adds to the message."""
        return {}


def _restore(
    kind: type[HandrailError], args: tuple[Any, ...], state: dict[str, Any]
) -> HandrailError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class BadInput(HandrailError):
    """Input that cannot be used. Nothing of it was stored.

    `pointer` is an RFC 6901 JSON pointer into what was given, `""` for the whole of it.
    """

    exit_code = 2
    status = 400
    title = "Bad input"

    def __init__(self, message: str, pointer: str = "", *, status: int | None = None) -> None:
        super().__init__(f"{pointer}: {message}" if pointer else message)
        self.message = message
        self.pointer = pointer
        if status is not None:
            self.status = status

    def details(self) -> dict[str, Any]:
        return {"pointer": self.pointer}


class Mistake:
    """One mistake in a policy file: place, what is, what was expected, what to do."""

    __slots__ = ("column", "expected", "fix", "line", "path", "what")

    def __init__(
        self, *, path: str, line: int, column: int, what: str, expected: str = "", fix: str = ""
    ) -> None:
        self.path = path
        self.line = line
        self.column = column
        self.what = what
        self.expected = expected
        self.fix = fix

    def __str__(self) -> str:
        parts = [part for part in (self.what, self.expected, self.fix) if part]
        return f"{self.path}:{self.line}:{self.column}: " + "; ".join(parts)

    def __repr__(self) -> str:
        return f"Mistake({str(self)!r})"


class PolicyErrors(BadInput):
    """All mistakes of one policy file at once, in the order of the file."""

    title = "Policy not accepted"
    status = 422

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda m: (m.path, m.line, m.column))
        super().__init__("\n".join(str(m) for m in self.mistakes))

    def details(self) -> dict[str, Any]:
        return {
            "mistakes": [
                {"path": m.path, "line": m.line, "column": m.column, "message": str(m)}
                for m in self.mistakes
            ]
        }


class Refused(HandrailError):
    """A right is missing, or the gate or stop button said no."""

    exit_code = 3
    status = 403
    title = "Refused"


class Unknown(Refused):
    """Who asks is not known: no token, session or password was shown, or it holds no longer."""

    status = 401
    title = "Unknown caller"


class Held(HandrailError):
    """The decision waits for a person and the caller asked not to wait. Carries `ruling`."""

    exit_code = 1
    status = 409
    title = "Held"

    def __init__(self, ruling: Any) -> None:
        super().__init__(
            f"{ruling.decision_id} is held for a person ({ruling.mode}); "
            f"wait for it with `wait({ruling.decision_id!r})`"
        )
        self.ruling = ruling


class NotAllowed(HandrailError):
    """The outcome does not allow the effect. Carries `outcome`."""

    exit_code = 1
    status = 409
    title = "Not allowed"

    def __init__(self, outcome: Any) -> None:
        super().__init__(f"{outcome.decision_id} was {outcome.verdict}: {outcome.why}")
        self.outcome = outcome


class WaitTimeout(HandrailError):
    """No outcome within the time asked for. The decision is unchanged and can be waited for."""

    exit_code = 4
    status = 504
    title = "Timed out"


class AlreadyRun(HandrailError):
    """The grant was redeemed before, so the effect must not start again. Carries `receipt`."""

    exit_code = 3
    status = 409
    title = "Already run"

    def __init__(self, message: str, receipt: Any = None) -> None:
        super().__init__(message)
        self.receipt = receipt

    def details(self) -> dict[str, Any]:
        return {} if self.receipt is None else {"receipt": self.receipt}


class Conflict(HandrailError):
    """Somebody or something was first, or what was seen has moved. Carries `winner`.

    `winner` names who or what won: for a lost vote `by`, `verdict` and `at`.
    """

    exit_code = 3
    status = 409
    title = "Conflict"

    def __init__(self, message: str, winner: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.winner = winner or {}

    def details(self) -> dict[str, Any]:
        return {"winner": self.winner}


class NotFound(HandrailError):
    """No such thing, or none the asker may know of."""

    exit_code = 2
    status = 404
    title = "Not found"


class Unavailable(HandrailError):
    """The store or server cannot answer now. Never means that something is allowed."""

    exit_code = 4
    status = 503
    title = "Unavailable"


class TooMany(Unavailable):
    """Too much was asked in a short time. `retry_after` is seconds until it is worth trying."""

    status = 429
    title = "Too many requests"

    def __init__(self, message: str, retry_after: int = 60) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def details(self) -> dict[str, Any]:
        return {"retry_after": self.retry_after}
