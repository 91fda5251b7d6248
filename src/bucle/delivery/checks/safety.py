"""The check `safety`: nothing in the commit gives away a secret, runs code when it is loaded, or installs unpinned packages."""

import re
from collections.abc import Iterator
from pathlib import Path

from bucle.delivery.checks.check import Bench
from bucle.delivery.results import Finding, Verdict, failed, passed
from bucle.runtimes import read_lock

_SECRETS = {
    "a private key": re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "a token of bucle": re.compile(rb"\bbucle_[A-Za-z0-9_-]{43}\b"),
    "an access key of AWS": re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a token of GitHub": re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
}
_RUNS_CODE = (".pkl", ".pickle", ".joblib", ".dill")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_LARGEST = 4 << 20


def check_safety(bench: Bench) -> Verdict:
    """Read the files as they lie there; nothing of them is run (security.md, classes 4, 14 and 15)."""
    root = bench.checkout.root
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    findings = [finding for path in files for finding in unsafe(path, str(path.relative_to(root)))]
    if findings:
        return failed(findings)
    if bench.checkout.lock.is_file():
        lock = read_lock(bench.checkout.lock)
        return passed(f"{len(files)} files; {len(lock.requirements)} packages pinned with hashes")
    return passed(f"{len(files)} files; no lock, the server's own packages are used")


def unsafe(path: Path, shown: str) -> Iterator[Finding]:
    """Yield what is dangerous in one file."""
    content = path.read_bytes() if path.stat().st_size <= _LARGEST else b""
    if path.suffix in _RUNS_CODE and (not content or _PICKLE.match(content)):
        yield Finding("a pickle runs code when it is loaded", f"{shown}:1", "Keep models in the registry, data in Parquet.")
    for name, pattern in _SECRETS.items():
        match = pattern.search(content)
        if match is not None:
            line = content.count(b"\n", 0, match.start()) + 1
            yield Finding(f"this looks like {name}", f"{shown}:{line}", "Revoke it, remove it from the history, use a secret.")
