"""A refused command is in the log too, for whoever is known by a session or token."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from handrail.access import Denied, Hidden
from handrail.flow.ports import Ports
from handrail.flow.records import note
from handrail.flow.who import enter
from handrail.model.commands import Command
from handrail.model.errors import HandrailError
from handrail.model.people import Actor, Via
from handrail.ports import Transaction

KEPT_A_MINUTE = 5
"""Entries a credential and command: who tries on and on does not fill the log."""

Verb = Callable[[Any, Actor, Ports], Any]


def told(kind: type[Command], verb: Verb) -> Verb:
    """`verb`, with an audit entry for each refusal."""

    def call(command: Any, actor: Actor, ports: Ports) -> Any:
        try:
            return verb(command, actor, ports)
        except HandrailError as error:
            refused(error, kind, actor, ports)
            raise

    call.__name__, call.__doc__ = verb.__name__, verb.__doc__
    return call


def refused(error: Exception, kind: type[Command], actor: Actor, ports: Ports) -> None:
    """A command ended with this error: where `actor` may not do it, that is recorded."""
    if isinstance(error, Denied | Hidden):
        tell(kind, actor, ports)


def tell(kind: type[Command], actor: Actor, ports: Ports) -> None:
    """Record that `actor` was refused `kind`. The refusal stands even where that fails."""
    if actor.via not in (Via.SESSION, Via.TOKEN):
        return

    def use_case(tx: Transaction) -> None:
        minute = tx.now() - tx.now() % 60_000_000
        key = f"{actor.credential}/{kind.__name__}"
        so_far, _ = tx.counters.read("*/refused", key, minute, minute + 1)
        if so_far >= KEPT_A_MINUTE:
            return
        who = enter(tx, actor)
        tx.counters.add("*/refused", key, minute, 1, 0)
        token = who.token.id if who.token is not None else None
        note(tx, "access.refused", who.id, command=kind.__name__, token=token)

    with contextlib.suppress(HandrailError):
        ports.store.write(use_case)
