"""The checks of a commit: one module per subject, each with a project that it must catch and one that it must not flag."""

from bucle.delivery.checks.check import Bench, Check
from bucle.delivery.checks.consumers import check_consumers
from bucle.delivery.checks.contract import check_contract
from bucle.delivery.checks.data import check_data
from bucle.delivery.checks.integration import check_pipeline
from bucle.delivery.checks.load import check_load
from bucle.delivery.checks.replay import check_replay
from bucle.delivery.checks.safety import check_safety
from bucle.delivery.checks.syntax import check_lint
from bucle.delivery.checks.training import check_artifacts, check_gates, check_numbers, check_training
from bucle.delivery.checks.unit_tests import check_feature_tests, check_model_tests

CHECKS: tuple[Check, ...] = (
    Check("safety", "Nothing gives away a secret or runs code when it is loaded", "security", check_safety),
    Check("lint", "Every file compiles, every name exists, the package imports", "unit", check_lint),
    Check("feature-tests", "The project's tests of its features", "unit", check_feature_tests, "feature-logic", ("lint",)),
    Check("model-tests", "The project's tests of its model code", "unit", check_model_tests, "model-methods", ("lint",)),
    Check("data", "The sources are what their schemas say, nothing leaks", "integration", check_data, needs=("lint",)),
    Check(
        "consumers",
        "Nothing is taken away that a live model version or another definition consumes",
        "integration",
        check_consumers,
        needs=("data",),
    ),
    Check(
        "training",
        "The loss falls below the trivial baseline's, a few records are memorised",
        "integration",
        check_training,
        "training-converges",
        ("data",),
    ),
    Check("no-nan", "Predictions and metrics are finite numbers", "unit", check_numbers, "no-nan", ("data",)),
    Check(
        "artifacts",
        "The model's package loads in a clean process and answers as before",
        "integration",
        check_artifacts,
        "artifacts",
        ("no-nan",),
    ),
    Check("gates", "Every gate can be computed from what the pipeline leaves", "acceptance", check_gates, None, ("artifacts",)),
    Check(
        "pipeline",
        "Each pipeline runs from beginning to end, and the second time nothing has to run",
        "integration",
        check_pipeline,
        "integration",
        ("data", "no-nan"),
    ),
    Check(
        "contract",
        "Each service answers what it should be asked and refuses the rest",
        "integration",
        check_contract,
        None,
        ("artifacts",),
    ),
    Check(
        "load",
        "Each service's model answers in time when requests do not wait for each other, and its process does not grow",
        "performance",
        check_load,
        None,
        ("artifacts",),
    ),
    Check(
        "replay",
        "What services were asked before is answered still",
        "integration",
        check_replay,
        None,
        ("artifacts",),
    ),
)
"""All checks, in the order in which they run."""

__all__ = ["CHECKS", "Bench", "Check"]
