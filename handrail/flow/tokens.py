"""API tokens: keys of programs, each with scopes, in the workflows it is bound to."""

from __future__ import annotations

from msgspec.structs import replace

from handrail.access import SCOPES, allow
from handrail.flow.ports import Ports
from handrail.flow.records import note
from handrail.flow.secret import SHOWN, TOKEN, hash_of, new_secret
from handrail.flow.who import enter
from handrail.model.access import Token
from handrail.model.commands import ListTokens, MadeToken, MakeToken, RevokeToken
from handrail.model.errors import BadInput, NotFound
from handrail.model.ids import new_id
from handrail.model.people import Actor
from handrail.model.wire import check_wire
from handrail.ports import Transaction

DAY_US = 24 * 3600 * 1_000_000
TAKEN = frozenset({"gate", "local", "silence", "system"})
"""Names that mean somebody else where decisions and the log name who acted."""


def make_token(command: MakeToken, actor: Actor, ports: Ports) -> MadeToken:
    """A new token, and its secret this once."""
    _check(command)
    secret = new_secret(TOKEN)

    def use_case(tx: Transaction) -> MadeToken:
        who = enter(tx, actor)
        allow(who, MakeToken)
        now = tx.now()
        token = Token(
            id=new_id("t", now),
            name=command.name,
            prefix=secret[:SHOWN],
            scopes=tuple(dict.fromkeys(command.scopes)),
            workflows=tuple(dict.fromkeys(command.workflows)),
            made_by=who.id,
            made_at=now,
            expires_at=None if command.days is None else now + command.days * DAY_US,
        )
        tx.access.add_token(token, hash_of(secret))
        note(
            tx,
            "token.made",
            who.id,
            token=token.id,
            name=token.name,
            scopes=token.scopes,
            workflows=token.workflows,
            expires_at=token.expires_at,
        )
        return MadeToken(token=token, secret=secret)

    return ports.store.write(use_case)


def _check(command: MakeToken) -> None:
    name = command.name
    check_wire(name, "/name")
    if not 1 <= len(name) <= 100 or not name.isprintable() or "@" in name or name != name.strip():
        raise BadInput(
            "a program's name has 1 to 100 plain characters and no @, such as budgeter", "/name"
        )
    if name in TAKEN or name.startswith("p_"):
        raise BadInput(f"{name!r} means somebody else in decisions and the log", "/name")
    if not command.scopes:
        raise BadInput(f"name what it may do, of: {', '.join(SCOPES)}", "/scopes")
    for index, scope in enumerate(command.scopes):
        if scope not in SCOPES:
            raise BadInput(
                f"{scope!r} is no scope; there are: {', '.join(SCOPES)}", f"/scopes/{index}"
            )
    if not command.workflows:
        raise BadInput("name the workflows it is for, or * for all", "/workflows")
    for index, workflow in enumerate(command.workflows):
        check_wire(workflow, f"/workflows/{index}")
        if not 1 <= len(workflow) <= 200 or not workflow.isprintable() or "@" in workflow:
            raise BadInput("a workflow's name has 1 to 200 characters", f"/workflows/{index}")
    if command.days is not None and not 1 <= command.days <= 3650:
        raise BadInput("expected 1 to 3,650 days, or null for no end", "/days")


def list_tokens(command: ListTokens, actor: Actor, ports: Ports) -> list[Token]:
    """All tokens, oldest first; no secret can be had from them."""

    def query(tx: Transaction) -> list[Token]:
        allow(enter(tx, actor, meet=False), ListTokens)
        return tx.access.tokens()

    return ports.store.read(query)


def revoke_token(command: RevokeToken, actor: Actor, ports: Ports) -> Token:
    """It lets nobody in from this commit on. A second time changes nothing."""

    def use_case(tx: Transaction) -> Token:
        who = enter(tx, actor)
        allow(who, RevokeToken)
        token = tx.access.token(command.token_id)
        if token is None:
            raise NotFound(f"no token {command.token_id!r}; `handrail tokens` lists them")
        if token.revoked_at is not None:
            return token
        revoked = replace(token, revoked_at=tx.now())
        tx.access.put_token(revoked)
        note(tx, "token.revoked", who.id, token=token.id)
        return revoked

    return ports.store.write(use_case)
