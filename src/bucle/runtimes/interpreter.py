"""A runtime: a Python interpreter with installed packages, named by the digest of what is in it."""

import sys
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

import bucle
from bucle.ledger import content_id


@dataclass(frozen=True, slots=True)
class Runtime:
    """An interpreter that runs a project's code. `path_entries` are folders that it needs on its path beside its own."""

    digest: str
    path: Path
    python: Path
    packages: dict[str, str] = field(hash=False, compare=False)
    path_entries: tuple[str, ...] = ()


@cache
def current_runtime() -> Runtime:
    """Return the interpreter that runs bucle now: for a working tree without a lock, and for tests."""
    packages = installed_packages()
    lines = [f"python=={sys.version}", *(f"{name}=={version}" for name, version in sorted(packages.items()))]
    source = str(Path(bucle.__file__).parent.parent)
    installed = any(part in ("site-packages", "dist-packages") for part in Path(source).parts)
    entries = () if installed else (source,)
    return Runtime(content_id("\n".join(lines).encode()), Path(sys.prefix), Path(sys.executable), packages, entries)


def installed_packages(site_packages: Path | None = None) -> dict[str, str]:
    """Return name and version of each distribution of this interpreter, or of a site-packages folder."""
    found = metadata.distributions() if site_packages is None else metadata.distributions(path=[str(site_packages)])
    packages = {canonical_name(each.name): each.version for each in found if each.name}
    return {"bucle": bucle.__version__, **packages} if site_packages is None else packages


def canonical_name(name: str) -> str:
    """Return a distribution's name as indexes compare it (PEP 503)."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)
