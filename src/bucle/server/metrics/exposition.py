"""What /metrics says: the counts of the server's routes, of services, alerts, events, and of the process."""

import os
import resource
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bucle.delivery import count_decisions, running_rollouts
from bucle.monitoring import budget_gauges, count_alerts, count_deliveries, loss_gauges
from bucle.server.metrics.text import Family
from bucle.server.routing import Call
from bucle.server.statistics import BOUNDS, RequestStatistics
from bucle.serving import BOUNDS as SERVING_BOUNDS
from bucle.serving import Services, active_deployments

if TYPE_CHECKING:
    from starlette.responses import Response

_STARTED = time.time()
_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics(call: Call) -> "Response":
    """Return everything that can be scraped."""
    from starlette.responses import Response

    families = [*_requests(call), *_serving(call), *_rollouts(call), *_monitoring(call), *_ledger(call), *_process()]
    return Response("".join(family.text() for family in families), media_type=_TYPE)


def _requests(call: Call) -> Iterator[Family]:
    family = Family("bucle_http_request_duration_seconds", "Requests by route and status.", "histogram")
    for route in call.house.part(RequestStatistics).read():
        family.add_histogram(BOUNDS, route.bins, route.seconds, method=route.method, route=route.path, status=route.status)
    yield family


def _serving(call: Call) -> Iterator[Family]:
    services = call.house.part(Services)
    latency = Family("bucle_serving_request_duration_seconds", "Answered prediction requests.", "histogram")
    counters = {
        "predictions": Family("bucle_serving_predictions_total", "Predictions made.", "counter"),
        "refused": Family("bucle_serving_refused_requests_total", "Requests refused by a coded error of their own.", "counter"),
        "failed": Family("bucle_serving_failed_requests_total", "Requests that failed for another reason.", "counter"),
        "nonfinite": Family("bucle_serving_nonfinite_total", "Answers that were NaN or infinite.", "counter"),
        "unseen": Family("bucle_serving_unseen_categories_total", "Values of categories that training never saw.", "counter"),
    }
    for (scope, service), traffic in services.meter.since_start().items():
        place = {"project": scope.project, "environment": scope.environment, "service": service}
        latency.add_histogram(SERVING_BOUNDS, traffic.buckets, traffic.seconds, **place)
        for name, family in counters.items():
            family.add(getattr(traffic, name), **place)
    yield latency
    yield from counters.values()
    waiting = Family("bucle_serving_log_waiting_bytes", "Predictions that are not in the ledger yet.", "gauge")
    waiting.add(services.log.waiting)
    yield waiting
    deployed = Family("bucle_serving_deployment_info", "What answers for a service.", "gauge")
    with call.house.ledger.read() as reader:
        for each in active_deployments(reader):
            if each.state == "current":
                names = {"project": each.project, "environment": each.environment, "service": each.service}
                deployed.add(1, **names, model=each.candidate.model, version=each.candidate.version)
    yield deployed


def _rollouts(call: Call) -> Iterator[Family]:
    """A rollout that is on, by arm and judge; and what was decided about all that were."""
    share = Family("bucle_rollout_share_percent", "Traffic that the new version answers while its rollout is on.", "gauge")
    step = Family("bucle_rollout_step", "The step of a rollout that is on, counted from 0.", "gauge")
    asked = Family("bucle_rollout_requests", "Rows that an arm of a rollout was asked for so far.", "gauge")
    failed = Family("bucle_rollout_failed_requests", "Rows that an arm of a rollout failed to answer so far.", "gauge")
    evidence = Family("bucle_rollout_evidence", "Evidence of a judge that the new version is worse.", "gauge")
    threshold = Family("bucle_rollout_threshold", "Evidence of a judge that is enough to roll back.", "gauge")
    decided = Family("bucle_rollout_decisions_total", "Steps advanced, rollouts completed and rolled back.", "counter")
    with call.house.ledger.read() as reader:
        running, decisions = running_rollouts(reader), count_decisions(reader)
    for each in running:
        place = {"project": each.project, "environment": each.environment, "service": each.service}
        stage, errors = each.stage, each.evidence.errors
        share.add(stage.share if stage.mode == "canary" else 0, **place, challenger=each.target, champion=each.left)
        step.add(each.step, **place, mode=stage.mode)
        for arm, counts in (("champion", errors.champion), ("challenger", errors.challenger)):
            asked.add(counts.requests, **place, arm=arm)
            failed.add(counts.failed, **place, arm=arm)
        for judged in each.judgements:
            evidence.add(judged.e_value, **place, judge=judged.name)
            threshold.add(judged.threshold, **place, judge=judged.name)
    for count in decisions:
        place = {"project": count.project, "environment": count.environment, "service": count.service}
        decided.add(count.rollouts, **place, decision=count.decision, cause=count.cause)
    yield from (share, step, asked, failed, evidence, threshold, decided)


def _monitoring(call: Call) -> Iterator[Family]:
    alerts = Family("bucle_monitoring_alerts", "Alerts by kind and state.", "gauge")
    excess = Family("bucle_monitoring_excess_loss", "Loss beyond the promise of the hold-out, in units of the loss.", "gauge")
    cost = Family("bucle_monitoring_retrain_cost", "What a retraining costs, in units of the loss.", "gauge")
    sent = Family("bucle_monitoring_alert_deliveries", "Changes of alerts by route and what became of them.", "gauge")
    with call.house.ledger.read() as reader:
        for each in count_deliveries(reader):
            place = {"project": each.project, "environment": each.environment, "route": each.route}
            sent.add(each.deliveries, **place, state=each.state)
        for count in count_alerts(reader):
            place = {"project": count.project, "environment": count.environment, "service": count.service}
            alerts.add(count.alerts, **place, kind=count.kind, state=count.state)
        for gauge in loss_gauges(reader):
            place = {"project": gauge.scope.project, "environment": gauge.scope.environment, "service": gauge.service}
            excess.add(gauge.loss.excess, **place)
            if gauge.loss.retrain_cost is not None:
                cost.add(gauge.loss.retrain_cost, **place)
    yield from _objectives(call)
    yield from (alerts, excess, cost, sent)


def _objectives(call: Call) -> Iterator[Family]:
    target = Family("bucle_objective_target", "The share of good requests that a service promises.", "gauge")
    good = Family("bucle_objective_good_ratio", "The share of good requests in the objective's window.", "gauge")
    left = Family("bucle_objective_budget_remaining", "Share of the error budget that is left; below 0 it is broken.", "gauge")
    burn = Family("bucle_objective_burn_rate", "How fast the error budget goes; 1 spends it just in time.", "gauge")
    with call.house.ledger.read() as reader:
        gauges = budget_gauges(reader, call.house.ledger.clock.now_us())
    for each in gauges:
        place = {"project": each.scope.project, "environment": each.scope.environment, "service": each.service}
        names = {**place, "objective": each.budget.name}
        target.add(each.budget.target, **names)
        if each.budget.good is not None:
            good.add(each.budget.good, **names)
        if each.budget.remaining is not None:
            left.add(each.budget.remaining, **names)
        for found in each.budget.burns:
            for length, rate in ((found.long, found.long_rate), (found.short, found.short_rate)):
                if rate is not None:
                    burn.add(
                        rate,
                        **names,
                        window=f"{length.total_seconds() / 60:g}m",
                        rule=f"{found.long.total_seconds() / 3600:g}h",
                    )
    yield from (target, good, left, burn)


def _ledger(call: Call) -> Iterator[Family]:
    """Counts of events by kind: they cover CI/CD (delivery.*), orchestration (pipelines.*) and all else."""
    events = Family("bucle_events_total", "Events in the ledger by kind.", "counter")
    for kind, count in call.house.ledger.count_events().items():
        events.add(count, kind=kind)
    yield events


def _process() -> Iterator[Family]:
    usage, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = Family("process_cpu_seconds_total", "CPU time of the server.", "counter")
    cpu.add(usage.ru_utime + usage.ru_stime)
    work = Family("bucle_children_cpu_seconds_total", "CPU time of the child processes that have ended.", "counter")
    work.add(children.ru_utime + children.ru_stime)
    memory = Family("process_resident_memory_bytes", "Largest resident memory of the server so far.", "gauge")
    memory.add(usage.ru_maxrss * 1024)
    load = Family("bucle_load_average", "Load of the machine over one minute.", "gauge")
    load.add(os.getloadavg()[0])
    start = Family("process_start_time_seconds", "When the server began, seconds since 1970.", "gauge")
    start.add(_STARTED)
    yield from (cpu, work, memory, load, start)
