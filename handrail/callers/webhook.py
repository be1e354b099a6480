"""The webhook caller: posts a signed outcome to the address a decision was submitted with.

Messages follow Standard Webhooks 1.0 (https://www.standardwebhooks.com): the id stays the same
over all attempts, so the receiver can tell a repeat. The address comes from outside, so it is
guarded against server-side request forgery: the name is resolved once, every address it resolves
to is checked, and the connection goes to the address that was checked; redirects are not followed;
time and bytes are capped; private networks need the operator's allow-list.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import httpcore
import msgspec
import standardwebhooks

from handrail.model.errors import BadInput
from handrail.model.feedback import Notice
from handrail.model.outcome import Outcome
from handrail.model.wire import check_address, time_text

OUTCOME = "decision.outcome"
MAX_ANSWER_BYTES = 64 * 1024
"""More of an answer is not read: only its status counts."""

Resolve = Callable[[str, int], list[str]]
"""Addresses (as text) of a host name; the seam where tests play a lying name server."""


class Blocked(Exception):
    """The guard does not let a connection go there."""


class Guard:
    """Where we may connect to: public addresses, and what the operator allows.

    `allow` holds networks (`10.1.0.0/16`, `127.0.0.1/32`) or host names (`hooks.internal`).
    """

    def __init__(self, allow: Iterable[str] = (), resolve: Resolve | None = None) -> None:
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._hosts: set[str] = set()
        for item in allow:
            try:
                self._networks.append(ipaddress.ip_network(item.strip(), strict=False))
            except ValueError:
                self._hosts.add(item.strip().casefold().rstrip("."))
        self._resolve = resolve or _resolve

    def addresses(self, host: str, port: int) -> list[str]:
        """Addresses of `host` that may be connected to. Raises `Blocked` if any may not be.

        One forbidden address among several blocks the name: which one is used next time is the
        name server's choice.
        """
        name = host.casefold().rstrip(".").strip("[]")
        found = self._resolve(name, port)
        if not found:
            raise Blocked(f"{host} has no address")
        if name not in self._hosts:
            for address in found:
                if not self.may_connect(address):
                    raise Blocked(
                        f"{host} is {address}, which is not a public address; the operator can "
                        "allow it in HANDRAIL_CALLBACK_ALLOW"
                    )
        return found

    def may_connect(self, address: str) -> bool:
        """Whether an address is public, or in an allowed network."""
        ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(
            address.partition("%")[0]
        )
        if isinstance(ip, ipaddress.IPv6Address):
            # An IPv4 address in another coat is the IPv4 address.
            inner = ip.ipv4_mapped or ip.sixtofour
            if ip.teredo is not None:
                inner = ip.teredo[1]
            if ip in ipaddress.ip_network("64:ff9b::/96"):
                inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
            if inner is not None:
                ip = inner
        if any(ip in network for network in self._networks):
            return True
        return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _resolve(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Blocked(f"{host} cannot be resolved: {error.strerror or error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Network(httpcore.NetworkBackend):
    """Connects to the address that was checked, never to the name a second time."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        last: Exception | None = None
        for address in self._guard.addresses(host, port):
            try:
                return self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except httpcore.ConnectError as error:
                last = error
        raise last or Blocked(f"{host} has no address")

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        raise Blocked("a webhook never goes to a socket of this machine")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Failed(Exception):
    """The receiver did not take the message; it is tried again."""


class WebhookCaller:
    """Posts outcomes. One message a notice; its id is the notice's over all attempts."""

    name = "webhook"

    def __init__(
        self,
        secret: str,
        *,
        guard: Guard | None = None,
        timeout_seconds: float = 10.0,
        now_seconds: Callable[[], float] = time.time,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`secret` is `whsec_…`; `timeout_seconds` bounds each of connect, write and read."""
        self._sign = standardwebhooks.Webhook(secret)
        self._timeout = timeout_seconds
        self._now = now_seconds
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            network_backend=_Network(guard or Guard()),
            max_keepalive_connections=0,
        )

    def call(self, notice: Notice, address: str, outcome: Outcome[Any]) -> None:
        """Deliver once. Raises `Failed` or `Blocked` with a sentence for the notice's row."""
        now = self._now()
        body = msgspec.json.encode(
            {
                "type": OUTCOME,
                "timestamp": time_text(outcome.at),
                "data": msgspec.to_builtins(outcome),
            }
        )
        moment = datetime.fromtimestamp(int(now), UTC)
        headers: dict[bytes | str, bytes | str] = {
            "content-type": "application/json",
            "user-agent": "handrail",
            "webhook-id": notice.id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": self._sign.sign(notice.id, moment, body.decode()),
        }
        limits = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout)
        try:
            with self._pool.stream(
                "POST",
                check_address(address),
                headers=headers,
                content=body,
                extensions={"timeout": limits},
            ) as answer:
                status = answer.status
                self._drain(answer, now + 3 * self._timeout)
        except Blocked:
            raise
        except BadInput as error:
            raise Failed(error.message) from error
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise Failed(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        if 300 <= status < 400:
            raise Failed(f"answered {status}; redirects are not followed: give the final address")
        if not 200 <= status < 300:
            raise Failed(f"answered {status}; expected 2xx")

    def _drain(self, answer: httpcore.Response, until: float) -> None:
        """Read a little, so that the receiver is not cut off in the middle of a short answer."""
        seen = 0
        for piece in answer.iter_stream():
            seen += len(piece)
            if seen > MAX_ANSWER_BYTES or self._now() > until:
                return

    def close(self) -> None:
        """Close what is open."""
        self._pool.close()
