"""Running the checks of a commit: in the background, one commit at a time, recorded as they end, whoever still listens."""

import logging
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bucle.artifacts import ArtifactStore, refer
from bucle.delivery import store
from bucle.delivery.checks import CHECKS, Bench, Check
from bucle.delivery.errors import WrongProject
from bucle.delivery.events import CheckFinished, ChecksFinished, ChecksInterrupted, ChecksRequested, ChecksStarted
from bucle.delivery.policies import automatic_environments
from bucle.delivery.releases import TEST, deploy_release, make_release, refuse_release
from bucle.delivery.repositories import Commit, Repository, open_repository
from bucle.delivery.results import CheckRun, Finding, Verdict, failed, get_check_run, report, skipped
from bucle.errors import BucleError, RemoteError
from bucle.ledger import Home, Scope, Transaction, acting, because, current_context, new_id, within
from bucle.pipelines import Runs
from bucle.project import Checkout, ProjectFile, export_commit, load_project_file, register_project
from bucle.runtimes import RunnerPool

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Progress:
    """The lines of one check run for those who listen; they wait on `changed`."""

    lines: list[str] = field(default_factory=list)
    done: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def say(self, line: str) -> None:
        with self.changed:
            self.lines.append(line)
            self.changed.notify_all()

    def finish(self) -> None:
        with self.changed:
            self.done = True
            self.changed.notify_all()


class Checker:
    """Checks commits in the order in which they come; what it was asked for survives its death."""

    def __init__(
        self, home: Home, artifacts: ArtifactStore, runners: RunnerPool, runs: Runs, checks: Sequence[Check] = CHECKS
    ) -> None:
        self._home = home
        self._artifacts = artifacts
        self._runners = runners
        self._runs = runs
        self._checks = tuple(checks)
        self._waiting: deque[str] = deque()
        self._progress: dict[str, _Progress] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._active: str | None = None

    def request(self, transaction: Transaction, project: str, commit: Commit, wanted: str) -> str:
        """Enter a commit to be checked and return the check run's id; call `begin` once the transaction is committed."""
        context = current_context()
        id = new_id("chk")
        with within(Scope(project, TEST)):
            event = transaction.emit(ChecksRequested(commit.sha, wanted), id)
        author = f"{commit.author} <{commit.email}>"
        store.insert_check_run(
            transaction, id, project, TEST, commit.sha, author, wanted, context.actor, context.role, event
        )  # fmt: skip
        return id

    def begin(self, id: str) -> None:
        """Let a check run that was entered take its turn."""
        with self._changed:
            if id in self._progress:
                return
            self._progress[id] = _Progress()
            self._waiting.append(id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="bucle-checks", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def follow(self, id: str) -> Iterator[str]:
        """Return the lines of a check run as they come, until it has ended."""
        progress = self._progress.get(id)
        if progress is None:
            return
        told = 0
        while True:
            with progress.changed:
                while told >= len(progress.lines) and not progress.done:
                    progress.changed.wait(1.0)
                lines, done = progress.lines[told:], progress.done
            yield from lines
            told += len(lines)
            if done and told >= len(progress.lines):
                return

    def wait(self, id: str) -> None:
        """Wait until a check run has ended."""
        for _ in self.follow(id):
            pass

    def resume(self) -> list[str]:
        """Take up what an earlier process left: what it had begun is done again. Return the check runs' ids.

        What was asked for since this process answers is not left by anybody.
        """
        with self._home.ledger.write() as transaction:
            unfinished = [run for run in store.select_unfinished(transaction) if run.id not in self._progress]
            for run in unfinished:
                if store.interrupt_check_run(transaction, run.id):
                    with acting(run.requester, run.role), within(Scope(run.project, run.environment)), because(run.cause):
                        transaction.emit(ChecksInterrupted(run.commit, run.attempt), run.id)
        for run in unfinished:
            self.begin(run.id)
        return [run.id for run in unfinished]

    def activity(self) -> str | None:
        """Return what is being checked or waits, or None."""
        with self._changed:
            return self._active or (self._waiting[0] if self._waiting else None)

    def close(self) -> None:
        """Take no further commit; the one under way is left as it is and resumed by the next process."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closing:
                    self._changed.wait()
                if self._closing:
                    return
                self._active = self._waiting.popleft()
            id = self._active
            try:
                self._run(id)
            except Exception:
                _log.exception("check run %s", id)
                self._progress[id].say(f"bucle: {id} broke off; it is done again when the server starts, see `bucle logs`")
            finally:
                with self._changed:
                    self._active = None
                self._progress[id].finish()

    def _run(self, id: str) -> None:
        with self._home.ledger.read() as reader:
            run = store.select_check_run(reader, id)
        if run is None:
            return
        with acting(run.requester, run.role), within(Scope(run.project, TEST)), because(run.cause):
            with self._home.ledger.write() as transaction:
                store.begin_check_run(transaction, id)
                started = transaction.emit(ChecksStarted(run.commit, run.attempt + 1), id)
            run = replace(run, attempt=run.attempt + 1)
            with because(started):
                self._check(run)

    def _check(self, run: CheckRun) -> None:
        say = self._progress[run.id].say
        say(f"bucle: checking {run.commit[:10]} ({run.id})")
        begun = time.monotonic()
        blocked: set[str] = set()
        with self._bench(run) as (bench, problem):
            for position, check in enumerate(self._checks):
                missing = next((name for name in check.needs if name in blocked), None)
                verdict, seconds, log = self._decide(check, bench, problem, missing)
                problem = None
                if verdict.outcome == "failed" or missing is not None:
                    blocked.add(check.name)
                self._record(run, position, check, verdict, seconds, log)
                for line in report(check.name, verdict, seconds):
                    say(line)
        self._finish(run, bench, time.monotonic() - begun)

    @contextmanager
    def _bench(self, run: CheckRun) -> Iterator[tuple[Bench | None, BucleError | None]]:
        """The commit on disk; what keeps it from being there is what the first check reports."""
        try:
            checkout = checkout_of(self._home, open_repository(self._home, run.project), run.commit)
            register_project(self._home.ledger, file_of(checkout.root, run.project))
        except BucleError as error:
            yield None, error
            return
        yield Bench(self._home, self._artifacts, self._runners, self._runs, Scope(run.project, TEST), checkout), None

    def _decide(
        self, check: Check, bench: Bench | None, problem: BucleError | None, missing: str | None
    ) -> tuple[Verdict, float, str | None]:
        if bench is None or problem is not None:
            return (failed([_finding(problem)]) if problem else skipped("the commit cannot be checked out")), 0.0, None
        if missing is not None:
            return skipped(f"{missing} did not pass"), 0.0, None
        begun = time.monotonic()
        with tempfile.NamedTemporaryFile(dir=self._home.folder("tmp"), suffix=".log") as file:
            bench.log = Path(file.name)
            try:
                verdict = check.run(bench)
            except (BucleError, RemoteError) as error:
                verdict = failed([_finding(error)])
            except Exception as error:
                _log.exception("check %s of %s", check.name, bench.checkout.commit)
                verdict = failed([Finding(f"the check itself broke: {type(error).__name__}", None, "See `bucle logs`.")])
            with bench.log.open("a", encoding="utf-8") as written:
                written.write("\n".join(report(check.name, verdict, time.monotonic() - begun)) + "\n")
            log = self._artifacts.put_bytes(bench.log.read_bytes())
        return verdict, time.monotonic() - begun, log

    def _record(self, run: CheckRun, position: int, check: Check, verdict: Verdict, seconds: float, log: str | None) -> None:
        where = next((finding.where for finding in verdict.findings if finding.where), None)
        finished = CheckFinished(
            commit=run.commit,
            name=check.name,
            check_kind=check.kind,
            tag=check.tag if verdict.outcome == "passed" else None,
            outcome=verdict.outcome,
            message=verdict.message,
            where=where,
            seconds=round(seconds, 3),
            log=log,
        )
        with self._home.ledger.write() as transaction:
            event = transaction.emit(finished, run.id)
            store.insert_result(transaction, run, position, check.name, check.kind, check.tag, verdict, log, seconds, event)
            if log is not None:
                refer(transaction, log, run.id, f"log:{check.name}")

    def _finish(self, run: CheckRun, bench: Bench | None, seconds: float) -> None:
        run = get_check_run(self._home.ledger, run.project, run.id)
        if bench is not None:
            run = replace(run, lock=bench.lock_digest, versions=tuple(sorted(bench.versions.values())))
        passed = not run.failed and any(result.outcome == "passed" for result in run.results)
        tags = tuple(result.tag for result in run.results if result.tag and result.outcome == "passed")
        finished = ChecksFinished(run.commit, passed, tuple(each.name for each in run.failed), tags, round(seconds, 3))
        environments = self._reached(run) if passed and run.wanted == "release" else {}
        with because(*(result.event for result in run.results)), self._home.ledger.write() as transaction:
            event = transaction.emit(finished, run.id)
            store.write_data(transaction, run.id, run.lock, run.versions)
            store.end_check_run(transaction, run.id, passed, event)
            with because(event):
                lines = _conclude(transaction, replace(run, event=event), passed, environments)
        for line in lines:
            self._progress[run.id].say(line)

    def _reached(self, run: CheckRun) -> dict[str, bool]:
        checkout = checkout_of(self._home, open_repository(self._home, run.project), run.commit)
        with self._home.ledger.read() as reader:
            return automatic_environments(self._home, reader, load_project_file(checkout.root))


def _conclude(transaction: Transaction, run: CheckRun, passed: bool, environments: Mapping[str, bool]) -> list[str]:
    """Make the release or refuse it, with the deployments that follow by themselves: all or nothing."""
    if not passed:
        refuse_release(transaction, run)
        return [f"bucle: {len(run.failed)} of {len(run.results)} checks failed; the commit is kept, its release refused"]
    if run.wanted != "release":
        return [f"bucle: no check of {len(run.results)} failed"]
    release = make_release(transaction, run)
    lines = [f"bucle: released {release.id}"]
    for environment, by_itself in environments.items():
        if not by_itself:
            lines.append(f"bucle: {environment} waits for a word: bucle promote release:{run.commit[:10]} {environment}")
            continue
        with because(release.event):
            deploy_release(transaction, Scope(run.project, environment), release, "automatic")
        lines.append(f"bucle: {environment} runs it")
    return lines


def checkout_of(home: Home, repository: Repository, commit: str) -> Checkout:
    """Return the files of a hosted commit."""
    return export_commit(home, repository.path, repository.project, commit)


def file_of(root: Path, project: str) -> ProjectFile:
    """Return a tree's bucle.toml. Raises what reading it raises, `delivery/wrong-project` when it is another project's."""
    file = load_project_file(root)
    if file.name != project:
        raise WrongProject(project=project, named=file.name, where="bucle.toml")
    return file


def _finding(error: BucleError | RemoteError) -> Finding:
    return Finding(f"{error.code}: {error.text}", error.where, error.next_step)
