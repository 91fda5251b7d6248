"""A write that is sent twice with one Idempotency-Key happens once, also when the server died in between."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.server.conftest import Wire

from bucle.errors import BucleError
from bucle.identity import OWNER, create_token, list_tokens
from bucle.ledger import RequestKey, StoredEvent, Ticked, handling
from bucle.server import Body, Call, House, Route, RouteTable, open_house

MakeWire = Callable[..., Wire]
WANTED = {"name": "ana", "role": "viewer"}


class Late(BucleError, code="servertest/late", status=409):
    """Refused after the first effect."""

    message = "Too late."


class Wanted(Body, frozen=True):
    """A body for tests."""

    name: str


def test_the_answer_of_the_first_time_comes_again(house: House, wire: Wire) -> None:
    first = wire.json("POST", "/api/v1/tokens", WANTED, idempotency_key="k")
    again = wire.json("POST", "/api/v1/tokens", WANTED, idempotency_key="k")
    assert (first.status, first.body) == (again.status, again.body)
    assert "idempotency-replayed" in again.headers and "idempotency-replayed" not in first.headers
    assert len(list_tokens(house.ledger)) == 1
    wire.json("POST", "/api/v1/tokens", WANTED, idempotency_key="another")
    wire.json("POST", "/api/v1/tokens", WANTED)
    assert len(list_tokens(house.ledger)) == 3


def test_no_secret_and_no_key_lies_in_the_home(house: House, wire: Wire) -> None:
    key = "5f0c5ec4-e6f1-4c0e-9f0a-1d2b3c4d5e6f"
    secret = msgspec.json.decode(wire.json("POST", "/api/v1/tokens", WANTED, idempotency_key=key).body)["token"]
    again = wire.json("POST", "/api/v1/tokens", WANTED, idempotency_key=key)
    assert msgspec.json.decode(again.body)["token"] == secret
    held = b"".join(path.read_bytes() for path in house.home.path.rglob("*") if path.is_file())
    assert b"identity.token_created" in held
    assert secret.encode() not in held and key.encode() not in held


def test_a_key_belongs_to_one_request_of_one_principal(house: House, wire: Wire) -> None:
    wire.json("POST", "/api/v1/tokens", WANTED, idempotency_key="k")
    other = wire.json("POST", "/api/v1/tokens", {**WANTED, "name": "eve"}, idempotency_key="k")
    assert (other.status, other.code) == (422, "server/idempotency-key-reused")
    secret = create_token(house.ledger, "boss", "owner").secret
    same = wire.json("POST", "/api/v1/tokens", WANTED, idempotency_key="k", authorization=f"Bearer {secret}")
    assert same.status == 200 and "idempotency-replayed" not in same.headers


def test_a_request_that_had_no_effect_may_be_tried_again(house: House, wire: Wire) -> None:
    assert wire.json("POST", "/api/v1/tokens", {**WANTED, "role": "king"}, idempotency_key="k").status == 400
    assert wire.json("POST", "/api/v1/tokens", WANTED, idempotency_key="k").status == 200


@pytest.mark.parametrize("key", ["x" * 201, "a\tb"])
def test_a_key_that_is_none_is_refused(wire: Wire, key: str) -> None:
    reply = wire.json("POST", "/api/v1/tokens", WANTED, idempotency_key=key)
    assert (reply.status, reply.code) == (400, "server/bad-idempotency-key")


class Crash(BaseException):
    """As a kill: nothing that comes after it is done."""


def make_tokens(call: Call) -> list[str]:
    """Make a token, see it, and fail if the test wants it."""
    token = create_token(call.house.ledger, call.body.name, "viewer")
    assert token.id in [each.id for each in list_tokens(call.house.ledger)]
    if fails:
        raise fails.pop()
    return [token.id, create_token(call.house.ledger, call.body.name, "viewer").id]


fails: list[BaseException] = []


@pytest.mark.parametrize("failure", [ZeroDivisionError("a mistake"), Crash()])
def test_effect_and_answer_are_there_together_or_not_at_all(house: House, make_wire: MakeWire, failure: BaseException) -> None:
    wire = make_wire(table=RouteTable([Route("POST", "/two", make_tokens, "identity.admin", "Two", Wanted)]))
    fails.append(failure)
    with suppress(Crash):
        assert wire.json("POST", "/two", {"name": "a"}, idempotency_key="k").status == 500
    assert list_tokens(house.ledger) == [] and house.ledger.request(f"{OWNER.id}:k") is None
    first, again = (wire.json("POST", "/two", {"name": "a"}, idempotency_key="k") for _ in range(2))
    assert first.status == 200 and first.body == again.body
    assert [token.id for token in list_tokens(house.ledger)] == first.json


def recalled(call: Call, events: Sequence[StoredEvent]) -> list[str] | None:
    """Two tokens are the whole, one is half of it."""
    subjects = [event.subject for event in events if event.kind == "identity.token_created"]
    return subjects if len(subjects) == 2 else None


def test_a_request_in_parts_is_answered_from_its_events_or_done_again(house: House, make_wire: MakeWire) -> None:
    route = Route("POST", "/two", make_tokens, "identity.admin", "Two", Wanted, recall=recalled)
    wire = make_wire(table=RouteTable([route]))
    fails.append(ZeroDivisionError("half-way"))
    assert wire.json("POST", "/two", {"name": "a"}, idempotency_key="k").status == 500
    assert len(list_tokens(house.ledger)) == 1, "each part is kept"
    whole = wire.json("POST", "/two", {"name": "a"}, idempotency_key="k")
    assert whole.status == 200 and len(list_tokens(house.ledger)) == 3, "the half was no answer"


def test_what_took_effect_before_its_answer_was_kept_is_answered_from_its_events(house: House, make_wire: MakeWire) -> None:
    route = Route("POST", "/two", make_tokens, "identity.admin", "Two", Wanted, recall=recalled)
    wire = make_wire(table=RouteTable([route]))
    first = wire.json("POST", "/two", {"name": "a"}, idempotency_key="k")
    with house.ledger.write() as tx:  # as a kill between the effect and its answer leaves it
        tx.execute("UPDATE request SET status = NULL, answer = NULL")
    for _ in range(2):
        again = wire.json("POST", "/two", {"name": "a"}, idempotency_key="k")
        assert (again.status, again.body) == (200, first.body) and "idempotency-replayed" in again.headers
    assert len(list_tokens(house.ledger)) == 2


def test_the_key_is_kept_in_the_transaction_of_the_first_effect(house: House) -> None:
    with handling(RequestKey("k", "digest")):
        with pytest.raises(ZeroDivisionError), house.ledger.write():
            _ = 1 / 0
        assert house.ledger.request("k") is None
        with house.ledger.write():
            pass
    kept = house.ledger.request("k")
    assert kept is not None and (kept.digest, kept.status) == ("digest", None)


def test_a_refusal_after_an_effect_is_an_answer_too(house: House, make_wire: MakeWire) -> None:
    def half(call: Call) -> None:
        create_token(call.house.ledger, "half", "viewer")
        raise Late()

    wire = make_wire(table=RouteTable([Route("POST", "/half", half, "identity.admin", "Half", Wanted)]))
    replies = [wire.json("POST", "/half", {"name": "a"}, idempotency_key="k") for _ in range(2)]
    assert [(reply.status, reply.code) for reply in replies] == [(409, "servertest/late")] * 2
    assert replies[0].json == replies[1].json
    assert len(list_tokens(house.ledger)) == 1


def test_a_request_that_is_still_at_work_is_not_begun_again(make_wire: MakeWire) -> None:
    began, finish = threading.Event(), threading.Event()

    def slow(call: Call) -> None:
        began.set()
        finish.wait(30)

    wire = make_wire(table=RouteTable([Route("POST", "/slow", slow, "identity.admin", "Slow", Wanted)]))
    thread = threading.Thread(target=lambda: wire.json("POST", "/slow", {"name": "a"}, idempotency_key="k"))
    thread.start()
    began.wait(30)
    reply = wire.json("POST", "/slow", {"name": "a"}, idempotency_key="k")
    finish.set()
    thread.join()
    assert (reply.status, reply.code) == (409, "server/request-in-progress")


def test_answers_are_forgotten_after_their_time(house: House, wire: Wire) -> None:
    wire.json("POST", "/api/v1/tokens", WANTED, idempotency_key="k")
    assert house.ledger.forget_requests(datetime.now(UTC) - timedelta(days=7)) == 0
    with house.ledger.write() as tx:
        tx.execute("UPDATE request SET at_us = 0")
    with house.ledger.write() as tx:
        tx.emit(Ticked(datetime.now(UTC)), "clock")
    house.settle()
    assert house.ledger.request(f"{OWNER.id}:k") is None


def test_bodies_that_a_killed_server_left_are_removed_by_the_next(tmp_path: Path) -> None:
    open_house(tmp_path / "home", "call").close()
    leftover = tmp_path / "home" / "tmp" / "body-x"
    leftover.write_bytes(b"x")
    house = open_house(tmp_path / "home", "call")
    assert not leftover.exists()
    house.close()
