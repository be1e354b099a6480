"""Handrail puts people exactly where they change outcomes, and proves it.

hr = handrail.open("work/")
ruling = hr.submit("refund", key="r-17", facts={"order": "17"}, proposal={"amount": 120})
with hr.run(hr.wait(ruling)) as run:
    if run:
        refund(**run.value, idempotency_key=run.key)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from handrail import errors, webhooks
    from handrail.client import Client
    from handrail.model.decision import Decision
    from handrail.model.outcome import Outcome
    from handrail.model.ruling import Ruling

__version__ = "0.1.0"

__all__ = [
    "Client",
    "Decision",
    "Outcome",
    "Ruling",
    "__version__",
    "connect",
    "errors",
    "open",
    "webhooks",
]

_LAZY = {
    "Client": "handrail.client",
    "Decision": "handrail.model.decision",
    "Outcome": "handrail.model.outcome",
    "Ruling": "handrail.model.ruling",
}


def open(path: str | os.PathLike[str], *, name: str = "local", desk: bool | None = None) -> Client:
    """A client of the workspace in the folder `path`, which is made where there is none.

    The first process that opens a workspace owns it: it runs the store and the deadlines until it
    closes the client or ends. Every later one is a client of it, with the same calls; when the
    owner is gone, the next that asks takes its place. `name` is what this program is called in what
    it submits (no `@`: that is for persons).

    The owner serves the desk on this machine: it begins when the first decision waits for a person,
    and a link that opens it, once, is printed to stderr. `desk=True` begins at once; `desk=False`,
    or HANDRAIL_DESK=false, serves none.

    Raises `Unavailable` where the workspace cannot be opened.
    """
    from handrail.app import open_workspace
    from handrail.model.people import Actor
    from handrail.server.embedded import desk_of
    from handrail.server.local import serve
    from handrail.settings import read_settings

    settings = read_settings()
    return open_workspace(
        path, actor=Actor(name=name), serve=serve, settings=settings, desk=desk_of(desk, settings)
    )


def connect(url: str | None = None, token: str | None = None, *, name: str = "local") -> Client:
    """A client of the server at `url`, with the same calls as `open`.

    `url` and `token` default to the environment's HANDRAIL_URL and HANDRAIL_TOKEN.
    """
    from handrail.app import connect as connect_to
    from handrail.model.people import Actor

    return connect_to(url, token, actor=Actor(name=name))


def __getattr__(name: str) -> Any:
    # `import handrail` is cheap; what is asked for is loaded then.
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in ("errors", "webhooks"):
        return importlib.import_module(f"handrail.{name}")
    raise AttributeError(f"module 'handrail' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
