"""Clone, edit, push with git itself against a real server; what comes back; what is refused."""

from pathlib import Path

from tests.delivery.developing import Server, commit_all, push, write_project


def test_a_push_is_checked_and_its_lines_come_back(server: Server, tmp_path: Path) -> None:
    folder = write_project(tmp_path, "tiny")
    sha = commit_all(folder, "Begin")
    code, lines = push(server, folder)
    print("\n".join(lines))
    assert code == 0
