"""The OpenAPI 3.1 description of the native routes, made from the route table: it cannot differ from what is served."""

import re
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from bucle.server.problems import MEDIA_TYPE, Problem
from bucle.server.routing import PUBLIC, Route, Stream
from bucle.version import __version__

_REFERENCE = "#/components/schemas/{name}"


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document for all routes whose path begins with /api/v1/, and the probes."""
    native = [route for route in routes if route.path.startswith(("/api/v1/", "/health"))]
    answers = {route: _answer_type(route) for route in native}
    bodies = [route.body for route in native if _is_json(route.body)]
    kinds = [*dict.fromkeys([Problem, *bodies, *(kind for kind in answers.values() if kind is not None)])]
    schemas, components = msgspec.json.schema_components(kinds, schema_hook=_schema, ref_template=_REFERENCE)
    by_kind = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in native:
        paths.setdefault(re.sub(r"\*}", "}", route.path), {})[route.method.lower()] = _operation(route, answers[route], by_kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": "bucle", "version": __version__},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, answer: type | None, by_kind: dict[Any, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": by_kind[answer]}} if answer is not None else None
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").strip("_"),
        "parameters": _parameters(route),
        "responses": {
            "200": {"description": "Done."} | ({"content": content} if content else {}),
            "default": {"description": "Refused.", "content": {MEDIA_TYPE: {"schema": by_kind[Problem]}}},
        },
        "security": [] if route.permission == PUBLIC else [{}, {"token": []}],
        "x-permission": route.permission,
    }
    if _is_json(route.body):
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": by_kind[route.body]}}}
    elif route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    text = {"type": "string"}
    named = re.findall(r"{(\w+)\*?}", route.path)
    query = [name for name in route.query if name != "*"] + (["environment"] if "project" in named else [])
    parameters = [{"name": name, "in": "path", "required": True, "schema": text} for name in named]
    parameters += [{"name": name, "in": "query", "required": False, "schema": text} for name in dict.fromkeys(query)]
    if route.method != "GET":
        parameters.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": text})
    return parameters


def _answer_type(route: Route) -> Any:
    """Return what the handler says that it returns, unless it makes its own response."""
    try:
        kind = typing.get_type_hints(route.handler).get("return")
    except NameError:  # a response type that is imported for type checkers only
        return None
    module = getattr(kind, "__module__", "")
    return None if kind in (None, type(None), Any) or module.startswith("starlette") else kind


def _is_json(body: type | None) -> bool:
    return body not in (None, bytes, Path, Stream)


def _schema(kind: type) -> dict[str, Any]:
    """Describe what msgspec does not know: paths are texts, the rest is any JSON."""
    return {"type": "string"} if isinstance(kind, type) and issubclass(kind, Path) else {"description": "any JSON"}
