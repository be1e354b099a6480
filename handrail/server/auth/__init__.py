"""Signing in and out, invitations, one's own account, and sign-in through an identity provider.

Plain forms, no script. A GET shows and never decides: the link of an invitation is taken up by the
form behind it. Every form is bound to its browser before it comes here (`handrail.server.front`).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from handrail.app import LOCAL, Service
from handrail.flow.invitations import living
from handrail.flow.secret import hash_of
from handrail.model.commands import (
    AcceptInvitation,
    ChangePassword,
    Command,
    FollowLink,
    Me,
    SignedIn,
    SignIn,
    SignInWith,
    SignOut,
    WhoAmI,
)
from handrail.model.errors import BadInput, HandrailError, TooMany, Unknown
from handrail.model.people import Actor, Via
from handrail.model.wire import time_text
from handrail.server.auth.oidc import RETURN, Provider
from handrail.server.auth.paper import render, say, script, sentence, style
from handrail.server.front import POLICY, Front, Tokens
from handrail.server.identity import NOBODY

Asked = Request[Any, Any, Any]
Answer = Response[bytes]
Handle = Callable[[Asked], Awaitable[Answer]]

WITH_SCRIPT = f"{POLICY}; script-src 'self'"
FORM_SECONDS = 3600
"""How long the cookie lives that forms are bound to before somebody is signed in."""


def pages(service: Service, front: Front) -> list[HTTPRouteHandler]:
    """The handlers of these pages."""
    auth = Auth(service, front)

    def shown(path: str, name: str, handle: Handle) -> HTTPRouteHandler:
        return get(path, name=name)(_plain(handle))

    def done(path: str, name: str, handle: Handle) -> HTTPRouteHandler:
        return post(path, name=name, status_code=200)(_plain(handle))

    links = [
        get("/sign-in/open.js", name="open_script", sync_to_thread=False)(_script),
        shown("/open", "open_page", auth.open_page),
        done("/open", "open", auth.open),
    ]
    return [
        *(links if front.links else ()),
        get("/sign-in/style.css", name="sign_in_style", sync_to_thread=False)(_style),
        shown("/sign-in", "sign_in_page", auth.sign_in_page),
        shown("/sign-in/provider", "provider", auth.to_provider),
        shown(RETURN, "provider_return", auth.from_provider),
        shown("/invitation", "invitation_page", auth.invitation_page),
        shown("/account", "account_page", auth.account_page),
        done("/sign-in", "sign_in", auth.sign_in),
        done("/sign-out", "sign_out", auth.sign_out),
        done("/invitation", "invitation", auth.invitation),
        done("/account", "account", auth.account),
    ]


def _plain(handle: Handle) -> Handle:
    """A plain function: the framework copies handlers, and what a method hangs on with them."""

    async def call(request: Asked) -> Answer:
        return await handle(request)

    return call


def _style() -> Answer:
    headers = {"cache-control": "public, max-age=3600"}
    return Response(style(), media_type="text/css", headers=headers)


def _script() -> Answer:
    headers = {"cache-control": "public, max-age=3600"}
    return Response(script(), media_type="text/javascript", headers=headers)


def safe_next(place: str | None) -> str:
    """Where to go on after signing in: a path of this server, or the desk.

    >>> safe_next("/reviews/r_1?x=1"), safe_next("//evil.example"), safe_next("/\\\\evil.example")
    ('/reviews/r_1?x=1', '/', '/')
    """
    place = place or "/"
    plain = place.isprintable() and "\\" not in place and len(place) <= 2000
    parts = urlsplit(place) if plain else urlsplit("//")
    ok = plain and place.startswith("/") and not place.startswith("//")
    return place if ok and not parts.scheme and not parts.netloc else "/"


class Auth:
    """What the pages share."""

    def __init__(self, service: Service, front: Front) -> None:
        self._service = service
        self._front = front
        self._tokens = Tokens(service.ports.secret)
        self._provider = None if front.links else Provider.of(service.ports.settings, front.origin)

    # ------------------------------------------------------------------ sign in and out

    async def sign_in_page(self, request: Asked) -> Answer:
        """The form."""
        return self._sign_in_form(request, safe_next(request.query_params.get("next")))

    def _sign_in_form(
        self, request: Asked, place: str, handle: str = "", error: HandrailError | None = None
    ) -> Answer:
        provider = self._provider
        return self._page(
            request,
            "sign_in.html",
            error,
            title=say("sign_in.title"),
            next=place,
            handle=handle,
            provider=provider.shown if provider else None,
            provider_link="/sign-in/provider?" + urlencode({"next": place}),
            links=self._front.links,
        )

    async def sign_in(self, request: Asked) -> Answer:
        """Handle and password."""
        form = await _form(request)
        place = safe_next(form.get("next"))
        handle = form.get("handle", "")
        command = SignIn(
            handle=handle, password=form.get("password", ""), session=self._session(request)
        )
        try:
            signed: SignedIn = await self._ask(request, command)
        except (Unknown, TooMany, BadInput) as error:
            return self._sign_in_form(request, place, handle[:200], error)
        return self._welcome(signed, place)

    async def sign_out(self, request: Asked) -> Answer:
        """This session, or all of them, end."""
        form = await _form(request)
        try:
            actor = await request.app.state.desk.actor(request)
            await self._ask(request, SignOut(everywhere="everywhere" in form), actor)
        except Unknown:
            pass  # it had ended before
        body = render(
            "notice.html",
            title=say("signed_out.title"),
            text=say("signed_out.text"),
            place="/sign-in",
            link=say("signed_out.again"),
        )
        answer = _html(body)
        gone = self._front.set_cookie(self._front.cookie, "", seconds=0)
        answer.headers["set-cookie"] = gone
        answer.headers["clear-site-data"] = '"cache", "storage"'
        return answer

    # ------------------------------------------------------------------ invitations

    async def invitation_page(self, request: Asked) -> Answer:
        """What the link is for, and the form that takes it up. Looking uses nothing up."""
        return await self._invitation_form(request, request.query_params.get("secret", ""))

    async def _invitation_form(
        self, request: Asked, secret: str, given: str = "", error: HandrailError | None = None
    ) -> Answer:
        try:
            found = await self._read(request, lambda tx: living(tx, hash_of(secret)))
        except HandrailError as gone:
            return self._trouble(gone)
        provider = self._provider
        first = found.handle is None
        return self._page(
            request,
            "invitation.html",
            error,
            title=say("invitation.title_first" if first else "invitation.title"),
            handle=found.handle,
            given=given,
            secret=secret,
            provider=provider.shown if provider else None,
            provider_link="/sign-in/provider?" + urlencode({"invitation": secret}),
        )

    async def invitation(self, request: Asked) -> Answer:
        """Take an invitation up: the password is set, and the person is signed in."""
        form = await _form(request)
        secret, password = form.get("secret", ""), form.get("password", "")
        given = form.get("handle", "")
        try:
            if password != form.get("again"):
                raise BadInput(say("invitation.differ"))
            signed: SignedIn = await self._ask(
                request,
                AcceptInvitation(secret=secret, password=password, handle=given.strip() or None),
            )
        except HandrailError as error:
            return await self._invitation_form(request, secret, given[:200], error)
        return self._welcome(signed, "/")

    # ------------------------------------------------------------------ links of this machine

    async def open_page(self, request: Asked) -> Answer:
        """What the link is for, and the form that follows it; a script sends the form.

        Who is signed in here already goes on at once, and the link is not used up.
        """
        place = safe_next(request.query_params.get("next"))
        secret = request.query_params.get("key", "")
        actor = await request.app.state.desk.actor(request)
        if actor.via is Via.SESSION:
            return Response(b"", status_code=303, headers={"location": place})
        try:
            found = await self._read(request, lambda tx: living(tx, hash_of(secret), local=True))
        except HandrailError as gone:
            return self._trouble(gone)
        answer = self._page(
            request,
            "open.html",
            None,
            title=say("open.title"),
            handle=found.handle,
            secret=secret,
            next=place,
        )
        answer.headers["content-security-policy"] = WITH_SCRIPT
        return answer

    async def open(self, request: Asked) -> Answer:
        """Follow a link: the browser is signed in."""
        form = await _form(request)
        command = FollowLink(secret=form.get("secret", ""), session=self._session(request))
        try:
            # The front says that this is a desk of this machine; who has the link is its user.
            signed: SignedIn = await self._ask(request, command, LOCAL)
        except HandrailError as error:
            return self._trouble(error)
        return self._welcome(signed, safe_next(form.get("next")))

    # ------------------------------------------------------------------ one's own account

    async def account_page(self, request: Asked) -> Answer:
        """Who one is, and the form for another password."""
        return await self._account_form(request)

    async def _account_form(
        self, request: Asked, error: HandrailError | None = None, done: str | None = None
    ) -> Answer:
        actor = await request.app.state.desk.actor(request)
        me: Me = await self._ask(request, WhoAmI(), actor)
        return self._page(
            request,
            "account.html",
            error,
            title=say("account.title"),
            me=me,
            until=time_text(me.until)[:16].replace("T", " ") + " UTC" if me.until else None,
            done=done,
            links=self._front.links,
        )

    async def account(self, request: Asked) -> Answer:
        """Another password."""
        form = await _form(request)
        actor = await request.app.state.desk.actor(request)
        try:
            if form.get("new", "") != form.get("again"):
                raise BadInput(say("invitation.differ"))
            command = ChangePassword(old=form.get("old", ""), new=form.get("new", ""))
            await self._ask(request, command, actor)
        except Unknown:
            raise
        except HandrailError as error:
            return await self._account_form(request, error)
        return await self._account_form(request, done=say("account.changed"))

    # ------------------------------------------------------------------ an identity provider

    async def to_provider(self, request: Asked) -> Answer:
        """Go to the identity provider, with what the way back will be checked against."""
        provider = self._known_provider()
        browser = secrets.token_urlsafe(32)
        try:
            place = await request.app.state.desk.work(
                provider.begin,
                browser,
                safe_next(request.query_params.get("next")),
                request.query_params.get("invitation"),
            )
        except HandrailError as error:
            return self._trouble(error)
        kept = self._front.set_cookie(self._provider_cookie, browser, seconds=600)
        return _go(place, kept)

    async def from_provider(self, request: Asked) -> Answer:
        """The way back: what the provider says is checked, and its person signed in."""
        provider = self._known_provider()
        browser = request.scope["state"]["cookies"].get(self._provider_cookie, "")
        query = dict(request.query_params)
        try:
            found = await request.app.state.desk.work(provider.finish, browser, query)
            command = SignInWith(
                issuer=found.issuer,
                subject=found.subject,
                invitation=found.invitation,
                session=self._session(request),
            )
            # The server itself vouches for what it has verified.
            signed: SignedIn = await self._ask(request, command, LOCAL)
        except HandrailError as error:
            return self._trouble(error)
        return self._welcome(signed, found.place)

    def _known_provider(self) -> Provider:
        if self._provider is None:
            raise BadInput("no identity provider is set up (HANDRAIL_OIDC_ISSUER)", status=404)
        return self._provider

    @property
    def _provider_cookie(self) -> str:
        return self._front.cookie.replace("session", "provider")

    # ------------------------------------------------------------------ answers

    async def _ask(self, request: Asked, command: Command, actor: Actor = NOBODY) -> Any:
        request.scope["state"]["operation"] = type(command).__name__
        return await request.app.state.desk.work(self._service.call, command, actor)

    async def _read(self, request: Asked, query: Callable[[Any], Any]) -> Any:
        return await request.app.state.desk.work(self._service.ports.store.read, query)

    def _session(self, request: Asked) -> str | None:
        found: str | None = request.scope["state"]["cookies"].get(self._front.cookie)
        return found

    def _page(
        self, request: Asked, template: str, error: HandrailError | None, **values: Any
    ) -> Answer:
        """A page with a form, bound to this browser."""
        state = request.scope["state"]
        kept = None
        token = state.get("csrf_token")
        if token is None:
            binding = secrets.token_urlsafe(32)
            token = self._tokens.of(binding)
            kept = self._front.set_cookie(self._front.form_cookie, binding, seconds=FORM_SECONDS)
        text = None if error is None else sentence(str(error))
        answer = _html(
            render(template, csrf=token, error=text, **values),
            200 if error is None else error.status,
        )
        if kept is not None:
            answer.headers["set-cookie"] = kept
        if isinstance(error, TooMany):
            answer.headers["retry-after"] = str(error.retry_after)
        return answer

    def _welcome(self, signed: SignedIn, place: str) -> Answer:
        """Signed in: the session's cookie, and on to where the person wanted to go."""
        return _go(place, self._front.set_cookie(self._front.cookie, signed.secret))

    def _trouble(self, error: HandrailError) -> Answer:
        body = render(
            "notice.html",
            title=say("trouble.title"),
            error=sentence(str(error)),
            text=None,
            place="/sign-in",
            link=say("trouble.back"),
        )
        # 401 would send the browser to sign in again, and here it comes from there.
        return _html(body, 403 if error.status == 401 else error.status)


def _html(body: bytes, status: int = 200) -> Answer:
    return Response(body, media_type="text/html", status_code=status)


def _go(place: str, cookie: str) -> Answer:
    return Response(b"", status_code=303, headers={"location": place, "set-cookie": cookie})


async def _form(request: Asked) -> Mapping[str, str]:
    """The fields of a form; a repeated one is refused."""
    body = await request.body()
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50
        )
    except ValueError as error:
        raise BadInput(f"the form cannot be read: {error}; load the page again") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadInput("the form names a field twice; load the page again")
    return fields
