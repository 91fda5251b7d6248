"""Sources: where raw files lie, which function cleans them, and when each column becomes true in the world."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from bucle.data.errors import BadSource
from bucle.project import Definition, code_closure, digest_of

if TYPE_CHECKING:
    import polars as pl

Cleaning = Callable[..., Any]


class SourceSpec(msgspec.Struct, frozen=True):
    """What the rest of the house knows of a source. `rules` is the digest of the cleaning function's code and all it reaches.

    `parts` names the pieces of that digest, so that a change of the rules can be told. `known_at` gives, for a late column,
    the column that holds the moment from which it is known; `accepted`, for a column that tells a label almost perfectly,
    why that is honest. `owner` is who answers for the data, empty for whoever owns the project.
    """

    name: str
    location: str
    key: tuple[str, ...]
    timestamp: str
    known_at: dict[str, str]
    created: str | None
    nulls: tuple[str, ...]
    rules: str
    parts: dict[str, str]
    file: str
    line: int
    doc: str
    accepted: dict[str, str] = {}
    owner: str = ""

    @property
    def where(self) -> str:
        """File and line of the cleaning function."""
        return f"{self.file}:{self.line}"

    @property
    def moments(self) -> dict[str, str]:
        """`known_at`, and each moment column known at itself: a time of arrival is not known before the arrival."""
        return {**{moment: moment for moment in self.known_at.values() if moment != self.timestamp}, **self.known_at}

    @property
    def digest(self) -> str:
        """The digest of everything about the source that decides what its cleaned rows are, and nothing else."""
        said = (self.name, self.key, self.timestamp, sorted(self.known_at.items()), self.created, self.nulls, self.rules)
        return digest_of(said)


class Source(Definition):
    """A table of events in Parquet or CSV files and the function that cleans it. Made by `@bucle.source`."""

    kind: ClassVar[str] = "source"

    def __init__(
        self,
        function: Cleaning,
        location: str,
        *,
        key: str | Sequence[str] = (),
        timestamp: str,
        known_at: Mapping[str, str] | None = None,
        created: str | None = None,
        nulls: Sequence[str] = (),
        accepted: Mapping[str, str] | None = None,
        owner: str = "",
        name: str = "",
    ) -> None:
        self.__wrapped__ = function
        self.__doc__ = function.__doc__
        self.declare_at(function)
        self.bind(name or function.__name__)
        self.location = location
        self.key = (key,) if isinstance(key, str) else tuple(key)
        self.timestamp = timestamp
        self.known_at = dict(known_at or {})
        self.created = created
        self.nulls = tuple(nulls)
        self.accepted = dict(accepted or {})
        self.owner = owner
        self._refuse_nonsense()

    def __call__(self, raw: "pl.LazyFrame") -> "pl.LazyFrame":
        """Apply the cleaning rules to raw rows, as a plain function (for tests and notebooks)."""
        cleaned: pl.LazyFrame = self.__wrapped__(raw)
        return cleaned

    def __repr__(self) -> str:
        return f"<source {self.name} at {self.location}>"

    def spec(self) -> SourceSpec:
        """Return what others must know of this source."""
        closure = code_closure(self.__wrapped__)
        return SourceSpec(
            name=self.required_name(),
            location=self.location,
            key=self.key,
            timestamp=self.timestamp,
            known_at=self.known_at,
            created=self.created,
            nulls=self.nulls,
            rules=closure.digest,
            parts=dict(closure.parts),
            file=self.file,
            line=self.line,
            doc=(self.__doc__ or "").strip().split("\n")[0],
            accepted=self.accepted,
            owner=self.owner,
        )

    def _refuse_nonsense(self) -> None:
        reason = ""
        if not self.location or not self.timestamp:
            reason = "its location and its timestamp must be named"
        elif self.timestamp in self.known_at:
            reason = f"its timestamp {self.timestamp!r} cannot be known later than itself"
        elif late := sorted(set(self.key) & set(self.known_at)):
            reason = f"its key {late[0]!r} cannot be known later than its row"
        elif both := sorted(set(self.accepted) & {*self.known_at, *self.known_at.values()}):
            reason = f"{both[0]!r} cannot be known later and be accepted as known from the start"
        elif silent := sorted(name for name, why in self.accepted.items() if not why.strip()):
            reason = f"accepted must say why {silent[0]!r} is honest"
        if reason:
            raise BadSource(name=self.name, reason=reason, where=self.where)


def source(
    location: str,
    *,
    key: str | Sequence[str] = (),
    timestamp: str,
    known_at: Mapping[str, str] | None = None,
    created: str | None = None,
    nulls: Sequence[str] = (),
    accepted: Mapping[str, str] | None = None,
    owner: str = "",
    name: str = "",
) -> Callable[[Cleaning], Source]:
    """Declare a source: Parquet or CSV files by a glob relative to the project, and the decorated function that cleans them.

    The function gets the raw rows as a Polars LazyFrame (a pandas DataFrame if its parameter is annotated as one) and returns
    the cleaned rows. `timestamp` is the column of the moment that a row is about; `key` identifies a row; `known_at` gives for
    each late column the column of the moment from which it is known; `created` is the column of the moment when the row was
    recorded: before it the row does not exist. `nulls` are texts that mean null in CSV files. `accepted` names columns that
    were reviewed and may tell a label almost perfectly, each with the reason. `owner` names who answers for the data, when that
    is not the charter's owner. Moments may be datetimes of any unit and zone,
    dates or ISO texts; naive ones are UTC. Raises `data/bad-source`.
    """

    def declare(function: Cleaning) -> Source:
        return Source(
            function,
            location,
            key=key,
            timestamp=timestamp,
            known_at=known_at,
            created=created,
            nulls=nulls,
            accepted=accepted,
            owner=owner,
            name=name,
        )

    return declare
