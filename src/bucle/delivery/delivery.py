"""Delivery as a part of the house: pushes come in, commits are checked, rollouts watched, what was begun is taken up again."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bucle.artifacts import ArtifactStore
from bucle.delivery import store
from bucle.delivery.checking import Checker, file_of
from bucle.delivery.events import CommitReceived
from bucle.delivery.receiving import Push, Reception, RefUpdate
from bucle.delivery.repositories import MAIN, Repository, bring_commit, ensure_repository, hosted_projects, open_repository
from bucle.delivery.results import Wanted
from bucle.delivery.rollouts.watching import RolloutWatch
from bucle.errors import BucleError
from bucle.identity import require
from bucle.ledger import Home, Scope, StoredEvent, Subscription, acting, because, within
from bucle.pipelines import Runs
from bucle.project import register_project
from bucle.runtimes import RunnerPool
from bucle.serving import Services

_BRANCHES = "refs/heads/"
_NOTHING = "0" * 40


class Delivery:
    """Source repositories, the checks of what arrives in them, the rollouts of what passed.

    Closing leaves what is under way to the next process.
    """

    def __init__(self, home: Home, artifacts: ArtifactStore, runners: RunnerPool, runs: Runs, services: Services) -> None:
        self.home = home
        self.services = services
        self.artifacts = artifacts
        self.runners = runners
        self.checker = Checker(home, artifacts, runners, runs)
        self.reception = Reception(home, self.receive)
        self.watch = RolloutWatch(home, services)

    def receive(self, push: Push, updates: list[RefUpdate]) -> Iterator[str]:
        """Record a push, have main checked, and return what the one who pushed is told."""
        project = push.repository.project
        role = require(push.principal, "delivery.write", Scope(project))
        with acting(push.principal.name, role), within(Scope(project)):
            runs = [self._arrived(push.repository, update) for update in updates]
        if not any(runs):
            yield "bucle: kept; pushes to main are checked and released"
        for run in filter(None, runs):
            yield from self.checker.follow(run)

    def check(self, project: str, revision: str, wanted: Wanted, source: Path | None = None) -> str:
        """Have a commit checked as a push would and return the check run's id.

        With a `source` (a working directory on this disk) the commit is fetched from there first. Raises
        `project/unknown-commit`, `delivery/no-repository`.
        """
        if source is not None:
            sha = bring_commit(self.home, project, source, revision)
            with suppress(BucleError):  # a file that cannot be read, or is another project's, is for the checks to report
                register_project(self.home.ledger, file_of(source, project), working_tree=True)
        else:
            sha = open_repository(self.home, project).resolve(revision)
        repository = open_repository(self.home, project)
        repository.keep(sha)
        with within(Scope(project)), self.home.ledger.write() as transaction:
            run = self.checker.request(transaction, project, repository.commit(sha), wanted)
        self.checker.begin(run)
        return run

    def start(self) -> None:
        """Take up checks that were interrupted, and commits on main of which nobody heard before the last process died."""
        self.watch.start()
        self.checker.resume()
        for project in hosted_projects(self.home):
            repository = ensure_repository(self.home, project)
            tip = repository.tip()
            if tip is not None and not self._known(project, tip):
                with acting("system", "system"), within(Scope(project)):
                    self._arrived(repository, RefUpdate(_NOTHING, tip, MAIN))

    def close(self) -> None:
        """Take no further push or commit."""
        self.watch.close()
        self.reception.close()
        self.checker.close()

    def repository_for_projects(self) -> Subscription:
        """Return the subscription that gives each registered project its repository."""

        def handle(event: StoredEvent) -> None:
            ensure_repository(self.home, event.subject)

        return Subscription("repository-for-projects", ("project.registered",), handle)

    def _arrived(self, repository: Repository, update: RefUpdate) -> str | None:
        if update.new == _NOTHING or not update.ref.startswith(_BRANCHES):
            return None
        commit = repository.commit(update.new)
        received = CommitReceived(
            ref=update.ref,
            before=update.old,
            commit=commit.sha,
            author=commit.author,
            email=commit.email,
            message=commit.subject,
            run=commit.run,
        )
        run: str | None = None
        if update.ref == MAIN:
            repository.keep(commit.sha)
        with self.home.ledger.write() as transaction:
            event = transaction.emit(received, commit.sha)
            transaction.node(commit.sha, "artifact", "commit", commit.subject[:80], event)
            if update.ref == MAIN:
                with because(event):
                    run = self.checker.request(transaction, repository.project, commit, "release")
        if run is not None:
            self.checker.begin(run)
        return run

    def _known(self, project: str, sha: str) -> bool:
        with self.home.ledger.read() as reader:
            return bool(store.select_check_runs(reader, project, sha, 1))
