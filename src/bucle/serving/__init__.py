"""Serving: a deployed model version answers for a service; every answer is logged, and labels come back to it."""

from bucle.serving.arms import COMPARABLE_ROWS
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
from bucle.serving.history import Caller, LoggedPrediction, Use, callers, get_prediction, recent_predictions, uses_since
from bucle.serving.labels import LARGEST_LABEL_BATCH, LabelReceipt, LabelRow, record_labels
from bucle.serving.observations import (
    Agreement,
    Pair,
    StoredObservation,
    agreement,
    count_pairs,
    fresh_pairs,
    observations_after,
)
from bucle.serving.planning import checkout_of, contract_of, plan_candidate, runner_starter, services_of
from bucle.serving.pool import ServicePool
from bucle.serving.predictions import LARGEST_REQUEST, Prediction, Predictions, Services
from bucle.serving.services import Service, ServiceSpec
from bucle.serving.splits import Split, accept_challenger, challenge, get_split, move_split, withdraw_challenger
from bucle.serving.traffic import BOUNDS, Traffic, labels_between, traffic_between
from bucle.serving.worker import InferOrder, Inferred

__all__ = [
    "BOUNDS",
    "COMPARABLE_ROWS",
    "KINDS",
    "LARGEST_LABEL_BATCH",
    "LARGEST_REQUEST",
    "Agreement",
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
    "Pair",
    "Prediction",
    "Predictions",
    "Record",
    "Service",
    "ServicePool",
    "ServiceSpec",
    "Services",
    "Split",
    "StoredObservation",
    "TooManyRows",
    "Traffic",
    "UnknownPrediction",
    "UnknownService",
    "Use",
    "Value",
    "accept_challenger",
    "active_deployments",
    "agreement",
    "callers",
    "challenge",
    "checkout_of",
    "contract_of",
    "count_pairs",
    "current_deployment",
    "deploy",
    "fitted",
    "fresh_pairs",
    "get_deployment",
    "get_prediction",
    "get_split",
    "kind_of",
    "labels_between",
    "list_deployments",
    "move_split",
    "observations_after",
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
    "uses_since",
    "withdraw",
    "withdraw_challenger",
]
