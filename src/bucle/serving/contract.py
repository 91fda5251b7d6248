"""What a deployed service takes and gives: the model's signature, its feature views, the key that labels join on."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bucle.features import FrameColumn, ViewSpec
from bucle.serving.errors import ExtraInput, MissingInput, NullInput, WrongType

Value = str | int | float | bool | None
"""What a request, a feature and the prediction log hold."""

ClassLabel = str | int | float | bool
"""A value of a classification's label."""

Record = Mapping[str, Value]
"""One row of a request: a value for each field."""


LONGEST_KEY = 1000
"""Characters of a key; it is stored with each prediction and read with each label."""


class Contract(msgspec.Struct, frozen=True):
    """All that is needed to answer for a service, kept with its deployment: nothing is looked up in code at serving time.

    `inputs` are the model's columns in the order of its signature; those with a view come from the feature store. `kind` says
    what the model answers: "probability" (of the second of `classes`), "class" (the place of one of more than two) or
    "value". `threshold` turns a probability into a decision, else it is None. `time` is the column of a file's rows that
    holds each row's moment.
    """

    service: str
    key: str | None
    label: str
    kind: str
    classes: tuple[ClassLabel, ...]
    threshold: float | None
    time: str | None
    inputs: tuple[FrameColumn, ...]
    views: tuple[ViewSpec, ...]

    @property
    def outcomes(self) -> tuple[ClassLabel, ...]:
        """The label's values; none for a regression. One class alone is that of a yes or no that was never the other."""
        return (False, True) if len(self.classes) == 1 else self.classes

    def decision(self, output: float) -> ClassLabel | None:
        """Return the class that an output stands for; None for a regression."""
        if self.kind == "class":
            return self.classes[int(output)]
        if self.threshold is None:
            return None
        no, yes = (False, True) if set(self.outcomes) == {0, 1} else self.outcomes
        return yes if output >= self.threshold else no

    @property
    def fields(self) -> dict[str, str]:
        """Return what a request must give: name and type of each field, the key first."""
        fields = {self.key: "category"} if self.key else {}
        for view in self.views:
            fields |= dict.fromkeys(view.spine_keys, "category")
        return fields | {column.name: column.dtype for column in self.inputs if column.view is None}


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows as the model wants them: numbers in signature order, None for missing; and as they were given."""

    vectors: list[list[float | None]]
    values: list[list[Value]]
    unseen: list[tuple[str, ...]]


class _Unfit(Exception):
    """A value is not of its column's type."""


class Encoder:
    """Checks rows against a contract and turns them into vectors; made once for each deployment."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.fields = contract.fields
        self._names = frozenset(self.fields)
        self._columns = [(column.name, column.view is None, _encode_as(column)) for column in contract.inputs]
        requested = [column for column in contract.inputs if column.view is None]
        self._required = [column.name for column in requested if not column.nullable]
        joined = {key for view in contract.views for key in view.spine_keys}
        self._keys = [(column.name, _encode_as(column)) for column in requested if column.name in joined]
        self._loose = [name for name in self.fields if name not in {column.name for column in requested}]

    def check(self, rows: Sequence[Record]) -> None:
        """Refuse rows with a field missing, extra or null that may not be.

        Raises `serving/missing-input`, `serving/extra-input`, `serving/null-input`, `serving/wrong-type`.
        """
        for number, row in enumerate(rows):
            if row.keys() != self._names:
                self._refuse_fields(number, row)
            for name in self._required:
                if row[name] is None:
                    raise NullInput(row=number, column=name, dtype=self.fields[name], where=f"rows[{number}].{name}")
            for name in self._loose:
                self._check_key(number, name, row[name])
            for name, encode in self._keys:
                self._check_joined(number, name, row[name], encode)

    def encode(self, rows: Sequence[Record], features: Sequence[Record]) -> Encoded:
        """Return the vectors of checked rows, each with the feature values found for it."""
        vectors: list[list[float | None]] = []
        values: list[list[Value]] = []
        unseen: list[tuple[str, ...]] = []
        for number, (row, found) in enumerate(zip(rows, features, strict=True)):
            given = [row[name] if requested else found.get(name) for name, requested, _ in self._columns]
            vector, strange = self._vector(number, given)
            vectors.append(vector)
            values.append(given)
            unseen.append(strange)
        return Encoded(vectors, values, unseen)

    def unseen(self, given: list[Value]) -> tuple[str, ...]:
        """Return the inputs of a row, in signature order, whose category training never saw."""
        return self._vector(0, given)[1]

    def _vector(self, number: int, given: list[Value]) -> tuple[list[float | None], tuple[str, ...]]:
        vector: list[float | None] = []
        strange: tuple[str, ...] = ()
        for value, (name, _, encode) in zip(given, self._columns, strict=True):
            if value is None:
                vector.append(None)
                continue
            try:
                code = encode(value)
            except _Unfit:
                raise self._wrong_type(number, name, value) from None
            if code is None:
                strange = (*strange, name)
            vector.append(code)
        return vector, strange

    def _check_key(self, number: int, name: str, value: Value) -> None:
        if value is None:
            raise NullInput(row=number, column=name, dtype="text or int", where=f"rows[{number}].{name}")
        if isinstance(value, bool) or not isinstance(value, str | int) or not is_key(value):
            raise WrongType(
                row=number, column=name, dtype="text or int", given=_described(value), where=f"rows[{number}].{name}"
            )

    def _check_joined(self, number: int, name: str, value: Value, encode: Callable[[Value], float | None]) -> None:
        """An input that features are found by is checked before they are read: the place in this request is known here."""
        try:
            if value is not None:
                encode(value)
        except _Unfit:
            raise self._wrong_type(number, name, value) from None
        if isinstance(value, str | int) and not is_key(value):
            raise self._wrong_type(number, name, value)

    def _wrong_type(self, number: int, name: str, value: Value) -> WrongType:
        dtype = next(column.dtype for column in self.contract.inputs if column.name == name)
        return WrongType(row=number, column=name, dtype=dtype, given=_described(value), where=f"rows[{number}].{name}")

    def _refuse_fields(self, number: int, row: Record) -> None:
        expected = ", ".join(f"{name} ({dtype})" for name, dtype in self.fields.items())
        service = self.contract.service
        for name in self.fields:
            if name not in row:
                raise MissingInput(row=number, column=name, service=service, expected=expected, where=f"rows[{number}].{name}")
        extra = next(name for name in row if name not in self._names)
        raise ExtraInput(row=number, column=extra, service=service, expected=expected, where=f"rows[{number}].{extra}")


def _encode_as(column: FrameColumn) -> Callable[[Value], float | None]:
    """Return the function from a value that is not null to its number: None for a category that training never saw."""
    if column.dtype == "category":
        codes = {category: float(code) for code, category in enumerate(column.categories)}

        def encode_category(value: Value) -> float | None:
            if not isinstance(value, str):
                raise _Unfit
            code = codes.get(value)
            if code is None and not is_text(value):
                raise _Unfit
            return code

        return encode_category
    return {"float": _encode_number, "int": _encode_integer, "bool": _encode_truth}[column.dtype]


def _encode_number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unfit
    try:
        number = float(value)
    except OverflowError:  # JSON has integers of any length
        raise _Unfit from None
    if not math.isfinite(number):
        raise _Unfit
    return number


def _encode_integer(value: Value) -> float:
    number = _encode_number(value)
    if not number.is_integer():
        raise _Unfit
    return number


def _encode_truth(value: Value) -> float:
    if not isinstance(value, bool):
        raise _Unfit
    return float(value)


def is_key(value: str | int) -> bool:
    """Whether a key can be kept: texts of some length, integers that a database holds."""
    if isinstance(value, str):
        return len(value) <= LONGEST_KEY and is_text(value)
    return -(2**63) <= value < 2**63


def is_text(value: str) -> bool:
    """Whether a text is Unicode that can be written: no half of a surrogate pair in it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _described(value: Value) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 2**256 else "of more than 256 bits"
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:40] + '…'}"
