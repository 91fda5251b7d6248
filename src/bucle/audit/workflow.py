"""Kreuzberger's workflow as predicates over evidence: which event of the ledger proves each numbered step."""

from collections.abc import Callable
from dataclasses import dataclass

from bucle.audit.evidence import Evidence, Finding, has
from bucle.ledger import StoredEvent

Predicate = Callable[[Evidence], Finding]

ALERT = "monitoring.alert_fired"
FACT_NOTED = "tracking.fact_noted"
RUN_STARTED = "pipelines.run_started"
STEP_FINISHED = "pipelines.step_finished"
VERSION_REGISTERED = "registry.version_registered"


@dataclass(frozen=True, slots=True)
class WorkflowStep:
    """A numbered step or arrow of Figure 4 with its zone and the predicate that finds its evidence."""

    id: str
    zone: str
    title: str
    predicate: Predicate


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    """A step with what the ledger shows of it: the seq of an event, or why there is none."""

    id: str
    zone: str
    title: str
    event: int | None
    why: str


def audit_workflow(evidence: Evidence) -> list[WorkflowRow]:
    """Return each step of the workflow with the first event that proves it, or the reason why nothing does."""
    rows = []
    for step in STEPS:
        finding = step.predicate(evidence)
        rows.append(WorkflowRow(step.id, step.zone, step.title, finding.event, finding.why))
    return rows


def _in_production(event: StoredEvent) -> bool:
    return event.environment == "production"


def _noted(fact: str, where: Callable[[StoredEvent], bool], otherwise: str) -> Predicate:
    return lambda evidence: evidence.first(
        FACT_NOTED,
        lambda event: event.data["fact"] == fact and where(event) and event.data["data"].get("disjoint", True),
        otherwise,
    )


def _experimental(event: StoredEvent) -> bool:
    return event.environment != "production"


def _charter(*fields: str) -> Predicate:
    def found(evidence: Evidence) -> Finding:
        missing = f"no charter that states {', '.join(fields)}"
        return evidence.first("project.charter_recorded", lambda event: has(event.data, *fields), missing)

    return found


def _first(kind: str, otherwise: str = "", where: Callable[[StoredEvent], bool] | None = None) -> Predicate:
    return lambda evidence: evidence.first(kind, where, otherwise)


def _labels_checked(evidence: Evidence) -> Finding:
    return evidence.first(
        "data.source_profiled",
        lambda event: has(event.data, "profile") and bool(event.data.get("labels")),
        "no source was profiled with its labels counted",
    )


def _preprocessed_by_rules(evidence: Evidence) -> Finding:
    rules = {(event.subject, event.data.get("digest")) for event in evidence.all("data.rules_recorded")}
    digests = {digest for _, digest in rules}
    return evidence.first(
        "data.version_created",
        lambda event: event.data.get("rules") in digests,
        "no dataset version was made by recorded cleaning rules",
    )


def _engineered_by_rules(evidence: Evidence) -> Finding:
    digests = {event.data.get("digest") for event in evidence.all("features.rules_recorded")}
    return evidence.first(
        "features.materialized",
        lambda event: event.data.get("definition") in digests,
        "no features were materialized by recorded rules",
    )


def _ingested(evidence: Evidence) -> Finding:
    return evidence.first(
        "features.materialized", lambda event: event.data.get("rows", 0) > 0, "no rows reached the online store"
    )


def _experiment_iterated(evidence: Evidence) -> Finding:
    seen: dict[str, str] = {}
    for event in evidence.all(RUN_STARTED, _experimental):
        earlier = seen.setdefault(event.data["pipeline"], event.data["configuration"])
        if earlier != event.data["configuration"]:
            return Finding(event.seq)
    return Finding(None, "no experiment was repeated with another configuration")


def _predefined_configuration(evidence: Evidence) -> Finding:
    tried = {event.data["configuration"] for event in evidence.all(RUN_STARTED, _experimental)}
    return evidence.first(
        RUN_STARTED,
        lambda event: _in_production(event) and event.data["configuration"] in tried,
        "no training in production used the configuration of an experiment",
    )


def _evaluated_in_production(evidence: Evidence) -> Finding:
    return evidence.first(
        STEP_FINISHED,
        lambda event: _in_production(event) and event.data.get("step") == "evaluate",
        "no evaluation ran in production",
    )


def _caused(kind: str, cause: str, otherwise: str, where: Callable[[StoredEvent], bool] | None = None) -> Predicate:
    def found(evidence: Evidence) -> Finding:
        return evidence.first(
            kind,
            lambda event: (where is None or where(event)) and evidence.leads_to(event, cause) is not None,
            otherwise,
        )

    return found


def _complete_metadata(evidence: Evidence) -> Finding:
    return evidence.first(
        "tracking.iteration_recorded", lambda event: not event.data["missing"], "no training iteration with complete metadata"
    )


STEPS: tuple[WorkflowStep, ...] = (
    WorkflowStep("K-1", "initiation", "Business problem analysed", _charter("problem", "owner", "success")),
    WorkflowStep("K-2", "initiation", "Architecture and technologies decided", _first("project.decision_recorded")),
    WorkflowStep("K-3", "initiation", "Learning problem derived", _charter("task")),
    WorkflowStep("K-4", "initiation", "Required data understood", _charter("data")),
    WorkflowStep("K-5", "initiation", "Raw data located and profiled, labels present", _labels_checked),
    WorkflowStep("K-6", "data engineering", "Cleaning rules defined", _first("data.rules_recorded")),
    WorkflowStep("K-7", "data engineering", "Feature rules defined", _first("features.rules_recorded")),
    WorkflowStep("K-8", "data engineering", "Connected to raw data", _first("data.source_connected")),
    WorkflowStep("K-9", "data engineering", "Data extracted", _first("data.version_created")),
    WorkflowStep("K-10", "data engineering", "Preprocessed by the cleaning rules", _preprocessed_by_rules),
    WorkflowStep("K-11", "data engineering", "Features engineered by the rules", _engineered_by_rules),
    WorkflowStep("K-12", "data engineering", "Features ingested into the store", _ingested),
    WorkflowStep(
        "K-13",
        "experimentation",
        "Features read for analysis",
        _noted("features.frame_read", _experimental, "no frame was read outside of production"),
    ),
    WorkflowStep(
        "K-14",
        "experimentation",
        "Data split and validated",
        _noted("features.split_made", _experimental, "no disjoint split was made outside of production"),
    ),
    WorkflowStep("K-15", "experimentation", "Training triggered with an algorithm", _first(RUN_STARTED, where=_experimental)),
    WorkflowStep("K-16", "experimentation", "Trained and validated again", _experiment_iterated),
    WorkflowStep("K-17", "experimentation", "Model exported, code committed", _first("delivery.commit_received")),
    WorkflowStep("K-CI", "production", "Built, tested and delivered by CI", _first("delivery.released")),
    WorkflowStep("K-D0", "production", "Tasks run isolated, with logs", _first(STEP_FINISHED, where=_in_production)),
    WorkflowStep(
        "K-18",
        "production",
        "Versioned features pulled",
        _noted("features.frame_read", _in_production, "no frame was read in production"),
    ),
    WorkflowStep(
        "K-19",
        "production",
        "Data prepared and split",
        _noted("features.split_made", _in_production, "no disjoint split was made in production"),
    ),
    WorkflowStep("K-20", "production", "Trained with the predefined configuration", _predefined_configuration),
    WorkflowStep("K-21", "production", "Model evaluated", _evaluated_in_production),
    WorkflowStep("K-22", "production", "Model exported", _first("registry.gate_judged", where=_in_production)),
    WorkflowStep("K-23", "production", "Pushed to the registry", _first(VERSION_REGISTERED, where=_in_production)),
    WorkflowStep("K-MD", "production", "Metadata of each iteration complete", _complete_metadata),
    WorkflowStep(
        "K-24",
        "production",
        "Status to production deployed the model",
        _caused("serving.deployed", "registry.stage_changed", "no deployment followed a change of status", _in_production),
    ),
    WorkflowStep("K-25", "production", "Predicted on store data", _first("serving.predictions_logged", where=_in_production)),
    WorkflowStep("K-26", "production", "Performance monitored", _first("monitoring.window_evaluated", where=_in_production)),
    WorkflowStep("K-27", "production", "A threshold was passed", _first(ALERT, where=_in_production)),
    WorkflowStep(
        "K-28",
        "production",
        "Retraining scheduled by the alert",
        _caused(RUN_STARTED, ALERT, "no run was started because of an alert"),
    ),
    WorkflowStep(
        "K-F1",
        "feedback",
        "An experiment changed the rules",
        _first(
            "features.rules_recorded",
            "no rule changed in a commit with a Bucle-Run trailer",
            lambda e: has(e.data, "because_run"),
        ),
    ),
    WorkflowStep(
        "K-F2",
        "feedback",
        "Monitoring opened an experiment",
        _caused("work.opened", ALERT, "no alert opened an experiment", lambda event: event.data["item_kind"] == "experiment"),
    ),
    WorkflowStep(
        "K-F3",
        "feedback",
        "Monitoring asked for a change of features",
        _caused("work.opened", ALERT, "no work item names a feature", lambda event: has(event.data, "feature")),
    ),
    WorkflowStep(
        "K-F4",
        "feedback",
        "Monitoring led to a new model version",
        _caused(VERSION_REGISTERED, ALERT, "no model version came from an alert"),
    ),
    WorkflowStep("K-F5", "feedback", "Inner loops of training and validation", _experiment_iterated),
    WorkflowStep("K-F6", "feedback", "CI told the developers", _first("delivery.check_finished")),
)
