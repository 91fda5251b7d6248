"""Judges of a rollout: anytime-valid evidence that a challenger is worse than the champion, and what could be found at all."""

from bucle.delivery.judging.contrasts import Counts
from bucle.delivery.judging.errors import ERROR_MARGIN, ErrorEvidence
from bucle.delivery.judging.judgements import ALPHA, Judgement, Verdict, alpha_of
from bucle.delivery.judging.latency import LATENCY_EDGES_MS, LATENCY_MARGIN, TOLERATED_FACTOR, LatencyEvidence
from bucle.delivery.judging.paired import LOSS_MARGIN, PairedLossEvidence
from bucle.delivery.judging.power import Detectability, detectable

__all__ = [
    "ALPHA",
    "ERROR_MARGIN",
    "LATENCY_EDGES_MS",
    "LATENCY_MARGIN",
    "LOSS_MARGIN",
    "TOLERATED_FACTOR",
    "Counts",
    "Detectability",
    "ErrorEvidence",
    "Judgement",
    "LatencyEvidence",
    "PairedLossEvidence",
    "Verdict",
    "alpha_of",
    "detectable",
]
