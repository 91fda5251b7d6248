"""The checks of a commit: one module per subject, each with a project that it must catch and one that it must not flag."""

from bucle.delivery.checks.check import Bench, Check
from bucle.delivery.checks.syntax import check_lint
from bucle.delivery.checks.unit_tests import check_feature_tests, check_model_tests

CHECKS: tuple[Check, ...] = (
    Check("lint", "Every file compiles, every name exists, the package imports", "unit", check_lint),
    Check("feature-tests", "The project's tests of its features", "unit", check_feature_tests, "feature-logic", ("lint",)),
    Check("model-tests", "The project's tests of its model code", "unit", check_model_tests, "model-methods", ("lint",)),
)
"""All checks, in the order in which they run."""

__all__ = ["CHECKS", "Bench", "Check"]
