"""The ledger's schema as one numbered sequence of SQL files, forward only, one or more for each room."""

import re
import sqlite3
from importlib import resources
from pathlib import Path

from bucle.ledger.errors import HomeNewer
from bucle.ledger.sqlite import Database


def migrate(database: Database, path: Path) -> None:
    """Bring the schema up to date in one transaction, after a backup copy of a home that holds data.

    Raises `ledger/home-newer` when the home's schema is one that this bucle does not know.
    """
    known = _numbered()
    with database.read() as reader:
        row = reader.row("PRAGMA user_version")
    found = int(row[0]) if row else 0
    newest = max(known)
    if found > newest:
        raise HomeNewer(path=path.parent, found=found, known=newest)
    if found == newest:
        return
    if found:
        backups = path.parent / "backups"
        backups.mkdir(exist_ok=True)
        database.copy_to(backups / f"ledger-before-{newest}.db")
    with database.write() as writer:
        for number in sorted(number for number in known if number > found):
            for statement in _statements(known[number]):
                writer.execute(statement)
        writer.execute(f"PRAGMA user_version = {newest}")


def _numbered() -> dict[int, str]:
    files = resources.files(__package__).iterdir()
    matches = ((re.match(r"(\d{4})_\w+\.sql$", file.name), file) for file in files)
    return {int(match[1]): file.read_text("utf-8") for match, file in matches if match}


def _statements(script: str) -> list[str]:
    statements, current = [], ""
    for line in script.splitlines():
        current += line + "\n"
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
