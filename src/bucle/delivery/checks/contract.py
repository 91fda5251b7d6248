"""The check `contract`: a service answers what it should be asked, also where values are missing, and refuses the rest."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bucle.delivery.checks.check import Bench
from bucle.delivery.checks.training import rehearsals
from bucle.delivery.results import Finding, Verdict, failed, passed, skipped
from bucle.errors import BucleError, RemoteError
from bucle.registry import read_package
from bucle.serving import Contract, Encoder, InferOrder, Inferred, ServiceSpec, contract_of

Ask = Callable[[list[list[float | None]]], Sequence[float | str | None]]
"""Gives a model's output for each vector; see `bucle.serving.worker.Output`."""

_WRONG: Mapping[str, object] = {"category": 7.5, "float": "seven", "int": "seven", "bool": "yes"}


def check_contract(bench: Bench) -> Verdict:
    """Ask the sample's model as its service would."""
    found = rehearsals(bench)
    if isinstance(found, Verdict):
        return found
    answers = {each.spec.model: each.answer for each in found}
    records = {record.name: record.where for record in bench.code.description.of("service")}
    findings: list[Finding] = []
    asked: list[str] = []
    for spec in bench.code.description.specs("service", ServiceSpec):
        answer = answers.get(spec.model)
        if answer is None or answer.package is None:
            continue
        where, package = records[spec.name], answer.package

        def ask(vectors: list[list[float | None]], package: str = package) -> Sequence[float | str | None]:
            return bench.call("bucle.serving.worker:infer", InferOrder(package, vectors), Inferred).outputs

        try:
            signature = read_package(bench.artifacts, package).signature
            contract = contract_of(bench.code, spec, signature, f"{spec.model} of the sample")
            findings += [
                Finding(f"{spec.name}: {text}", where, advice) for text, advice in problems(contract, answer.example, ask)
            ]
        except (BucleError, RemoteError) as error:
            findings.append(Finding(f"{spec.name}: {error.code}: {error.text}", error.where or where, error.next_step))
        asked.append(f"{spec.name} takes {', '.join(contract.fields)}" if not findings else spec.name)
    if findings:
        return failed(findings)
    return passed("; ".join(asked)) if asked else skipped("no service answers with a model of these pipelines")


def problems(contract: Contract, example: Mapping[str, Any], ask: Ask) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the answers of a model and what to do; `example` is a row that it should answer."""
    encoder = Encoder(contract)
    row, features = request_of(contract, example)
    yield from _refusals(encoder, row)
    empty = dict.fromkeys(features, None)
    strange = row | {
        column.name: "never seen" for column in contract.inputs if column.dtype == "category" and column.name in row
    }
    cases = {
        "as expected": (row, features),
        "with all features missing": (row, empty),
        "with an unseen category": (strange, features),
    }
    for name, (given, known) in cases.items():
        encoder.check([given])
        vectors = encoder.encode([given], [known]).vectors
        try:
            (output,) = ask(vectors)
        except (BucleError, RemoteError) as error:
            yield f"a request {name} is not answered: {error.text}", "Let the model itself deal with missing values."
            continue
        if isinstance(output, str):
            yield f"a request {name} is not answered: {output}", "Let the model itself deal with missing values."
        elif output is None or not math.isfinite(output):
            yield f"a request {name} is answered with no number", "Let the model itself deal with missing values."
        elif contract.kind == "probability" and not 0 <= output <= 1:
            yield f"a request {name} is answered with {output:.4g}, which is no probability", "Return a classifier."


def _refusals(encoder: Encoder, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a service must not take: a missing, an extra, and for each field a wrongly typed value."""
    wrong: dict[str, dict[str, Any]] = {"an extra field": {**row, "surplus": 1}}
    for name, dtype in encoder.fields.items():
        wrong[f"{name} missing"] = {key: value for key, value in row.items() if key != name}
        wrong[f"{name} wrongly typed"] = {**row, name: _WRONG[dtype]}
    for name, given in wrong.items():
        try:
            encoder.check([given])
            encoder.encode([given], [{}])
        except BucleError:
            continue
        yield f"a request with {name} is not refused", "Report this: it is a mistake of bucle."


def request_of(contract: Contract, example: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a request like the sample's rows and the features that would be found for it."""
    columns = {column.name: column for column in contract.inputs}
    row: dict[str, Any] = {}
    for name, dtype in contract.fields.items():
        value = example.get(name)
        row[name] = value if value is not None else _filler(dtype, columns[name].categories if name in columns else ())
    return row, {name: example.get(name) for name, column in columns.items() if column.view is not None}


def _filler(dtype: str, categories: tuple[str, ...]) -> object:
    fillers: Mapping[str, object] = {
        "category": categories[0] if categories else "check",
        "float": 0.0,
        "int": 0,
        "bool": False,
    }
    return fillers[dtype]
