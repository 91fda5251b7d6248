"""Tensors of the Open Inference Protocol, and rows: each field of a request is a tensor with an element for each row."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bucle.server.routing import Body
from bucle.serving import BadTensor, Predictions, Value

_DATATYPES = {"float": "FP64", "int": "INT64", "bool": "BOOL", "category": "BYTES"}
_FLOATS = frozenset({"FP16", "FP32", "FP64"})
_INTEGERS = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
_KNOWN = _FLOATS | _INTEGERS | {"BOOL", "BYTES"}


class RequestInput(msgspec.Struct, frozen=True):
    """A tensor of a request: row-major data, nested or flat."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] = {}


class RequestOutput(msgspec.Struct, frozen=True):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class InferenceRequest(Body, frozen=True):
    """An inference request."""

    inputs: list[RequestInput]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[RequestOutput] = []


class ResponseOutput(msgspec.Struct, frozen=True):
    """A tensor of an answer."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class TensorMetadata(msgspec.Struct, frozen=True):
    """Name, type and shape of a tensor; -1 is any number of rows."""

    name: str
    datatype: str
    shape: list[int]


def tensor_metadata(fields: Mapping[str, str]) -> list[TensorMetadata]:
    """Return the tensors that a request gives, one for each field."""
    return [TensorMetadata(name, _DATATYPES[dtype], [-1]) for name, dtype in fields.items()]


def output_metadata(classification: bool) -> list[TensorMetadata]:
    """Return the tensors that can be asked for."""
    outputs = [TensorMetadata("prediction", "FP64", [-1]), TensorMetadata("id", "BYTES", [-1])]
    return [*outputs, TensorMetadata("label", "BOOL", [-1])] if classification else outputs


def rows_of(inputs: Sequence[RequestInput]) -> list[dict[str, Value]]:
    """Return a row for each element of the tensors. Raises `serving/bad-tensor`."""
    columns: dict[str, list[Value]] = {}
    for place, tensor in enumerate(inputs):
        if tensor.name in columns:
            raise BadTensor(name=tensor.name, reason="it is given twice", where=f"inputs[{place}].name")
        columns[tensor.name] = _elements(place, tensor)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        described = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise BadTensor(name="inputs", reason=f"all need the same number of rows: {described}", where="inputs")
    count = next(iter(lengths.values()), 0)
    return [{name: values[row] for name, values in columns.items()} for row in range(count)]


def outputs_of(answer: Predictions, wanted: Sequence[RequestOutput]) -> list[ResponseOutput]:
    """Return the tensors of an answer: those asked for, else all. Raises `serving/bad-tensor`."""
    rows = answer.predictions
    made = {
        "prediction": ResponseOutput("prediction", [len(rows)], "FP64", [row.prediction for row in rows]),
        "id": ResponseOutput("id", [len(rows)], "BYTES", [row.id for row in rows]),
    }
    if answer.threshold is not None:
        made["label"] = ResponseOutput("label", [len(rows)], "BOOL", [row.label for row in rows])
    for place, output in enumerate(wanted):
        if output.name not in made:
            raise BadTensor(name=output.name, reason=f"there are {', '.join(made)}", where=f"outputs[{place}].name")
    return [made[output.name] for output in wanted] if wanted else list(made.values())


def _elements(place: int, tensor: RequestInput) -> list[Value]:
    """Return the elements of a tensor of shape [n] or [n, 1], checked against shape and type."""
    if tensor.datatype not in _KNOWN:
        raise _bad(place, tensor, f"its datatype {tensor.datatype!r} is none of {', '.join(sorted(_KNOWN))}", "datatype")
    shape = tensor.shape
    if len(shape) not in (1, 2) or any(size < 0 for size in shape) or (len(shape) == 2 and shape[1] != 1):
        raise _bad(place, tensor, f"its shape must be [n] or [n, 1], not {shape}", "shape")
    elements = [element[0] if isinstance(element, list) and len(element) == 1 else element for element in tensor.data]
    if len(elements) != math.prod(shape):
        raise _bad(place, tensor, f"its shape {shape} does not fit its {len(elements)} elements", "data")
    wrong = next((element for element in elements if not _fits(element, tensor.datatype)), None)
    if wrong is not None:
        raise _bad(place, tensor, f"{str(wrong)[:40]!r} is not a {tensor.datatype}", "data")
    return elements


def _fits(element: object, datatype: str) -> bool:
    if element is None:
        return True  # the contract says whether a null may stand there
    if datatype == "BYTES":
        return isinstance(element, str)
    if datatype == "BOOL":
        return isinstance(element, bool)
    if isinstance(element, bool):
        return False
    return isinstance(element, int) if datatype in _INTEGERS else isinstance(element, int | float)


def _bad(place: int, tensor: RequestInput, reason: str, member: str) -> BadTensor:
    return BadTensor(name=tensor.name, reason=reason, where=f"inputs[{place}].{member}")
