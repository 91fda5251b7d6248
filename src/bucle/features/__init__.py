"""Features: entities, views, windows; joined as of each row offline, and read as of now online, by one definition.

The face is lazy: what needs Polars, NumPy or a child process is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bucle.features.columns import ColumnType, FrameColumn, RowEncoder
    from bucle.features.entities import Entity, EntitySpec
    from bucle.features.frames import FrameFacts, TrainingFrame
    from bucle.features.join import JoinView, point_in_time_join
    from bucle.features.training import SPLIT, Label, LabelSpec, Planner, TrainingSet, TrainingSetSpec, planner
    from bucle.features.views import AggregateSpec, AggregateView, FeatureView, RoleView, View, ViewSpec, aggregates, features

_FACE = {
    "SPLIT": "training",
    "AggregateSpec": "views",
    "AggregateView": "views",
    "ColumnType": "columns",
    "Entity": "entities",
    "EntitySpec": "entities",
    "FeatureView": "views",
    "FrameColumn": "columns",
    "FrameFacts": "frames",
    "JoinView": "join",
    "Label": "training",
    "LabelSpec": "training",
    "Planner": "training",
    "RoleView": "views",
    "RowEncoder": "columns",
    "TrainingFrame": "frames",
    "TrainingSet": "training",
    "TrainingSetSpec": "training",
    "View": "views",
    "ViewSpec": "views",
    "aggregates": "views",
    "features": "views",
    "planner": "training",
    "point_in_time_join": "join",
}

__all__ = [
    "SPLIT",
    "AggregateSpec",
    "AggregateView",
    "ColumnType",
    "Entity",
    "EntitySpec",
    "FeatureView",
    "FrameColumn",
    "FrameFacts",
    "JoinView",
    "Label",
    "LabelSpec",
    "Planner",
    "RoleView",
    "RowEncoder",
    "TrainingFrame",
    "TrainingSet",
    "TrainingSetSpec",
    "View",
    "ViewSpec",
    "aggregates",
    "features",
    "planner",
    "point_in_time_join",
]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_FACE[name]}"), name)
    return value
