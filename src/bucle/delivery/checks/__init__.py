"""The checks of a commit: one module per subject, each with a project that it must catch and one that it must not flag."""

from bucle.delivery.checks.check import Bench, Check
from bucle.delivery.checks.data import check_data
from bucle.delivery.checks.safety import check_safety
from bucle.delivery.checks.syntax import check_lint
from bucle.delivery.checks.unit_tests import check_feature_tests, check_model_tests

CHECKS: tuple[Check, ...] = (
    Check("safety", "Nothing gives away a secret or runs code when it is loaded", "security", check_safety),
    Check("lint", "Every file compiles, every name exists, the package imports", "unit", check_lint),
    Check("feature-tests", "The project's tests of its features", "unit", check_feature_tests, "feature-logic", ("lint",)),
    Check("model-tests", "The project's tests of its model code", "unit", check_model_tests, "model-methods", ("lint",)),
    Check("data", "The sources are what their schemas say, nothing leaks", "integration", check_data, needs=("lint",)),
)
"""All checks, in the order in which they run."""

__all__ = ["CHECKS", "Bench", "Check"]
