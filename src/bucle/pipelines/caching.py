"""The step cache: outputs by key, per environment (what `dev` computed is no result of production); and why there was none."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.ledger import Reader, Scope, Transaction
from bucle.pipelines import store
from bucle.pipelines.codecs import ValueRef, contents
from bucle.pipelines.keys import KeyParts, differences
from bucle.tracking import RunLog


class Hit(msgspec.Struct, frozen=True):
    """An output of an earlier step that can be used again."""

    step: str
    output: ValueRef


def look_up(reader: Reader, artifacts: ArtifactStore, scope: Scope, key: str, settings: Mapping[str, Any]) -> Hit | None:
    """Return an output under this key whose settings read were as they are now, and whose content is still there."""
    for row in reader.rows(store.SELECT_CACHE, (scope.project, scope.environment, key)):
        read: dict[str, str | None] = json.loads(row["settings"])
        if any(_text(settings, name) != value for name, value in read.items()):
            continue
        output = msgspec.json.decode(row["output"], type=ValueRef)
        if all(artifacts.exists(id) for id in contents(output)):
            return Hit(row["step"], output)
    return None


def keep(
    tx: Transaction,
    scope: Scope,
    key: str,
    parts: KeyParts,
    step: tuple[str, str, str],
    output: ValueRef,
    read: str,
    now_us: int,
) -> None:
    """Enter an output; `step` is its name, id and run."""
    name, id, run = step
    values = (scope.project, scope.environment, key, read, name, id, run, _json(parts), _json(output), now_us)
    tx.execute(store.INSERT_CACHE, values)


def settings_read(log: RunLog, settings: Mapping[str, Any]) -> str:
    """Return which settings an attempt read, with the values that they had then, as canonical JSON."""
    return json.dumps({each.name: _text(settings, each.name) for each in log.settings_read}, sort_keys=True)


def reasons(reader: Reader, scope: Scope, parts: KeyParts, key: str, settings: Mapping[str, Any]) -> list[str]:
    """Say why there was no hit: how this key differs from the nearest earlier one of the step."""
    nearest: list[str] | None = None
    for row in reader.rows(store.LAST_CACHED, (scope.project, scope.environment, parts.step)):
        found = differences(msgspec.json.decode(row["parts"], type=KeyParts), parts)
        if row["key"] == key:
            read: dict[str, str | None] = json.loads(row["settings"])
            changed = [name for name, value in read.items() if _text(settings, name) != value]
            found = [f"setting {name} changed" for name in changed] or ["the stored output is gone"]
        if nearest is None or len(found) < len(nearest):
            nearest = found
    return nearest if nearest is not None else ["no earlier run of this step"]


def _text(settings: Mapping[str, Any], name: str) -> str | None:
    return json.dumps(settings[name], default=str, sort_keys=True) if name in settings else None


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()
