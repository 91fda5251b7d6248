"""How check runs, releases, deployments of releases and promotions live in the ledger."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from bucle.delivery.rows import fields_of, json_of
from bucle.ledger import Reader, Row, Scope, Transaction, from_us

if TYPE_CHECKING:
    from bucle.delivery.promotions import Promotion
    from bucle.delivery.releases import Release, ReleaseDeployment
    from bucle.delivery.results import CheckRun, Verdict
    from bucle.delivery.trials import CandidateResult
    from bucle.serving import Candidate

AnyReader = Reader | Transaction
_JSON = ("versions", "findings", "authors", "evidence")

INSERT_CHECK_RUN = """
INSERT INTO check_run (id, project, environment, commit_sha, author, wanted, state, attempt, requester, role, cause, lock,
  versions, created_us)
VALUES (?, ?, ?, ?, ?, ?, 'waiting', 0, ?, ?, ?, '', '[]', ?)
"""
BEGIN_CHECK_RUN = "UPDATE check_run SET state = 'running', attempt = attempt + 1 WHERE id = ?"
INTERRUPT_CHECK_RUN = "UPDATE check_run SET state = 'waiting' WHERE id = ? AND state = 'running'"
DATA_OF_CHECK_RUN = "UPDATE check_run SET lock = ?, versions = ? WHERE id = ?"
END_CHECK_RUN = "UPDATE check_run SET state = ?, ended_us = ?, event = ? WHERE id = ?"
SELECT_CHECK_RUN = "SELECT * FROM check_run WHERE id = ?"
SELECT_CHECK_RUNS = """
SELECT * FROM check_run WHERE project = ? AND (? IS NULL OR commit_sha = ?) ORDER BY created_us DESC, id DESC LIMIT ?
"""
SELECT_UNFINISHED = "SELECT * FROM check_run WHERE state IN ('waiting', 'running') ORDER BY created_us, id"
INSERT_RESULT = """
INSERT INTO check_result (run, attempt, position, name, kind, tag, outcome, message, findings, log, duration_us, event)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_RESULTS = "SELECT * FROM check_result WHERE run = ? AND attempt = ? ORDER BY position"

INSERT_TRIAL = """
INSERT INTO candidate_check (event, project, environment, model_version, service, name, kind, outcome, message, findings, log,
  duration_us, at_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_TRIALS = """
SELECT * FROM candidate_check each WHERE project = ? AND model_version = ? AND NOT EXISTS (
  SELECT 1 FROM candidate_check later WHERE later.model_version = each.model_version AND later.event > each.event
    AND later.environment = each.environment AND later.service = each.service AND later.name = each.name)
ORDER BY event
"""
SELECT_WAIVERS = "SELECT * FROM candidate_waiver WHERE model_version = ?"
INSERT_WAIVER = """
INSERT INTO candidate_waiver (event, model_version, environment, name, actor, role, reason, at_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_RELEASE = """
INSERT INTO release (id, project, commit_sha, lock, versions, digest, author, requester, check_run, created_us, event)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_RELEASE = "SELECT * FROM release WHERE project = ? AND (id = ? OR commit_sha = ?)"
SELECT_RELEASES = "SELECT * FROM release WHERE project = ? ORDER BY created_us DESC, id DESC LIMIT ?"
INSERT_DEPLOYMENT = """
INSERT INTO release_deployment (project, environment, release_id, cause, created_us, event) VALUES (?, ?, ?, ?, ?, ?)
"""
SELECT_DEPLOYMENTS = """
SELECT * FROM release_deployment WHERE project = ? AND environment = ? ORDER BY position DESC LIMIT ?
"""

INSERT_PROMOTION = """
INSERT INTO promotion (id, project, environment, kind, target, model, version, policy, state, requester, authors, note,
  evidence, created_us, event)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, '', ?, ?, ?)
"""
ASK_TOO = "UPDATE promotion SET policy = ?, authors = ? WHERE id = ? AND state = 'pending'"
DECIDE_PROMOTION = "UPDATE promotion SET state = ?, approver = ?, note = ?, decided_us = ? WHERE id = ? AND state = 'pending'"
FINISH_PROMOTION = "UPDATE promotion SET state = ?, decided_us = ? WHERE id = ? AND state = 'rolling out'"
SELECT_PROMOTION = "SELECT * FROM promotion WHERE id = ?"
SELECT_PROMOTIONS = """
SELECT * FROM promotion WHERE project = ? AND (? IS NULL OR state = ?) ORDER BY created_us DESC, id DESC LIMIT ?
"""
SELECT_SAME_PROMOTION = """
SELECT * FROM promotion WHERE project = ? AND environment = ? AND target = ? AND state = 'pending'
"""

SELECT_KINDS = "SELECT kind FROM event WHERE subject = ?"


def insert_check_run(
    transaction: Transaction, id: str, project: str, environment: str, commit: str, author: str, wanted: str,
    requester: str, role: str, cause: int,
) -> None:  # fmt: skip
    """Write a check run that waits; `cause` is the event that asked for it."""
    now_us = transaction.clock.now_us()
    values = (id, project, environment, commit, author, wanted, requester, role, cause, now_us)
    transaction.execute(INSERT_CHECK_RUN, values)


def insert_trial(
    transaction: Transaction,
    scope: Scope,
    candidate: "Candidate",
    named: tuple[int, str, str, str],
    verdict: "Verdict",
    seconds: float,
) -> None:
    """Write the result of one check of a candidate; `named` is its event, the check's name and kind, and its log."""
    event, name, kind, log = named
    what = (candidate.model_version, candidate.service, name, kind, verdict.outcome, verdict.message)
    told = (json_of(verdict.findings), log, int(seconds * 1e6), transaction.clock.now_us())
    transaction.execute(INSERT_TRIAL, (event, scope.project, scope.environment, *what, *told))


def select_trials(reader: AnyReader, project: str, model_version: str) -> list["CandidateResult"]:
    """Return the newest result of each check of a version, with the waivers that there are."""
    from bucle.delivery.trials import CandidateResult

    waived = {(each["environment"], each["name"]): each for each in reader.rows(SELECT_WAIVERS, (model_version,))}
    found: list[CandidateResult] = []
    for row in reader.rows(SELECT_TRIALS, (project, model_version)):
        waiver = waived.get((row["environment"], row["name"])) if row["outcome"] == "failed" else None
        fields = fields_of(row, _JSON, seconds=row["duration_us"] / 1e6, waiver=fields_of(waiver, _JSON) if waiver else None)
        found.append(msgspec.convert(fields, CandidateResult))
    return found


def insert_waiver(
    transaction: Transaction, version: str, name: str, scope: Scope, who: tuple[str, str], why: str, event: int
) -> None:
    """Write that somebody lets a version pass a check that it failed."""
    transaction.execute(INSERT_WAIVER, (event, version, scope.environment, name, *who, why, transaction.clock.now_us()))


def select_waived(reader: AnyReader, scope: Scope, model_version: str) -> dict[str, int]:
    """Return the checks that a version need not pass in an environment, and the events that say so."""
    rows = reader.rows(SELECT_WAIVERS, (model_version,))
    return {each["name"]: each["event"] for each in rows if each["environment"] == scope.environment}


def begin_check_run(transaction: Transaction, id: str) -> None:
    """Mark a check run as running, in its next attempt."""
    transaction.execute(BEGIN_CHECK_RUN, (id,))


def interrupt_check_run(transaction: Transaction, id: str) -> bool:
    """Let a check run whose process died wait again; return whether it had been running."""
    return transaction.execute(INTERRUPT_CHECK_RUN, (id,)) > 0


def write_data(transaction: Transaction, id: str, lock: str, versions: Sequence[str]) -> None:
    """Write which lock and data versions a check run works with."""
    transaction.execute(DATA_OF_CHECK_RUN, (lock, json_of(versions), id))


def end_check_run(transaction: Transaction, id: str, passed: bool, event: int) -> None:
    """Write how a check run ended."""
    transaction.execute(END_CHECK_RUN, ("passed" if passed else "failed", transaction.clock.now_us(), event, id))


def insert_result(
    transaction: Transaction, run: "CheckRun", position: int, name: str, kind: str, tag: str | None,
    verdict: "Verdict", log: str | None, seconds: float, event: int,
) -> None:  # fmt: skip
    """Write the result of one check."""
    said = (verdict.outcome, verdict.message, json_of(verdict.findings), log, int(seconds * 1e6), event)
    transaction.execute(INSERT_RESULT, (run.id, run.attempt, position, name, kind, tag, *said))


def select_check_run(reader: AnyReader, id: str) -> "CheckRun | None":
    """Return a check run with the results of its last attempt."""
    row = reader.row(SELECT_CHECK_RUN, (id,))
    return _check_run(reader, row) if row else None


def select_check_runs(reader: AnyReader, project: str, commit: str | None, limit: int) -> list["CheckRun"]:
    """Return a project's check runs, the newest first."""
    return [_check_run(reader, row) for row in reader.rows(SELECT_CHECK_RUNS, (project, commit, commit, limit))]


def select_unfinished(reader: AnyReader) -> list["CheckRun"]:
    """Return the check runs that wait or were running, the oldest first."""
    return [_check_run(reader, row) for row in reader.rows(SELECT_UNFINISHED)]


def insert_release(transaction: Transaction, release: "Release") -> None:
    """Write a release."""
    named = (release.id, release.project, release.commit, release.lock, json_of(release.versions), release.digest)
    made = (release.author, release.requester, release.check_run, transaction.clock.now_us(), release.event)
    transaction.execute(INSERT_RELEASE, (*named, *made))


def select_release(reader: AnyReader, project: str, id_or_commit: str) -> "Release | None":
    """Return a release by its id or its commit."""
    row = reader.row(SELECT_RELEASE, (project, id_or_commit, id_or_commit))
    return _release(row) if row else None


def select_releases(reader: AnyReader, project: str, limit: int) -> list["Release"]:
    """Return a project's releases, the newest first."""
    return [_release(row) for row in reader.rows(SELECT_RELEASES, (project, limit))]


def insert_deployment(transaction: Transaction, project: str, environment: str, release: str, cause: str, event: int) -> None:
    """Write that an environment runs a release from now on."""
    values = (project, environment, release, cause, transaction.clock.now_us(), event)
    transaction.execute(INSERT_DEPLOYMENT, values)


def select_deployments(reader: AnyReader, project: str, environment: str, limit: int) -> list["ReleaseDeployment"]:
    """Return what an environment has run, the newest first."""
    from bucle.delivery.releases import ReleaseDeployment

    rows = reader.rows(SELECT_DEPLOYMENTS, (project, environment, limit))
    return [
        ReleaseDeployment(row["environment"], row["release_id"], row["cause"], from_us(row["created_us"]), row["event"])
        for row in rows
    ]


def insert_promotion(transaction: Transaction, promotion: "Promotion") -> None:
    """Write a promotion that waits."""
    what = (promotion.kind, promotion.target, promotion.model, promotion.version, promotion.policy)
    who = (promotion.requester, json_of(promotion.authors), json_of(promotion.evidence))
    where = (promotion.id, promotion.project, promotion.environment)
    transaction.execute(INSERT_PROMOTION, (*where, *what, *who, transaction.clock.now_us(), promotion.event))


def ask_too(transaction: Transaction, promotion: "Promotion") -> None:
    """Write that somebody else asked for a promotion that waits."""
    transaction.execute(ASK_TOO, (promotion.policy, json_of(promotion.authors), promotion.id))


def decide_promotion(transaction: Transaction, id: str, state: str, approver: str | None, note: str) -> bool:
    """Write what became of a promotion; return False when it was decided already."""
    return transaction.execute(DECIDE_PROMOTION, (state, approver, note, transaction.clock.now_us(), id)) > 0


def finish_promotion(transaction: Transaction, id: str, state: str) -> bool:
    """Write how a promotion that was rolled out ended; return False when it was not being rolled out."""
    return transaction.execute(FINISH_PROMOTION, (state, transaction.clock.now_us(), id)) > 0


def select_promotion(reader: AnyReader, id: str) -> "Promotion | None":
    """Return a promotion."""
    row = reader.row(SELECT_PROMOTION, (id,))
    return _promotion(row) if row else None


def select_promotions(reader: AnyReader, project: str, state: str | None, limit: int) -> list["Promotion"]:
    """Return a project's promotions, the newest first."""
    return [_promotion(row) for row in reader.rows(SELECT_PROMOTIONS, (project, state, state, limit))]


def same_promotion(reader: AnyReader, project: str, environment: str, target: str) -> "Promotion | None":
    """Return the promotion of the same target to the same environment that still waits."""
    row = reader.row(SELECT_SAME_PROMOTION, (project, environment, target))
    return _promotion(row) if row else None


def count_events(reader: AnyReader, subject: str, kinds: Sequence[str]) -> int:
    """Return how many events of these kinds are about a subject."""
    return sum(row["kind"] in kinds for row in reader.rows(SELECT_KINDS, (subject,)))


def _check_run(reader: AnyReader, row: Row) -> "CheckRun":
    from bucle.delivery.results import CheckRun

    results = [
        fields_of(each, _JSON, seconds=each["duration_us"] / 1e6)
        for each in reader.rows(SELECT_RESULTS, (row["id"], row["attempt"]))
    ]
    return msgspec.convert(fields_of(row, _JSON, commit=row["commit_sha"], results=results), CheckRun)


def _release(row: Row) -> "Release":
    from bucle.delivery.releases import Release

    return msgspec.convert(fields_of(row, _JSON, commit=row["commit_sha"]), Release)


def _promotion(row: Row) -> "Promotion":
    from bucle.delivery.promotions import Promotion

    return msgspec.convert(fields_of(row, _JSON), Promotion)
