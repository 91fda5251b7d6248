"""Run ids and the form of them that the MLflow protocol uses: the same 128 bits as 32 hex digits."""

from bucle.tracking.errors import UnknownRun

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def run_hex(run_id: str) -> str:
    """Return the 32 hex digits of a run id. Raises `tracking/unknown-run` for what is no run id."""
    kind, _, letters = run_id.partition("_")
    if kind != "run" or len(letters) != 26 or any(letter not in _ALPHABET for letter in letters):
        raise UnknownRun(id=run_id[:60])
    value = 0
    for letter in letters:
        value = value << 5 | _ALPHABET.index(letter)
    return f"{value:032x}"


def run_from_hex(digits: str) -> str:
    """Return the run id of 32 hex digits. Raises `tracking/unknown-run`."""
    try:
        value = int(digits, 16) if len(digits) == 32 else -1
    except ValueError:
        value = -1
    if value < 0:
        raise UnknownRun(id=digits[:60])
    return "run_" + "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))
