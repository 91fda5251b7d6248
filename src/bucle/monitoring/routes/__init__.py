"""Routes: how alerts leave the house. One module for each kind of receiver, one way out to the network, one outbox."""

from bucle.monitoring.routes.addresses import LAPTOP, Network, NetworkPolicy, network
from bucle.monitoring.routes.courier import Courier
from bucle.monitoring.routes.outbox import Delivery, RouteState, count_deliveries, list_deliveries, route_states
from bucle.monitoring.routes.sending import missing_variables

__all__ = [
    "LAPTOP",
    "Courier",
    "Delivery",
    "Network",
    "NetworkPolicy",
    "RouteState",
    "count_deliveries",
    "list_deliveries",
    "missing_variables",
    "network",
    "route_states",
]
