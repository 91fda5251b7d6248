"""A fitted estimator to package bytes and back."""

import json
from collections.abc import Sequence
from typing import Any

from bucle.registry.errors import UnpackableModel
from bucle.registry.packaging.audit import audit
from bucle.registry.packaging.canonical import canonical, pack
from bucle.registry.packaging.construct import construct
from bucle.registry.packaging.parse import parse
from bucle.registry.packaging.protocol import HEADER, PROTOCOL


def dump_model(estimator: Any, own: Sequence[str] = ()) -> bytes:
    """Return the package bytes of a fitted estimator, the same for equal estimators.

    `own` are the names of the project's own modules, whose classes may be part of the estimator.
    Raises `registry/unpackable-model`, and `registry/untrusted-types` for what could not be loaded again.
    """
    from skops.io import dumps

    try:
        members = canonical(dumps(estimator))
    except Exception as error:  # skops raises TypeErrors, its own kinds, and whatever a __reduce__ raises
        raise UnpackableModel(type=type(estimator).__name__, reason=str(error).rstrip(".")) from error
    members[HEADER] = json.dumps({"format": "skops", "protocol": PROTOCOL}).encode()
    data = pack(members)
    audit(parse(data), own)
    return data


def load_model(data: bytes, own: Sequence[str] = ()) -> Any:
    """Return the estimator of package bytes: parsed, audited, then constructed; never unpickled.

    Raises `registry/broken-package`, `registry/newer-package`, `registry/untrusted-types`.
    """
    return construct(parse(data), own)
