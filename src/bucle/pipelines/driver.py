"""The driver: runs a pipeline function, in a child process or where a script calls it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from bucle.errors import BucleError, RemoteError
from bucle.pipelines.codecs import own_modules
from bucle.pipelines.declared import Pipeline
from bucle.pipelines.engines.worker import workplace
from bucle.pipelines.evaluation import register
from bucle.pipelines.lint import check_pipeline
from bucle.pipelines.orders import Failure
from bucle.pipelines.sessions import Session, Stopped, session_of
from bucle.pipelines.splitting import planning_splits
from bucle.runtimes import Child


class DriveOrder(msgspec.Struct, frozen=True):
    """Drive this pipeline with these parameters, as this run's driver number `epoch`."""

    run: str
    pipeline: str
    parameters: dict[str, Any]
    epoch: int
    seed: int
    snapshot: str | None = None


class Driven(msgspec.Struct, frozen=True):
    """How the drive ended: well (the parent has the output), stopped by the parent, or by a failed step."""

    state: str
    failure: Failure | None = None


def drive_in_child(payload: DriveOrder, child: Child) -> Driven:
    """Entry point of a child: drive a run. Errors of the pipeline function itself end the call."""
    pipeline = child.definitions().get(Pipeline, payload.pipeline)
    session = Session(child.post, workplace(child), payload.epoch, payload.seed, payload.snapshot)
    return drive(session, pipeline, payload.parameters)


def drive(session: Session, pipeline: Pipeline, parameters: Mapping[str, Any]) -> Driven:
    """Check the pipeline, run its function, and say what it returned."""
    check_pipeline(pipeline)
    try:
        with session_of(session), planning_splits(session), _with_own_modules(session):
            output = pipeline.function(**parameters)
            registration = register(session, pipeline, output) if pipeline.model else None
        session.finish(output, registration)
    except Stopped as stop:
        return Driven("stopped", Failure(stop.refused.code, stop.refused.text, stop.refused.where, stop.refused.next))
    except RemoteError as error:
        return Driven("failed", Failure(error.code, error.text, error.where, error.next_step))
    return Driven("done")


@contextmanager
def _with_own_modules(session: Session) -> Iterator[None]:
    token = own_modules.set(session.place.own_modules)
    try:
        yield
    finally:
        own_modules.reset(token)


def failure_of(error: BaseException, where: str | None) -> Failure:
    """Return why a pipeline function failed, for a driver that is nobody's child."""
    from bucle.project import describe_exception

    if isinstance(error, BucleError):
        return Failure(error.code, error.text, error.where or where, error.next_step)
    return Failure("pipelines/pipeline-failed", describe_exception(error), where, "")
