"""Features: entities, views, windows; joined as of each row offline, and read as of now online, by one definition.

The face is lazy: what needs Polars, NumPy or a child process is imported when it is asked for. The package can be called:
`@bucle.features(...)` declares a view (`views.features`), since Python lets a package and a function of `bucle` share no name.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bucle.features.building import build_frame, noted, split
    from bucle.features.columns import ColumnType, FrameColumn, RowEncoder
    from bucle.features.entities import Entity, EntitySpec
    from bucle.features.errors import NotMaterialized, TooFarBack, UnknownFeature
    from bucle.features.exchange import ColumnsAnswer, ColumnsRequest, FrameAnswer, FrameRequest, JoinAnswer, JoinRequest
    from bucle.features.frames import FRAME_TIME, FrameFacts, TrainingFrame
    from bucle.features.join import JoinView, point_in_time_join
    from bucle.features.listing import columns_in_child
    from bucle.features.materialization import Due, Materialized, keep_views, materialize, materialize_due, record_rules_of
    from bucle.features.offline import offline_features
    from bucle.features.online import (
        OnlineRow,
        OnlineStore,
        SQLiteOnlineStore,
        read_online,
        read_online_rows,
        require_up_to_date,
    )
    from bucle.features.rules import record_read, record_rules
    from bucle.features.store import MaterializedView, kept_views, list_materialized
    from bucle.features.training import SPLIT, Label, LabelSpec, Planner, TrainingSet, TrainingSetSpec, planner
    from bucle.features.views import AggregateSpec, AggregateView, FeatureView, RoleView, View, ViewSpec, aggregates, features

_FACE = {
    "FRAME_TIME": "frames",
    "SPLIT": "training",
    "AggregateSpec": "views",
    "AggregateView": "views",
    "ColumnType": "columns",
    "ColumnsAnswer": "exchange",
    "ColumnsRequest": "exchange",
    "Due": "materialization",
    "Entity": "entities",
    "EntitySpec": "entities",
    "FeatureView": "views",
    "FrameAnswer": "exchange",
    "FrameColumn": "columns",
    "FrameFacts": "frames",
    "FrameRequest": "exchange",
    "JoinAnswer": "exchange",
    "JoinRequest": "exchange",
    "JoinView": "join",
    "Label": "training",
    "LabelSpec": "training",
    "Materialized": "materialization",
    "MaterializedView": "store",
    "NotMaterialized": "errors",
    "OnlineRow": "online",
    "OnlineStore": "online",
    "Planner": "training",
    "RoleView": "views",
    "RowEncoder": "columns",
    "SQLiteOnlineStore": "online",
    "TooFarBack": "errors",
    "TrainingFrame": "frames",
    "TrainingSet": "training",
    "TrainingSetSpec": "training",
    "UnknownFeature": "errors",
    "View": "views",
    "ViewSpec": "views",
    "aggregates": "views",
    "build_frame": "building",
    "columns_in_child": "listing",
    "features": "views",
    "keep_views": "materialization",
    "kept_views": "store",
    "list_materialized": "store",
    "materialize": "materialization",
    "materialize_due": "materialization",
    "noted": "building",
    "offline_features": "offline",
    "planner": "training",
    "point_in_time_join": "join",
    "read_online": "online",
    "read_online_rows": "online",
    "record_read": "rules",
    "record_rules": "rules",
    "record_rules_of": "materialization",
    "require_up_to_date": "online",
    "split": "building",
}

__all__ = [
    "FRAME_TIME",
    "SPLIT",
    "AggregateSpec",
    "AggregateView",
    "ColumnType",
    "ColumnsAnswer",
    "ColumnsRequest",
    "Due",
    "Entity",
    "EntitySpec",
    "FeatureView",
    "FrameAnswer",
    "FrameColumn",
    "FrameFacts",
    "FrameRequest",
    "JoinAnswer",
    "JoinRequest",
    "JoinView",
    "Label",
    "LabelSpec",
    "Materialized",
    "MaterializedView",
    "NotMaterialized",
    "OnlineRow",
    "OnlineStore",
    "Planner",
    "RoleView",
    "RowEncoder",
    "SQLiteOnlineStore",
    "TooFarBack",
    "TrainingFrame",
    "TrainingSet",
    "TrainingSetSpec",
    "UnknownFeature",
    "View",
    "ViewSpec",
    "aggregates",
    "build_frame",
    "columns_in_child",
    "features",
    "keep_views",
    "kept_views",
    "list_materialized",
    "materialize",
    "materialize_due",
    "noted",
    "offline_features",
    "planner",
    "point_in_time_join",
    "read_online",
    "read_online_rows",
    "record_read",
    "record_rules",
    "record_rules_of",
    "require_up_to_date",
    "split",
]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_FACE[name]}"), name)
    return value


class _Face(ModuleType):
    """The package as `bucle.features(...)`."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """See `views.features`."""
        from bucle.features.views import features

        return features(*args, **options)


sys.modules[__name__].__class__ = _Face
