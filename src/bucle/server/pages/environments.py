"""Pages that show all environments of a project show those that the caller may see."""

from bucle.ledger import Reader, Scope, UnknownId
from bucle.project import DEV, list_environments
from bucle.server.routing import Call
from bucle.serving import active_deployments


def visible_environments(call: Call, reader: Reader, permission: str) -> list[Scope]:
    """Return the environments with a release or a service, and dev, as far as the caller may see them.

    Raises `ledger/unknown-id` when there is none: to such a caller the project is not there.
    """
    project = call.path["project"]
    names = {DEV, *(each.scope.environment for each in list_environments(reader, project))}
    names |= {each.environment for each in active_deployments(reader) if each.project == project}
    seen = [Scope(project, name) for name in sorted(names) if call.may(permission, Scope(project, name))]
    if not seen:
        raise UnknownId(id=project)
    return seen
