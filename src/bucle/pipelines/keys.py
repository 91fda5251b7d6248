"""Cache keys: everything that a step's result depends on, part by part, so that a miss can say which part differed.

The key is the BLAKE3 of a typed, tagged pre-image (docs/pipelines.md): a header with its version, then each part as
`[kind, name, digest]` in the order of kind and name, as JSON.
"""

from collections.abc import Mapping

import msgspec

from bucle.ledger import content_id

HEADER = "bucle.step-key/1"


class Argument(msgspec.Struct, frozen=True, array_like=True):
    """A parameter's digest, and how it is shown to people."""

    digest: str
    shown: str


class KeyParts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the driver knows of a key before the inputs are there; each mapping goes from a name to a digest or version."""

    step: str
    code: dict[str, str]
    parameters: dict[str, Argument]
    packages: dict[str, str]
    python: str
    seed: int
    format: int
    files: dict[str, str] = {}
    environment: dict[str, str] = {}
    inputs: dict[str, str] = {}


def with_inputs(parts: KeyParts, inputs: Mapping[str, str]) -> KeyParts:
    """Return the parts with the content of the inputs, which is known once the steps before are committed."""
    return msgspec.structs.replace(parts, inputs=dict(inputs))


def key_of(parts: KeyParts) -> str:
    """Return the cache key of complete parts."""
    return content_id(msgspec.json.encode([HEADER, *sorted(_entries(parts))]))


def differences(before: KeyParts, now: KeyParts) -> list[str]:
    """Say in words which parts of the key differ, the code first."""
    found = [*_changed("code", before.code, now.code)]
    for name in sorted(before.parameters.keys() | now.parameters.keys()):
        old, new = before.parameters.get(name), now.parameters.get(name)
        if (old and old.digest) != (new and new.digest):
            found.append(f"parameter {name}: {old.shown if old else 'absent'} -> {new.shown if new else 'absent'}")
    found += _changed("input", before.inputs, now.inputs)
    found += _changed("file", before.files, now.files)
    found += [
        f"{text}: {_move(before.packages, now.packages, text[8:].split()[0])}"
        for text in _changed("package", before.packages, now.packages)
    ]
    found += _changed("environment variable", before.environment, now.environment)
    for what, old_value, new_value in (
        ("python", before.python, now.python), ("seed", before.seed, now.seed), ("output format", before.format, now.format),
    ):  # fmt: skip
        if old_value != new_value:
            found.append(f"{what}: {old_value} -> {new_value}")
    return found


def _entries(parts: KeyParts) -> list[tuple[str, str, str]]:
    entries = [("step", "", parts.step), ("python", "", parts.python)]
    entries += [("seed", "", str(parts.seed)), ("format", "", str(parts.format))]
    for kind in ("code", "packages", "files", "environment", "inputs"):
        entries += [(kind, name, value) for name, value in getattr(parts, kind).items()]
    return entries + [("parameters", name, argument.digest) for name, argument in parts.parameters.items()]


def _changed(kind: str, before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return [f"{kind} {name} {_how(name, before, now)}" for name in names]


def _how(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    return "changed" if name in before and name in now else "is new" if name in now else "is gone"


def _move(before: Mapping[str, str], now: Mapping[str, str], name: str) -> str:
    return f"{before.get(name, 'absent')} -> {now.get(name, 'absent')}"
