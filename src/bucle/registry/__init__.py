"""The registry: model versions with their packages, evaluations and gates. The face is lazy: numbers are made in children."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bucle.registry.errors import BadWaiver, RetiredVersion, UnknownGate, UnknownModel, UnknownVersion, UntrustedTypes
from bucle.registry.evaluations import Baseline, Evaluation, SliceResult, keep_evaluation, read_evaluation
from bucle.registry.gates import Champion, Gate, GateResult, GateSpec, Judgement, JudgeOrder, slices_needed
from bucle.registry.labels import (
    AliasChange,
    alias_history,
    must_be_a_word,
    remove_alias,
    retire_version,
    set_alias,
    set_stage,
    waive_gate,
)
from bucle.registry.packages import LoadOrder, LoadReport, Package, Signature, keep_package, read_package
from bucle.registry.versions import (
    GateRecord,
    ModelSummary,
    ModelVersion,
    Stage,
    VersionDraft,
    Waiver,
    find_version,
    get_version,
    list_models,
    list_versions,
    production_version,
    register_version,
    version_of_id,
)

if TYPE_CHECKING:
    from bucle.registry.bundles import (
        LoadedModel,
        check_loadable,
        check_loadable_in_child,
        load_in_child,
        load_package,
        package_model,
    )
    from bucle.registry.judging import judge, run_gates
    from bucle.registry.metrics import classification_metrics, regression_metrics, row_losses
    from bucle.registry.packaging import dump_model, load_model
    from bucle.registry.scoring import evaluate_model, training_metrics

_LAZY = {
    "LoadedModel": "bundles",
    "check_loadable": "bundles",
    "check_loadable_in_child": "bundles",
    "classification_metrics": "metrics",
    "dump_model": "packaging",
    "evaluate_model": "scoring",
    "judge": "judging",
    "load_model": "packaging",
    "load_in_child": "bundles",
    "load_package": "bundles",
    "package_model": "bundles",
    "regression_metrics": "metrics",
    "row_losses": "metrics",
    "run_gates": "judging",
    "training_metrics": "scoring",
}

__all__ = [
    "AliasChange",
    "BadWaiver",
    "Baseline",
    "Champion",
    "Evaluation",
    "Gate",
    "GateRecord",
    "GateResult",
    "GateSpec",
    "JudgeOrder",
    "Judgement",
    "LoadOrder",
    "LoadReport",
    "LoadedModel",
    "ModelSummary",
    "ModelVersion",
    "Package",
    "RetiredVersion",
    "Signature",
    "SliceResult",
    "Stage",
    "UnknownGate",
    "UnknownModel",
    "UnknownVersion",
    "UntrustedTypes",
    "VersionDraft",
    "Waiver",
    "alias_history",
    "check_loadable",
    "check_loadable_in_child",
    "classification_metrics",
    "dump_model",
    "evaluate_model",
    "find_version",
    "get_version",
    "judge",
    "keep_evaluation",
    "keep_package",
    "list_models",
    "list_versions",
    "load_in_child",
    "load_model",
    "load_package",
    "must_be_a_word",
    "package_model",
    "production_version",
    "read_evaluation",
    "read_package",
    "register_version",
    "regression_metrics",
    "remove_alias",
    "retire_version",
    "row_losses",
    "run_gates",
    "set_alias",
    "set_stage",
    "slices_needed",
    "training_metrics",
    "version_of_id",
    "waive_gate",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    return value
