"""Planning a deployment: a service's definition, a model version and the code of a release become a candidate."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bucle.features import TrainingSetSpec, ViewSpec
from bucle.ledger import Home, Scope
from bucle.project import LOCK_NAME, Checkout, working_tree
from bucle.runtimes import Code, Runner, Runtime, Seedbed, current_runtime, ensure_runtime, list_runtimes
from bucle.serving.contract import Contract
from bucle.serving.deployments import Candidate, Deployment
from bucle.serving.errors import CodeGone, ContractBroken, WrongModel
from bucle.serving.services import ServiceSpec
from bucle.serving.worker import SERVING_MODULES

if TYPE_CHECKING:
    from bucle.registry import ModelVersion, Signature


class SourceTerms(msgspec.Struct, frozen=True):
    """The fields of a source that serving reads: the column that holds a row's moment."""

    name: str = ""
    timestamp: str | None = None


def plan_candidate(
    code: Code, service: str, version: "ModelVersion", release: str = "", scope: Scope | None = None
) -> Candidate:
    """Return what would be deployed: a model version for a service, with the definitions and the runtime of `code`.

    Raises `project/unknown-definition`, `serving/wrong-model`, `serving/contract-broken`.
    """
    spec = code.description.spec("service", service, ServiceSpec)
    if spec.model != version.model:
        raise WrongModel(service=service, wanted=spec.model, given=version.model)
    return Candidate(
        service=service,
        model=version.model,
        version=version.version,
        model_version=version.id,
        package=version.package.id,
        runtime=code.runtime.digest,
        root=str(code.checkout.root),
        commit=code.checkout.commit or "",
        release=release,
        contract=contract_of(code, spec, version.signature, f"{version.model}@{version.version}"),
        scope=scope,
    )


def services_of(code: Code, model: str) -> list[str]:
    """Return the names of the services that a project declares for a model."""
    return [spec.name for spec in code.description.specs("service", ServiceSpec) if spec.model == model]


def checkout_of(home: Home, deployment: Deployment) -> Checkout:
    """Return the tree that a deployment was planned with: an exported commit, or the working tree as it is now."""
    root, commit = Path(deployment.candidate.root), deployment.candidate.commit
    if commit and root.is_relative_to(home.path):
        return Checkout(root, deployment.project, commit, False, root / LOCK_NAME, commit)
    return working_tree(root)


def runner_starter(
    home: Home, artifacts: Path, log: Path | None = None, seeds: Seedbed | None = None
) -> Callable[[Candidate], Runner]:
    """Return the function that starts a child for a candidate: its code's folder, the runtime that it was planned with.

    What it prints goes to `log`, else to `logs/services/PROJECT/ENVIRONMENT/SERVICE.log` of the home.
    """

    def start(candidate: Candidate) -> Runner:
        root = Path(candidate.root)
        if not root.is_dir():
            raise CodeGone(service=candidate.service, root=root)
        told = log or _log(home, candidate)
        runtime = _runtime(home, candidate)
        return Runner.start(runtime, root, artifacts=artifacts, log=told, preload=SERVING_MODULES, seeds=seeds)

    return start


def _log(home: Home, candidate: Candidate) -> Path:
    folder = home.folder("logs") / "services"
    if candidate.scope is not None:
        folder = folder / candidate.scope.project / candidate.scope.environment
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{candidate.service}.log"


def _runtime(home: Home, candidate: Candidate) -> Runtime:
    current = current_runtime()
    if candidate.runtime == current.digest:
        return current
    with home.ledger.read() as reader:
        installed = {runtime.digest: runtime for runtime in list_runtimes(reader)}
    known = installed.get(candidate.runtime)
    if known is not None and (home.path / known.python).exists():
        return replace(known, path=home.path / known.path, python=home.path / known.python)
    return ensure_runtime(home, Path(candidate.root) / LOCK_NAME)


def contract_of(code: Code, spec: ServiceSpec, signature: "Signature", version: str) -> Contract:
    """Return what a service takes and gives with a model of that signature. Raises `serving/contract-broken`."""
    sets = [each for each in code.description.specs("training_set", TrainingSetSpec) if each.label.name == signature.label]
    needed = list(dict.fromkeys(column.view for column in signature.inputs if column.view is not None))
    spine = sets[0].spine if sets else ""
    sources = {source.name: source for source in code.description.specs("source", SourceTerms)}
    kind = "value" if signature.task == "regression" else "probability" if len(signature.classes) <= 2 else "class"
    return Contract(
        service=spec.name,
        key=spec.key,
        label=signature.label,
        kind=kind,
        classes=signature.classes,
        threshold=spec.threshold if kind == "probability" else None,
        time=sources[spine].timestamp if spine in sources else None,
        inputs=signature.inputs,
        views=tuple(_view(name, sets, version) for name in needed),
    )


def _view(name: str, sets: Sequence[TrainingSetSpec], version: str) -> ViewSpec:
    for each in sets:
        for view in each.views:
            if view.name == name:
                return view
    raise ContractBroken(version=version, view=name)
