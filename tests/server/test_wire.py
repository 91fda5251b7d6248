"""What a request may look like: bodies, parameters, sizes; and how it is refused otherwise."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.server.conftest import Wire

from bucle.server import Body, Call, Route, RouteTable, decoding, route_table
from bucle.server.errors import BadJSON

MakeWire = Callable[..., Wire]


class Inner(Body, frozen=True):
    """A nested struct."""

    value: float


class Outer(Body, frozen=True):
    """A body for tests."""

    name: str
    inner: Inner | None = None
    many: tuple[int, ...] = ()


class Open(msgspec.Struct):
    """Takes any field."""

    name: str


def echo(call: Call) -> object:
    return call.body


def size(call: Call) -> int:
    return call.body.stat().st_size if isinstance(call.body, Path) else len(call.body)


def path(call: Call) -> dict[str, str]:
    return dict(call.path)


def breaks(call: Call) -> None:
    raise LookupError("secret of the house")


TABLE = RouteTable(
    [
        Route("POST", "/echo", echo, "ledger.read", "Echo", Outer, limit=2000),
        Route("POST", "/bytes", size, "ledger.read", "Size", bytes, limit=2000),
        Route("POST", "/file", size, "ledger.read", "Size", Path, limit=200_000),
        Route("GET", "/none", path, "ledger.read", "None", query=("colour",)),
        Route("GET", "/things/{name}", path, "ledger.read", "Thing"),
        Route("GET", "/things/fixed", path, "ledger.read", "Fixed thing"),
        Route("GET", "/things/{name}/parts/{part}", path, "ledger.read", "Part"),
        Route("DELETE", "/things/{thing}", path, "ledger.read", "Other name"),
        Route("GET", "/tree/{rest*}", path, "ledger.read", "Tree"),
        Route("GET", "/breaks", breaks, "ledger.read", "Breaks"),
    ]
)


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    return make_wire(table=TABLE)


@pytest.mark.parametrize(
    ("body", "status", "code", "where"),
    [
        ({"name": "a", "extra": 1}, 422, "server/bad-body", "body"),
        ({"name": "a", "inner": {"value": 1, "extra": 2}}, 422, "server/bad-body", "body.inner"),
        ({}, 422, "server/bad-body", "body"),
        ({"name": 1}, 422, "server/bad-body", "body.name"),
        ({"name": "a", "inner": {"value": "x"}}, 422, "server/bad-body", "body.inner.value"),
        ({"name": "a", "many": [1, None]}, 422, "server/bad-body", "body.many[1]"),
        ([], 422, "server/bad-body", "body"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_its_field(
    wire: Wire, body: object, status: int, code: str, where: str
) -> None:
    reply = wire.json("POST", "/echo", body)
    assert (reply.status, reply.code, reply.json["where"]) == (status, code, where)
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["type"] == f"urn:bucle:error:{code}"
    assert reply.json["next"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"name": NaN}', b'{"name": "a", "inner": {"value": Infinity}}', b"[" * 1900]
)
def test_what_is_no_json_is_refused(wire: Wire, body: bytes) -> None:
    reply = wire.send("POST", "/echo", {"content-type": "application/json; charset=utf-8"}, body)
    assert reply.status in (400, 422)
    assert reply.code in ("server/bad-json", "server/bad-body")


def test_json_that_is_nested_without_end_is_refused() -> None:
    from bucle.server.decoding import decode_body

    with pytest.raises(BadJSON):
        decode_body(b"[" * 1_000_000, object)


@pytest.mark.parametrize(("route", "limit"), [("/echo", 2000), ("/bytes", 2000), ("/file", 200_000)])
def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(wire: Wire, route: str, limit: int) -> None:
    body = b'{"name": "' + b"x" * limit + b'"}'
    for headers in ({}, {"content-length": str(len(body))}):
        reply = wire.send("POST", route, {"content-type": "application/json", **headers}, body)
        assert (reply.status, reply.code) == (413, "server/body-too-large")


@pytest.mark.parametrize("route", ["/echo", "/bytes", "/file"])
def test_a_body_that_stops_coming_is_not_waited_for(wire: Wire, monkeypatch: pytest.MonkeyPatch, route: str) -> None:
    monkeypatch.setattr(decoding, "SILENCE", 0.2)
    wire.stalls = True
    reply = wire.send("POST", route, {"content-type": "application/json", "content-length": "900"}, b'{"name": ')
    assert (reply.status, reply.code, reply.headers["connection"]) == (408, "server/body-too-slow", "close")
    assert not list((wire.house.home.path / "tmp").glob("body-*"))


def test_a_push_that_stops_coming_is_ended(make_wire: MakeWire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "SILENCE", 0.2)
    wire = make_wire()
    wire.stalls = True
    headers = {"content-type": "application/x-git-receive-pack-request", "content-length": "900"}
    reply = wire.send("POST", "/git/slow.git/git-receive-pack", headers, b"00")
    assert reply.body == b"", "git is gone, and with it what it held"


def test_a_body_that_comes_by_drops_is_not_waited_for(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_PATIENCE", 0.2)
    wire.stalls = True
    assert wire.send("POST", "/bytes", body=b"abc").code == "server/body-too-slow"


def test_bodies_come_as_the_route_takes_them(wire: Wire) -> None:
    assert wire.json("POST", "/echo", {"name": "a", "many": [1]}).json == {"name": "a", "inner": None, "many": [1]}
    assert wire.send("POST", "/bytes", body=b"abc").json == 3
    assert wire.send("POST", "/file", body=b"x" * 150_000).json == 150_000
    assert not list((wire.house.home.path / "tmp").iterdir()), "a file lives as long as its call"


def test_a_route_that_takes_no_body_refuses_one(wire: Wire) -> None:
    reply = wire.send("GET", "/none", body=b"{}")
    assert (reply.status, reply.code) == (400, "server/unexpected-body")


def test_a_parameter_that_is_not_known_is_refused_with_the_nearest(wire: Wire) -> None:
    reply = wire.send("GET", "/none?color=red")
    assert (reply.status, reply.code, reply.json["where"]) == (400, "server/unknown-parameter", "query.color")
    assert "colour" in reply.json["next"]


@pytest.mark.parametrize(
    "query",
    ["limit=x", "limit=0", "limit=1001", "limit=-1", "limit=1e9", "after=" + "9" * 30, "newest_first=maybe", "before=٣"],
)
def test_a_parameter_that_cannot_be_is_refused(make_wire: MakeWire, query: str) -> None:
    reply = make_wire().send("GET", f"/api/v1/events?{query}")
    assert (reply.status, reply.code) == (400, "server/bad-parameter")


def test_the_most_literal_path_wins_and_names_are_each_route_s_own(wire: Wire) -> None:
    assert wire.send("GET", "/things/fixed").json == {}
    assert wire.send("GET", "/things/a%20b").json == {"name": "a b"}
    assert wire.send("GET", "/things/fixed/parts/1").json == {"name": "fixed", "part": "1"}
    assert wire.send("DELETE", "/things/a").json == {"thing": "a"}
    assert wire.send("GET", "/tree/a/b").json == {"rest": "a/b"}


@pytest.mark.parametrize(
    "target", ["/Things/fixed", "/things//fixed", "//things/fixed", "/things/", "/things/fixed/", "/tree//a"]
)
def test_a_path_is_exactly_a_path(wire: Wire, target: str) -> None:
    reply = wire.send("GET", target)
    assert (reply.status, reply.code) == (404, "server/unknown-path")


def test_a_method_that_a_path_does_not_answer_is_refused_with_those_that_it_does(wire: Wire) -> None:
    for method in ("POST", "OPTIONS", "get", "TRACE"):
        reply = wire.send(method, "/things/a")
        assert (reply.status, reply.code) == (405, "server/method-not-allowed")
        assert reply.json["next"] == "It answers DELETE, GET, HEAD."
    assert wire.send("HEAD", "/things/a").status == 200


def test_what_goes_wrong_inside_is_told_without_its_insides(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    reply = wire.send("GET", "/breaks")
    assert (reply.status, reply.code) == (500, "server/internal")
    assert b"secret" not in reply.body and b"LookupError" not in reply.body and b"Traceback" not in reply.body
    incident = reply.json["detail"].split("incident ")[1].rstrip(").")
    assert incident in caplog.text and "secret of the house" in caplog.text


def test_errors_speak_the_caller_s_language(make_wire: MakeWire) -> None:
    reply = make_wire().send("GET", "/nowhere", {"accept-language": "es-AR,es;q=0.9,en;q=0.5"})
    assert reply.json["detail"] == "No hay nada en /nowhere."
    assert make_wire().send("GET", "/nowhere", {"accept-language": "fr,en"}).json["detail"] == "There is nothing at /nowhere."


@pytest.mark.parametrize("body", [Open, dict, list[int]])
def test_a_body_that_takes_unknown_fields_does_not_start(body: type) -> None:
    with pytest.raises(TypeError, match="forbids unknown fields"):
        RouteTable([Route("POST", "/x", echo, "ledger.read", "x", body)])


def test_two_routes_for_one_path_do_not_start() -> None:
    with pytest.raises(TypeError, match="two routes"):
        RouteTable([Route("GET", "/{a}", echo, "ledger.read", "x"), Route("GET", "/{b}", echo, "ledger.read", "x")])


def test_openapi_describes_every_native_route(make_wire: MakeWire) -> None:
    document = make_wire().send("GET", "/api/v1/openapi.json").json
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    native = {(r.method, r.path.replace("*}", "}")) for r in route_table().routes if r.path.startswith("/api/v1/")}
    assert native <= described
    text = json.dumps(document)
    for reference in set(text.split('"$ref": "#/components/schemas/')[1:]):
        assert reference.split('"')[0] in document["components"]["schemas"]
    advance = document["paths"]["/api/v1/clock/advance"]["post"]
    assert advance["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Advance"}
    assert advance["x-permission"] == "ledger.advance"
