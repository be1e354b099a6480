"""What every page shares: who asks, what stands around the page, forms in, answers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from litestar import Request, Response

from handrail.access import COMMAND_RIGHTS
from handrail.app import Service
from handrail.model.commands import Command, ListDoubts, ListStops, Me, WhoAmI
from handrail.model.errors import BadInput, HandrailError
from handrail.model.people import Actor
from handrail.model.problem import CONTENT_TYPE, problem_of
from handrail.server.identity import Identify
from handrail.server.web.paper import POLICY, Paper

MAX_FORM_BYTES = 256 * 1024
MAX_FIELDS = 200

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""Of every answer of the desk."""

Asked = Request[Any, Any, Any]
Answer = Response[bytes]


class Visit:
    """One request of one person: what they may see is asked through here, on a worker's thread."""

    def __init__(self, service: Service, actor: Actor) -> None:
        self._service = service
        self.actor = actor
        # The place in the log comes first: what changes while the page is made is told after it.
        self.now, self.index = service.ports.store.read(lambda tx: (tx.now(), tx.audit.size()))
        self.me: Me = self.ask(WhoAmI())

    def ask(self, command: Command) -> Any:
        """The service's answer to this person."""
        return self._service.call(command, self.actor)

    def may(self, command: type[Command]) -> bool:
        """Whether they have a right to send such a command at all."""
        return any(way.right in self.me.rights for way in COMMAND_RIGHTS[command].ways)

    def around(self) -> dict[str, Any]:
        """What stands around every page."""
        return {
            "now": self.now,
            "index": self.index,
            "me": self.me,
            "stops": self.ask(ListStops()) if self.may(ListStops) else [],
            "may_stop": "stops.write" in self.me.rights,
            "doubts": len(self.ask(ListDoubts(limit=100))) if self.may(ListDoubts) else None,
            "only_reads": self._service.only_reads,
        }


class Page(msgspec.Struct, frozen=True):
    """A template with its values."""

    template: str
    values: dict[str, Any]


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What the handlers of the pages share."""

    service: Service
    identify: Identify
    paper: Paper

    async def show(
        self,
        request: Asked,
        make: Callable[[Visit], Page],
        *,
        error: HandrailError | None = None,
    ) -> Answer:
        """The page that `make` describes; with `error` said on it, and its status."""

        def work() -> bytes:
            visit = Visit(self.service, self.identify(request))
            page = make(visit)
            values = {
                **visit.around(),
                "alert": None if error is None else " ".join(str(error).splitlines()),
                "flash": _flash(self.paper, request),
                **page.values,
            }
            return self._render(request, page.template, values)

        body = await request.app.state.desk.work(work)
        return _html(body, 200 if error is None else error.status)

    async def act(
        self,
        request: Asked,
        do: Callable[[Visit, Mapping[str, str]], tuple[str, Any]],
        back: Callable[[Visit], Page],
    ) -> Answer:
        """A form: `do` says where to go on and what a script is answered.

        What is refused is said on the page `back`; a script gets a problem document.
        """
        form = await read_form(request)

        def work() -> tuple[str, Any]:
            return do(Visit(self.service, self.identify(request)), form)

        try:
            place, answer = await request.app.state.desk.work(work)
        except HandrailError as error:
            if wants_json(request) or error.status == 401:
                raise
            return await self.show(request, back, error=error)
        if wants_json(request):
            return Response(
                msgspec.json.encode(answer), media_type="application/json", headers=HEADERS
            )
        return Response(b"", status_code=303, headers={**HEADERS, "location": place})

    def _render(self, request: Asked, template: str, values: Mapping[str, Any]) -> bytes:
        return self.paper.render(
            template,
            path=_page_of(request),
            csrf=request.scope["state"].get("csrf_token", ""),
            words_for_scripts=self.paper.for_scripts,
            **values,
        )

    def sorry(self, request: Asked, error: HandrailError) -> Answer:
        """The page, or the problem document, of what cannot be shown or done."""
        if wants_json(request):
            return Response(
                msgspec.json.encode(problem_of(error)),
                media_type=CONTENT_TYPE,
                status_code=error.status,
                headers=HEADERS,
            )
        values = {
            "status": error.status,
            "text": str(error),
            "sent": request.method == "POST",
            "me": None,
        }
        body = self._render(request, "error.html", values)
        return _html(body, error.status)


def _page_of(request: Asked) -> str:
    """Path of the page that is asked for, or that holds the form which was sent."""
    if request.method == "GET":
        return request.url.path
    return urlsplit(request.headers.get("referer", "")).path or "/"


def _html(body: bytes, status: int) -> Answer:
    return Response(
        body,
        media_type="text/html; charset=utf-8",
        status_code=status,
        headers={**HEADERS, "cache-control": "no-store"},
    )


def wants_json(request: Asked) -> bool:
    """Whether a script asks."""
    return request.headers.get("accept", "").startswith("application/json")


async def read_form(request: Asked) -> dict[str, str]:
    """The fields of a form. That it is from our own pages is seen to by `handrail.server.front`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BadInput(f"the body is {kind!r}; expected a form of these pages", status=415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise BadInput(f"a form has at most {MAX_FORM_BYTES} bytes", status=413)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise BadInput(f"the form cannot be read: {error}; reload the page") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadInput("the form names a field twice; reload the page")
    # Browsers end lines with CR LF, whatever was typed.
    return {name: text.replace("\r\n", "\n") for name, text in fields.items()}


def text_of(form: Mapping[str, str], name: str) -> str | None:
    """What was typed into a field; None where it is blank."""
    text = form.get(name, "").strip()
    return text or None


def to(path: str, **query: str | None) -> str:
    """A path with a query, blank values left out."""
    given = {name: text for name, text in query.items() if text}
    return f"{path}?{urlencode(given)}" if given else path


def _flash(paper: Paper, request: Asked) -> str | None:
    """What the last act came to, where the page was reached by it."""
    name = f"flash.{request.query_params.get('did', '')}"
    return paper.words(name) if name in paper.words else None
