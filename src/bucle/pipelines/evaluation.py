"""From a trained model to a registered version: evaluate, package, load in a clean process, compare, judge; each a step."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from bucle.pipelines.errors import NotAnEvaluation
from bucle.pipelines.executing import current_work
from bucle.pipelines.handles import Handle
from bucle.pipelines.orders import Options
from bucle.pipelines.protocol import Registration
from bucle.pipelines.reached import reached_by
from bucle.pipelines.sessions import Session, current_session
from bucle.pipelines.steps import built_in
from bucle.project import LOCK_NAME, Criterion, Task, load_project_file
from bucle.tracking import log_metric, log_param

if TYPE_CHECKING:
    from bucle.pipelines.declared import Pipeline
    from bucle.registry import Champion, Evaluation, LoadReport


_FILES = ("bucle.toml", LOCK_NAME)
"""Configuration and environment, which go with the model (K-23)."""


class Registered(msgspec.Struct, frozen=True):
    """Artifacts of what a version is made of."""

    package: str
    evaluation: str
    judgement: str


def evaluate(model: Any, frame: Any, slices: Sequence[str] = ()) -> Any:
    """Evaluate a model on rows that it has not learned from, over all of them and for each value of the columns `slices`.

    In a pipeline this is a step and gives a handle; a pipeline that declares `model=` returns it, and the model is then
    packaged, loaded in a clean process, compared with the version in production, judged by the gates and registered.
    Elsewhere it returns the `Evaluation`. Raises `registry/bad-evaluation`, `registry/unknown-slice`. Source: K-21.
    """
    session = current_session()
    if session is not None:
        return session.evaluate(model, frame, slices)
    from bucle.registry import evaluate_model

    return evaluate_model(model, frame, slices)


def plan_evaluation(session: Session, model: Any, frame: Any, slices: Sequence[str]) -> Handle:
    """Plan the step that evaluates, and remember what was evaluated for `register`."""
    from bucle.registry import slices_needed

    charter = load_project_file(session.place.root).charter
    arguments = {
        "model": model,
        "frame": frame,
        "slices": list(slices_needed(charter.success, slices)),
        "task": charter.task,
        "learned_from": session.given_to(model),
    }
    handle = session.call(_EVALUATE, (), arguments, code=session.code_of(model))
    session.evaluations[handle.call] = (model, frame, tuple(slices))
    return handle


def register(session: Session, pipeline: "Pipeline", output: object) -> Registration:
    """Plan the steps that follow an evaluation. Raises `pipelines/not-an-evaluation`."""
    known = session.evaluations.get(output.call) if isinstance(output, Handle) and output.item is None else None
    if known is None or pipeline.model is None:
        given = f"the result of {output.call}" if isinstance(output, Handle) else f"a {type(output).__name__}"
        raise NotAnEvaluation(pipeline=pipeline.name, model=pipeline.model, given=given, where=pipeline.where)
    from bucle.registry import slices_needed

    model, frame, slices = known
    root, code, charter = session.place.root, session.code_of(model), load_project_file(session.place.root).charter
    files = {name: session.place.store.put_file(root / name) for name in _FILES if (root / name).is_file()}
    learned = session.given_to(model)
    package = session.call(
        _PACKAGE, (), {"model": model, "frame": frame, "learned_from": learned, "task": charter.task, "files": files}, code=code
    )
    production = session.production(pipeline.model)
    champion = None
    if production.package is not None:
        arguments = {
            "package": production.package,
            "version": production.version,
            "frame": frame,
            "slices": list(slices_needed(charter.success, slices)),
            "task": charter.task,
        }
        champion = session.call(_PRODUCTION, (), arguments)
    loaded = session.call(_LOADABLE, (), {"package": package}, code=code)
    gates = session.call(
        _GATES,
        (),
        {
            "model": pipeline.model,
            "package": package,
            "evaluation": output,
            "load": loaded,
            "champion": champion,
            "criteria": list(charter.success),
            "slices": list(slices),
        },
        code=_gate_code(session),
    )
    return Registration(pipeline.model, gates.call)


def evaluate_step(model: Any, frame: Any, slices: list[str], task: Task | None, learned_from: list[Any]) -> "Evaluation":
    """Evaluate, keep the evaluation, and log its metrics."""
    from bucle.registry import evaluate_model, keep_evaluation

    work = current_work()
    trained_on = _frame_among(learned_from)
    model_id = work.order.inputs["model"].artifact
    found = evaluate_model(model, frame, slices, task, trained_on=trained_on, store=work.place.store, model_id=model_id)
    for name, value in found.metrics.items():
        log_metric(name, value)
    for name, value in found.training.items():
        log_metric(f"training.{name}", value)
    log_param("rows", found.rows)
    return keep_evaluation(work.place.store, found)


def package_step(model: Any, frame: Any, learned_from: list[Any], task: Task | None, files: dict[str, str]) -> str:
    """Package the model with its signature, example rows, and the files of its configuration and environment (K-23)."""
    from bucle.registry import package_model

    place = current_work().place
    shown = _frame_among(learned_from) or frame
    package = package_model(
        place.store, model, shown.columns, shown.label, task, shown.X[:5], own=place.own_modules, files=files
    )
    log_param("package", package.id)
    return package.id


def production_step(package: str, version: str, frame: Any, slices: list[str], task: Task | None) -> "Champion":
    """Evaluate the version in production on the same rows; what keeps it from answering is said, not raised."""
    from bucle.errors import BucleError
    from bucle.registry import Champion, evaluate_model, keep_evaluation, load_package

    store = current_work().place.store
    try:
        loaded = load_package(store, package)
        inputs = loaded.package.signature.inputs
        found = evaluate_model(
            loaded.estimator, frame, slices, task, columns=inputs, store=store, model_id=loaded.package.model
        )
    except BucleError as error:
        return Champion(version, None, error.text.rstrip("."))
    return Champion(version, keep_evaluation(store, found))


def loadable_step(package: str) -> "LoadReport":
    """Load the package here: the engine runs this step in a fresh process of the runtime.

    The project is imported only if the model is made of its classes.
    """
    from bucle.registry import check_loadable, read_package

    place = current_work().place
    described = read_package(place.store, package)
    if any(name.partition(".")[0] in described.own for name in described.types):
        place.definitions()
    return check_loadable(place.store, described)


def gates_step(
    model: str,
    package: str,
    evaluation: "Evaluation",
    load: "LoadReport",
    champion: "Champion | None",
    criteria: list[Criterion],
    slices: list[str],
) -> dict[str, str]:
    """Judge the candidate by every gate; a gate that fails is a verdict, not an error."""
    from bucle.registry import Gate, JudgeOrder, judge

    work = current_work()
    order = JudgeOrder(model, evaluation, load, tuple(criteria), champion, tuple(slices), work.order.seed)
    judgement = judge(order, work.place.store, work.place.definitions().of(Gate))
    log_param("passed", judgement.passed)
    made = Registered(package, evaluation.id, work.place.store.put_json(judgement))
    found: dict[str, str] = msgspec.to_builtins(made)
    return found


def _frame_among(values: Sequence[Any]) -> Any:
    """The frame that a model learned from, among what its step was given."""
    return next((value for value in values if type(value).__name__ == "TrainingFrame"), None)


def _gate_code(session: Session) -> dict[str, str]:
    """The code of the project's own gates."""
    code: dict[str, str] = {}
    for gate in session.place.definitions().of("gate"):
        check = getattr(gate, "check", None)
        code[f"gate {gate.name}"] = str(getattr(gate, "criterion", ""))
        code |= reached_by(check).code if check is not None else {}
    return code


_EVALUATE = built_in(evaluate_step, "evaluate")
_PACKAGE = built_in(package_step, "package")
_PRODUCTION = built_in(production_step, "evaluate_production")
_LOADABLE = built_in(loadable_step, "loadable", Options(isolated=True, retries=1))
_GATES = built_in(gates_step, "gates")
