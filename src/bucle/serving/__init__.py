"""Serving: a deployed model version answers for a service; every answer is logged, and labels come back to it."""

from bucle.serving.batch import Batches
from bucle.serving.causes import prediction_causes
from bucle.serving.contract import Contract, Encoder, Record, Value
from bucle.serving.deployments import (
    Candidate,
    Deployment,
    active_deployments,
    current_deployment,
    deploy,
    get_deployment,
    list_deployments,
    rollback,
    standby_deployment,
    withdraw,
)
from bucle.serving.errors import (
    AmbiguousService,
    BadRows,
    BadTensor,
    ContractBroken,
    LabelDiffers,
    LogFull,
    ModelUnavailable,
    NothingDeployed,
    NothingToRestore,
    TooManyRows,
    UnknownPrediction,
    UnknownService,
)
from bucle.serving.files import KINDS, fitted, kind_of, read_records
from bucle.serving.history import Caller, LoggedPrediction, callers, get_prediction, recent_predictions
from bucle.serving.labels import LARGEST_LABEL_BATCH, LabelReceipt, LabelRow, record_labels
from bucle.serving.planning import checkout_of, contract_of, plan_candidate, runner_starter, services_of
from bucle.serving.predictions import LARGEST_REQUEST, Prediction, Predictions, Services
from bucle.serving.services import Service, ServiceSpec
from bucle.serving.traffic import BOUNDS, Traffic, traffic_between
from bucle.serving.worker import InferOrder, Inferred

__all__ = [
    "BOUNDS",
    "KINDS",
    "LARGEST_LABEL_BATCH",
    "LARGEST_REQUEST",
    "AmbiguousService",
    "BadRows",
    "BadTensor",
    "Batches",
    "Caller",
    "Candidate",
    "Contract",
    "ContractBroken",
    "Deployment",
    "Encoder",
    "InferOrder",
    "Inferred",
    "LabelDiffers",
    "LabelReceipt",
    "LabelRow",
    "LogFull",
    "LoggedPrediction",
    "ModelUnavailable",
    "NothingDeployed",
    "NothingToRestore",
    "Prediction",
    "Predictions",
    "Record",
    "Service",
    "ServiceSpec",
    "Services",
    "TooManyRows",
    "Traffic",
    "UnknownPrediction",
    "UnknownService",
    "Value",
    "active_deployments",
    "callers",
    "checkout_of",
    "contract_of",
    "current_deployment",
    "deploy",
    "fitted",
    "get_deployment",
    "get_prediction",
    "kind_of",
    "list_deployments",
    "plan_candidate",
    "prediction_causes",
    "read_records",
    "recent_predictions",
    "record_labels",
    "rollback",
    "runner_starter",
    "services_of",
    "standby_deployment",
    "traffic_between",
    "withdraw",
]
