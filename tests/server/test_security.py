"""What every face must survive (security.md, classes 1, 7, 8 and 9), on every route of the table."""

import ast
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.server.conftest import Wire

import bucle
from bucle.identity import PERMISSIONS, ROLES, create_token, revoke_token
from bucle.project import load_project_file, register_project
from bucle.server import PUBLIC, Call, House, Route, RouteTable, route_table

ROUTES = route_table().routes
NAMED = [route for route in ROUTES if route.permission != PUBLIC]
READS_BY_POST = {permission for permission in PERMISSIONS if permission.endswith(".read")}
"""A question too long for a URL is a POST under a permission to read."""
MakeWire = Callable[..., Wire]


def target(route: Route, project: str = "flights") -> str:
    """Return a path of the route with names filled in."""
    parts = route.path.strip("/").split("/") if route.path != "/" else []
    return "/" + "/".join(project if part == "{project}" else "x" if part.startswith("{") else part for part in parts)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def token(house: House, role: str, project: str = "*", environment: str = "*") -> dict[str, str]:
    return bearer(create_token(house.ledger, f"{role}-{project[:4].strip('*')}x", role, project, environment).secret)


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_without_a_token_a_server_for_others_answers_nothing(make_wire: MakeWire) -> None:
    wire = make_wire("0.0.0.0")
    for route in NAMED:
        for method in (route.method, "HEAD", "OPTIONS", route.method.lower(), "TRACE", "PROPFIND"):
            reply = wire.send(method, target(route))
            assert (reply.status, reply.code) == (401, "identity/token-missing"), (method, named(route))


def test_no_spelling_of_a_path_gets_around_the_token(make_wire: MakeWire) -> None:
    wire = make_wire("0.0.0.0")
    public = {route.path for route in ROUTES if route.permission == PUBLIC}
    for route in NAMED:
        path = target(route)
        encoded = path[:1] + f"%{ord(path[1]):02x}" + path[2:] if len(path) > 1 else path
        for spelling in ("/" + path, path.upper(), path + "/", path + "//", "/." + path, "/x/.." + path, encoded, path + "%00"):
            assert spelling in public or wire.send(route.method, spelling).status == 401, (spelling, named(route))


def test_a_token_for_another_project_is_refused(house: House, make_wire: MakeWire) -> None:
    wire, headers = make_wire("0.0.0.0"), token(house, "owner", "other")
    for route in NAMED:
        if route.reach == "scope":
            reply = wire.send(route.method, target(route), headers)
            assert (reply.status, reply.code) == (403, "identity/forbidden"), named(route)


def test_a_token_for_another_environment_is_refused(house: House, make_wire: MakeWire) -> None:
    wire, headers = make_wire("0.0.0.0"), token(house, "owner", "flights", "test")
    for route in NAMED:
        for wanted in ("?environment=production", "", "?environment=*"):
            if route.reach == "scope":
                reply = wire.send(route.method, target(route) + wanted, headers)
                assert (reply.status, reply.code) == (403, "identity/forbidden"), (wanted, named(route))


def test_an_id_opens_nothing_in_an_environment_that_the_token_does_not_reach(
    house: House, make_wire: MakeWire, tmp_path: Path
) -> None:
    """Whatever the query says: what an id names lies in an environment of its own."""
    wire, api, pages = make_wire("0.0.0.0"), "/api/v1/projects/flights", "/projects/flights"
    boss, dev = token(house, "owner"), token(house, "owner", "flights", "dev")
    (tmp_path / "bucle.toml").write_text('[project]\nname = "flights"\ndefinitions = "flights"\n', "utf-8")
    register_project(house.ledger, load_project_file(tmp_path))
    run = wire.json("POST", f"{api}/runs?environment=production", {"name": "secret"}, **boss).json["id"]
    wanted = {"kind": "incident", "title": "secret"}
    item = wire.json("POST", f"{api}/work?environment=production", wanted, **boss).json["id"]
    wire.json("POST", f"{api}/work?environment=dev", {**wanted, "title": "open"}, **boss)
    before = house.ledger.newest()
    for target in (f"{api}/runs", f"{api}/work", f"{pages}/runs.json", f"{pages}/work.json", f"{pages}/events.json"):
        assert b"secret" in wire.send("GET", target, boss).body, target
        reply = wire.send("GET", target, dev)
        assert (reply.status, b"secret" in reply.body) == (200, False), target
    refused = [
        wire.send("GET", f"{api}/runs/{run}", dev),
        wire.send("GET", f"{api}/runs/{run}/metrics/loss", dev),
        wire.send("GET", f"{api}/runs/{run}/artifacts/x", dev),
        wire.send("GET", f"{pages}/runs/{run}", dev),
        wire.json("POST", f"{api}/runs/{run}/log", {"params": {"rate": 2}}, **dev),
        wire.json("POST", f"{api}/runs/{run}/finish", {"status": "failed"}, **dev),
        wire.send("POST", f"{api}/runs/{run}/artifacts", dev, b"x"),
        wire.send("GET", f"{api}/work/{item}", dev),
        wire.json("PATCH", f"{api}/work/{item}", {"title": "mine"}, **dev),
        wire.json("POST", f"{api}/work/{item}/comments", {"text": "hm"}, **dev),
        wire.json("POST", f"{api}/work/{item}/close", {"resolution": "no"}, **dev),
        wire.json("POST", f"{api}/checks", {"wanted": "release"}, **dev),
    ]
    assert [(reply.status, reply.code) for reply in refused] == [(403, "identity/forbidden")] * len(refused)
    assert house.ledger.newest() == before


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"owner"}))
def test_a_role_is_refused_whatever_it_does_not_hold(role: str, house: House, make_wire: MakeWire) -> None:
    wire, headers = make_wire("0.0.0.0"), token(house, role)
    for route in NAMED:
        if route.permission not in ROLES[role]:
            reply = wire.send(route.method, target(route), headers)
            assert (reply.status, reply.code) == (403, "identity/forbidden"), route


def test_a_viewer_changes_nothing(house: House, make_wire: MakeWire) -> None:
    wire, headers = make_wire("0.0.0.0"), token(house, "viewer")
    before = house.ledger.newest()
    for route in NAMED:
        if route.method != "GET" and route.permission not in READS_BY_POST:
            assert wire.send(route.method, target(route), headers, b"{}").status == 403, named(route)
    assert house.ledger.newest() == before


def test_a_token_that_is_wrong_revoked_or_expired_is_refused_also_on_a_laptop(house: House, wire: Wire) -> None:
    gone = create_token(house.ledger, "gone", "owner")
    revoke_token(house.ledger, gone.id)
    over = create_token(house.ledger, "over", "owner", expires=datetime.now(UTC) - timedelta(seconds=1))
    for secret, code in ((gone.secret, "bad-token"), (over.secret, "token-expired"), ("x", "bad-token"), ("", "bad-token")):
        reply = wire.send("GET", "/api/v1/whoami", bearer(secret))
        assert (reply.status, reply.code) == (401, f"identity/{code}")
        assert "www-authenticate" in reply.headers
    for header in ("Bearer", "Basic !!!", "Digest x", "Basic Og=="):
        assert wire.send("GET", "/api/v1/whoami", {"authorization": header}).status == 401, header


def test_without_a_token_the_owner_of_the_laptop_acts_and_a_token_sets_the_actor(house: House, wire: Wire) -> None:
    assert wire.send("GET", "/api/v1/whoami", {"x-bucle-client": "notebook\x01"}).json["client"] == "notebook"
    ana = create_token(house.ledger, "ana", "devops_engineer")
    made = wire.json("POST", "/api/v1/gc", {}, **bearer(ana.secret))
    assert made.status == 200
    event = house.ledger.event(house.ledger.newest())
    assert (event.actor, event.role) == ("ana", "devops_engineer")


def test_a_token_works_as_a_password_for_git_and_browsers(house: House, make_wire: MakeWire) -> None:
    import base64

    secret = create_token(house.ledger, "ana", "viewer").secret
    basic = base64.b64encode(f"whoever:{secret}".encode()).decode()
    assert make_wire("0.0.0.0").send("GET", "/api/v1/whoami", {"authorization": f"Basic {basic}"}).json["name"] == "ana"


@pytest.mark.parametrize(
    "host", ["evil.com", "evil.com:7070", "127.0.0.1.evil.com", "localhost.evil.com", "[::2]", "", "10.0.0.1"]
)
def test_another_name_for_this_machine_is_refused(wire: Wire, host: str) -> None:
    for route in ROUTES:
        reply = wire.send(route.method, target(route), {"host": host})
        assert (reply.status, reply.code) == (421, "server/forbidden-host"), route


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:7070", "[::1]:7070", "[::1]"])
def test_the_machine_s_own_names_are_answered(wire: Wire, host: str) -> None:
    assert wire.send("GET", "/health", {"host": host}).status == 200


def test_a_server_for_others_answers_to_addresses_and_to_listed_names(make_wire: MakeWire) -> None:
    wire = make_wire("0.0.0.0")
    assert wire.send("GET", "/health", {"host": "192.168.1.7:7070"}).status == 200
    assert wire.send("GET", "/health", {"host": "evil.com"}).status == 421


CROSS = [
    {"origin": "https://evil.com"},
    {"origin": "null"},
    {"origin": "http://localhost:9999"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    {"sec-fetch-site": "cross-site", "origin": "http://localhost"},
]


@pytest.mark.parametrize("headers", CROSS, ids=str)
def test_pages_of_other_sites_can_neither_write_nor_read_nor_listen(wire: Wire, headers: dict[str, str]) -> None:
    for route in NAMED:
        reply = wire.send(route.method, target(route), {**headers, "content-type": "application/json"}, b"{}")
        assert (reply.status, reply.code) == (403, "server/cross-site"), route
        assert not any(name.startswith("access-control") for name in reply.headers)


def test_a_link_from_elsewhere_opens_a_page_but_no_stream_and_sends_no_form(wire: Wire) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert wire.send("GET", "/api/v1/clock", link).status == 200
    assert wire.send("GET", "/events", link).status == 403
    assert wire.send("POST", "/api/v1/gc", link, b"{}").status == 403


def test_the_server_s_own_pages_may_write(wire: Wire) -> None:
    own = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert wire.json("POST", "/api/v1/gc", {}, **own).status == 200


def test_a_form_is_no_json(wire: Wire) -> None:
    for media in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""):
        reply = wire.send("POST", "/api/v1/tokens", {"content-type": media}, b'{"name": "eve", "role": "owner"}')
        assert (reply.status, reply.code) == (415, "server/wrong-content-type")


@pytest.mark.parametrize("part", ["..", "%2e%2e", "%2E%2e%2f", "a%2fb", "a%5cb", "a%00", "%ff", ".", "%0a"])
def test_a_name_in_a_path_is_a_name(wire: Wire, part: str) -> None:
    reply = wire.send("GET", f"/api/v1/why/{part}")
    assert (reply.status, reply.code) == (400, "server/bad-path")


def test_what_is_encoded_twice_is_decoded_once(wire: Wire) -> None:
    assert wire.send("GET", "/api/v1/why/%252e%252e").json["detail"] == "Nothing is known under the id '%2e%2e'."


def test_every_answer_forbids_guessing_framing_and_scripts_of_others(wire: Wire) -> None:
    for path in ("/health", "/nowhere"):
        headers = wire.send("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'self'" in headers["content-security-policy"]


def handler(call: Call) -> None:
    return None


@pytest.mark.parametrize("permission", ["", "none", "data.delete"])
def test_a_route_without_a_permission_that_exists_does_not_start(permission: str) -> None:
    with pytest.raises(TypeError, match="states no permission"):
        RouteTable([Route("GET", "/x", handler, permission, "x")])


def test_only_probes_and_what_pages_are_made_of_are_public() -> None:
    probes = {"/health", "/health/ready", "/v2", "/v2/health/live", "/v2/health/ready"}
    assert {route.path for route in ROUTES if route.permission == PUBLIC} <= probes | {"/static/{name}"}


def test_every_permission_that_is_asked_for_exists_and_none_exists_that_nothing_asks_for() -> None:
    asked = {route.permission for route in NAMED} | set(asked_within())
    assert asked == PERMISSIONS


def asked_within() -> Iterator[str]:
    """Yield what code asks for by name beyond the routes' own permissions: `require(principal, "x", ...)` and its like."""
    positions = {"require": 1, "role_for": 0, "may": 0}
    source = Path(bucle.__file__).parent
    for module in (path for path in source.rglob("*.py") if "templates" not in path.relative_to(source).parts):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                position = positions.get(getattr(node.func, "attr", getattr(node.func, "id", "")))
                if position is not None and position < len(node.args):
                    match node.args[position]:
                        case ast.Constant(value=str(permission)):
                            yield permission
