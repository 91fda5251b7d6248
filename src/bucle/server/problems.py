"""Errors at the wire: RFC 9457 problem documents with bucle's stable code, the place and what to do next."""

from http import HTTPStatus

import msgspec

from bucle.errors import BucleError
from bucle.messages import LANGUAGES, translate_error

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What every failed request is answered with (RFC 9457, with the members `code`, `where`, `next`)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    where: str | None
    next: str


def problem_of(error: BucleError, accept_language: str = "") -> Problem:
    """Return the problem document of an error in the wanted language."""
    detail, following = translate_error(error, wanted_language(accept_language))
    return Problem(
        type=f"urn:bucle:error:{error.code}",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=detail,
        code=error.code,
        where=error.where,
        next=following,
    )


def wanted_language(accept_language: str) -> str:
    """Return the first language of an Accept-Language header that there is, else English."""
    offered = (part.split(";")[0].strip()[:2].lower() for part in accept_language.split(","))
    return next((lang for lang in offered if lang in LANGUAGES), "en")
