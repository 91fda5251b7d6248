"""Errors at the wire: RFC 9457 problem documents with bucle's stable code, the place and what to do next."""

from http import HTTPStatus

import msgspec

from bucle.errors import BucleError, RemoteError
from bucle.messages import LANGUAGES, translate_error

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True):
    """What every failed request is answered with (RFC 9457, with the members `code`, `where`, `next`)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    where: str | None
    next: str


def problem_of(error: BucleError | RemoteError, accept_language: str = "") -> Problem:
    """Return the problem document of an error in the wanted language."""
    if isinstance(error, RemoteError):
        return _problem(error.code, error.status, error.text, error.where, error.next_step)
    detail, following = translate_error(error, wanted_language(accept_language))
    return _problem(error.code, error.status, detail, error.where, following)


def wanted_language(accept_language: str, default: str = "en") -> str:
    """Return the first language of an Accept-Language header that there is, else the default."""
    offered = (part.split(";")[0].strip()[:2].lower() for part in accept_language.split(","))
    return next((lang for lang in offered if lang in LANGUAGES), default)


def _problem(code: str, status: int, detail: str, where: str | None, following: str) -> Problem:
    title = HTTPStatus(status).phrase
    return Problem(f"urn:bucle:error:{code}", title, status, detail, code, where, following)
