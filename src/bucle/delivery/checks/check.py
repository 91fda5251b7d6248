"""What a check is, and the bench on which the checks of one commit work: they share its runtime, one runner and one sample."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.delivery.results import Kind, Tag, Verdict
from bucle.ledger import Home, Scope
from bucle.pipelines import Runs
from bucle.project import Checkout
from bucle.runtimes import Code, RunnerPool, Runtime, current_runtime, ensure_runtime, load_code

T = TypeVar("T")
LONGEST = 300.0
"""Seconds after which a check's child is killed and the check has failed."""


class Bench:
    """What the checks of one commit share. `versions` are the data that they saw, by source."""

    def __init__(
        self, home: Home, artifacts: ArtifactStore, runners: RunnerPool, runs: Runs, scope: Scope, checkout: Checkout
    ) -> None:
        self.home = home
        self.runs = runs
        self.artifacts = artifacts
        self.runners = runners
        self.scope = scope
        self.checkout = checkout
        self.log = home.folder("tmp") / "check.log"
        self.versions: dict[str, str] = {}
        self._code: Code | None = None
        self._runtime: Runtime | None = None
        self._made: dict[str, object] = {}

    @property
    def runtime(self) -> Runtime:
        """The commit's lock installed, or the interpreter that runs now when it has none. Raises what installing raises."""
        if self._runtime is None:
            lock = self.checkout.lock
            self._runtime = ensure_runtime(self.home, lock) if lock.is_file() else current_runtime()
        return self._runtime

    @property
    def code(self) -> Code:
        """The commit's code in its runtime, with what it declares. Raises what importing it raises."""
        if self._code is None:
            self._code = load_code(self.home, self.runners, self.checkout)
        return self._code

    @property
    def lock_digest(self) -> str:
        """The digest of the runtime that the checks used; empty when it could not be installed."""
        return self._runtime.digest if self._runtime else ""

    def once(self, key: str, make: Callable[[], T]) -> T:
        """Return what `make` returns, made at the first call of a check of this commit."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]  # type: ignore[return-value]

    def call(self, entry: str, payload: msgspec.Struct, returns: type[T], answer: Callable[[bytes], bytes] | None = None) -> T:
        """Run an entry point in a child of this commit, warm from check to check; what it prints goes to the check's log."""
        with self.runners.lend(self.runtime, self.checkout) as runner:
            return runner.call(entry, payload, returns, timeout=LONGEST, answer=answer, log=self.log)


@dataclass(frozen=True, slots=True)
class Check:
    """A named check: of which kind (L-07), which of Google's six it is (G2-ci), and the function that decides.

    `needs` names checks without whose passing this one would only repeat their findings.
    """

    name: str
    title: str
    kind: Kind
    run: Callable[[Bench], Verdict]
    tag: Tag | None = None
    needs: tuple[str, ...] = ()
