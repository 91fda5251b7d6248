"""What a rollout could detect, computed before it starts; one that could detect nothing says so."""

import math
from collections.abc import Callable, Sequence

import msgspec

from bucle.delivery.judging import errors, latency, paired
from bucle.delivery.judging.contrasts import Counts, Rates, log_factor, nearest
from bucle.delivery.judging.judgements import ALPHA, alpha_of
from bucle.delivery.judging.latency import LATENCY_EDGES_MS, THRESHOLDS, TOLERATED_BUCKETS
from bucle.messages import Phrase, Said, joined

_Z95 = 1.644854
"""Power: the evidence that 95 % of rollouts exceed, by its mean and deviation."""

_USUAL_DEVIATION = 0.2
"""Of the difference of two models' losses on a row, in units of the bound, before any shadow has shown it."""


class Detectability(msgspec.Struct, frozen=True):
    """The smallest harm that is found with 95 % power; None where nothing would be.

    `error_rate` is the challenger's rate of failures, `latency_factor` how much slower it answers, `loss` how much higher its
    mean loss is; `sentence` says all of it in English, `said` in any language.
    """

    requests: int
    pairs: int
    error_rate: float | None
    latency_factor: float | None
    loss: float | None
    sentence: str
    said: Phrase

    @property
    def nothing(self) -> bool:
        """Whether the rollout would be a ceremony."""
        return self.error_rate is None and self.latency_factor is None and self.loss is None


def detectable(
    requests: int,
    shares: Sequence[float],
    *,
    history: Counts | None = None,
    latencies: Sequence[int] | None = None,
    pairs: int = 0,
    deviation: float | None = None,
    bound: float = 1.0,
    alpha: float = ALPHA,
    canary: bool = True,
) -> Detectability:
    """Return what a rollout could find within `requests` canary requests, as many at each of `shares` (percent of traffic).

    `history` and `latencies` are what the champion did so far; `pairs` the labelled rows that shadow will compare, whose
    differences of losses have the standard deviation `deviation` (assumed to be 0.2 bounds when not known).
    Without `canary` the requests are those that shadow answers too.
    """
    history = history or Counts()
    stages = [(share / 100, requests // len(shares)) for share in shares] if shares else []
    rate = _error_rate(stages, history, alpha_of("errors", alpha))
    timed = bool(latencies) and sum(latencies or ()) > 0
    factor = _latency_factor(stages, latencies or (), alpha_of("latency", alpha)) if timed else None
    loss = _loss(pairs, _USUAL_DEVIATION * bound if deviation is None else deviation, bound, alpha_of("loss", alpha))
    shown = "canary" if canary else "shadowed"
    said = _said(requests, pairs, history, (rate, factor, loss), timed=timed, shown=shown)
    return Detectability(requests, pairs, rate, factor, loss, str(said), said)


def _error_rate(stages: Sequence[tuple[float, int]], history: Counts, alpha: float) -> float | None:
    usual = (history.failed + 0.5) / (history.requests + 1) if history.requests else 0.01
    needed = math.log(1 / (alpha - errors.HISTORY_RISK if history.requests else alpha) * len(errors.WORSE))
    bound = errors.history_bound(history) if history.requests else 1.0

    def found(rate: float) -> bool:
        moments = [_moments(stages, rates, (usual, rate), bound) for rates in errors.WORSE]
        return any(mean - _Z95 * deviation >= needed for mean, deviation in moments)

    return _least([usual + (1 - usual) * step / 400 for step in range(1, 400)], found)


def _latency_factor(stages: Sequence[tuple[float, int]], latencies: Sequence[int], alpha: float) -> float | None:
    needed = math.log(len(latency.WORSE) * len(THRESHOLDS) / alpha)
    total = sum(latencies)

    def found(buckets: float) -> bool:
        slower = (0,) * int(buckets) + tuple(latencies)
        for threshold in THRESHOLDS:
            champion = sum(latencies[threshold + 1 :]) / total
            challenger = sum(slower[threshold + TOLERATED_BUCKETS + 1 :]) / total
            moments = (_moments(stages, rates, (champion, challenger), 1.0) for rates in latency.WORSE)
            if any(mean - _Z95 * deviation >= needed for mean, deviation in moments):
                return True
        return False

    buckets = _least(range(TOLERATED_BUCKETS + 1, len(LATENCY_EDGES_MS)), found)
    return None if buckets is None else 2 ** (buckets / 4)


def _loss(pairs: int, deviation: float, bound: float, alpha: float) -> float | None:
    needed, spread = math.log(1 / alpha) + math.log(len(paired.STAKES)), deviation / bound

    def found(loss: float) -> bool:
        squares = pairs * (spread**2 + loss**2)
        total = pairs * loss - _Z95 * spread * math.sqrt(pairs)
        return any(stake * total - (-math.log1p(-stake) - stake) * squares >= needed for stake in paired.STAKES)

    loss = _least([step / 1000 for step in range(1, 1000)], found) if pairs else None
    return None if loss is None else loss * bound


def _moments(stages: Sequence[tuple[float, int]], bet: Rates, truth: Rates, history_bound: float) -> tuple[float, float]:
    """Return mean and standard deviation of the logarithm of a bet's wealth at the end."""
    mean, variance = 0.0, 0.0
    for share, challenger in stages:
        champion = round(challenger * (1 - share) / share) if share else 0
        if champion:
            null = nearest(bet, champion, challenger, 0.0)
        elif bet[1] > history_bound:
            null = (0.5, history_bound)
        else:
            continue
        for arm, requests in enumerate((champion, challenger)):
            if not requests:
                continue
            one = [_alone(bet, null, arm, failed) for failed in (0, 1)]
            mean += requests * (one[0] + truth[arm] * (one[1] - one[0]))
            variance += requests * truth[arm] * (1 - truth[arm]) * (one[1] - one[0]) ** 2
    return mean, math.sqrt(variance)


def _alone(bet: Rates, null: Rates, arm: int, failed: int) -> float:
    one, none = Counts(1, failed), Counts()
    return log_factor(bet, null, *((one, none) if arm == 0 else (none, one)))


def _least(candidates: Sequence[float], found: Callable[[float], bool]) -> float | None:
    """Return the smallest of ascending candidates that would be found, as all larger ones would."""
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if found(candidates[middle]) else (middle + 1, high)
    return candidates[low] if low < len(candidates) else None


def _said(
    requests: int,
    pairs: int,
    history: Counts,
    least: tuple[float | None, float | None, float | None],
    *,
    timed: bool,
    shown: str,
) -> Phrase:
    rate, factor, loss = least
    seen: dict[str, Said] = {"seen": Phrase(f"prospect.{shown}", {"requests": requests}), "pairs": pairs}
    if rate is None and factor is None and loss is None:
        return Phrase("prospect.nothing", seen)
    usual = Phrase(
        "prospect.usual" if history.requests else "prospect.assumed", {"rate": history.rate if history.requests else 0.01}
    )
    parts = [
        Phrase("prospect.failures", {"usual": usual, "rate": rate}) if rate is not None else None,
        Phrase("prospect.slowness", {"factor": factor}) if factor is not None else None,
        Phrase("prospect.loss", {"loss": loss}) if loss is not None else None,
    ]
    missed = [
        Phrase("prospect.no_failures") if rate is None else None,
        Phrase("prospect.no_slowness") if factor is None and timed else None,
        Phrase("prospect.no_loss") if loss is None else None,
    ]
    none = [each for each in missed if each is not None]
    found = Phrase("prospect.found", {**seen, "found": joined("list", *(each for each in parts if each is not None))})
    rest = [Phrase("prospect.not_found", {"missed": joined("or", *none)})] if none else []
    return joined("then", found, *rest, *([] if timed else [Phrase("prospect.untimed")]))
