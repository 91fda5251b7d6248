"""Second step: may everything that a parsed package names be constructed? Still nothing is constructed."""

import importlib
import inspect
import io
from collections.abc import Sequence

from bucle.registry.errors import BrokenPackage, UntrustedTypes
from bucle.registry.packaging.allowed import TYPES
from bucle.registry.packaging.parse import Parsed


def audit(parsed: Parsed, own: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names beyond those that skops trusts, all of them allowed.

    Allowed are the names of the audited list and the classes and functions that the project's own modules `own` define.
    Raises `registry/untrusted-types` with the names that are not, `registry/broken-package`.
    """
    beyond = _beyond_skops(parsed)
    refused = [name for name in beyond if name not in TYPES and not _is_own(name, own)]
    if refused:
        raise UntrustedTypes(names=", ".join(refused))
    return tuple(beyond)


def _beyond_skops(parsed: Parsed) -> list[str]:
    from skops.io import get_untrusted_types

    try:
        return list(get_untrusted_types(file=io.BytesIO(parsed.data)))
    except Exception as error:  # whatever a malformed tree makes skops raise
        raise BrokenPackage(reason=f"its tree cannot be read ({type(error).__name__})") from None


def _is_own(name: str, own: Sequence[str]) -> bool:
    """Whether a project's own module, one that is imported anyway, defines the class or function itself."""
    module_name, _, attribute = name.rpartition(".")
    if not any(module_name == each or module_name.startswith(f"{each}.") for each in own):
        return False
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError):
        return False
    return (inspect.isclass(found) or inspect.isfunction(found)) and found.__module__ == module_name
