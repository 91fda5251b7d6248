"""What a user can do wrong with a project: its file, its definitions, its commits, its making."""

from bucle.errors import BucleError


class NoProjectFile(BucleError, code="project/no-project-file", status=404):
    """A folder or commit holds no bucle.toml."""

    message = "There is no bucle.toml in {root}."
    next = "`bucle init DIR` makes a project; or add a bucle.toml with [project] name and definitions."


class BadToml(BucleError, code="project/bad-toml"):
    """bucle.toml is not TOML."""

    message = "bucle.toml cannot be read: {reason}."
    next = "Correct the line."


class UnknownKey(BucleError, code="project/unknown-key"):
    """bucle.toml holds a key that bucle does not know."""

    message = "bucle.toml does not know the key {key!r}."
    next = "The nearest: {near}."


class MissingKey(BucleError, code="project/missing-key"):
    """bucle.toml lacks a key that is needed."""

    message = "bucle.toml lacks the key {key!r}."
    next = "Add it: {example}"


class WrongType(BucleError, code="project/wrong-type"):
    """A value in bucle.toml has the wrong type."""

    message = "{key!r} must be {wanted}, not {found}."
    next = "Correct the value."


class BadValue(BucleError, code="project/bad-value"):
    """A value in bucle.toml is not one of those that it may be."""

    message = "{key!r} cannot be {value!r}."
    next = "It may be: {allowed}."


class BadCriterion(BucleError, code="project/bad-criterion"):
    """A criterion of success in the charter cannot be read."""

    message = "{text!r} is not a criterion."
    next = 'Write a metric, a comparison, a number and, if wanted, a slice: "roc_auc >= 0.55 by origin".'


class UnknownEnvironment(BucleError, code="project/unknown-environment", status=404):
    """An environment was asked for that bucle.toml does not declare."""

    message = "The project {project} has no environment {name!r}."
    next = "The nearest: {near}."


class UnknownDefinition(BucleError, code="project/unknown-definition", status=404):
    """A definition was asked for that the project does not have."""

    message = "There is no {kind} {name!r} in the project."
    next = "{hint}"


class DuplicateDefinition(BucleError, code="project/duplicate-definition"):
    """Two definitions of one kind have the same name."""

    message = "There are two definitions of {kind} {name!r}: here and at {other}."
    next = "Give one of them another name."


class UnnamedDefinition(BucleError, code="project/unnamed-definition"):
    """A definition is used by others but has no name of its own."""

    message = "A {kind} has no name."
    next = "Assign it to a variable at the top of its module, or give it a name."


class NoDefinitions(BucleError, code="project/no-definitions"):
    """The package or module that bucle.toml names is not there."""

    message = "There is no package or module {name!r} in {root}."
    next = "Correct `definitions` in bucle.toml, or add the package."


class ImportFailed(BucleError, code="project/import-failed", status=422):
    """The project's package cannot be imported."""

    message = "Importing {module} failed: {error}."
    next = "Correct the line; `python -c 'import {module}'` shows the whole story."


class NotARepository(BucleError, code="project/not-a-repository"):
    """A folder is not a git repository."""

    message = "{path} is not a git repository."
    next = "Run `git init` there and commit the project."


class UnknownCommit(BucleError, code="project/unknown-commit", status=404):
    """The repository has no such commit."""

    message = "The repository has no commit {commit!r}."
    next = "`git log` shows the commits; push the commit first if it is only on your machine."


class NoWorkingTree(BucleError, code="project/no-working-tree", status=404):
    """The environment `dev` was asked for, but the home knows no folder with the project's files."""

    message = "The home knows no working tree of the project {project}."
    next = "Call bucle in the project's folder, or name an environment that has a release with --environment."


class ClockChosen(BucleError, code="project/clock-chosen", status=409):
    """A replay clock was asked for, but the home is there and has its clock."""

    message = "The home {home} is there already and keeps its clock."
    next = "Leave --replay-from out, or choose another home with --home."


class UnsafeTree(BucleError, code="project/unsafe-tree", status=422):
    """A commit's tree holds something that must not be written to disk."""

    message = "The commit cannot be checked out: {reason}."
    next = "Remove {entry!r} from the tree and commit again."


class DirectoryTaken(BucleError, code="project/directory-taken", status=409):
    """A new project was to be made where something is already."""

    message = "{path} is not empty."
    next = "Choose another folder; nothing was changed."


class BadName(BucleError, code="project/bad-name"):
    """A project's name cannot be used."""

    message = "{name!r} cannot name a project."
    next = "Use lower-case letters, digits, - and _, beginning with a letter, at most 63."


class UnknownTemplate(BucleError, code="project/unknown-template", status=404):
    """A template was asked for that does not exist."""

    message = "There is no template {name!r}."
    next = "The templates: {near}."


class TemplateNeeds(BucleError, code="project/template-needs", status=409):
    """A template needs a package that is not installed."""

    message = "The template {template!r} needs the package {package}."
    next = "Install it: pip install '{install}'."


class UnreadableTable(BucleError, code="project/unreadable-table"):
    """A table for a new project cannot be read."""

    message = "{path} cannot be read as a table: {reason}."
    next = "Give a Parquet or CSV file with a header."


class UnknownColumn(BucleError, code="project/unknown-column"):
    """A table has no such column."""

    message = "{path} has no column {name!r}."
    next = "The nearest: {near}."


class UnfitColumn(BucleError, code="project/unfit-column"):
    """A column cannot play the part that was asked of it."""

    message = "The column {name!r} cannot be the {part}: {reason}."
    next = "Choose another column."


class GitFailed(BucleError, code="project/git-failed", status=500):
    """git refused something that should have worked."""

    message = "git {command} failed: {reason}."
    next = "Look at the repository by hand."
