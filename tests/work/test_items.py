"""Work items: what they are, how long they may take, how they change."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bucle.ledger import EventFilter, Home, Scope, acting
from bucle.work import (
    AlreadyClosed,
    BadField,
    Change,
    Link,
    NewItem,
    UnknownItem,
    change_item,
    close_item,
    comment_on,
    get_item,
    list_items,
    open_item,
)

SCOPE = Scope("flights", "production")
START = datetime(2013, 4, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home.open(tmp_path / "home", replay_from=START)
    yield home
    home.close()


def opened(home: Home, title: str = "Delays look wrong", **fields: object) -> str:
    with acting("ana", "data_scientist"), home.ledger.write() as transaction:
        return open_item(transaction, SCOPE, "ana", NewItem(**{"kind": "bug", "title": title, **fields}))  # type: ignore[arg-type]


def pass_time(home: Home, hours: int) -> None:
    with home.ledger.write() as transaction:
        home.ledger.clock.move(transaction, home.ledger.clock.now() + timedelta(hours=hours))


def test_an_item_cites_what_it_is_about_and_the_ledger_says_who_opened_it(home: Home) -> None:
    id = opened(home, links=(Link("run", "run_1"), Link("commit", "ab12")))
    item = get_item(home.ledger, "flights", id)
    assert item.links == (Link("commit", "ab12"), Link("run", "run_1"))
    (event,) = home.ledger.events(EventFilter(subject=id))
    assert (event.kind, event.actor, event.role, event.environment) == ("work.opened", "ana", "data_scientist", "production")
    assert item.event == event.seq


def test_the_severity_sets_how_long_it_may_take(home: Home) -> None:
    critical, trivial = opened(home, severity="critical"), opened(home, severity="trivial")
    assert get_item(home.ledger, "flights", critical).due == START + timedelta(days=1)
    assert get_item(home.ledger, "flights", trivial).due is None
    pass_time(home, 25)
    now = home.ledger.clock.now()
    assert get_item(home.ledger, "flights", critical).overdue(now)
    assert not get_item(home.ledger, "flights", trivial).overdue(now)


def test_closing_late_is_recorded_as_late(home: Home) -> None:
    late, timely = opened(home, severity="critical"), opened(home, due=START + timedelta(days=9))
    pass_time(home, 30)
    with home.ledger.write() as transaction:
        close_item(transaction, late, "fixed")
        close_item(transaction, timely, "fixed")
    data = {event.subject: event.data for event in home.ledger.events(EventFilter(kinds=("work.closed",)))}
    assert data[late]["overdue"] is True and data[timely]["overdue"] is False
    assert data[late]["seconds"] == 30 * 3600


def test_a_closed_item_cannot_be_closed_again_but_opened(home: Home) -> None:
    id = opened(home)
    with home.ledger.write() as transaction:
        close_item(transaction, id, "fixed")
    with pytest.raises(AlreadyClosed), home.ledger.write() as transaction:
        close_item(transaction, id, "fixed")
    with home.ledger.write() as transaction:
        change_item(transaction, id, Change(state="open"))
    item = get_item(home.ledger, "flights", id)
    assert (item.state, item.closed_at, item.resolution) == ("open", None, None)


def test_a_change_says_what_it_was_before(home: Home) -> None:
    id = opened(home)
    with home.ledger.write() as transaction:
        change_item(transaction, id, Change(state="in_progress", assignee="ben"))
        change_item(transaction, id, Change(state="in_progress"))
    (event,) = home.ledger.events(EventFilter(kinds=("work.changed",)))
    assert event.data["changes"] == [["state", "open", "in_progress"], ["assignee", "None", "ben"]]


def test_the_list_begins_with_what_is_most_urgent(home: Home) -> None:
    later, first, soon = opened(home, severity="trivial"), opened(home, priority=1), opened(home, severity="critical")
    done = opened(home)
    with home.ledger.write() as transaction:
        close_item(transaction, done, "a duplicate")
    assert [item.id for item in list_items(home.ledger, "flights")] == [first, soon, later]
    assert [item.id for item in list_items(home.ledger, "flights", state="done")] == [done]
    assert len(list_items(home.ledger, "flights", state="all")) == 4
    assert list_items(home.ledger, "flights", kind="incident") == []


def test_comments_stand_under_their_item(home: Home) -> None:
    id = opened(home)
    with home.ledger.write() as transaction:
        comment_on(transaction, id, "ben", "It is the weather.")
    (comment,) = get_item(home.ledger, "flights", id).comments
    assert (comment.author, comment.text) == ("ben", "It is the weather.")


def test_another_projects_item_does_not_exist(home: Home) -> None:
    id = opened(home)
    with pytest.raises(UnknownItem):
        get_item(home.ledger, "trains", id)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "wish"},
        {"severity": "bad"},
        {"priority": 9},
        {"title": " "},
        {"title": "x" * 201},
        {"links": (Link("moon", "1"),)},
    ],
)
def test_a_field_that_cannot_be_is_refused_by_name_and_nothing_is_kept(home: Home, fields: dict[str, object]) -> None:
    with pytest.raises(BadField) as caught:
        opened(home, **fields)
    assert caught.value.where in {"kind", "severity", "priority", "title", "link"}
    assert list_items(home.ledger, "flights", state="all") == []


def test_done_is_reached_only_by_closing(home: Home) -> None:
    id = opened(home)
    with pytest.raises(BadField), home.ledger.write() as transaction:
        change_item(transaction, id, Change(state="done"))


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"assignee": "x" * 201}, "assignee"),
        ({"feature": "x" * 201}, "feature"),
        ({"links": (Link("run", "x" * 201),)}, "target"),
    ],
)
def test_a_name_of_any_length_is_refused(home: Home, fields: dict[str, object], where: str) -> None:
    with pytest.raises(BadField) as caught:
        opened(home, **fields)
    assert caught.value.where == where
    id = opened(home)
    with pytest.raises(BadField), home.ledger.write() as transaction:
        change_item(transaction, id, Change(assignee="x" * 201))
    with pytest.raises(BadField) as caught, home.ledger.write() as transaction:
        close_item(transaction, id, "x" * 20_001)
    assert caught.value.where == "resolution"
