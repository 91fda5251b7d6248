"""Roles and what each may do: those of Kreuzberger et al. (K-R1 to K-R7), quality assurance, owner, viewer, predictor."""

from collections.abc import Mapping

_ROOMS = (
    "ledger",
    "identity",
    "project",
    "runtimes",
    "artifacts",
    "data",
    "features",
    "tracking",
    "registry",
    "pipelines",
    "serving",
    "monitoring",
    "delivery",
    "work",
    "audit",
)

PERMISSIONS: frozenset[str] = frozenset(f"{room}.{verb}" for room in _ROOMS for verb in ("read", "write")) | {
    "delivery.promote",
    "delivery.approve",
    "delivery.accept",
    "registry.waive",
    "serving.predict",
    "serving.label",
    "ledger.advance",
    "identity.admin",
}
"""Everything that a route can ask for; what is not granted by a role is denied."""

_READ = frozenset(f"{room}.read" for room in _ROOMS if room != "identity") | {"work.write"}
_CODE = frozenset({"delivery.write", "project.write", "artifacts.write"})
_DATA_SCIENTIST = _READ | _CODE | {"data.write", "features.write", "tracking.write", "pipelines.write", "registry.write"}
_DATA_SCIENTIST |= {"serving.predict", "serving.label"}
_DATA_ENGINEER = _READ | _CODE | {"data.write", "features.write", "tracking.write", "pipelines.write", "serving.label"}
_SOFTWARE_ENGINEER = _READ | _CODE | {"delivery.approve", "pipelines.write", "serving.predict"}
_DEVOPS_ENGINEER = (
    _READ
    | _CODE
    | {"delivery.promote", "delivery.approve", "serving.write", "serving.predict", "serving.label", "monitoring.write"}
    | {"pipelines.write", "runtimes.write", "ledger.write", "ledger.advance"}
)

ROLES: Mapping[str, frozenset[str]] = {
    "owner": PERMISSIONS,
    "viewer": _READ - {"work.write"},
    "predictor": frozenset({"serving.predict", "serving.label"}),
    "business_stakeholder": _READ | {"delivery.accept", "delivery.approve", "serving.predict"},
    "solution_architect": _READ | {"project.write", "delivery.write", "delivery.approve"},
    "data_scientist": _DATA_SCIENTIST,
    "data_engineer": _DATA_ENGINEER,
    "software_engineer": _SOFTWARE_ENGINEER,
    "devops_engineer": _DEVOPS_ENGINEER,
    "ml_engineer": _DATA_SCIENTIST | _DATA_ENGINEER | _SOFTWARE_ENGINEER | _DEVOPS_ENGINEER | {"registry.waive"},
    "quality_assurance": _READ | {"delivery.write", "delivery.accept", "delivery.approve", "serving.predict"},
}
"""The permissions of each role. An ML engineer holds the union of those of K-R3 to K-R6, as the paper has it."""


def roles_with(permission: str) -> list[str]:
    """Return the names of the roles that hold a permission."""
    return [name for name, permissions in ROLES.items() if permission in permissions]
