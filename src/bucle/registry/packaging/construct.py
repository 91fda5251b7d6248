"""Third step: construct what was parsed and audited."""

import io
from collections.abc import Sequence
from typing import Any

from bucle.registry.errors import BrokenPackage
from bucle.registry.packaging.audit import audit
from bucle.registry.packaging.parse import Parsed


def construct(parsed: Parsed, own: Sequence[str] = ()) -> Any:
    """Return the estimator of a parsed package, after its audit. Raises what `audit` raises."""
    from skops.io import load

    trusted = audit(parsed, own)
    try:
        return load(io.BytesIO(parsed.data), trusted=list(trusted))
    except Exception as error:  # whatever restoring a state raises: the file does not fit the libraries here
        raise BrokenPackage(reason=f"it cannot be constructed ({type(error).__name__}: {error})") from None
