"""The three requests of git's smart HTTP protocol. Reading needs delivery.read, pushing delivery.write, on that project."""

import re

from starlette.responses import Response

from bucle.delivery import Delivery, GitRefused, PushTooLarge, ensure_repository, open_repository, repository_to_be
from bucle.identity import require
from bucle.ledger import Scope
from bucle.project import is_project_name
from bucle.server.git.backend import GitExchange
from bucle.server.routing import Call, Route, Stream

LARGEST_PUSH = 2 * 1024**3
"""Bytes; git's own limit on the pack stands beside it in the repository's settings."""

_PERMISSIONS = {"git-upload-pack": "delivery.read", "git-receive-pack": "delivery.write"}
_PROTOCOL = re.compile(r"version=[0-2](:version=[0-2])?")


async def advertise(call: Call) -> Response:
    """Answer which refs there are, for a fetch or a push."""
    service = call.query.get("service", "")
    if service not in _PERMISSIONS:
        raise GitRefused()
    return _exchange(call, "info/refs", service, f"service={service}")


async def fetch(call: Call) -> Response:
    """Answer with the objects that a clone or fetch lacks."""
    return _exchange(call, "git-upload-pack", "git-upload-pack", "")


async def push(call: Call) -> Response:
    """Take the objects of a push; its checks stream back as `remote:` lines."""
    length = call.request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > LARGEST_PUSH:
        raise PushTooLarge(limit=LARGEST_PUSH)
    return _exchange(call, "git-receive-pack", "git-receive-pack", "")


def _exchange(call: Call, path: str, service: str, query: str) -> Response:
    project = _project(call.path["repository"])
    require(call.principal, _PERMISSIONS[service], Scope(project))
    delivery = call.house.part(Delivery)
    if path == "git-receive-pack":
        repository = ensure_repository(delivery.home, project)
    elif service == "git-receive-pack":
        repository = repository_to_be(delivery.home, project)
    else:
        repository = open_repository(delivery.home, project)
    headers = call.request.headers
    protocol = headers.get("git-protocol", "")
    variables = {
        "GIT_PROJECT_ROOT": str(repository.path.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repository.path.name}/{path}",
        "REQUEST_METHOD": call.request.method,
        "QUERY_STRING": query,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
        "GIT_PROTOCOL": protocol if _PROTOCOL.fullmatch(protocol) else "",
        "REMOTE_USER": call.principal.name,
        "REMOTE_ADDR": "",
    }
    if "content-length" in headers:
        variables["CONTENT_LENGTH"] = headers["content-length"]
    arriving = delivery.reception.expect(repository, call.principal) if path == "git-receive-pack" else None
    environment = delivery.reception.environment(arriving) | {name: value for name, value in variables.items() if value}
    finished = (lambda: delivery.reception.finished(arriving)) if arriving else None
    return GitExchange(environment, writes=arriving is not None, largest=LARGEST_PUSH, finished=finished)


def _project(name: str) -> str:
    project = name.removesuffix(".git")
    if not is_project_name(project) or name == project:
        raise GitRefused()
    return project


ROUTES = [
    Route(
        "GET",
        "/git/{repository}/info/refs",
        advertise,
        "delivery.read",
        "git asks which branches and tags there are",
        query=("service",),
        reach="any",
        body=Stream,
    ),
    Route(
        "POST",
        "/git/{repository}/git-upload-pack",
        fetch,
        "delivery.read",
        "git clones or fetches",
        reach="any",
        body=Stream,
    ),
    Route(
        "POST",
        "/git/{repository}/git-receive-pack",
        push,
        "delivery.write",
        "git pushes; the checks stream back as remote: lines",
        reach="any",
        body=Stream,
    ),
]
