"""A world with people who sign in and programs with tokens; refusals are looked at, not undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from handrail.flow import USE_CASES, Ports, recognise
from handrail.flow.passwords import Passwords
from handrail.model import commands as c
from handrail.model.people import Actor, Via
from handrail.ports import Store, Transaction

from .conftest import PROGRAM, World

T = TypeVar("T")
PASSWORD = "three grey herons wait"
NOBODY = Actor(name="somebody", via=Via.NOBODY)


def quick() -> Passwords:
    """Real argon2id with the smallest parameters it takes."""
    return Passwords(memory_kib=8, rounds=1)


class Undone(Exception):
    """Carries a result out of a transaction that is rolled back."""

    def __init__(self, result: Any) -> None:
        self.result = result


class Trial:
    """A store in which nothing stays: each use case is answered, and rolled back."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, use_case: Callable[[Transaction], T]) -> T:
        def tried(tx: Transaction) -> T:
            raise Undone(use_case(tx))

        try:
            return self._store.write(tried)
        except Undone as undone:
            return undone.result  # type: ignore[no-any-return]

    def write_many(self, use_cases: Iterable[Callable[[Transaction], Any]]) -> list[Any]:
        answers = []
        for use_case in use_cases:
            try:
                answers.append(self.write(use_case))
            except Exception as error:
                answers.append(error)
        return answers

    def read(self, query: Callable[[Transaction], T]) -> T:
        return self._store.read(query)


class Office(World):
    """A world whose people have passwords and whose programs have tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.ports = msgspec.structs.replace(self.ports, passwords=quick())

    def send(self, command: c.Command, actor: Actor = PROGRAM, ports: Ports | None = None) -> Any:
        return USE_CASES[type(command)](command, actor, ports or self.ports)

    def trial(self) -> Ports:
        """Ports with which nothing stays."""
        return msgspec.structs.replace(self.ports, store=Trial(self.store))

    def join(self, handle: str, *holds: str, limits: dict[str, str] | None = None) -> Actor:
        """Somebody who is invited, accepts, and is signed in."""
        link = self.send(c.Invite(handle=handle, holds=holds, limits=limits))
        signed = self.send(c.AcceptInvitation(secret=link.secret, password=PASSWORD), NOBODY)
        return recognise(signed.secret, self.ports)

    def sign_in(self, handle: str, password: str = PASSWORD) -> Actor:
        signed = self.send(c.SignIn(handle=handle, password=password), NOBODY)
        return recognise(signed.secret, self.ports)

    def token(self, name: str, *scopes: str, workflows: tuple[str, ...] = ("refund",)) -> Actor:
        """A program with a token."""
        made = self.send(c.MakeToken(name=name, scopes=scopes, workflows=workflows))
        return recognise(made.secret, self.ports)
