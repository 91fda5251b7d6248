"""Batch predictions over a file: features from the offline store, answers logged like all others (K-25, G-dep)."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.data import take_snapshot
from bucle.ledger import Home, Scope
from bucle.runtimes import RunnerPool, load_code
from bucle.serving.answering import AnsweredRow
from bucle.serving.deployments import Deployment
from bucle.serving.errors import EmptyRequest, NotANumber
from bucle.serving.planning import checkout_of
from bucle.serving.predictions import Predictions, Services
from bucle.serving.scoring import Scored, ScoredRow, ScoreOrder

_CHUNK = 1000
_SECONDS = 3600.0


class Batches:
    """Scores files in children of a deployment's code."""

    def __init__(self, home: Home, artifacts: ArtifactStore, runners: RunnerPool, services: Services) -> None:
        self._home, self._artifacts, self._runners, self._services = home, artifacts, runners, services

    def predict(self, scope: Scope, service: str, file: Path, kind: str, *, name: str = "", client: str = "") -> Predictions:
        """Answer the rows of a file, each with the features of its own moment. Nothing is logged when a row is refused.

        A request that comes again with its Idempotency-Key is answered as the first time, whatever is deployed by now; one that
        died on the way is finished by the deployment that began it.

        Raises `serving/nothing-deployed`, `serving/bad-rows`, `serving/not-a-number` and the errors of requests.
        """
        earlier = self._earlier()
        if earlier and len(earlier[-1].predictions) < _CHUNK:
            return _as_one(earlier)
        began = self._services.deployment(earlier[0].deployment) if earlier else None
        deployment = began or self._services.current(scope, service)
        code = load_code(self._home, self._runners, checkout_of(self._home, deployment))
        candidate, now_us = deployment.candidate, self._home.ledger.clock.now_us()
        order = ScoreOrder(
            rows=self._artifacts.put_file(file),
            kind=kind,
            name=name or file.name,
            contract=candidate.contract,
            package=candidate.package,
            snapshot=take_snapshot(self._home, code, scope),
            now_us=now_us,
        )
        with self._runners.lend(code.runtime, code.checkout) as runner:
            scored = runner.call("bucle.serving.scoring:score_in_child", order, Scored, timeout=_SECONDS)
        rows = msgspec.json.decode(self._artifacts.get_bytes(scored.rows), type=list[ScoredRow])
        if not rows:
            raise EmptyRequest(where=name or file.name)
        answered = [self._answered(place, row, candidate.model, candidate.version, service) for place, row in enumerate(rows)]
        return self._log(answered, deployment, client, earlier)

    def _earlier(self) -> list[Predictions]:
        """Return the pieces of the request at hand that were logged when it came before."""
        parts: list[Predictions] = []
        while (part := self._services.earlier(len(parts))) is not None:
            parts.append(part)
        return parts

    def _answered(self, place: int, row: ScoredRow, model: str, version: int, service: str) -> AnsweredRow:
        if row.output is None:
            raise NotANumber(model=model, version=version, row=place, service=service)
        return AnsweredRow(row.key, row.moment_us, row.inputs, row.output, row.unseen)

    def _log(self, rows: list[AnsweredRow], deployment: Deployment, client: str, earlier: Sequence[Predictions]) -> Predictions:
        """Log the answers that are not yet, in pieces, each shipped before the spool could fill, and return all as one."""
        parts = list(earlier)
        for start in range(len(parts) * _CHUNK, len(rows), _CHUNK):
            parts.append(self._services.answer(deployment, rows[start : start + _CHUNK], "offline", client, len(parts)))
            self._services.flush()
        return _as_one(parts)


def _as_one(parts: Sequence[Predictions]) -> Predictions:
    return msgspec.structs.replace(parts[0], predictions=[each for part in parts for each in part.predictions])
