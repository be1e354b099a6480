"""What stands before every handler on the network, from the outside in.

Host named, size announced, rate, who asks, forged forms; and the headers that every answer carries.
Each check answers by itself: nothing behind it runs for a request that does not pass.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from handrail.model.errors import BadInput, HandrailError, Refused, TooMany
from handrail.model.problem import CONTENT_TYPE, problem_of
from handrail.model.wire import MAX_BODY_BYTES
from handrail.server.limits import Buckets

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_FORM_BYTES = 256 * 1024
"""A form is read up to here to find its token."""
CSRF_FIELD, CSRF_HEADER = "csrf_token", "x-csrf-token"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
API = "/api/"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy of an answer that brings none of its own: no script at all."""

HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    b"cache-control": b"no-store",
}
"""Of every answer that does not say otherwise itself."""

HSTS = b"max-age=31536000; includeSubDomains"


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """Where people reach a server, and by which names it lets itself be called."""

    origin: str
    """`https://handrail.example`, or `http://127.0.0.1:8421`; without a slash at the end."""
    hosts: frozenset[str]
    """Names in the header Host that are answered, lower case, without port."""
    dev: bool = False
    """On one's own machine, trying out: the schema is open to look at."""
    cookie: str
    """Name of the session's cookie. Cookies know no ports, so the plain one names its port."""
    form_cookie: str
    """Name of the cookie that forms are bound to before somebody is signed in."""
    links: bool = False
    """On one's own machine: links that the workspace's own user made sign in (`/open`)."""

    @property
    def secure(self) -> bool:
        """Whether people reach it over TLS."""
        return self.origin.startswith("https://")

    def set_cookie(self, name: str, value: str, *, seconds: int | None = None) -> str:
        """The header that keeps `value` in the browser; `seconds=0` takes it away again."""
        parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
        if seconds is not None:
            parts.append(f"Max-Age={seconds}")
        if self.secure:
            parts.append("Secure")
        return "; ".join(parts)


def make_front(
    host: str, port: int, *, public_url: str = "", hosts: tuple[str, ...] = (), dev: bool = False
) -> Front:
    """The front of a server that listens on `host` and `port`. Raises `BadInput`."""
    shown = f"[{host}]" if ":" in host else host
    origin = (public_url or f"http://{shown}:{port}").rstrip("/")
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
        raise BadInput(
            f"HANDRAIL_PUBLIC_URL is {public_url!r}; expected https://HOST without a path"
        )
    names = {*LOOPBACK, shown, parts.netloc.rpartition("@")[2], *hosts}
    # Asked for with each request, so they are named once.
    if parts.scheme == "https":
        session, form = "__Host-handrail-session", "__Host-handrail-form"
    else:
        session, form = (f"handrail-{name}-{parts.port or 80}" for name in ("session", "form"))
    return Front(
        origin=origin,
        hosts=frozenset(_host(name) for name in names if name),
        dev=dev,
        cookie=session,
        form_cookie=form,
    )


def _host(text: str) -> str:
    """A name of the header Host without its port, lower case."""
    text = text.strip().lower()
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0].rstrip(".")


def cookies_of(scope: Scope) -> dict[str, str]:
    """The cookies of a request; those that cannot be read are not there."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name == b"cookie":
            jar: SimpleCookie = SimpleCookie()
            try:
                jar.load(value.decode("latin-1"))
            except CookieError:
                continue
            found.update({key: morsel.value for key, morsel in jar.items()})
    return found


def header_of(scope: Scope, name: bytes) -> str | None:
    """A header of a request, by its lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


def bearer_of(scope: Scope) -> str | None:
    """What stands after `Bearer` in the header Authorization."""
    scheme, _, secret = (header_of(scope, b"authorization") or "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


class Tokens:
    """Form tokens: bound to a cookie that only this browser has, and made from nothing else."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"handrail csrf", "sha256")

    def of(self, cookie: str) -> str:
        """The token for forms of the browser with this cookie."""
        made = hmac.digest(self._key, cookie.encode("utf-8", "surrogatepass"), "sha256")
        return base64.urlsafe_b64encode(made).decode().rstrip("=")

    def fits(self, cookie: str, token: str | None) -> bool:
        """Whether `token` is the one for this cookie."""
        return token is not None and hmac.compare_digest(
            self.of(cookie).encode(), token.encode("utf-8", "surrogatepass")
        )


class Guarding:
    """The checks around an application, in the order the module names them."""

    def __init__(
        self,
        app: ASGIApp,
        front: Front,
        tokens: Tokens,
        *,
        addresses: Buckets,
        credentials: Buckets,
        known: Callable[[str], bool],
        page: Callable[[dict[str, Any]], bytes],
    ) -> None:
        """`known` says of a secret whether it was recognised a moment ago.

        `page` makes of a problem document the page that a person is shown instead.
        """
        self._app = app
        self._front = front
        self._tokens = tokens
        self._addresses = addresses
        self._credentials = credentials
        self._known = known
        self._page = page
        self._headers = dict(HEADERS)
        if front.secure:
            self._headers[b"strict-transport-security"] = HSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        send = self._dressed(scope, send)
        try:
            self._check_host(scope)
            cookies = cookies_of(scope)
            session, bearer = cookies.get(self._front.cookie), bearer_of(scope)
            state["front"], state["cookies"], state["bearer"] = self._front, cookies, bearer
            self._take_one(scope, bearer or session)
            self._check_size(scope)
            binding = session or cookies.get(self._front.form_cookie)
            if binding is not None:
                state["csrf_token"] = self._tokens.of(binding)
            if (
                bearer is None
                and scope["method"] not in SAFE
                and (session is not None or not scope["path"].startswith(API))
            ):
                receive = await self._check_form(scope, receive, binding)
        except HandrailError as error:
            await refuse(scope, send, error)
            return
        await self._app(scope, receive, send)

    # ------------------------------------------------------------------ checks

    def _check_host(self, scope: Scope) -> None:
        given = [value for name, value in scope["headers"] if name == b"host"]
        if len(given) != 1 or _host(given[0].decode("latin-1")) not in self._front.hosts:
            raise BadInput(
                "this server does not go by that name; use the address it was started with, or "
                "name the host in HANDRAIL_HOSTS",
                status=421,
            )

    def _take_one(self, scope: Scope, secret: str | None) -> None:
        if secret is not None and self._known(secret):
            name = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
            wait = self._credentials.take(name)
        else:
            client = scope.get("client")
            wait = self._addresses.take(client[0] if client else "nobody")
        if wait:
            raise TooMany(f"too many requests in a short time; the next is taken in {wait} s", wait)

    def _check_size(self, scope: Scope) -> None:
        said = header_of(scope, b"content-length") or "0"
        if not said.isdecimal() or int(said) > MAX_BODY_BYTES:
            raise BadInput(
                f"the body has {said[:20]} bytes; at most {MAX_BODY_BYTES} are taken", status=413
            )

    async def _check_form(self, scope: Scope, receive: Receive, binding: str | None) -> Receive:
        """Refuse what another site's page made this browser send."""
        site = header_of(scope, b"sec-fetch-site")
        origin = header_of(scope, b"origin")
        if site not in (None, "same-origin", "none") or not self._own(scope, origin):
            raise Refused("this was sent from another site, and nothing was done")
        token = header_of(scope, CSRF_HEADER.encode())
        if token is None:
            token, receive = await _token_in_form(scope, receive)
        if binding is None or not self._tokens.fits(binding, token):
            raise Refused(
                "this form is not from this browser, or is too old, and nothing was done; "
                "load the page again"
            )
        return receive

    def _own(self, scope: Scope, origin: str | None) -> bool:
        if origin is None or origin == self._front.origin:
            return True
        host = header_of(scope, b"host")
        return urlsplit(origin).netloc == host and not self._front.secure

    # ------------------------------------------------------------------ answers

    def _dressed(self, scope: Scope, send: Send) -> Send:
        """`send`, with the headers of every answer.

        A page that needs a person goes to sign-in; a person is not shown a problem document.
        """
        swallowed = False
        held: Any = None  # the start of an answer that becomes a page

        async def dressed(message: Message) -> None:
            nonlocal swallowed, held
            if held is not None and message["type"] == "http.response.body":
                body = self._page(msgspec.json.decode(message.get("body", b"{}")))
                kept = [
                    (name, it) for name, it in held["headers"] if not name.startswith(b"content-")
                ]
                kind = (b"content-type", b"text/html; charset=utf-8")
                kept += [kind, (b"content-length", str(len(body)).encode())]
                start: Any = {**held, "headers": self._headed(kept)}
                await send(start)
                await send({**message, "body": body})
                held, swallowed = None, True
            elif message["type"] == "http.response.start":
                if _is_problem(message) and _wants_page(scope) and message["status"] != 401:
                    held = message
                    return
                if message["status"] == 401 and _is_page(scope):
                    swallowed = True
                    await send(self._to_sign_in(scope))
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
                await send({**message, "headers": self._headed(message.get("headers", ()))})
            elif not swallowed:
                await send(message)

        return dressed

    def _headed(self, given: Any) -> list[tuple[bytes, bytes]]:
        headers = [(name, value) for name, value in given if name.lower() != b"server"]
        there = {name.lower() for name, _ in headers}
        headers += [(name, text) for name, text in self._headers.items() if name not in there]
        return headers

    def _to_sign_in(self, scope: Scope) -> Any:
        query = scope["query_string"].decode("latin-1")
        wanted = scope["path"] + (f"?{query}" if query else "")
        place = "/sign-in" + (f"?next={quote(wanted, safe='')}" if wanted != "/" else "")
        headers = self._headed([(b"location", place.encode()), (b"content-length", b"0")])
        return {"type": "http.response.start", "status": 303, "headers": headers}


def _wants_page(scope: Any) -> bool:
    accepted = header_of(scope, b"accept") or ""
    return "text/html" in accepted and not scope["path"].startswith(API)


def _is_page(scope: Any) -> bool:
    return (
        scope["method"] == "GET" and _wants_page(scope) and not scope["path"].startswith("/sign-in")
    )


def _is_problem(message: Any) -> bool:
    return (b"content-type", CONTENT_TYPE.encode()) in [
        (name.lower(), text.partition(b";")[0]) for name, text in message.get("headers", ())
    ]


async def _token_in_form(scope: Scope, receive: Receive) -> tuple[str | None, Receive]:
    """The token in a form's body, and a `receive` that gives the body once more."""
    kind = (header_of(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None, receive
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if len(body) > MAX_FORM_BYTES:
            raise BadInput(f"a form has at most {MAX_FORM_BYTES} bytes", status=413)
        if not message.get("more_body"):
            break
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise BadInput(f"the form cannot be read: {error}; load the page again") from error
    told = False

    async def again() -> Any:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    return next((value for name, value in pairs if name == CSRF_FIELD), None), again


async def refuse(scope: Scope, send: Send, error: HandrailError) -> None:
    """Answer a request with the problem document of `error`; its body is not read."""
    problem = problem_of(error)
    problem["request"] = scope["state"].get("request_id")
    body = msgspec.json.encode(problem)
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    if isinstance(error, TooMany):
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if error.status == 413:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
