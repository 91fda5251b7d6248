"""A project's files at one moment: the working tree, or a commit exported to a folder of its own."""

import errno
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from bucle.ledger import Home, content_id
from bucle.project.errors import BadName, GitFailed, NotARepository, UnsafeTree
from bucle.project.file import FILE_NAME, is_project_name, load_project_file
from bucle.project.git import git_command, git_environment, resolve_commit, run_git

LOCK_NAME = "requirements.lock"
MOST_FILES = 50_000
MOST_BYTES = 2 * 1024**3
_CODE = (".py", ".toml", ".lock", ".in")
_LEFT_OUT = {"__pycache__", "node_modules"}
_UNFIT_NAME = (errno.EEXIST, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EILSEQ, errno.EINVAL)
_turn = threading.Lock()


@dataclass(frozen=True, slots=True)
class Checkout:
    """A project's tree on disk. `dirty` is true when it differs from `commit`; `stamp` changes whenever its code does."""

    root: Path
    project: str
    commit: str | None
    dirty: bool
    lock: Path
    stamp: str


def working_tree(root: Path) -> Checkout:
    """Return the project in `root` as it lies there now. Raises `project/no-project-file` and what else its file raises."""
    root = root.absolute()
    project = load_project_file(root).name
    try:
        commit: str | None = run_git(root, "rev-parse", "HEAD").strip()
        dirty = bool(run_git(root, "status", "--porcelain", "--untracked-files=normal", "--", ".").strip())
    except (NotARepository, GitFailed):
        commit, dirty = None, True
    return Checkout(root, project, commit, dirty, root / LOCK_NAME, _stamp(root))


def export_commit(home: Home, repository: Path, project: str, commit: str) -> Checkout:
    """Return the tree of a commit as files in the home, exported once; nothing in it can write outside of its folder.

    Raises `project/unknown-commit`, `project/unsafe-tree`, `project/no-project-file`, `project/not-a-repository`.
    """
    if not is_project_name(project):
        raise BadName(name=project)
    commit = resolve_commit(repository, commit)
    folder = home.folder("checkouts") / project
    target = folder / commit
    with _turn:
        if not target.exists():
            folder.mkdir(exist_ok=True)
            for rest in folder.glob(".new-*"):  # of an export that was killed
                shutil.rmtree(rest, ignore_errors=True)
            _export(repository, commit, folder, target)
    load_project_file(target)
    return Checkout(target, project, commit, False, target / LOCK_NAME, commit)


def _export(repository: Path, commit: str, folder: Path, target: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    try:
        command = git_command(repository, "archive", "--format=tar", commit)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=git_environment()) as archive:
            if archive.stdout is None:
                raise GitFailed(command="archive", reason="it gives no output", where=str(repository))
            try:
                extract_tree(archive.stdout, temporary)
            except BaseException:
                archive.kill()
                raise
        if archive.returncode:
            raise GitFailed(command="archive", reason=f"it ended with {archive.returncode}", where=str(repository))
        temporary.chmod(0o755)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def extract_tree(stream: IO[bytes], target: Path) -> None:
    """Write a tar stream below `target`: files, folders and links that stay inside. Raises `project/unsafe-tree`."""
    written, links = 0, []
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for count, member in enumerate(archive):
                links += [member.name] if member.issym() else []
                written += member.size
                if count >= MOST_FILES or written > MOST_BYTES:
                    reason = f"it has more than {MOST_FILES} files or {MOST_BYTES >> 30} GiB"
                    raise UnsafeTree(reason=reason, entry=member.name, where=member.name)
                _extract(archive, member, target)
    except tarfile.TarError as error:
        raise UnsafeTree(reason="its archive cannot be read", entry=str(error)) from error
    real = os.path.realpath(target)
    for name in links:  # through another link, `..` may lead further than the names say
        if not Path(os.path.realpath(target / name)).is_relative_to(real):
            raise UnsafeTree(reason="a symbolic link leads outside", entry=name, where=name)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    try:
        _write(archive, member, target)
    except OSError as error:
        if error.errno not in _UNFIT_NAME:
            raise
        reason = f"a name cannot be had here ({os.strerror(error.errno or 0)})"
        raise UnsafeTree(reason=reason, entry=member.name[:200], where=member.name[:200]) from error


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    path = target / _safe_path(member.name)
    if any(parent.is_symlink() for parent in path.parents if parent.is_relative_to(target)):
        raise UnsafeTree(reason="a file lies behind a symbolic link", entry=member.name, where=member.name)
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        _check_link(member)
        path.symlink_to(member.linkname)
    elif member.isreg():
        content = archive.extractfile(member)
        with path.open("xb") as file:
            shutil.copyfileobj(content, file) if content else None
        path.chmod(0o755 if member.mode & 0o100 else 0o644)
    else:
        raise UnsafeTree(
            reason="it holds something that is neither file, folder nor link", entry=member.name, where=member.name
        )


def _safe_path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    bad = path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name
    if bad or any(_is_git_folder(part) for part in path.parts):
        raise UnsafeTree(reason="a name leads elsewhere", entry=name, where=name)
    return path


def _is_git_folder(part: str) -> bool:
    """Names that some file systems take for `.git` (CVE-2014-9390)."""
    seen = "".join(character for character in part if character.isprintable()).casefold().rstrip(" .")
    return seen in (".git", "git~1")


def _check_link(member: tarfile.TarInfo) -> None:
    link = PurePosixPath(member.linkname)
    resolved = os.path.normpath(PurePosixPath(member.name).parent / link)
    if link.is_absolute() or resolved == ".." or resolved.startswith("../"):
        raise UnsafeTree(reason="a symbolic link leads outside", entry=member.name, where=member.name)


def _stamp(root: Path) -> str:
    """Name the state of the code in a working tree by names, sizes and times: cheap, and a warm child may rely on it."""
    lines = sorted(f"{path}\t{stat.st_size}\t{stat.st_mtime_ns}" for path, stat in _code_files(root))
    return content_id("\n".join(lines).encode())


def _code_files(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith(".") and name not in _LEFT_OUT]
        for name in files:
            if name.endswith(_CODE) or name == FILE_NAME:
                path = Path(folder, name)
                with suppress(FileNotFoundError):  # an editor's lock is a link to nowhere, and files come and go
                    yield str(path), path.stat()
