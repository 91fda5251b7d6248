"""The online store: the newest feature values of each entity, for serving."""

from bucle.features.online.protocol import NEVER, OnlineRow, OnlineStore
from bucle.features.online.reading import read_online, read_online_rows, require_up_to_date
from bucle.features.online.sqlite import SQLiteOnlineStore
from bucle.features.online.windows import WindowState, merge_window

__all__ = [
    "NEVER",
    "OnlineRow",
    "OnlineStore",
    "SQLiteOnlineStore",
    "WindowState",
    "merge_window",
    "read_online",
    "read_online_rows",
    "require_up_to_date",
]
