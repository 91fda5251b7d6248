"""What goes wrong by a user's hand: one error type, one catalogue of stable codes."""

import re
from typing import ClassVar

CODES: dict[str, type["BucleError"]] = {}
"""Every code that has been defined so far in this process; `docs/errors.md` lists them all."""

_CODE = re.compile(r"[a-z]+/[a-z]+(-[a-z0-9]+)*")


class _Fields(dict[str, object]):
    """The fields of an error; one that was forgotten is shown by its name, so that the error itself is never lost."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


class BucleError(Exception):
    """Something that a user can cause, with a stable `code`, what happened, where, and what to do `next`.

    A subclass states its code, HTTP status and texts; the texts are formatted with the fields given when it is raised:

        class UnknownFeature(BucleError, code="features/unknown", status=404):
            message = "There is no feature {name!r}."
            next = "`bucle features list` shows them all."

        raise UnknownFeature(name="wnd", where="flights.py:12")
    """

    code: ClassVar[str] = ""
    status: ClassVar[int] = 400
    message: ClassVar[str] = ""
    next: ClassVar[str] = ""

    def __init_subclass__(cls, *, code: str, status: int = 400) -> None:
        if not _CODE.fullmatch(code) or code in CODES:
            raise TypeError(f"error code {code!r} is malformed or taken")
        cls.code, cls.status = code, status
        CODES[code] = cls

    def __init__(self, *, where: str | None = None, **fields: object) -> None:
        self.where = where
        self.fields = fields
        super().__init__(self.text)

    @property
    def text(self) -> str:
        """What happened, in English; `bucle.messages.translate_error` gives other languages."""
        return self.message.format_map(_Fields(self.fields))

    @property
    def next_step(self) -> str:
        """What to do next, in English."""
        return self.next.format_map(_Fields(self.fields))

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.where, self.fields))


def _rebuild(kind: type[BucleError], where: str | None, fields: dict[str, object]) -> BucleError:
    return kind(where=where, **fields)


class RemoteError(Exception):
    """An error that another process of bucle answered with: its code, texts and place, already rendered."""

    def __init__(self, code: str, text: str, where: str | None, next_step: str, status: int = 400) -> None:
        super().__init__(text)
        self.code, self.text, self.where, self.next_step, self.status = code, text, where, next_step, status
