"""Prometheus text at /metrics: serving, infrastructure, CI/CD and orchestration (K-C9).

Source: the Prometheus text exposition format 0.0.4.
"""

from bucle.server.metrics.exposition import metrics
from bucle.server.routing import Route

ROUTES = [Route("GET", "/metrics", metrics, "monitoring.read", "Prometheus text")]
