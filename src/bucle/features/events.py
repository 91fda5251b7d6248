"""What the features room tells the others."""

from dataclasses import dataclass
from datetime import datetime

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class FeaturesMaterialized(Event, kind="features.materialized", version=1):
    """A view's rows that were known by `until` are readable online (K-12).

    `definition` is the digest of the view's rules, `data` the version of its source. `rows` became known since `since` (None:
    built from scratch), `written` of them changed what the online store holds; `store` names that store.
    """

    view: str
    definition: str
    source: str
    data: str
    since: datetime | None
    until: datetime
    rows: int
    written: int
    store: str


@dataclass(frozen=True, slots=True)
class ViewKept(Event, kind="features.view_kept", version=1):
    """Somebody asked for a view in an environment: each tick keeps it readable online there, with a model or without."""

    view: str


@dataclass(frozen=True, slots=True)
class MaterializationFailed(Event, kind="features.materialization_failed", version=1):
    """A view that was due could not be materialized; what is readable stays as it was.

    `definitions` is the digest of the project's definitions; `code`, `reason`, `where` are those of the error.
    """

    view: str
    definitions: str
    code: str
    reason: str
    where: str | None


@dataclass(frozen=True, slots=True)
class FeatureRulesRecorded(Event, kind="features.rules_recorded", version=1):
    """Rules of a view or a training set were first seen at a commit (K-7).

    `definition_kind` is "view" or "training_set"; `digest` names the rules, `before` those that they replace. `because_run` is
    the run that the commit's trailer `Bucle-Run:` names as the reason (K-F1).
    """

    definition_kind: str
    name: str
    digest: str
    before: str | None
    commit: str | None
    because_run: str | None
    where: str


@dataclass(frozen=True, slots=True)
class FrameRead(Event, kind="features.frame_read", version=1):
    """Somebody joined features or made a training frame outside of a run, to look at the data (K-13).

    `what` is the training set, or "join"; `versions` are those of the sources, `store` the store that was read.
    """

    what: str
    rows: int
    as_of: datetime
    versions: dict[str, str]
    store: str
