"""The pages' templates and strings; autoescape is always on."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from handrail.model.text import visible

if TYPE_CHECKING:
    import jinja2

_PLACE = "handrail.server.auth"


@cache
def words(language: str = "en") -> dict[str, str]:
    """The string catalogue of these pages."""
    text = (resources.files(_PLACE) / "strings" / f"{language}.toml").read_text("utf-8")
    return {
        f"{section}.{name}": entry
        for section, entries in tomllib.loads(text).items()
        for name, entry in entries.items()
    }


def say(name: str, /, **values: Any) -> str:
    """A string, filled in; what is filled in has nothing hidden in it.

    >>> say("account.who", name="ann")
    'You are signed in as ann.'
    """
    return words()[name].format_map({key: visible(str(value)) for key, value in values.items()})


@cache
def style() -> bytes:
    """The pages' one style sheet."""
    return (resources.files(_PLACE) / "style.css").read_bytes()


@cache
def script() -> bytes:
    """The script of the one page that has any: the link of this machine."""
    return (resources.files(_PLACE) / "open.js").read_bytes()


@cache
def _templates() -> jinja2.Environment:
    import jinja2  # with the first page: a server for programs never needs it

    def load(name: str) -> str:
        return (resources.files(_PLACE) / "templates" / name).read_text("utf-8")

    found = jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.globals["t"] = say
    return found


def trouble(problem: dict[str, Any]) -> bytes:
    """The page of a problem document, for a person."""
    status = problem.get("status", 500)
    if status == 404:
        text, error = say("trouble.missing_text"), None
    else:
        text, error = None, sentence(str(problem.get("detail") or problem.get("title") or status))
    return render(
        "notice.html",
        title=say("trouble.missing" if status == 404 else "trouble.title"),
        text=text,
        error=error,
        place="/",
        link=say("trouble.desk"),
    )


def sentence(text: str) -> str:
    r"""An error as it stands alone: on one line, with a capital.

    >>> sentence("the form is too old;\nload it again")
    'The form is too old; load it again'
    """
    text = " ".join(text.splitlines())
    return text[:1].upper() + text[1:]


def render(template: str, **values: Any) -> bytes:
    """A page."""
    values = {"error": None, "done": None, **values}
    return _templates().get_template(template).render(values).encode()
