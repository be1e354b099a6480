"""Composition root: the only module that knows every room.

`open_workspace` gives a client of an embedded workspace, whoever owns it; `connect` one of a server
far away. `Workspace.own` is for who needs the workspace itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from handrail.app.service import Service
from handrail.app.signals import Signals
from handrail.app.transport import LocalTransport
from handrail.app.workspace import OpenDesk, Paths, Serve, Serving, Workspace, owner_of
from handrail.client import Client
from handrail.model.errors import BadInput
from handrail.model.people import Actor
from handrail.ports import Channel, Steps, no_steps
from handrail.settings import Settings, read_settings

LOCAL = Actor(name="local")


def open_workspace(
    path: str | os.PathLike[str],
    *,
    actor: Actor = LOCAL,
    serve: Serve | None = None,
    settings: Settings | None = None,
    clock: Callable[[], int] | None = None,
    steps: Steps = no_steps,
    channels: Sequence[Channel] | None = None,
    desk: OpenDesk | None = None,
) -> Client:
    """A client of the workspace in the folder `path`, made where there is none.

    The first process to open it owns it until it closes; later ones are its clients and find it by
    the server that `serve` starts. Without `serve` nobody can join: others wait until it is closed.
    `desk` makes the desk that the owner serves on its machine.
    Raises `Unavailable` where another owner lets nobody in within `settings.start_seconds`.
    """
    settings = read_settings() if settings is None else settings
    folder = Path(path).expanduser().absolute()
    Paths(folder).make()

    def own() -> Workspace | None:
        return Workspace.own(
            folder,
            serve=serve,
            settings=settings,
            clock=clock,
            steps=steps,
            channels=channels,
            desk=desk,
        )

    return Client(LocalTransport(folder, own, settings.start_seconds), actor)


def connect(url: str | None = None, token: str | None = None, *, actor: Actor = LOCAL) -> Client:
    """A client of the server at `url`; see `handrail.connect`."""
    from handrail.client.http import HttpTransport

    url = url or os.environ.get("HANDRAIL_URL")
    token = token or os.environ.get("HANDRAIL_TOKEN")
    if not url:
        raise BadInput("no server is named; pass its address, or set HANDRAIL_URL", "/url")
    return Client(HttpTransport(url, token=token), actor)


__all__ = [
    "LOCAL",
    "LocalTransport",
    "OpenDesk",
    "Paths",
    "Serve",
    "Service",
    "Serving",
    "Signals",
    "Workspace",
    "connect",
    "open_workspace",
    "owner_of",
]
