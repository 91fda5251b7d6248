"""A model becomes bytes and a model again: the same bytes for equal models, and nothing runs that a file chose."""

import functools
import io
import json
import operator
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from bucle.registry.errors import BrokenPackage, NewerPackage, UnpackableModel, UntrustedTypes
from bucle.registry.packaging import dump_model, load_model, parse
from bucle.registry.packaging.canonical import canonical, pack
from bucle.registry.packaging.protocol import HEADER

RANDOM = np.random.default_rng(0)
X = np.column_stack([RANDOM.normal(size=(300, 3)), RANDOM.integers(0, 4, size=300)])
Y = X[:, 0] + RANDOM.normal(size=300) > 0
MODELS: dict[str, Callable[[], Any]] = {
    "histogram boosting": lambda: HistGradientBoostingClassifier(random_state=1, max_iter=10),
    "histogram boosting with categories": lambda: HistGradientBoostingClassifier(
        random_state=1, max_iter=5, categorical_features=[3], early_stopping=True
    ),
    "histogram regression": lambda: HistGradientBoostingRegressor(random_state=1, max_iter=5),
    "forest": lambda: RandomForestClassifier(5, random_state=1),
    "boosting": lambda: GradientBoostingClassifier(random_state=1, n_estimators=5),
    "logistic pipeline": lambda: make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
    "ridge": lambda: Ridge(),
    "dummy": lambda: DummyClassifier(),
    "neighbours": lambda: KNeighborsClassifier(),
    "calibrated": lambda: CalibratedClassifierCV(LogisticRegression()),
    "vote": lambda: VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], voting="soft"),
    "search": lambda: GridSearchCV(make_pipeline(SelectKBest(k=2), LogisticRegression()), {"selectkbest__k": [1, 2]}),
    "ufunc": lambda: make_pipeline(FunctionTransformer(np.abs), LogisticRegression()),
}


def fitted(name: str) -> Any:
    return MODELS[name]().fit(X, Y)


def answers(model: Any) -> np.ndarray:
    return np.asarray(model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X))


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_answers_exactly_as_before(name: str) -> None:
    model = fitted(name)
    assert np.array_equal(answers(load_model(dump_model(model))), answers(model))


@pytest.mark.parametrize("name", [name for name in MODELS if name != "search"])  # which keeps how long each fit took
def test_two_fits_with_the_same_seed_give_the_same_bytes(name: str) -> None:
    first = dump_model(fitted(name))
    occupied = [os.urandom(4096) for _ in range(50)]  # other addresses, other leftovers in memory
    second = dump_model(fitted(name))
    assert first == second and len(occupied) == 50
    assert dump_model(load_model(first)) == first


def test_another_process_with_another_hash_seed_gives_the_same_bytes() -> None:
    program = (
        "import hashlib, numpy as np\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from bucle.registry.packaging import dump_model\n"
        "X = np.arange(40.0).reshape(20, 2) % 7; model = LogisticRegression().fit(X, X[:, 0] > 3)\n"
        "model.tags = {'wind', 'rain', 'snow', 'fog'}\n"
        "print(hashlib.sha256(dump_model(model)).hexdigest())\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_what_a_model_holds_under_odd_names_survives() -> None:
    model = fitted("ridge")
    model.notes = {"__id__": 1, "__loader__": [1, {"__class__": "x"}], "file": "a.npy"}
    assert load_model(dump_model(model)).notes == model.notes


class Evil:
    """Restoring it runs a command of its author."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch /tmp/should-not-be-there",))


def test_a_pickle_is_never_loaded() -> None:
    for data in (pickle.dumps(Evil()), pickle.dumps(fitted("dummy")), b"", b"PK\x03\x04", os.urandom(2000)):
        with pytest.raises(BrokenPackage):
            load_model(data)


def as_package(dump: bytes, protocol: object = 1) -> bytes:
    return pack(canonical(dump) | {HEADER: json.dumps({"format": "skops", "protocol": protocol}).encode()})


def holder(value: Any) -> Any:
    model = fitted("dummy")
    model.extra = value
    return model


@pytest.mark.parametrize(
    "value",
    [
        functools.partial(os.system, "touch /tmp/should-not-be-there"),
        os.system,
        subprocess.run,
        functools.partial(functools.partial, eval, "1+1"),
        pytest.Item,
        os.path.join,
    ],
    ids=["partial of os.system", "os.system", "subprocess.run", "partial of partial of eval", "a foreign class", "a function"],
)
def test_what_is_not_on_the_list_is_refused_by_name(value: Any) -> None:
    try:
        dump = skops.io.dumps(holder(value))
    except Exception:  # skops itself cannot write it, so no file of that kind comes from it
        pytest.fail("choose a value that skops writes")
    with pytest.raises(UntrustedTypes) as refused:
        load_model(as_package(dump))
    assert "DummyClassifier" not in refused.value.text
    with pytest.raises(UntrustedTypes):
        dump_model(holder(value))


@pytest.mark.parametrize("value", [operator.methodcaller("__class__"), fitted("dummy").fit], ids=["methodcaller", "method"])
def test_nodes_that_reach_any_attribute_are_refused(value: Any) -> None:
    with pytest.raises(BrokenPackage, match="node of the kind"):
        load_model(as_package(skops.io.dumps(holder(value))))


def test_a_project_may_package_classes_of_its_own_and_only_those_it_defines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ownmodel.py").write_text(
        "import os\nfrom os import system\nfrom sklearn.base import BaseEstimator\n"
        "class Half(BaseEstimator):\n    def fit(self, X, y):\n        self.half_ = 0.5\n        return self\n"
        "    def predict(self, X):\n        return [self.half_ for _ in X]\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import ownmodel  # type: ignore[import-not-found]

    model = ownmodel.Half().fit(X, Y)
    data = dump_model(model, own=["ownmodel"])
    assert load_model(data, own=["ownmodel"]).predict([1]) == [0.5]
    with pytest.raises(UntrustedTypes):
        load_model(data)
    for borrowed in ("system", "os", "BaseEstimator"):
        schema = canonical(skops.io.dumps(holder(len)))
        text = (
            schema["schema.json"]
            .decode()
            .replace('"__class__":"len","__module__":"builtins"', f'"__class__":"{borrowed}","__module__":"ownmodel"')
        )
        schema |= {"schema.json": text.encode(), HEADER: b'{"protocol":1}'}
        assert borrowed in text
        with pytest.raises(UntrustedTypes):
            load_model(pack(schema), own=["ownmodel"])


ARGUMENT = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": '"chosen"', "is_json": True}
TUPLE = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": [ARGUMENT]}
NO_STATE = {
    "__class__": "dict",
    "__module__": "builtins",
    "__loader__": "DictNode",
    "content": {},
    "key_types": {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": []},
}
FUNCTION = {"__class__": "forget", "__module__": "owntool"}
CALLS: dict[str, dict[str, Any]] = {
    "a list": FUNCTION | {"__loader__": "ListNode", "content": [ARGUMENT]},
    "a set": FUNCTION | {"__loader__": "SetNode", "content": [ARGUMENT]},
    "a loss": FUNCTION | {"__loader__": "LossNode", "__reduce__": {"args": TUPLE}, "content": NO_STATE},
    "a constructor": FUNCTION | {"__loader__": "ConstructorFromReduceNode", "content": TUPLE},
    "a dictionary": NO_STATE | FUNCTION,
    "a dictionary's key": NO_STATE
    | {
        "content": {"chosen": ARGUMENT},
        "key_types": NO_STATE["key_types"] | {"content": [FUNCTION | {"__loader__": "FunctionNode"}]},
    },
}


@pytest.mark.parametrize("name", CALLS)
def test_a_file_cannot_have_a_function_of_the_project_called_while_it_loads(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owntool.py").write_text("called = []\ndef forget(*what):\n    called.append(what)\n    return {}\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    import owntool  # type: ignore[import-not-found]

    owntool.called.clear()
    members = canonical(skops.io.dumps(holder("extra")))
    schema = json.loads(members["schema.json"])
    assert schema["content"]["content"]["extra"]["content"] == '"extra"'
    schema["content"]["content"]["extra"] = CALLS[name]
    members |= {"schema.json": json.dumps(schema).encode(), HEADER: b'{"protocol":1}'}
    with pytest.raises(BrokenPackage):
        load_model(pack(members), own=["owntool"])
    assert owntool.called == []


def test_a_model_that_cannot_be_packaged_says_so() -> None:
    with pytest.raises((UnpackableModel, UntrustedTypes)):
        dump_model(holder(lambda row: row))
    with pytest.raises((UnpackableModel, UntrustedTypes)):
        dump_model(holder(number for number in range(3)))


def altered(data: bytes, change: Callable[[dict[str, bytes]], None], method: int = zipfile.ZIP_STORED) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def deep(members: dict[str, bytes]) -> None:
    members["schema.json"] = b"[" * 5000 + b"]" * 5000


def deep_nodes(members: dict[str, bytes]) -> None:
    members["schema.json"] = b'{"a":' * 400 + b"1" + b"}" * 400


BREAKS: dict[str, Callable[[dict[str, bytes]], Any]] = {
    "no header": lambda members: members.pop(HEADER),
    "a header that is no object": lambda members: members.update({HEADER: b"[]"}),
    "a protocol that is no number": lambda members: members.update({HEADER: b'{"protocol": true}'}),
    "protocol zero": lambda members: members.update({HEADER: b'{"protocol": 0}'}),
    "no schema": lambda members: members.pop("schema.json"),
    "a schema that is no JSON": lambda members: members.update({"schema.json": b"\xff\xfe"}),
    "a missing array": lambda members: members.pop(next(name for name in members if name.endswith(".npy"))),
    "a member out of its folder": lambda members: members.update({"../../evil.npy": b""}),
    "an absolute member": lambda members: members.update({"/etc/cron.d/evil": b""}),
    "a pickle among the members": lambda members: members.update({"a.pkl": pickle.dumps(Evil())}),
    "an endless schema": deep,
    "an endless tree": deep_nodes,
    "an array that is a pickle": lambda members: members.update(
        {name: pickle.dumps(Evil()) for name in members if name.endswith(".npy")}
    ),
    "an array cut short": lambda members: members.update({n: c[:-4] for n, c in members.items() if n.endswith(".npy")}),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_damaged_or_forged_package_is_refused(name: str) -> None:
    with pytest.raises(BrokenPackage):
        load_model(altered(dump_model(fitted("logistic pipeline")), BREAKS[name]))


def test_a_compressed_package_is_refused_so_that_none_can_be_a_bomb() -> None:
    with pytest.raises(BrokenPackage, match="compressed"):
        parse(altered(dump_model(fitted("dummy")), lambda members: None, zipfile.ZIP_DEFLATED))


def test_every_flipped_byte_is_found_or_harmless() -> None:
    model = fitted("logistic pipeline")
    data = dump_model(model)
    before = answers(model)
    for place in np.random.default_rng(3).integers(0, len(data), size=150):
        damaged = data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]
        try:
            after = answers(load_model(damaged))
        except (BrokenPackage, UntrustedTypes, NewerPackage):
            continue
        assert np.array_equal(after, before)


def test_a_package_of_a_newer_bucle_is_told_apart_from_a_broken_one() -> None:
    with pytest.raises(NewerPackage):
        load_model(altered(dump_model(fitted("dummy")), lambda members: members.update({HEADER: b'{"protocol": 2}'})))


def test_no_forged_file_ran_anything() -> None:
    assert not Path("/tmp/should-not-be-there").exists()
