"""The handlers of the Open Inference Protocol: the server, its models (services), their inference."""

from typing import TYPE_CHECKING

import msgspec

from bucle import __version__
from bucle.ledger import Scope
from bucle.server.inference.tensors import (
    InferenceRequest,
    ResponseOutput,
    TensorMetadata,
    output_metadata,
    outputs_of,
    rows_of,
    tensor_metadata,
)
from bucle.server.routing import Call
from bucle.serving import AmbiguousService, Deployment, Services, UnknownService

if TYPE_CHECKING:
    from starlette.responses import Response

_PERMISSION = "serving.predict"


class ServerMetadata(msgspec.Struct, frozen=True):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class Live(msgspec.Struct, frozen=True):
    """Whether the server is alive."""

    live: bool


class Ready(msgspec.Struct, frozen=True):
    """Whether the server, or a model, can answer."""

    ready: bool


class ModelMetadata(msgspec.Struct, frozen=True):
    """A service as a model of the protocol."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InferenceResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to an inference; `id` is the request's."""

    model_name: str
    model_version: str
    outputs: list[ResponseOutput]
    id: str | None = None


def server_metadata(call: Call) -> ServerMetadata:
    """Return name and version of the server."""
    return ServerMetadata("bucle", __version__, [])


def live(call: Call) -> Live:
    """Return that the server is alive."""
    return Live(True)


def ready(call: Call) -> Ready:
    """Return that the server takes inferences."""
    return Ready(True)


def model_metadata(call: Call) -> ModelMetadata:
    """Return what a service takes and gives."""
    deployment = _deployment(call)
    contract = deployment.candidate.contract
    return ModelMetadata(
        name=call.path["model"],
        versions=[str(deployment.candidate.version)],
        platform="sklearn_skops",
        inputs=tensor_metadata(contract.fields),
        outputs=output_metadata(contract.threshold is not None),
    )


def model_ready(call: Call) -> Ready:
    """Warm the service's child if it is cold, and return that it answers. Raises `serving/model-unavailable`."""
    call.house.part(Services).pool.warm(_deployment(call).candidate)
    return Ready(True)


def infer(call: Call) -> "InferenceResponse | Response":
    """Answer a request's tensors."""
    request: InferenceRequest = call.body
    deployment = _deployment(call)
    rows = rows_of(request.inputs)
    answer = call.house.part(Services).predict(deployment.scope, deployment.service, rows, client=call.client)
    outputs = outputs_of(answer, request.outputs)
    return InferenceResponse(call.path["model"], str(answer.version), outputs, request.id)


def _deployment(call: Call) -> Deployment:
    """Return the deployment that a model's name means to this caller.

    What the caller may not ask does not exist. Raises `serving/unknown-service`, `serving/ambiguous-service`.
    """
    name, version = call.path["model"], call.path.get("version")
    found = [
        each
        for each in call.house.part(Services).named(name.rpartition(".")[2])
        if name in (each.service, f"{each.project}.{each.environment}.{each.service}")
        and call.may(_PERMISSION, Scope(each.project, each.environment))
    ]
    if len(found) > 1:
        names = ", ".join(f"{each.project}.{each.environment}.{each.service}" for each in found)
        raise AmbiguousService(service=name, names=names, where="path")
    if not found or version not in (None, str(found[0].candidate.version)):
        asked = name if version is None else f"{name} version {version}"
        hint = "GET /v2/models/NAME shows a deployed service; `bucle promote MODEL@VERSION ENVIRONMENT` deploys one."
        raise UnknownService(service=asked, hint=hint, where="path")
    return found[0]
