"""The pages of models: all versions, and one with its gates, its evaluation by slice and its signature."""

from dataclasses import dataclass

from bucle.delivery import CandidateResult
from bucle.registry import ModelSummary, ModelVersion, get_version, list_models, list_versions
from bucle.server.api.candidates import visible_checks
from bucle.server.pages.page import Page
from bucle.server.routing import Call


@dataclass(frozen=True, slots=True)
class ModelsDocument:
    """The models of the project and their newest versions."""

    models: list[ModelSummary]
    versions: list[ModelVersion]


@dataclass(frozen=True, slots=True)
class VersionDocument:
    """One version, the one that it may follow, and what its checks found where it was to answer."""

    version: ModelVersion
    previous: ModelVersion | None
    checks: list[CandidateResult]


def models_document(call: Call) -> ModelsDocument:
    """Return the models of the project."""
    project = call.path["project"]
    with call.house.ledger.read() as reader:
        return ModelsDocument(list_models(reader, project), list_versions(reader, project))


def version_document(call: Call) -> VersionDocument:
    """Return one version. Raises `registry/unknown-version`."""
    project, model = call.path["project"], call.path["model"]
    with call.house.ledger.read() as reader:
        version = get_version(reader, project, model, call.path["version"])
        previous = get_version(reader, project, model, version.previous) if version.previous else None
        checks = visible_checks(call, reader, version)
    return VersionDocument(version.told(call.language), previous, checks)


PAGES = (
    Page("/projects/{project}/models", "models.html.j2", models_document, "registry.read", "Models.", live=("registry.",)),
    Page(
        "/projects/{project}/models/{model}/{version}",
        "version.html.j2",
        version_document,
        "registry.read",
        "Model version.",
        live=("registry.", "serving.deployed", "delivery.candidate_"),
    ),
)
