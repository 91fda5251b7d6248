"""Artifacts of the MLflow protocol: files of runs, sent and fetched through the server, listed by folder.

A path is `EXPERIMENT/RUN/artifacts/NAME` or `EXPERIMENT/models/MODEL/artifacts/NAME`, as in their `artifact_uri`; the bytes
lie in the content-addressed store.
"""

import mimetypes
import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bucle.ledger import Scope, within
from bucle.server.mlflow.errors import DoesNotExist, InvalidParameter
from bucle.server.mlflow.reading import Field, values_of
from bucle.server.mlflow.runs import script_of
from bucle.server.mlflow.scopes import logged_model_of, run_of, scope_of
from bucle.server.mlflow.wire import ARTIFACTS, Empty, outer_id
from bucle.server.routing import Call
from bucle.tracking import ArtifactLog, RunLog, experiment_named, get_run, keep_model_file, model_files, note_upload, record

if TYPE_CHECKING:
    from starlette.responses import FileResponse


_MODEL = "m-"


class FileInfo(msgspec.Struct, frozen=True):
    """A file, or a folder without a size; `path` from the folder that was listed, or from the run's root."""

    path: str
    is_dir: bool
    file_size: int | msgspec.UnsetType = msgspec.UNSET


class Listing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a folder holds."""

    files: list[FileInfo] = []


class RunListing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a folder of a run holds."""

    root_uri: str
    files: list[FileInfo] = []


def put(call: Call) -> Empty:
    """Keep a file of a run or of a logged model."""
    owner, name = _parts(call.path["path"])
    if not name:
        raise InvalidParameter(text="Invalid path", where="path")
    path: Path = call.body
    scope = scope_of(call, "tracking.write")
    _held(call, scope, owner)
    kept = ArtifactLog(name, call.house.artifacts.put_file(path), path.stat().st_size)
    with within(scope), call.house.ledger.write() as tx:
        if owner.startswith(_MODEL):
            keep_model_file(tx, scope.project, owner, kept)
        else:
            run = script_of(call, tx, owner)
            note_upload(tx, run.id, kept.id)
            record(tx, run.id, RunLog(artifacts=[kept]))
    return Empty()


def fetch(call: Call) -> "FileResponse":
    """Return the bytes of a file, always as a download."""
    from starlette.responses import FileResponse

    digits, name = _parts(call.path["path"])
    held = next((each for each in _held(call, scope_of(call, "tracking.read"), digits) if each.name == name), None)
    if held is None:
        raise DoesNotExist(text=f"No such artifact: '{call.path['path'][:200]}'", where="path")
    media = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if media.startswith("text/") or "html" in media or "xml" in media or "script" in media:
        media = "text/plain"  # of what a run kept, nothing shall act as a page of this server
    return FileResponse(call.house.artifacts.path(held.id), media_type=media, filename=posixpath.basename(name))


def list_folder(call: Call) -> Listing:
    """List a folder of a run."""
    path = values_of(call, Field("path"))["path"] or ""
    digits, name = _parts(path)
    files = entries(_held(call, scope_of(call, "tracking.read"), digits), name)
    return Listing([FileInfo(posixpath.basename(each.path), each.is_dir, each.file_size) for each in files])


def list_run(call: Call) -> RunListing:
    """List a folder of a run, with paths from the run's root."""
    given = values_of(call, Field("run_id", required=True), Field("path"))
    scope = scope_of(call, "tracking.read")
    files = entries(_held(call, scope, given["run_id"]), _clean(given["path"] or ""))
    with call.house.ledger.read() as reader:
        run = run_of(call, reader, scope, given["run_id"], "tracking.read")
        experiment = outer_id(experiment_named(reader, run.project, run.experiment))
    return RunListing(f"{ARTIFACTS}/{experiment}/{given['run_id']}/artifacts", files)


def entries(held: Iterable[ArtifactLog], folder: str) -> list[FileInfo]:
    """Return files and folders right below a folder ("" is the root), by name."""
    prefix, found = f"{folder}/" if folder else "", {}
    for each in held:
        if each.name.startswith(prefix):
            first, deeper, _ = each.name.removeprefix(prefix).partition("/")
            found[first] = FileInfo(prefix + first, True) if deeper else FileInfo(prefix + first, False, each.size)
    return [found[name] for name in sorted(found)]


def _held(call: Call, scope: Scope, owner: str) -> Sequence[ArtifactLog]:
    with call.house.ledger.read() as reader:
        if owner.startswith(_MODEL):
            return model_files(reader, logged_model_of(call, reader, scope, owner, "tracking.read").id)
        return get_run(reader, run_of(call, reader, scope, owner, "tracking.read").id).artifacts


def _parts(path: str) -> tuple[str, str]:
    """Return the run or model that a path belongs to, and the name within. Raises `mlflow/invalid-parameter`."""
    segments = _clean(path).split("/", 3)
    if len(segments) > 2 and segments[1] == "models":
        segments = [segments[0], *"/".join(segments[2:]).split("/", 2)]
    if len(segments) < 3 or segments[2] != "artifacts":
        raise InvalidParameter(text="Invalid path", where="path")
    return segments[1], segments[3] if len(segments) > 3 else ""


def _clean(path: str) -> str:
    if path and (posixpath.normpath(path) != path or path.startswith(("/", "..")) or "\\" in path or path == "."):
        raise InvalidParameter(text="Invalid path", where="path")
    return path
