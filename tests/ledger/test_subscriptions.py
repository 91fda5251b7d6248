"""Durable subscriptions: every event of their kinds, in order, at least once, also across restarts."""

import threading

import pytest
from tests.ledger.test_transactions import note

from bucle.errors import BucleError
from bucle.ledger import DiskFull, Dispatcher, EventFilter, Home, StoredEvent, Subscription, current_context


class Refused(BucleError, code="ledgertest/refused"):
    """A handler will not."""

    message = "no"


class Collector:
    """Remembers what it was handed; fails as often as it is told to."""

    def __init__(self, failures: int = 0, error: type[Exception] = OSError) -> None:
        self.seen: list[int] = []
        self.failures = failures
        self.error = error

    def __call__(self, event: StoredEvent) -> None:
        self.seen.append(event.seq)
        if self.failures:
            self.failures -= 1
            raise self.error()


def subscription(handler: Collector, *kinds: str, name: str = "test") -> Subscription:
    return Subscription(name, kinds or ("ledgertest.noted",), handler)


def test_a_subscription_sees_all_of_its_kinds_in_order(home: Home) -> None:
    for text in "abc":
        note(home, text)
    exact, prefix, none = Collector(), Collector(), Collector()
    dispatcher = Dispatcher(
        home.ledger,
        [
            subscription(exact, name="exact"),
            subscription(prefix, "ledgertest.", name="prefix"),
            subscription(none, "ledgertest.note", name="none"),
        ],
    )
    assert dispatcher.drain() == 6
    assert exact.seen == prefix.seen == [1, 2, 3]
    assert none.seen == []


def test_a_cursor_survives_the_process(home: Home) -> None:
    note(home, "a")
    Dispatcher(home.ledger, [subscription(Collector())]).drain()
    note(home, "b")
    later = Collector()
    Dispatcher(home.ledger, [subscription(later)]).drain()
    assert later.seen == [2]


def test_an_event_whose_handler_died_before_the_cursor_moved_comes_again(home: Home) -> None:
    note(home, "a")
    killed = Collector(1, KeyboardInterrupt)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        Dispatcher(home.ledger, [subscription(killed)]).drain()
    again = Collector()
    Dispatcher(home.ledger, [subscription(again)]).drain()
    assert killed.seen == again.seen == [1]


def test_a_handler_that_fails_for_the_moment_is_tried_again(home: Home) -> None:
    note(home, "a")
    handler = Collector(failures=2)
    Dispatcher(home.ledger, [subscription(handler)]).drain()
    assert handler.seen == [1, 1, 1]
    assert not home.ledger.events(EventFilter(kinds=("ledger.delivery_failed",)))


@pytest.mark.parametrize(("error", "attempts"), [(OSError, 3), (Refused, 1)])
def test_a_handler_that_never_succeeds_is_gone_past_with_an_event(home: Home, error: type[Exception], attempts: int) -> None:
    note(home, "a", "run_1")
    handler = Collector(failures=attempts, error=error)
    Dispatcher(home.ledger, [subscription(handler)]).drain()
    note(home, "b")
    Dispatcher(home.ledger, [subscription(handler)]).drain()
    assert handler.seen == [1] * attempts + [3]
    [failed] = home.ledger.events(EventFilter(kinds=("ledger.delivery_failed",)))
    assert failed.caused_by == (1,)
    assert (failed.subject, failed.data["subscription"], failed.data["event"]) == ("run_1", "test", 1)


def test_an_event_that_found_the_disk_full_waits_until_there_is_room(home: Home) -> None:
    note(home, "a")
    handler = Collector(failures=1, error=DiskFull)
    dispatcher = Dispatcher(home.ledger, [subscription(handler)])
    with pytest.raises(DiskFull):
        dispatcher.drain()
    assert home.ledger.events(EventFilter(kinds=("ledger.delivery_failed",))) == []
    assert dispatcher.drain() == 1
    assert handler.seen == [1, 1]


def test_what_a_handler_emits_is_caused_by_the_event_and_is_handled_too(home: Home) -> None:
    def chain(event: StoredEvent) -> None:
        if event.data["text"] != "end":
            assert current_context().actor == "subscription:chain"
            note(home, {"start": "middle", "middle": "end"}[event.data["text"]])

    note(home, "start")
    Dispatcher(home.ledger, [Subscription("chain", ("ledgertest.noted",), chain)]).drain()
    assert [event.seq for event in home.ledger.why("3")] == [3, 2, 1]


def test_a_dispatcher_in_a_thread_delivers_what_comes(home: Home) -> None:
    arrived = threading.Event()
    dispatcher = Dispatcher(home.ledger, [Subscription("test", ("ledgertest.noted",), lambda event: arrived.set())])
    dispatcher.start()
    note(home, "a")
    assert arrived.wait(30)
    dispatcher.stop()


def test_an_event_that_fails_because_the_house_goes_down_waits_for_the_next_start(home: Home) -> None:
    note(home, "a")

    def fails_while_stopping(event: StoredEvent) -> None:
        dispatcher.stop()
        raise OSError("the pool is closed")

    dispatcher = Dispatcher(home.ledger, [Subscription("test", ("ledgertest.noted",), fails_while_stopping)])
    dispatcher.drain()
    again = Collector()
    Dispatcher(home.ledger, [subscription(again)]).drain()
    assert again.seen == [1]
