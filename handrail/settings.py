"""Settings: one frozen value, read once at the edge, units in the names."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping

import msgspec

from handrail.model.decoding import convert


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How an installation behaves. Each has an environment variable `HANDRAIL_` + its name."""

    group_commit_max: int = 256
    """Most use cases one commit may carry."""
    readers: int = 4
    """Read connections of the embedded store."""
    connections: int = 8
    """Most connections of one process to PostgreSQL; two more keep the log and hear news."""
    checkpoint_seconds: float = 60.0
    """A signed checkpoint is anchored at least this often while the log grows."""
    checkpoint_entries: int = 10_000
    """… and at least every so many entries."""
    sweep_seconds: float = 1.0
    """The scheduler looks at deadlines at least this often; due ones wake it earlier."""
    observation_days: float = 60.0
    """What was recorded in a stream is kept at least this long, and as long as a window of an
    active policy reaches back."""
    claim_seconds: float = 600.0
    """How long a seat is kept for its holder."""
    lease_seconds: float = 300.0
    """How long a run may stay unconfirmed before it is in doubt."""
    callback_allow: tuple[str, ...] = ()
    """Private networks (`10.1.0.0/16`) and host names that webhooks may go to; comma-separated."""
    callback_seconds: float = 10.0
    """How long a webhook's receiver may take to connect, to read and to answer, each."""
    session_idle_seconds: float = 2 * 3600.0
    """A person who does nothing for so long is signed out."""
    session_seconds: float = 12 * 3600.0
    """Who signed in so long ago signs in again."""
    db: str = ""
    """Where the workspace's store is: `postgresql://…` for a team; empty: its own SQLite file."""
    public_url: str = ""
    """Address under which people reach the server, such as `https://handrail.example`; with https
    its cookies are sent over TLS only. Empty: the address it listens on."""
    hosts: tuple[str, ...] = ()
    """Further host names a request may name; comma-separated."""
    proxies: tuple[str, ...] = ()
    """Addresses of reverse proxies whose word on the client's address counts; comma-separated."""
    tls_certificate: str = ""
    """File with the server's certificate chain (PEM), where it speaks TLS itself."""
    tls_key: str = ""
    """File with the key of that certificate (PEM)."""
    address_rate: float = 20.0
    """Requests a second of one address that shows no valid token or session; ten times as many at
    once. 0: no limit."""
    credential_rate: float = 500.0
    """Requests a second of one token or session; four times as many at once. 0: no limit."""
    drain_seconds: float = 10.0
    """What is under way gets this long to finish when the server stops."""
    oidc_issuer: str = ""
    """Identity provider that people may sign in with (OpenID Connect), such as
    `https://login.example`."""
    oidc_client: str = ""
    """Name of this server with the identity provider."""
    oidc_secret_file: str = ""
    """File with the secret that goes with it."""
    traces: bool = False
    """Make OpenTelemetry spans of requests and use cases (needs the package
    `opentelemetry-api`, and whatever exports them set up by its own variables)."""
    desk: bool = True
    """Whether a program that opens a workspace serves the desk on this machine once a decision
    waits (`handrail.open(…, desk=…)` says otherwise)."""
    start_seconds: float = 10.0
    """How long a client waits for a workspace's owner to answer."""


def own_name(environ: Mapping[str, str] | None = None) -> str:
    """What the person at this machine is called: HANDRAIL_PERSON, else the user's name.

    Raises `BadInput` where the machine has no name for its user.
    """
    from handrail.model.errors import BadInput

    named = (os.environ if environ is None else environ).get("HANDRAIL_PERSON")
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise BadInput(
            "this machine has no name for its user; say who decides with HANDRAIL_PERSON"
        ) from error


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from `HANDRAIL_…` variables; anything not set keeps its default.

    Raises `BadInput` that names the variable.
    """
    from handrail.model.errors import BadInput

    environ = os.environ if environ is None else environ
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(Settings):
        name = f"HANDRAIL_{field.name.upper()}"
        if name in environ:
            try:
                text: object = environ[name]
                if field.type == tuple[str, ...]:
                    text = [part.strip() for part in environ[name].split(",") if part.strip()]
                found[field.name] = convert(text, field.type, strict=False)
            except msgspec.ValidationError as error:
                raise BadInput(f"{name}={environ[name]!r}: {error}; correct or unset it") from error
    return Settings(**found)  # type: ignore[arg-type]
