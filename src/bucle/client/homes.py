"""Where the home is, and which project is meant, when nobody says."""

import os
import tomllib
from pathlib import Path

PROJECT_FILE = "bucle.toml"


def default_home() -> Path:
    """Return BUCLE_HOME, else `.bucle` beside the nearest bucle.toml upward, else the user's data folder."""
    named = os.environ.get("BUCLE_HOME")
    if named:
        return Path(named).absolute()
    root = project_root()
    if root is not None:
        return root / ".bucle"
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "bucle"


def project_root(start: Path | None = None) -> Path | None:
    """Return the folder of the nearest bucle.toml from `start` (the working folder) upward, or None."""
    here = (start or Path.cwd()).absolute()
    return next((folder for folder in (here, *here.parents) if (folder / PROJECT_FILE).is_file()), None)


def project_name(start: Path | None = None) -> str | None:
    """Return the name in the nearest bucle.toml, or None; whether the file is right is for the project room to say."""
    root = project_root(start)
    if root is None:
        return None
    try:
        name = tomllib.loads((root / PROJECT_FILE).read_text("utf-8")).get("project", {}).get("name")
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError):
        return None
    return name if isinstance(name, str) else None
