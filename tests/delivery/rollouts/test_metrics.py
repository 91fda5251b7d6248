"""What /metrics says of rollouts, read with the parser of Prometheus' own client."""

from prometheus_client.parser import text_string_to_metric_families


def scraped(trial) -> dict[tuple[str, ...], float]:
    """Return the samples about rollouts by name and the labels that are not the place."""
    answer = trial.client._transport.send("GET", "/metrics", {}, None)
    families = list(text_string_to_metric_families(answer.body.decode()))
    assert {family.type for family in families} <= {"counter", "gauge", "histogram"} and all(
        each.documentation for each in families
    )
    samples = [each for family in families for each in family.samples if each.name.startswith("bucle_rollout_")]
    place = {"project": "trips", "environment": "dev", "service": "delay"}
    assert all(place.items() <= each.labels.items() for each in samples)
    return {
        (
            each.name.removeprefix("bucle_rollout_"),
            *(value for name, value in each.labels.items() if name not in place),
        ): each.value
        for each in samples
    }


def test_a_rollout_that_is_on_is_told_by_arm_and_judge_and_then_what_was_decided(trial, make_row) -> None:
    assert scraped(trial) == {}
    trial.begin("better", strategy="canary", steps=(20, 50, 100), requests=500)
    trial.ask(*(make_row(number) for number in range(5)))
    trial.judged()
    first = scraped(trial)
    assert first["share_percent", "delay@2", "delay@1"] == 20 and first["step", "canary"] == 0
    assert first["requests", "champion"] + first["requests", "challenger"] == 5
    assert first["failed_requests", "challenger"] == 0
    assert 0 < first["evidence", "errors"] < first["threshold", "errors"] and ("evidence", "latency") in first
    assert first["decisions_total", "advanced", ""] == 0
    trial.client.post("/api/v1/projects/trips/services/delay/rollout/advance", None, {"environment": "dev"})
    assert scraped(trial)["share_percent", "delay@2", "delay@1"] == 50
    trial.client.post("/api/v1/projects/trips/services/delay/rollout/abort", {"reason": "no"}, {"environment": "dev"})
    assert scraped(trial) == {("decisions_total", "advanced", ""): 1, ("decisions_total", "rolled back", "hand"): 1}
