"""What a user can do wrong with repositories, checks, releases, promotions and approvals."""

from bucle.errors import BucleError


class UnsafeName(BucleError, code="delivery/unsafe-name"):
    """A project name that cannot name a repository."""

    message = "{name!r} cannot be the name of a project's repository."
    next = "Use lower-case letters, digits, - and _, beginning with a letter or digit, at most 64."


class NoRepository(BucleError, code="delivery/no-repository", status=404):
    """The project has no repository here."""

    message = "The project {project!r} has no git repository here."
    next = "Push to /git/{project}.git, or run `git init` and commit in the project's directory."


class WrongProject(BucleError, code="delivery/wrong-project", status=422):
    """The commit's bucle.toml names another project than the repository that it was pushed to."""

    message = "This is the repository of {project!r}, but bucle.toml names the project {named!r}."
    next = 'Push to /git/{named}.git, or write name = "{project}".'


class NotOwnRepository(BucleError, code="delivery/foreign-path", status=403):
    """Only the owner may let the server read a directory of its own disk."""

    message = "Only the home's owner may check or release a directory on the server's disk."
    next = "Push the commit to /git/{project}.git instead."


class UnknownCheckRun(BucleError, code="delivery/unknown-check-run", status=404):
    """No check run, or no log of a check, has this id."""

    message = "There is no check run {id!r}."
    next = "`bucle check` shows the newest ones."


class UnknownRelease(BucleError, code="delivery/unknown-release", status=404):
    """No release of this commit or id."""

    message = "{project} has no release {release!r}."
    next = "`bucle release COMMIT` checks a commit and releases it when all checks pass."


class NoEvidence(BucleError, code="delivery/no-evidence", status=409):
    """Nothing reaches an environment without evidence from test that it works (L-02)."""

    message = "{subject} cannot go to {environment}: {reason}."
    next = "{advice}"


class GatesNotPassed(BucleError, code="delivery/gates-not-passed", status=409):
    """A model version whose gates did not all pass and were not waived."""

    message = "{model}@{version} did not pass: {failed}."
    next = "Train a better one, or waive the gate by name with a reason."


class UnknownPromotion(BucleError, code="delivery/unknown-promotion", status=404):
    """No promotion has this id."""

    message = "There is no promotion {id!r}."
    next = "`bucle approve` without an id lists those that wait."


class NotPending(BucleError, code="delivery/not-pending", status=409):
    """A promotion that is decided already."""

    message = "Promotion {id} is {state} already."
    next = "Ask for a new one with `bucle promote`."


class OwnApproval(BucleError, code="delivery/own-approval", status=403):
    """An author may not approve what he or she asks for."""

    message = "{name} wrote or asked for this and cannot approve it."
    next = "Another person with the permission delivery.approve must run `bucle approve {id}`."


class NothingToRollBack(BucleError, code="delivery/nothing-before", status=409):
    """There is no earlier deployment or release to return to."""

    message = "{name} has nothing to go back to in {environment}."
    next = "Promote another version instead: `bucle promote MODEL@N {environment}`."


class BadTarget(BucleError, code="delivery/bad-target"):
    """What to promote is neither MODEL@VERSION nor a release."""

    message = "{target!r} is neither MODEL@VERSION nor release:COMMIT nor a release's id."
    next = "For instance `bucle promote delay@7 production` or `bucle promote release:HEAD staging`."


class GitRefused(BucleError, code="delivery/git-refused", status=404):
    """A path under /git that is not git's smart HTTP protocol."""

    message = "There is nothing under this path for git."
    next = "Clone and push with git itself: `git clone URL/git/PROJECT.git`."


class PushTooLarge(BucleError, code="delivery/push-too-large", status=413):
    """A push larger than the host takes."""

    message = "A push may hold at most {limit} bytes."
    next = "Keep data out of git: declare it as a source in the project."


class DevRunsNoRelease(BucleError, code="delivery/dev-runs-no-release", status=409):
    """A release was to go to dev, which is the working tree."""

    message = "dev is the working tree of {project}; it runs no release."
    next = "Promote to one of: {known}."


class NoModel(BucleError, code="delivery/no-model", status=422):
    """A pipeline that declares a model trained none."""

    message = "The pipeline {pipeline} is to make the model {model!r}, but none of its steps returned an estimator."
    next = "Let a step return the fitted estimator, and the pipeline return bucle.evaluate(...) of it."


class RolloutRunning(BucleError, code="delivery/rollout-running", status=409):
    """Another version of the model is being rolled out to the service."""

    message = "{target} is being rolled out to {service} in {environment}."
    next = "Wait for its end, or end it: `bucle rollback {service} --environment {environment}`."


class NoRollout(BucleError, code="delivery/no-rollout", status=404):
    """The service has no rollout, or none is on."""

    message = "No rollout of {service} is on in {environment}."
    next = "`bucle promote MODEL@N {environment}` begins one where bucle.toml declares a rollout."


class UnknownRollout(BucleError, code="delivery/unknown-rollout", status=404):
    """No rollout has this id."""

    message = "There is no rollout {id!r}."
    next = "`bucle rollout SERVICE` shows the newest of a service."


class NotComparable(BucleError, code="delivery/not-comparable", status=409):
    """The new version answers another question than the one that answers now; half of the callers would be misled."""

    message = "{target} cannot be tried beside {left} in {service}: its {what} differs."
    next = 'Declare rollout = {{ strategy = "all at once" }} for {environment} in bucle.toml, and release that first.'


class ConsumedFeature(BucleError, code="delivery/consumed-feature", status=409):
    """A commit takes away what a live model version still consumes (S-06)."""

    message = "This commit takes away {what}, which live model versions consume: {consumers}."
    next = "Take it out of the training set first, bring a version without it to production, then delete it."


class ConsumedColumn(BucleError, code="delivery/consumed-column", status=409):
    """A commit takes away what another of its own definitions consumes (S-06)."""

    message = "This commit does not give {what}, which {consumers} consumes."
    next = "Give it again, or take it out of what consumes it."


class CandidateFailed(BucleError, code="delivery/candidate-failed", status=409):
    """A model version failed a check as it was about to answer: contract, load or replay."""

    message = "{target} does not go to {environment}, it failed {checks}: {reason}."
    next = "{advice}"
