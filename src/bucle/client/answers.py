"""From answers to values, and from problem documents back to the same coded error."""

from typing import Any, NoReturn, TypeVar

import msgspec

from bucle.client.errors import NotBucle
from bucle.client.transports import Answer
from bucle.errors import RemoteError
from bucle.messages import Phrase

T = TypeVar("T")


class _Problem(msgspec.Struct):
    code: str
    detail: str
    status: int
    next: str = ""
    where: str | None = None


def value_of(answer: Answer, kind: Any, url: str) -> Any:
    """Return the decoded body. Raises the error that the server answered with."""
    if answer.status >= 300:
        raise_for(answer, url)
    if answer.status == 204 or not answer.body:
        return None
    if "json" not in answer.headers.get("content-type", ""):
        return answer.body
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError:
        raise NotBucle(url=url, answer=Phrase("client.status", {"status": answer.status})) from None


def raise_for(answer: Answer, url: str) -> NoReturn:
    """Raise what a problem document says, in its own words."""
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except msgspec.DecodeError:
        raise NotBucle(url=url, answer=Phrase("client.status", {"status": answer.status})) from None
    raise RemoteError(problem.code, problem.detail, problem.where, problem.next, problem.status)
