"""State and event in one transaction, causes from the context, group commit from many threads."""

import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bucle.ledger import KINDS, Event, EventFilter, Home, Scope, UnknownId, acting, because, within


@dataclass(frozen=True, slots=True)
class Noted(Event, kind="ledgertest.noted", version=1):
    """Something was noted."""

    text: str


NOTE = "INSERT INTO principal (id, name, kind, created_us) VALUES (?, ?, 'person', 0)"
COUNT = "SELECT count(*) FROM principal"


def note(home: Home, text: str, subject: str = "x") -> int:
    with home.ledger.write() as tx:
        return tx.emit(Noted(text), subject)


def count(home: Home) -> int:
    with home.ledger.read() as reader:
        row = reader.row(COUNT)
        assert row is not None
        return int(row[0])


def test_an_event_says_who_where_when_and_why(home: Home) -> None:
    first = note(home, "first")
    with acting("ana", "data_scientist"), within(Scope("flights", "test")), because(first, None, first):
        second = note(home, "second", "run_1")
    event = home.ledger.event(second)
    assert (event.actor, event.role, event.project, event.environment) == ("ana", "data_scientist", "flights", "test")
    assert event.caused_by == (first,)
    assert (event.kind, event.version, event.subject, event.data) == ("ledgertest.noted", 1, "run_1", {"text": "second"})
    assert event.at.tzinfo is not None and event.as_of.tzinfo is not None


def test_who_acts_anew_has_no_causes_of_before(home: Home) -> None:
    with because(note(home, "first")), acting("ana", "viewer"):
        assert home.ledger.event(note(home, "second")).caused_by == ()


def test_a_failed_transaction_leaves_neither_state_nor_event(home: Home) -> None:
    with pytest.raises(ZeroDivisionError), home.ledger.write() as tx:
        tx.execute(NOTE, ("a", "a"))
        tx.emit(Noted("never"), "x")
        _ = 1 / 0
    assert (home.ledger.newest(), count(home)) == (0, 0)


def test_a_read_sees_nothing_of_what_is_not_committed(home: Home) -> None:
    with home.ledger.write() as tx:
        tx.execute(NOTE, ("a", "a"))
        assert count(home) == 0
        assert len(tx.rows("SELECT id FROM principal")) == 1
    assert count(home) == 1


def test_a_read_within_a_read_shares_its_snapshot(home: Home) -> None:
    with home.ledger.read() as reader:
        assert reader.row(COUNT)[0] == 0  # type: ignore[index]
        thread = threading.Thread(target=note, args=(home, "meanwhile"))
        thread.start()
        thread.join()
        assert home.ledger.newest() == 0
    assert home.ledger.newest() == 1


def test_threads_that_end_leave_no_readers_behind(home: Home) -> None:
    def open_files() -> int:
        return sum(link.resolve() == (home.path / "ledger.db").resolve() for link in Path("/proc/self/fd").iterdir())

    together = threading.Barrier(8)

    def read() -> None:
        with home.ledger.read() as reader:
            reader.row(COUNT)
            together.wait(30)

    for _ in range(3):
        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert open_files() <= 1 + 8  # the writer, and as many readers as ever read at once, however many threads have ended


def test_a_read_that_fails_leaves_the_reader_fit_for_the_next(home: Home) -> None:
    with pytest.raises(sqlite3.OperationalError), home.ledger.read() as reader:
        reader.row("SELECT nothing FROM nowhere")
    note(home, "later")
    with home.ledger.read() as reader:
        assert reader.row("SELECT count(*) FROM event")[0] == 1  # type: ignore[index]


def test_a_write_within_a_write_is_refused_instead_of_waiting_for_ever(home: Home) -> None:
    with home.ledger.write(), pytest.raises(RuntimeError, match="pass the transaction"), home.ledger.write():
        pass
    assert note(home, "fine again") == 1


def test_writes_of_many_threads_are_all_kept_and_a_failed_one_takes_none_with_it(home: Home) -> None:
    def write(thread: int) -> None:
        for number in range(60):
            name = f"{thread}-{number}"
            try:
                with home.ledger.write() as tx:
                    tx.execute(NOTE, (name, name))
                    tx.emit(Noted(name), name)
                    if number % 7 == 3:
                        raise LookupError
            except LookupError:
                continue
            assert home.ledger.events(EventFilter(subject=name)), "what was acknowledged can be read"

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = sum(1 for number in range(60) if number % 7 != 3) * 8
    assert count(home) == kept
    events = home.ledger.events()
    assert [event.seq for event in events] == list(range(1, kept + 1)), "no gap, no seq used twice"


def test_a_wait_ends_with_the_next_commit(home: Home) -> None:
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(home.ledger.wait(0, timeout=30)))
    thread.start()
    note(home, "now")
    thread.join()
    assert seen == [True]
    assert not home.ledger.wait(home.ledger.newest(), timeout=0.01)


def test_why_walks_back_to_the_beginning_and_nowhere_else(home: Home) -> None:
    root, other = note(home, "root", "root"), note(home, "other", "other")
    with because(root):
        run = note(home, "run", "run_1")
    with because(run):
        gate = note(home, "gate", "gate_1")
    with because(run, gate):
        promotion = note(home, "promotion", "dep_1")
    chain = [promotion, gate, run, root]
    assert [event.seq for event in home.ledger.why("dep_1")] == chain
    assert [event.seq for event in home.ledger.why(str(promotion))] == chain
    assert [event.seq for event in home.ledger.why(home.ledger.event(promotion).id)] == chain
    assert other not in [event.seq for event in home.ledger.why("dep_1")]
    with pytest.raises(UnknownId):
        home.ledger.why("dep_2")


def test_why_starts_from_a_lineage_node_at_the_event_that_made_it(home: Home) -> None:
    with home.ledger.write() as tx:
        seq = tx.emit(Noted("made"), "run_1")
        tx.node("blake3:aa", "artifact", "frame", event=seq)
    assert [event.seq for event in home.ledger.why("blake3:aa")] == [seq]


def test_lineage_leads_to_what_something_was_made_from_and_to_what_uses_it(home: Home) -> None:
    with home.ledger.write() as tx:
        for id, type, kind in (("ds", "artifact", "dataset"), ("run", "execution", "run"), ("mv", "artifact", "model")):
            tx.node(id, type, kind)  # type: ignore[arg-type]
        tx.edge("ds", "run", "input", None)
        tx.edge("run", "mv", "output", None)
        tx.edge("run", "mv", "output", None)
    up = {(edge.source, edge.target, edge.role) for edge in home.ledger.lineage("mv")}
    assert up == {("ds", "run", "input"), ("run", "mv", "output")}
    assert {edge.target for edge in home.ledger.lineage("ds", "down")} == {"run", "mv"}
    assert home.ledger.lineage("ds", "up") == []
    node = home.ledger.node("mv")
    assert node is not None and node["kind"] == "model"


def test_a_circle_in_the_lineage_ends(home: Home) -> None:
    with home.ledger.write() as tx:
        tx.edge("a", "b", "x")
        tx.edge("b", "a", "x")
    assert len(home.ledger.lineage("a")) == 2


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_filters_agree_with_a_plain_search(home: Home, data: st.DataObject) -> None:
    note(home, "one", data.draw(st.sampled_from("abc")))
    everything = home.ledger.events(EventFilter(limit=100_000))
    subject = data.draw(st.sampled_from([None, "a", "b"]))
    after = data.draw(st.integers(0, 30))
    before = data.draw(st.one_of(st.none(), st.integers(1, 40)))
    kinds = data.draw(st.sampled_from([(), ("ledgertest.",), ("ledgertest.noted",), ("ledgertest.note",), ("ledger.",)]))
    newest_first = data.draw(st.booleans())
    limit = data.draw(st.integers(1, 20))
    wanted = EventFilter(kinds, subject, None, None, after, before, newest_first, limit)
    plain = [
        event
        for event in (everything[::-1] if newest_first else everything)
        if (subject is None or event.subject == subject)
        and event.seq > after
        and (before is None or event.seq < before)
        and (not kinds or any(event.kind == k or (k.endswith(".") and event.kind.startswith(k)) for k in kinds))
    ]
    assert home.ledger.events(wanted) == plain[:limit]


def test_a_kind_belongs_to_one_class() -> None:
    with pytest.raises(TypeError, match=r"'ledgertest\.noted' is that of .*test_transactions\.Noted already"):

        class Other(Event, kind="ledgertest.noted", version=1):
            """Takes the kind of another event."""

    assert KINDS["ledgertest.noted"] is Noted
