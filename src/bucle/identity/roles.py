"""Roles and what each may do: those of Kreuzberger et al. (K-R1 to K-R7), quality assurance, owner, viewer, predictor."""

from collections.abc import Mapping

_READABLE = "ledger project data features tracking registry pipelines serving monitoring delivery work audit"
_WRITABLE = "artifacts data features tracking registry pipelines monitoring delivery work"
_READ = frozenset(f"{room}.read" for room in _READABLE.split())
_WRITE = frozenset(f"{room}.write" for room in _WRITABLE.split())
_SPECIAL = frozenset(
    {
        "delivery.promote",
        "delivery.approve",
        "registry.waive",
        "serving.predict",
        "serving.label",
        "ledger.advance",
        "identity.admin",
    }
)

PERMISSIONS: frozenset[str] = _READ | _WRITE | _SPECIAL
"""Everything that is asked for somewhere; what is not granted by a role is denied."""

_EVERYBODY = _READ | {"work.write"}
_CODE = frozenset({"delivery.write", "artifacts.write"})
_DATA_SCIENTIST = _EVERYBODY | _CODE | {"data.write", "features.write", "tracking.write", "pipelines.write", "registry.write"}
_DATA_SCIENTIST |= {"serving.predict", "serving.label"}
_DATA_ENGINEER = _EVERYBODY | _CODE | {"data.write", "features.write", "tracking.write", "pipelines.write", "serving.label"}
_SOFTWARE_ENGINEER = _EVERYBODY | _CODE | {"delivery.approve", "pipelines.write", "serving.predict"}
_DEVOPS_ENGINEER = _EVERYBODY | _CODE | {"delivery.promote", "delivery.approve", "monitoring.write", "pipelines.write"}
_DEVOPS_ENGINEER |= {"serving.predict", "serving.label", "ledger.advance"}

ROLES: Mapping[str, frozenset[str]] = {
    "owner": PERMISSIONS,
    "viewer": _READ,
    "predictor": frozenset({"serving.predict", "serving.label"}),
    "business_stakeholder": _EVERYBODY | {"delivery.approve", "serving.predict"},
    "solution_architect": _EVERYBODY | {"delivery.write", "delivery.approve"},
    "data_scientist": _DATA_SCIENTIST,
    "data_engineer": _DATA_ENGINEER,
    "software_engineer": _SOFTWARE_ENGINEER,
    "devops_engineer": _DEVOPS_ENGINEER,
    "ml_engineer": _DATA_SCIENTIST | _DATA_ENGINEER | _SOFTWARE_ENGINEER | _DEVOPS_ENGINEER | {"registry.waive"},
    "quality_assurance": _EVERYBODY | {"delivery.write", "delivery.approve", "serving.predict"},
}
"""The permissions of each role. An ML engineer holds the union of those of K-R3 to K-R6, as the paper has it."""


def roles_with(permission: str) -> list[str]:
    """Return the names of the roles that hold a permission."""
    return [name for name, permissions in ROLES.items() if permission in permissions]
