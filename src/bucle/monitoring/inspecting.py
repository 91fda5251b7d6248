"""Inspecting a new deployment: its terms from definitions and model version, its reference from the rows it was fitted on."""

import logging
from collections.abc import Iterator

from bucle.artifacts import ArtifactStore
from bucle.errors import BucleError, RemoteError
from bucle.ledger import Home, to_us
from bucle.monitoring.reference import Reference
from bucle.monitoring.terms import terms_of
from bucle.monitoring.training import FrameFiles, ReferenceMade, ReferenceOrder
from bucle.monitoring.watches import Terms
from bucle.monitoring.watching import Watched
from bucle.pipelines import ValueRef, list_steps
from bucle.registry import ModelVersion, version_of_id
from bucle.runtimes import Code, RunnerPool, load_code
from bucle.serving import Deployment, checkout_of

_REFERENCE_SECONDS = 300.0

_log = logging.getLogger(__name__)


class Inspector:
    """Finds out what is known of a deployment when its watch begins."""

    def __init__(self, home: Home, artifacts: ArtifactStore, runners: RunnerPool) -> None:
        self._home, self._artifacts, self._runners = home, artifacts, runners

    def inspect(self, deployment: Deployment) -> Watched:
        """Return the terms of a deployment and the artifact of its reference, None where no training frame is to be had."""
        candidate = deployment.candidate
        code = load_code(self._home, self._runners, checkout_of(self._home, deployment))
        with self._home.ledger.read() as reader:
            version = version_of_id(reader, candidate.model_version, deployment.project)
        evaluation = version.evaluation
        terms = terms_of(
            code.description,
            deployment,
            expected_loss=evaluation.mean_loss if evaluation else None,
            trained_us=to_us(version.as_of) if version.as_of else None,
            slices=[each.column for each in evaluation.slices] if evaluation else [],
        )
        return Watched(terms, self._reference(code, version, terms))

    def load_reference(self, artifact: str) -> Reference:
        """Return a stored reference."""
        return self._artifacts.get_json(artifact, Reference)

    def _reference(self, code: Code, version: ModelVersion, terms: Terms) -> str | None:
        """Have a child profile what the model was fitted on. Without it drift is not judged: that is said, not hidden."""
        frames = self._frames(version)
        if not frames:
            return None
        judged_from = version.evaluation.first_us if version.evaluation else None
        monitor = terms.monitor
        order = ReferenceOrder(frames, terms.inputs, judged_from, monitor.window_us, monitor.false_pages_per_month)
        try:
            with self._runners.lend(code.runtime, code.checkout) as runner:
                entry = "bucle.monitoring.training:make_reference"
                return runner.call(entry, order, ReferenceMade, timeout=_REFERENCE_SECONDS).reference
        except (BucleError, RemoteError):
            _log.exception("no reference for %s", version.name)
            return None

    def _frames(self, version: ModelVersion) -> tuple[FrameFiles, ...]:
        if version.run is None:
            return ()
        with self._home.ledger.read() as reader:
            outputs = [step.output for step in list_steps(reader, version.run) if step.output is not None]
        stored = {ref.artifact: ref for output in outputs for ref in _within(output) if ref.codec == "training-frame"}
        return tuple(FrameFiles({part.name: part.artifact for part in ref.parts}) for ref in stored.values())


def _within(ref: ValueRef) -> Iterator[ValueRef]:
    yield ref
    for part in ref.parts:
        yield from _within(part)
