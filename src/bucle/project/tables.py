"""Somebody's own table: which of its columns can be features, which is the key, which the moment, and what the label is."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bucle.project.charter import Task
from bucle.project.errors import UnfitColumn, UnknownColumn, UnreadableTable
from bucle.project.nearest import nearest

if TYPE_CHECKING:
    import polars as pl

LabelKind = Literal["truth", "two_texts", "classes", "number"]

MOST_CLASSES = 20
MOST_CATEGORIES = 250
ROW_KEY = "row_id"
ROW_MOMENT = "row_at"
_HOLDOUT_SHARE = 0.2
_SEED = 20130101
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))
_NO_MOMENTS = f"""

    The table says no moments: its rows were shuffled, and `{ROW_MOMENT}` lets them come one a minute until `bucle init`.
    """
_CRITERIA = {"truth": "roc_auc >= 0.6", "two_texts": "roc_auc >= 0.6", "classes": "accuracy >= 0.5", "number": "r2 >= 0.1"}


@dataclass(frozen=True)
class Table:
    """A table and the parts that its columns play. `time` or `key` is None where the table has no such column."""

    file: Path
    frame: "pl.DataFrame"
    label: str
    label_kind: LabelKind
    classes: tuple[str | int, ...]
    time: str | None
    key: str | None
    columns: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def task(self) -> Task:
        """What kind of prediction the label asks for."""
        return "regression" if self.label_kind == "number" else "classification"

    @cached_property
    def span(self) -> tuple[datetime, datetime]:
        """The first and last moment of the rows, UTC; rows without a moment come one a minute until the last full hour."""
        if self.time is None:
            last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            return last - timedelta(minutes=self.frame.height), last
        column = self.frame[self.time].drop_nulls()
        first, last = (_moment(value) for value in (column.min(), column.max()))
        return first, last

    @property
    def newest(self) -> datetime | None:
        """The moment of the last row, if the table says it."""
        return None if self.time is None else self.span[1]

    def marks(self) -> dict[str, str]:
        """Return what the template needs of this table, each as a piece of Python or TOML."""
        whole, unit = self._length()
        holdout = max(round(whole * _HOLDOUT_SHARE), 1)
        noted = f"  # left out: {', '.join(self.left_out)}" if self.left_out else ""
        return {
            "file": self.file.name.replace('"', "").replace("\\", ""),
            "rows": str(self.frame.height),
            "task": self.task,
            "criterion": _CRITERIA[self.label_kind],
            "estimator": "HistGradientBoosting" + ("Regressor" if self.task == "regression" else "Classifier"),
            "label": self.label.replace('"', "").replace("\\", ""),
            "label_column": _quoted(self.label),
            "label_examples": self._label_examples(),
            "label_name": _quoted(self._label_name()),
            "label_expression": self._label_expression(),
            "columns": _listed(list(map(_quoted, self.columns)), 4),
            "left_out": noted.replace("\n", " "),
            "key": _quoted(self.key or ROW_KEY),
            "time": _quoted(self.time or ROW_MOMENT),
            "moments": "" if self.time else _NO_MOMENTS,
            "window": f"{whole - holdout}{unit}",
            "holdout": f"{holdout}{unit}",
            "truth": "columns[:, 0] * 2" if self.task == "regression" else "(columns[:, 0] > 0).astype(int)",
        }

    def write(self, target: Path) -> None:
        """Write the rows as Parquet. Rows without a moment are shuffled first: a file in order of its label cannot be split."""
        import polars as pl

        frame = self.frame
        if self.time is None:
            moment = pl.lit(self.span[0]) + (pl.int_range(pl.len()) + 1) * pl.duration(minutes=1)
            frame = frame.sample(fraction=1, shuffle=True, seed=_SEED).with_columns(moment.alias(ROW_MOMENT))
        if self.key is None:
            frame = frame.with_row_index(ROW_KEY)
        frame.write_parquet(target)

    def _length(self) -> tuple[int, str]:
        """The span of the rows in the largest unit that still divides it well, rounded up."""
        seconds = (self.span[1] - self.span[0]).total_seconds()
        size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= 20 * size), (1, "s"))
        return max(int(seconds // size) + 1, 2), unit

    def _label_name(self) -> str:
        """A label needs a name that no column of the frame has."""
        return self.label if self.label not in self.columns else f"{self.label}_label"

    def _label_examples(self) -> str:
        """Two values of the label, different ones."""
        values = self.frame[self.label].drop_nulls().unique(maintain_order=True).head(2).to_list()
        return f"[{', '.join(_quoted(each) if isinstance(each, str) else repr(each) for each in values)}]"

    def _label_expression(self) -> str:
        column = f"pl.col({_quoted(self.label)})"
        if self.label_kind == "two_texts":
            return f"{column} == {_quoted(str(self.classes[1]))}"
        if self.label_kind == "classes" and isinstance(self.classes[0], str):
            codes = _listed([f"{_quoted(str(each))}: {code}" for code, each in enumerate(self.classes)], 8)
            return f"{column}.replace_strict({{{codes}}}, return_dtype=pl.Int64)"
        return column


def read_table(file: Path, label: str, time: str | None = None, key: str | None = None) -> Table:
    """Read a Parquet or CSV file and give its columns their parts; what is not given is inferred.

    Raises `project/unreadable-table`, `project/unknown-column`, `project/unfit-column`.
    """
    frame = _read(file)
    for name in (label, *(each for each in (time, key) if each is not None)):
        if name not in frame.columns:
            raise UnknownColumn(path=file, name=name, near=nearest(name, frame.columns), where=str(file))
    kind, classes = _label_kind(frame, label)
    time = _checked_time(frame, time) if time else _found_time(frame, label)
    key = _checked_key(frame, key) if key else _found_key(frame, label, time)
    features = tuple(name for name in frame.columns if name not in (label, time, key) and _is_feature(frame[name]))
    if not features:
        raise UnfitColumn(name=label, part="label", reason="no other column of the table can be a feature", where=str(file))
    left_out = tuple(name for name in frame.columns if name not in (label, time, key, *features))
    return Table(file, frame, label, kind, classes, time, key, features, left_out)


def _read(file: Path) -> "pl.DataFrame":
    import polars as pl

    try:
        if file.suffix.lower() in (".parquet", ".pq"):
            frame = pl.read_parquet(file)
        else:
            frame = pl.read_csv(file, try_parse_dates=True, infer_schema_length=None, null_values=["", "NA"])
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UnreadableTable(path=file, reason=reason, where=str(file)) from error
    if frame.height == 0 or frame.width < 2:
        raise UnreadableTable(path=file, reason="it needs rows and at least two columns", where=str(file))
    return frame


def _label_kind(frame: "pl.DataFrame", name: str) -> tuple[LabelKind, tuple[str | int, ...]]:
    import polars as pl

    column = frame[name].drop_nulls()
    found = column.dtype
    distinct = column.n_unique()
    if distinct < 2:
        raise UnfitColumn(name=name, part="label", reason="it has fewer than two values")
    if found == pl.Boolean:
        return "truth", ()
    if found.is_numeric():
        whole = found.is_integer() or bool((column == column.round()).all())
        if not whole or distinct > (MOST_CLASSES if found.is_integer() else 2):
            return "number", ()
        return ("truth" if distinct == 2 else "classes"), tuple(sorted(column.unique().to_list()))
    if found in (pl.String, pl.Categorical, pl.Enum) and distinct <= MOST_CLASSES:
        counts = column.cast(pl.String).value_counts(sort=True)
        values = counts[name].to_list()
        return ("two_texts", (values[0], values[-1])) if distinct == 2 else ("classes", tuple(sorted(values)))
    reason = f"it is neither a number nor one of at most {MOST_CLASSES} classes"
    raise UnfitColumn(name=name, part="label", reason=reason)


def _checked_time(frame: "pl.DataFrame", name: str) -> str:
    if not frame[name].dtype.is_temporal() or not _is_moment(frame[name]):
        raise UnfitColumn(name=name, part="time", reason="its values are not dates or moments")
    if frame[name].null_count():
        raise UnfitColumn(name=name, part="time", reason="some rows have none")
    return name


def _found_time(frame: "pl.DataFrame", label: str) -> str | None:
    fit = (name for name in frame.columns if name != label and _is_moment(frame[name]) and not frame[name].null_count())
    return next(fit, None)


def _is_moment(column: "pl.Series") -> bool:
    import polars as pl

    return column.dtype in (pl.Datetime, pl.Date)


def _checked_key(frame: "pl.DataFrame", name: str) -> str:
    if frame[name].null_count() or frame[name].n_unique() < frame.height:
        raise UnfitColumn(name=name, part="key", reason="its values are not all there and different")
    return name


def _found_key(frame: "pl.DataFrame", label: str, time: str | None) -> str | None:
    """A key is a column of texts or whole numbers, each once; one whose name says so comes first."""
    fit = [name for name in frame.columns if name not in (label, time) and _can_be_key(frame[name])]
    named = [name for name in fit if name.lower().endswith(("id", "key", "number", "uuid"))]
    return next(iter(named or [name for name in fit if name == frame.columns[0]]), None)


def _can_be_key(column: "pl.Series") -> bool:
    import polars as pl

    fit = column.dtype == pl.String or column.dtype.is_integer()
    return fit and not column.null_count() and column.n_unique() == len(column)


def _is_feature(column: "pl.Series") -> bool:
    import polars as pl

    if column.null_count() == len(column):
        return False
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return True
    most = min(MOST_CATEGORIES, max(MOST_CLASSES, len(column) // 2))  # free text tells rows apart, not kinds of rows
    return column.dtype in (pl.String, pl.Categorical, pl.Enum) and column.n_unique() <= most


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _listed(items: list[str], indent: int) -> str:
    """Items on one line if they are short, else each on its own, as a formatter would have them."""
    line = ", ".join(items)
    if len(line) <= 60:
        return line
    margin = " " * indent
    return "".join(f"\n{margin}    {item}," for item in items) + f"\n{margin}"
