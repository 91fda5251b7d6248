"""Open Inference Protocol v2 (REST): metadata, readiness and inference of deployed services under /v2.

Source: https://github.com/open-inference/open-inference-protocol, specification of the REST protocol. A model's name is its
service's; where several projects or environments serve the same name, `PROJECT.ENVIRONMENT.SERVICE` says which is meant.
"""

from bucle.server.inference.models import infer, live, model_metadata, model_ready, ready, server_metadata
from bucle.server.inference.tensors import InferenceRequest
from bucle.server.inference.wire import error_shape
from bucle.server.routing import MEBIBYTE, PUBLIC, Route, act_again

_MODEL = "/v2/models/{model}"
_VERSION = "/v2/models/{model}/versions/{version}"
_PREDICT = "serving.predict"


def _get(path: str, handler: object, permission: str, summary: str) -> Route:
    return Route("GET", path, handler, permission, summary, reach="any", problem=error_shape)  # type: ignore[arg-type]


ROUTES = [
    _get("/v2", server_metadata, PUBLIC, "Server metadata (OIP v2)"),
    _get("/v2/health/live", live, PUBLIC, "The server is alive (OIP v2)"),
    _get("/v2/health/ready", ready, PUBLIC, "The server takes inferences (OIP v2)"),
    *(_get(path, model_metadata, _PREDICT, "Inputs and outputs of a service (OIP v2)") for path in (_MODEL, _VERSION)),
    *(_get(f"{path}/ready", model_ready, _PREDICT, "A service can answer (OIP v2)") for path in (_MODEL, _VERSION)),
    *(
        Route(
            "POST",
            f"{path}/infer",
            infer,
            _PREDICT,
            "Infer (OIP v2)",
            InferenceRequest,
            limit=8 * MEBIBYTE,
            recall=act_again,
            reach="any",
            problem=error_shape,
        )
        for path in (_MODEL, _VERSION)
    ),
]
