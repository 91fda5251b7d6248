"""Where a request of an MLflow client belongs: the protocol knows no projects, its workspaces are bucle's projects."""

from bucle.identity import require
from bucle.ledger import Reader, Scope, Transaction
from bucle.project import list_projects
from bucle.server.mlflow.errors import DoesNotExist, InvalidParameter
from bucle.server.routing import Call
from bucle.tracking import LoggedModel, Run, UnknownModel, UnknownRun, get_logged_model, run_from_hex, run_state

WORKSPACE = "x-mlflow-workspace"
ENVIRONMENT = "dev"
_ONLY = "default"


def scope_of(call: Call, permission: str) -> Scope:
    """Return the project that a request means, in `dev`, where the caller may do `permission`.

    It is the workspace that the client names (`MLFLOW_WORKSPACE`), else the only project of the home; a home without one keeps
    runs under "default". Raises `mlflow/invalid-parameter`, `identity/forbidden`.
    """
    named = call.request.headers.get(WORKSPACE, "")
    with call.house.ledger.read() as reader:
        projects = [each.name for each in list_projects(reader)] or [_ONLY]
    if not named and len(projects) > 1:
        text = f"There are several projects here; set MLFLOW_WORKSPACE to one of {', '.join(projects)}."
        raise InvalidParameter(text=text, where=f"header.{WORKSPACE}")
    if named and named not in projects:
        raise DoesNotExist(text=f"Workspace '{named[:100]}' not found", where=f"header.{WORKSPACE}")
    scope = Scope(named or projects[0], ENVIRONMENT)
    require(call.principal, permission, scope)
    return scope


def run_of(call: Call, reader: Reader | Transaction, scope: Scope, digits: str, permission: str) -> Run:
    """Return the run of 32 hex digits, where the caller may do `permission`. Raises `mlflow/does-not-exist`."""
    try:
        run = run_state(reader, run_from_hex(digits), scope.project)
    except UnknownRun:
        raise DoesNotExist(text=f"Run with id={digits[:100]} not found", where="run_id") from None
    require(call.principal, permission, Scope(run.project, run.environment))
    return run


def logged_model_of(call: Call, reader: Reader | Transaction, scope: Scope, id: str, permission: str) -> LoggedModel:
    """Return a logged model, where the caller may do `permission`. Raises `mlflow/does-not-exist`."""
    try:
        model = get_logged_model(reader, scope.project, id)
    except UnknownModel:
        raise DoesNotExist(text=f"Logged model with ID '{id[:100]}' not found.", where="model_id") from None
    require(call.principal, permission, Scope(model.project, model.environment))
    return model
