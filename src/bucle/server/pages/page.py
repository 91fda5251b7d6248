"""A page: one document, shown as HTML to people and as JSON under the same path with `.json`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from bucle.ledger import UnknownId, format_instant, from_us
from bucle.messages import say
from bucle.project import registered_project
from bucle.server.routing import Call, Route

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.responses import Response

Reach = Literal["scope", "any"]
TABS = ("loop", "runs", "models", "services", "rollouts", "alerts", "delivery", "work", "audit", "events")

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A path with the document that it shows, the template that shows it and the kinds of event that make it stale.

    `reach="any"` is for pages over all environments: their document shows those that the caller may see.
    """

    path: str
    template: str
    document: Callable[[Call], Any]
    permission: str
    summary: str
    live: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    reach: Reach = "scope"


def routes_of(page: Page) -> list[Route]:
    """Return the route of a page and of its twin. Where the path ends with a parameter, one route answers both."""

    def document(call: Call) -> object:
        _refuse_unknown_project(call)
        return page.document(call)

    def show(call: Call) -> Response:
        last = ["", *call.path.values()][-1]
        if page.path.endswith("}") and last.endswith(".json"):
            return twin(_without_suffix(call))
        return _html(page, call, document(call))

    def twin(call: Call) -> Response:
        return _json(document(call))

    reach: Reach = page.reach if "{project}" in page.path else "any"
    shown = Route("GET", page.path, show, page.permission, page.summary, query=page.query, reach=reach)
    if page.path.endswith("}"):
        return [shown]
    path = "/index.json" if page.path == "/" else f"{page.path}.json"
    return [shown, Route("GET", path, twin, page.permission, f"{page.summary} As JSON.", query=page.query, reach=reach)]


def _refuse_unknown_project(call: Call) -> None:
    name = call.path.get("project")
    if name is not None:
        with call.house.ledger.read() as reader:
            if registered_project(reader, name) is None:
                raise UnknownId(id=name)


def _without_suffix(call: Call) -> Call:
    name = list(call.path)[-1]
    return replace(call, path={**call.path, name: call.path[name].removesuffix(".json")})


def _json(document: object) -> Response:
    from starlette.responses import Response

    return Response(msgspec.json.encode(document), media_type="application/json", headers=_HEADERS)


def _html(page: Page, call: Call, document: object) -> Response:
    from starlette.responses import HTMLResponse

    project = call.path.get("project", "")
    here, query = call.request.url.path, call.request.url.query
    lang = call.language
    text = _templates().get_template(page.template).render(
        document=document,
        title=page.summary,
        project=project,
        tabs=[(name, f"/projects/{project}" + ("" if name == "loop" else f"/{name}")) for name in TABS],
        here=here,
        twin=("/index.json" if here == "/" else f"{here}.json") + (f"?{query}" if query else ""),
        now=call.house.ledger.clock.now(),
        live=" ".join(page.live),
        lang=lang,
        say=lambda key, **fields: say(key, lang, **fields),
    )  # fmt: skip
    return HTMLResponse(text, headers=_HEADERS)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("bucle.server.pages"), autoescape=True, undefined=StrictUndefined)
    environment.filters["instant"] = _instant
    environment.filters["number"] = _number
    environment.filters["milliseconds"] = _milliseconds
    return environment


def _instant(value: datetime | int | None) -> str:
    if value is None:
        return ""
    moment = from_us(value) if isinstance(value, int) else value
    return format_instant(moment.replace(microsecond=0)).replace("T", " ")


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1000:.3g} ms" if math.isfinite(seconds) else "> 26 s"
