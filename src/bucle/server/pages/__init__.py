"""The pages: server-rendered, live by server-sent events, each with a `.json` twin."""

from importlib import resources
from typing import TYPE_CHECKING

from bucle.server.errors import UnknownPath
from bucle.server.pages.alerts import PAGES as ALERT_PAGES
from bucle.server.pages.audit import PAGES as AUDIT_PAGES
from bucle.server.pages.compare import PAGES as COMPARE_PAGES
from bucle.server.pages.delivery import PAGES as DELIVERY_PAGES
from bucle.server.pages.ledger import PAGES as LEDGER_PAGES
from bucle.server.pages.loop import PAGES as LOOP_PAGES
from bucle.server.pages.models import PAGES as MODEL_PAGES
from bucle.server.pages.page import Page, routes_of
from bucle.server.pages.rollouts import PAGES as ROLLOUT_PAGES
from bucle.server.pages.runs import PAGES as RUN_PAGES
from bucle.server.pages.services import PAGES as SERVICE_PAGES
from bucle.server.pages.work import PAGES as WORK_PAGES
from bucle.server.routing import PUBLIC, Call, Route

if TYPE_CHECKING:
    from starlette.responses import Response

_TYPES = {"style.css": "text/css", "live.js": "text/javascript", "theme.js": "text/javascript", "icon.svg": "image/svg+xml"}

PAGES: tuple[Page, ...] = (
    *LOOP_PAGES,
    *RUN_PAGES,
    *MODEL_PAGES,
    *COMPARE_PAGES,
    *SERVICE_PAGES,
    *ROLLOUT_PAGES,
    *ALERT_PAGES,
    *DELIVERY_PAGES,
    *WORK_PAGES,
    *AUDIT_PAGES,
    *LEDGER_PAGES,
)


def static_file(call: Call) -> "Response":
    """Return one of the pages' own files. Raises `server/unknown-path`."""
    from starlette.responses import Response

    name = call.path["name"]
    if name not in _TYPES:
        raise UnknownPath(path=f"/static/{name}")
    content = resources.files(__package__).joinpath("static", name).read_bytes()
    return Response(content, media_type=_TYPES[name], headers={"Cache-Control": "no-cache"})


ROUTES = [
    Route("GET", "/static/{name}", static_file, PUBLIC, "A file of the pages."),
    *(route for page in PAGES for route in routes_of(page)),
]
