"""Submit, wait and run around a function."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import inspect
import re
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from handrail.client.convert import wire, wire_object
from handrail.model.canonical import canonical_bytes
from handrail.model.commands import Submit, WaitOutcome, read_command
from handrail.model.decoding import convert
from handrail.model.errors import AlreadyRun, BadInput, Conflict, Held, NotAllowed
from handrail.model.modes import Lane
from handrail.model.outcome import Outcome
from handrail.model.wire import time_text

if TYPE_CHECKING:
    from handrail.client.client import Client

F = TypeVar("F", bound=Callable[..., Any])


class Asked(typing.NamedTuple):
    """One guarded call: what it was called with, and what was made of that."""

    call: inspect.BoundArguments
    command: Submit
    form: bytes
    """Canonical bytes of facts and proposal; they move when an argument is changed."""


class Guard:
    """Wraps functions; see `Client.guard`. Holds no state of any call."""

    def __init__(
        self,
        client: Client,
        *,
        workflow: str,
        key: Callable[..., str],
        facts: Callable[..., Any] | None,
        edit: tuple[str, ...],
        confidence: float | Callable[..., Any] | None,
        requester: str | Callable[..., str] | None,
        on_hold: str,
        on_reject: str,
        timeout: float | None,
    ) -> None:
        if not callable(key):
            raise BadInput(
                f"key is {key!r}; expected a function of the arguments that names this one "
                'effect, such as `key=lambda order: f"refund:{order}"`',
                "/key",
            )
        if on_hold not in ("wait", "raise"):
            raise BadInput(f"on_hold is {on_hold!r}; expected wait or raise", "/on_hold")
        if on_reject not in ("raise", "say"):
            raise BadInput(f"on_reject is {on_reject!r}; expected raise or say", "/on_reject")
        self._client = client
        self._workflow = workflow
        self._key = key
        self._facts = facts
        self._edit = edit
        self._confidence = confidence
        self._requester = requester
        self._raise_held = on_hold == "raise"
        self._say = on_reject == "say"
        self._timeout = timeout

    def __call__(self, function: F) -> F:
        signature = inspect.signature(function)
        self._check(function, signature)
        hints = _hints(function)
        client = self._client

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            asked = self._ask(signature.bind(*args, **kwargs))
            with contextlib.ExitStack() as stack:
                try:
                    outcome = self._decided(asked)
                    call = self._approved(asked, outcome, hints)
                    stack.enter_context(client.run(outcome))
                except (NotAllowed, AlreadyRun) as error:
                    return self._answer(error, asked)
                return function(*call.args, **call.kwargs)

        @functools.wraps(function)
        async def guarded_async(*args: Any, **kwargs: Any) -> Any:
            asked = self._ask(signature.bind(*args, **kwargs))
            async with contextlib.AsyncExitStack() as stack:
                try:
                    outcome = await client.aio.do(self._decided, asked)
                    call = self._approved(asked, outcome, hints)
                    await stack.enter_async_context(client.aio.run(outcome))
                except (NotAllowed, AlreadyRun) as error:
                    return self._answer(error, asked)
                return await function(*call.args, **call.kwargs)

        wrapper: Any = guarded_async if inspect.iscoroutinefunction(function) else guarded
        wrapper.__signature__ = signature
        return wrapper  # type: ignore[no-any-return]

    def _check(self, function: Callable[..., Any], signature: inspect.Signature) -> None:
        name = getattr(function, "__qualname__", repr(function))
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise BadInput(
                f"{name} is a generator: calling it runs nothing yet; guard the function that "
                "has the effect"
            )
        parameters = signature.parameters
        for edited in self._edit:
            found = parameters.get(edited)
            if found is None or found.kind in (found.VAR_POSITIONAL, found.VAR_KEYWORD):
                raise BadInput(
                    f"edit names {edited!r}, which is no parameter of {name}{signature}; "
                    "name parameters that people may change",
                    "/edit",
                )
        for which in ("key", "facts", "confidence", "requester"):
            given = getattr(self, f"_{which}")
            if callable(given):
                _arguments_for(given, dict.fromkeys(parameters), which, name)

    def _ask(self, call: inspect.BoundArguments) -> Asked:
        """The decision that this call is, from its arguments as they are now."""
        call.apply_defaults()
        arguments = call.arguments

        def of(given: Any, which: str) -> Any:
            if not callable(given):
                return given
            return given(**_arguments_for(given, arguments, which, self._workflow))

        facts, proposal = self._content(call)
        key = of(self._key, "key")
        if not isinstance(key, str) or not key:
            raise BadInput(f"key made {key!r}; expected text that names this one effect", "/key")
        command = read_command(
            Submit,
            {
                "workflow": self._workflow,
                "facts": facts,
                "proposal": proposal,
                "key": wire(key, "/key"),
                "requester": wire(of(self._requester, "requester"), "/requester"),
                "confidence": wire(of(self._confidence, "confidence"), "/confidence"),
            },
        )
        return Asked(call, command, canonical_bytes([facts, proposal]))

    def _content(self, call: inspect.BoundArguments) -> tuple[dict[str, Any], dict[str, Any]]:
        arguments = call.arguments
        proposal = {name: wire(arguments[name], f"/proposal/{name}") for name in self._edit}
        if self._facts is not None:
            chosen = _arguments_for(self._facts, arguments, "facts", self._workflow)
            return wire_object(self._facts(**chosen), "/facts"), proposal
        first = next(iter(call.signature.parameters), None)
        facts = {
            name: wire(value, f"/facts/{name}")
            for name, value in arguments.items()
            if name not in self._edit and not (name == first and name in ("self", "cls"))
        }
        return facts, proposal

    def _decided(self, asked: Asked) -> Outcome[Any]:
        """Submit and wait. Raises `NotAllowed` for a "no"."""
        client = self._client
        ruling = client.call(asked.command)
        if self._raise_held and ruling.lane is Lane.HOLD:
            outcome = client.call(WaitOutcome(decision_id=ruling.decision_id))
            if outcome is None:
                raise Held(ruling)
        else:
            outcome = client.wait(ruling, timeout=self._timeout)
        if not outcome.allowed:
            raise NotAllowed(outcome)
        return outcome  # type: ignore[no-any-return]

    def _approved(
        self, asked: Asked, outcome: Outcome[Any], hints: dict[str, Any]
    ) -> inspect.BoundArguments:
        """The call with the approved values in it; everything else as the caller gave it."""
        facts, proposal = self._content(asked.call)
        if canonical_bytes([facts, proposal]) != asked.form:
            raise Conflict(
                f"an argument of {self._workflow} was changed after it was submitted, so what "
                f"was decided about {outcome.decision_id} is not what would run; nothing ran: "
                "hand over copies, and submit the new values under a new key"
            )
        approved = outcome.value or {}
        beyond = [name for name in approved if name not in self._edit]
        if beyond:
            raise Conflict(
                f"the approved value of {outcome.decision_id} has {beyond[0]!r}, which is not "
                f"among the parameters that may be edited ({', '.join(self._edit) or 'none'}); "
                "nothing ran: name it in `edit`"
            )
        arguments = asked.call.arguments
        changed = {
            name: _back(approved[name], arguments[name], hints.get(name), f"/proposal/{name}")
            for name in self._edit
            if name in approved and approved[name] != proposal[name]
        }
        return inspect.BoundArguments(asked.call.signature, {**arguments, **changed})

    def _answer(self, error: NotAllowed | AlreadyRun, asked: Asked) -> str:
        if not self._say:
            raise error
        if isinstance(error, NotAllowed):
            outcome = error.outcome
            who = f" by {outcome.by}" if outcome.by else ""
            reason = f" (reason: {outcome.reason})" if outcome.reason else ""
            why = f" {outcome.why}" if outcome.why else ""
            return (
                f"Not done: {self._workflow} was {outcome.verdict}{who}{reason}.{why} "
                "Do not try it again with the same arguments."
            )
        receipt = error.receipt
        when = receipt and (receipt.finished_at or receipt.started_at)
        at = f" at {time_text(when)}" if when else ""
        state = f" ({receipt.state})" if receipt else ""
        return (
            f"Not done again: {self._workflow} {asked.command.key} was already run{at}{state}. "
            "It is never repeated under the same key."
        )


def _arguments_for(
    function: Callable[..., Any], arguments: typing.Mapping[str, Any], which: str, name: str
) -> dict[str, Any]:
    """Those of `arguments` that `function` names."""
    chosen: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            return dict(arguments)
        if parameter.name in arguments and parameter.kind is not parameter.POSITIONAL_ONLY:
            chosen[parameter.name] = arguments[parameter.name]
        elif (
            parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
        ):
            raise BadInput(
                f"{which} asks for {parameter.name!r}, which is no parameter of {name}; it has "
                f"{', '.join(arguments) or 'none'}",
                f"/{which}",
            )
    return chosen


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # an annotation that cannot be resolved says nothing about the call
        return {}


_SECONDS = re.compile(r"(-?\d+(?:\.\d+)?)s")


def _back(value: Any, given: Any, hint: Any, pointer: str) -> Any:
    """An approved wire value as the Python type the function wants: its hint, or what was given."""
    if hint is None or hint is Any:
        hint = type(given)
        if given is None or (type(given) in (int, float) and type(value) in (int, float)):
            return value
    try:
        if hint is dt.timedelta and (seconds := _SECONDS.fullmatch(str(value))):
            return dt.timedelta(seconds=float(seconds[1]))
        return convert(value, hint, strict=False, dec_hook=_construct)
    except Exception as error:
        raise BadInput(
            f"the approved value {value!r} cannot be made {hint!r} ({error}); nothing ran: "
            "correct the parameter's type hint",
            pointer,
        ) from error


def _construct(kind: type[Any], value: Any) -> Any:
    validate = getattr(kind, "model_validate", None)
    return kind(value) if validate is None else validate(value)
