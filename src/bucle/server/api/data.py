"""Routes of data: ingest, versions, what differs, schemas, validation, files of a version."""

from dataclasses import dataclass
from functools import partial

import msgspec
from starlette.responses import Response

from bucle.data import (
    DatasetVersion,
    FileWatch,
    LabelCount,
    Manifest,
    SourceProfile,
    UnknownFile,
    ValidationReport,
    VersionDiff,
    current_versions,
    diff_versions,
    get_version,
    infer_reviewed,
    ingest,
    ingest_due,
    list_versions,
    load_manifest,
    read_report,
    rows_visible,
    validate,
    validate_reviewed,
    version_files,
    vetoed_months,
)
from bucle.ledger import Scope, StoredEvent, Subscription
from bucle.pipelines import PipelineSpec
from bucle.project import DEV
from bucle.runtimes import Code
from bucle.server.codes import Codes
from bucle.server.house import House
from bucle.server.routing import Body, Call, Route, act_again
from bucle.serving import active_deployments

_DATA = "/api/v1/projects/{project}/data"


def compose(house: House) -> None:
    """Put in the code of each environment; at each tick, and when an environment changes, ingest what is due.

    When monitoring alerts about bad inputs, validate again: the veto is there before anybody trains.
    """
    codes, watch = Codes(house.home, house.runners), FileWatch()
    house.add(codes)

    def due(event: StoredEvent) -> None:
        with house.ledger.read() as reader:
            serving = {deployment.scope for deployment in active_deployments(reader)}
        awaited = partial(_awaited, serving)
        ingest_due(house.home, house.artifacts, house.runners, codes.active(), watch, awaited)

    def alerted(event: StoredEvent) -> None:
        if event.decode(AlertTerms).alert_kind == "data_quality":
            scope = Scope(event.project, event.environment)
            validate_reviewed(house.home, house.artifacts, house.runners, codes.of(scope), scope)

    house.subscribe(Subscription("data.ingest_due", ("ledger.ticked", "project.environment_pointed"), due))
    house.subscribe(Subscription("data.alerts", ("monitoring.alert_fired",), alerted))


class AlertTerms(msgspec.Struct, frozen=True):
    """The field of `monitoring.alert_fired` that decides whether the data are looked at again."""

    alert_kind: str


def _awaited(serving: set[Scope], code: Code, scope: Scope) -> set[str]:
    """Return the sources whose rows somebody waits for: all where a model serves, else those that start a pipeline."""
    if scope in serving:
        return {record.name for record in code.description.of("source")}
    if scope.environment == DEV:
        return set()
    return {source for spec in code.description.specs("pipeline", PipelineSpec) for source in spec.waits_for}


@dataclass(frozen=True, slots=True)
class ColumnView:
    """A column of a version: its type, its share of nulls, and for numbers their mean and range, as of the profile's moment."""

    name: str
    type: str
    nulls: float | None
    mean: float | None
    least: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class FileView:
    """A Parquet file of a version, to be fetched from `.../files/NAME`."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version with what is known about it. `visible` counts the rows that the home's clock sees, up to its full hour."""

    version: DatasetVersion
    visible: int
    columns: list[ColumnView]
    labels: list[LabelCount]
    validation: ValidationReport
    vetoed: list[str]
    files: list[FileView]


@dataclass(frozen=True, slots=True)
class InferredView:
    """The schema file that was written, and its text."""

    file: str
    text: str


class Infer(Body, frozen=True):
    """Whether a schema that is there already may be replaced."""

    force: bool = False


def show_versions(call: Call) -> list[DatasetVersion]:
    """Return versions, newest first: of one source, or of all."""
    with call.house.ledger.read() as reader:
        return list_versions(reader, call.scope, call.query.get("source", ""))


def show_version(call: Call) -> VersionView:
    """Return a version by id, or the current one of a source by the source's name."""
    return _view(call.house, _version(call, call.path["version"]))


def add(call: Call) -> VersionView:
    """Ingest a source now; the version that exists if nothing changed."""
    house = call.house
    code = house.part(Codes).of(call.scope)
    return _view(house, ingest(house.home, house.artifacts, house.runners, code, call.scope, call.path["source"]))


def check(call: Call) -> ValidationReport:
    """Validate what the clock sees of a source now."""
    house = call.house
    code = house.part(Codes).of(call.scope)
    return validate(house.home, house.artifacts, house.runners, code, call.scope, call.path["source"])


def infer(call: Call) -> InferredView:
    """Write an inferred schema into the working tree, for review."""
    house = call.house
    code = house.part(Codes).of(call.scope)
    path, _ = infer_reviewed(house.home, house.runners, code, call.scope, call.path["source"], force=call.body.force)
    return InferredView(str(path.relative_to(code.checkout.root)), path.read_text("utf-8"))


def diff(call: Call) -> VersionDiff:
    """Compare two versions of one source."""
    before, after = (_version(call, call.path[name]) for name in ("before", "after"))
    code = call.house.part(Codes).of(call.scope)
    return diff_versions(call.house.runners, code, before, after)


def fetch(call: Call) -> Response:
    """Return one Parquet file of a version."""
    version = _version(call, call.path["version"])
    for file in version_files(load_manifest(call.house.artifacts, version.manifest)):
        if file.name == call.path["file"]:
            return Response(call.house.artifacts.get_bytes(file.artifact), media_type="application/vnd.apache.parquet")
    raise UnknownFile(name=call.path["file"], version=version.id)


def _version(call: Call, wanted: str) -> DatasetVersion:
    with call.house.ledger.read() as reader:
        current = current_versions(reader, call.scope)
        found = current[wanted] if wanted in current else get_version(reader, wanted, call.scope.project)
    call.own("data.read", found.environment)
    return found


def _view(house: House, version: DatasetVersion) -> VersionView:
    artifacts = house.artifacts
    manifest = load_manifest(artifacts, version.manifest)
    profile = artifacts.get_json(version.profile, SourceProfile)
    with house.ledger.read() as reader:
        vetoed = list(vetoed_months(reader, version.id))
    return VersionView(
        version=version,
        visible=rows_visible(manifest, house.ledger.clock.now_us()),
        columns=_columns(manifest, profile),
        labels=[label.total() for label in profile.labels],
        validation=read_report(artifacts, version),
        vetoed=vetoed,
        files=[FileView(file.name, file.rows) for file in version_files(manifest)],
    )


def _columns(manifest: Manifest, profile: SourceProfile) -> list[ColumnView]:
    views = []
    for column in manifest.columns:
        found = profile.whole.columns.get(column.name)
        numeric = found is not None and found.kind == "number" and not column.dtype.startswith(("Datetime", "Date"))
        views.append(
            ColumnView(
                column.name,
                column.dtype,
                round(found.null_share, 6) if found else None,
                found.mean if found and numeric else None,
                found.least if found and numeric else None,
                found.most if found and numeric else None,
            )
        )
    return views


ROUTES = [
    Route("GET", _DATA, show_versions, "data.read", "List dataset versions", query=("source",)),
    Route("POST", _DATA + "/sources/{source}/versions", add, "data.write", "Ingest a source now", recall=act_again),
    Route(
        "POST", _DATA + "/sources/{source}/validations", check, "data.write", "Validate a source as of now", recall=act_again
    ),
    Route("POST", _DATA + "/sources/{source}/schema", infer, "data.write", "Infer a schema to review", Infer, recall=act_again),
    Route("GET", _DATA + "/versions/{version}", show_version, "data.read", "Show a version, or a source's current one"),
    Route("GET", _DATA + "/versions/{version}/files/{file}", fetch, "data.read", "Fetch a Parquet file of a version"),
    Route("GET", _DATA + "/diffs/{before}/{after}", diff, "data.read", "Show what differs between two versions"),
]
