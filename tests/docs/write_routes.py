"""Write docs/routes.md from the route table: `python -m tests.docs.write_routes`; a test holds the page to the table."""

from itertools import groupby
from pathlib import Path

from bucle.server import Route, route_table

PAGE = Path(__file__).parents[2] / "docs" / "routes.md"

HEAD = """# Routes

Every route that a server answers, the permission that it asks for, and what it does. This page is written from the route table
(`python -m tests.docs.write_routes`), and a test compares the two. [http.md](http.md) says what holds for all of them,
[identity.md](identity.md) which role has which permission; `public` needs none. `{name}` is one segment of a path, `{name*}`
all that follow. Routes of a project take `?environment=`. The same table makes `/api/v1/openapi.json`, with the fields of each
body.
"""

GROUPS = (
    ("/api/v1/projects/{project}/", "Of a project"),
    ("/api/v1/", "Of the house"),
    ("/v2", "Open Inference Protocol"),
    ("/git/", "git"),
    ("/projects/", "Pages of a project"),
    ("/", "Other pages, probes, streams"),
)


def group_of(route: Route) -> int:
    """Return the first group whose paths begin as the route's does."""
    return next(place for place, (prefix, _) in enumerate(GROUPS) if route.path.startswith(prefix))


def written() -> str:
    """Return the text of the page."""
    routes = sorted(route_table().routes, key=lambda route: (group_of(route), route.path, route.method))
    parts = [HEAD]
    for place, group in groupby(routes, group_of):
        lines = [f"| `{each.method} {each.path}` | {each.permission} | {each.summary.rstrip('.')} |" for each in group]
        parts.append("\n".join([f"## {GROUPS[place][1]}", "| route | permission | does |", "|---|---|---|", *lines, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(written(), "utf-8")
