"""Values between steps: what goes in comes out, equal values have equal bytes, and nothing is pickled."""

import datetime as dt
import enum
import math
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bucle.artifacts import ArtifactStore
from bucle.pipelines.codecs import NotPlain, contents, decode_value, encode_value


class Colour(enum.Enum):
    RED = 1


@dataclass(frozen=True)
class Point:
    x: float
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.x == 13:
            raise ValueError("must not run again")


class Settings(msgspec.Struct, frozen=True):
    depth: int
    names: list[str]


Pair = namedtuple("Pair", "left right")


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def _through(store: ArtifactStore, value: Any, tmp_path: Path) -> Any:
    return decode_value(encode_value(value, store), store, tmp_path / "scratch")


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(max_size=20),
    st.decimals(allow_nan=False),
    st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.fractions(),
    st.complex_numbers(allow_nan=False),
    st.just(Colour.RED),
    st.builds(Point, st.floats(allow_nan=False, max_value=12)),
    st.builds(Settings, st.integers(), st.lists(st.text(max_size=3))),
)
_HASHABLE = st.none() | st.booleans() | st.integers() | st.text() | st.binary(max_size=4)
VALUES = st.recursive(
    _SCALARS | st.sets(_HASHABLE, max_size=5) | st.frozensets(_HASHABLE, max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
        | st.dictionaries(_HASHABLE, inner, max_size=4)
    ),
    max_leaves=10,
)


@given(VALUES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_plain_values_come_back_as_they_were(store: ArtifactStore, tmp_path: Path, value: object) -> None:
    back = _through(store, value, tmp_path)
    assert back == value and type(back) is type(value)
    assert encode_value(back, store) == encode_value(value, store)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"), float("inf"), -0.0, 2**80, {"$": "int"}, {1: "a", "1": "b"}, {True: 1}, range(3, 9, 2), slice(1, None),
        Pair(1, "b"), np.float32(0.1), np.int64(7), np.datetime64("2013-05-01T03:00"), bytearray(b"x"), Path, Point,
        dt.datetime(2013, 11, 3, 1, 30, tzinfo=ZoneInfo("America/New_York"), fold=1), Decimal("1.10"), Fraction(1, 3),
        UUID(int=5), {"frame": pl.DataFrame({"a": [1]}), "numbers": [np.arange(3)]},
    ],
    ids=repr,
)  # fmt: skip
def test_rarer_values_come_back_as_they_were(store: ArtifactStore, tmp_path: Path, value: Any) -> None:
    back = _through(store, value, tmp_path)
    assert type(back) is type(value)
    assert repr(back) == repr(value) or back == value
    if isinstance(value, float):
        assert math.copysign(1, back) == math.copysign(1, value)


@pytest.mark.parametrize(
    ("value", "same"),
    [
        (pl.DataFrame({"a": [1, None], "b": ["x", "y"]}), lambda a, b: a.equals(b)),
        (pl.LazyFrame({"a": [1, 2]}), lambda a, b: a.collect().equals(b.collect())),
        (pl.Series("s", [1.5, None]), lambda a, b: a.equals(b) and a.name == b.name),
        (pd.DataFrame({"a": [1, 2]}, index=pd.Index(["p", "q"], name="k")), lambda a, b: a.equals(b) and a.index.name == "k"),
        (pd.Series([1, 2], name="s"), lambda a, b: a.equals(b) and a.name == b.name),
        (pd.Series([1, 2]), lambda a, b: a.equals(b) and a.name is None),
        (pa.table({"a": [1, 2]}), lambda a, b: a.equals(b)),
        (np.arange(6.0).reshape(2, 3), lambda a, b: np.array_equal(a, b) and a.dtype == b.dtype),
        (np.array(["ab", "c"]), lambda a, b: np.array_equal(a, b)),
    ],
    ids=lambda value: type(value).__module__ + "." + type(value).__name__,
)
def test_frames_and_arrays_come_back_as_they_were(store: ArtifactStore, tmp_path: Path, value: Any, same: Any) -> None:
    back = _through(store, value, tmp_path)
    assert type(back) is type(value) and same(back, value)
    assert encode_value(back, store).artifact == encode_value(value, store).artifact


def test_an_estimator_comes_back_by_skops_and_equal_ones_are_one_artifact(store: ArtifactStore, tmp_path: Path) -> None:
    from sklearn.tree import DecisionTreeClassifier

    rows, label = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    first, second = (DecisionTreeClassifier(random_state=1).fit(rows, label) for _ in range(2))
    assert encode_value(first, store) == encode_value(second, store)
    back = _through(store, first, tmp_path)
    assert (back.predict(rows) == first.predict(rows)).all()


def test_a_file_keeps_its_name_and_content(store: ArtifactStore, tmp_path: Path) -> None:
    made = tmp_path / "report.csv"
    made.write_text("a,b")
    back = _through(store, made, tmp_path)
    assert (back.name, back.read_text()) == ("report.csv", "a,b")


def test_a_name_cannot_lead_out_of_the_scratch_folder(store: ArtifactStore, tmp_path: Path) -> None:
    made = tmp_path / "report.csv"
    made.write_text("a,b")
    ref = msgspec.structs.replace(encode_value(made, store), name="../../../escaped")
    back: Any = decode_value(ref, store, tmp_path / "scratch")
    assert back.name == "escaped" and (tmp_path / "scratch") in back.parents


def test_the_items_of_a_tuple_are_artifacts_of_their_own(store: ArtifactStore) -> None:
    ref = encode_value((pl.DataFrame({"a": [1]}), 5), store)
    assert [part.codec for part in ref.parts] == ["polars", "json"]
    assert contents(ref) == [ref.artifact, *(part.artifact for part in ref.parts)]


@pytest.mark.parametrize(
    "value", [object(), lambda: 1, open, {1: object()}, np.array([object()], dtype=object), (i for i in "a"), Path("missing")]
)
def test_what_has_no_codec_is_refused_and_never_pickled(store: ArtifactStore, value: object) -> None:
    with pytest.raises(NotPlain):
        encode_value(value, store)


@pytest.mark.parametrize(
    "tree", ['{"$":"object","t":"os:environ","v":{}}', '{"$":"enum","t":"os:system","v":"x"}', '{"$":"oops"}']
)
def test_stored_bytes_cannot_construct_what_no_codec_makes(store: ArtifactStore, tmp_path: Path, tree: str) -> None:
    ref = msgspec.structs.replace(encode_value(1, store), artifact=store.put_bytes(tree.encode()))
    with pytest.raises(NotPlain):
        decode_value(ref, store, tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        "{b'2Ec|', b'p', *(bytes([n]) for n in range(40))}",
        "frozenset([b'a', 'a', 1, None, (b'b', 'c'), frozenset([b'x', b'y', 'z']), frozenset([b'q'])])",
        "{'a': [{b'k', b'l', b'm'}, {frozenset([b'1', b'2']), frozenset([b'3', b'4'])}], b'z': {b'v', 2.5, True}}",
    ],
)
def test_sets_with_parts_of_their_own_are_one_artifact_whatever_the_hash_seed(value: str, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from bucle.artifacts import ArtifactStore; from bucle.pipelines.codecs import decode_value, encode_value\n"
        f"store, value = ArtifactStore(Path(sys.argv[1])), {value}\n"
        "ref = encode_value(value, store)\n"
        "assert decode_value(ref, store, Path(sys.argv[1])) == value\n"
        "print(ref.artifact, [part.artifact for part in ref.parts])"
    )
    said = set()
    for seed in ("1", "2", "3"):
        given = {"PYTHONHASHSEED": seed, "PYTHONPATH": "src"}
        command = [sys.executable, "-c", script, str(tmp_path / seed)]
        said.add(subprocess.run(command, env=given, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert len(said) == 1


def test_equal_values_have_equal_bytes_whatever_the_hash_seed() -> None:
    """Sets of texts are in another order in each of these processes."""
    script = (
        "from bucle.pipelines.codecs import encode_tree, tree_bytes\n"
        "value = {'s': {f'tag-{n}' for n in range(50)}, 'f': frozenset([('a', 1), ('b', 2), None]), 'x': [1.0, 1, True]}\n"
        "print(list(value['s'])[:3], tree_bytes(encode_tree(value, lambda item: None)).hex())"
    )
    outputs = []
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "src"},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        outputs.append(ran.stdout.rsplit(" ", 1))
    assert outputs[0][0] != outputs[1][0]
    assert outputs[0][1] == outputs[1][1]
