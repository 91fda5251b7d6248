"""What every online store must do, whatever holds the rows; and the keys that rows are found by."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucle.errors import BucleError
from bucle.features import OnlineRow, OnlineStore, SQLiteOnlineStore
from bucle.features.keys import encode_key
from bucle.ledger import Home, Scope

SHOP = Scope("shop", "production")


@pytest.fixture(params=["sqlite"])
def store(tmp_path: Path) -> Iterator[OnlineStore]:
    home = Home.open(tmp_path)
    with home.ledger.write() as transaction:
        yield SQLiteOnlineStore(transaction, SHOP)
    home.close()


def row(key: str, content: bytes, event: int, created: int = 0, tie: int = 0) -> OnlineRow:
    return OnlineRow(key, event, content, created, tie)


def test_a_late_old_value_does_not_replace_a_newer_one(store: OnlineStore) -> None:
    assert store.write("v", [row("k", b"noon", 12)]) == 1
    assert store.write("v", [row("k", b"morning", 9)]) == 0
    assert [held and held.content for held in store.read("v", ["k"])] == [b"noon"]


def test_of_equal_events_the_later_created_and_then_the_later_ingested_wins(store: OnlineStore) -> None:
    store.write("v", [row("k", b"first", 12, 2), row("k", b"older creation", 12, 1), row("k", b"later ingested", 12, 2, 1)])
    assert [held and held.content for held in store.read("v", ["k"])] == [b"later ingested"]


def test_rows_come_in_the_order_of_the_keys_and_none_for_unknown_ones(store: OnlineStore) -> None:
    store.write("v", [row(str(number), str(number).encode(), 1) for number in range(1200)])
    wanted = [str(number) for number in range(1300, 0, -1)] + ["5", "5"]
    found = store.read("v", wanted)
    assert [held.key if held else None for held in found] == [key if int(key) < 1200 else None for key in wanted]
    assert store.read("v", []) == []


def test_views_are_apart_and_replaced_as_a_whole(store: OnlineStore) -> None:
    store.write("v", [row("k", b"v", 5), row("old", b"v", 5)])
    store.write("w", [row("k", b"w", 5)])
    assert store.replace("v", [row("k", b"older but right", 1)]) == 1
    assert [held and held.content for held in store.read("v", ["k", "old"])] == [b"older but right", None]
    assert [held and held.content for held in store.read("w", ["k"])] == [b"w"]


def test_another_project_or_environment_sees_nothing(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    with home.ledger.write() as transaction:
        SQLiteOnlineStore(transaction, SHOP).write("v", [row("k", b"x", 1)])
        for other in (Scope("shop", "test"), Scope("bank", "production")):
            assert SQLiteOnlineStore(transaction, other).read("v", ["k"]) == [None]
    home.close()


def test_a_write_that_is_undone_leaves_nothing(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    with pytest.raises(ZeroDivisionError), home.ledger.write() as transaction:
        SQLiteOnlineStore(transaction, SHOP).write("v", [row("k", b"x", 1)])
        raise ZeroDivisionError
    with home.ledger.read() as reader:
        assert SQLiteOnlineStore(reader, SHOP).read("v", ["k"]) == [None]
    home.close()


writes = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), max_size=20)


@settings(deadline=None, max_examples=40)
@given(writes)
def test_whatever_the_order_of_writes_the_newest_row_is_held(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, int, int, int]]
) -> None:
    home = Home.open(tmp_path_factory.mktemp("home"))
    with home.ledger.write() as transaction:
        store = SQLiteOnlineStore(transaction, SHOP)
        for number, (key, event, created, tie) in enumerate(history):
            store.write("v", [row(key, str(number).encode(), event, created, tie)])
        for key in "ab":
            mine = [(rest, number) for number, (owner, *rest) in enumerate(history) if owner == key]
            (held,) = store.read("v", [key])
            assert (held.content if held else None) == (str(max(mine)[1]).encode() if mine else None)
    home.close()


def test_keys_are_apart_by_type_value_and_part() -> None:
    parts = [
        (1,),
        ("1",),
        (True,),
        (1.5,),
        (1, 11),
        (11, 1),
        ("1,11",),
        ("", ""),
        ("",),
        (date(2024, 1, 1),),
        ("2024-01-01",),
        (b"1",),
    ]
    texts = [encode_key(each) for each in parts]
    assert None not in texts
    assert len(set(texts)) == len(parts)


def test_equal_keys_have_one_text_and_null_has_none() -> None:
    noon = datetime(2024, 3, 1, 12, tzinfo=UTC)
    madrid = noon.astimezone(timezone(timedelta(hours=1)))
    assert encode_key((1.0,)) == encode_key((1,))
    assert encode_key((noon,)) == encode_key((madrid,)) == encode_key((noon.replace(tzinfo=None),))
    assert encode_key(()) == "[]"
    assert encode_key((None,)) is encode_key((1, None)) is encode_key((float("nan"),)) is None


@pytest.mark.parametrize("value", ["\ud800", float("inf"), -1e300, 2**64, -(2**63) - 1, 10**4000])
def test_a_value_that_no_key_can_equal_is_refused_and_its_place_said(value: object) -> None:
    for parts, place in (((value,), 0), (("JFK", value), 1)):
        with pytest.raises(BucleError) as refused:
            encode_key(parts)
        assert (refused.value.code, refused.value.fields["part"]) == ("features/bad-key-value", place)
        assert refused.value.text.isascii()


def test_integers_of_64_bits_are_keys_with_and_without_a_sign() -> None:
    assert encode_key((2**64 - 1,)) == "[18446744073709551615]" and encode_key((-(2**63),)) == "[-9223372036854775808]"


def test_a_key_that_has_no_equality_is_refused() -> None:
    with pytest.raises(BucleError) as refused:
        encode_key(([1],))
    assert refused.value.code == "features/bad-key"
