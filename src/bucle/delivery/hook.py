"""What git runs when a push arrives: before, refuse what would hurt others; after, have the server check it and show its words.

It is run as a script by the server's interpreter in isolated mode, with nothing but the standard library; `receiving.py` is the
other end. git shows each line printed here as `remote: ...`.
"""

import json
import os
import socket
import subprocess
import sys

MAIN = "refs/heads/main"
NOTHING = "0" * 40
MOST_REFS = 500
LONGEST_REF = 255


def before(updates: list[list[str]]) -> int:
    """Refuse a push that rewrites or removes main, moves a tag, writes outside branches and tags, or has unreadable names."""
    if len(updates) > MOST_REFS:
        return _refuse("the push", f"it changes {len(updates)} refs, more than {MOST_REFS}", "Push fewer branches at a time.")
    for old, new, ref in updates:
        if not ref.isprintable() or len(ref) > LONGEST_REF:
            return _refuse(ascii(ref[:80]), "its name cannot be shown or is too long", f"Use up to {LONGEST_REF} letters.")
        if not ref.startswith(("refs/heads/", "refs/tags/")):
            return _refuse(ref, "only branches and tags can be pushed", "Push to refs/heads/NAME.")
        if ref.startswith("refs/tags/") and old != NOTHING:
            return _refuse(ref, "a tag cannot be moved or removed", "Give the new one another name.")
        if ref == MAIN and new == NOTHING:
            return _refuse(ref, "main cannot be removed", "Revert the commits instead.")
        if ref == MAIN and old != NOTHING and not _follows(old, new):
            return _refuse(ref, "its history would be rewritten", "Fetch, rebase or merge, and push again.")
    return 0


def after(updates: list[list[str]]) -> int:
    """Tell the server what arrived and print what it answers until it has finished."""
    _say("bucle: received; you may leave, the checks go on without you")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(os.environ["BUCLE_HOOK_SOCKET"])
            request = {"secret": os.environ["BUCLE_HOOK_SECRET"], "updates": updates}
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    _say(line.rstrip("\n"))
    except (OSError, KeyError):
        _say("bucle: the server went away; the push is kept and is checked when it is back")
    return 0


def _follows(old: str, new: str) -> bool:
    try:
        return subprocess.run(["git", "merge-base", "--is-ancestor", old, new], check=False, timeout=600).returncode == 0
    except subprocess.TimeoutExpired:
        sys.exit("bucle: git could not compare the histories in 10 minutes; push again")


def _refuse(ref: str, reason: str, advice: str) -> int:
    _say(f"bucle: delivery/ref-refused: {ref} was refused: {reason}. {advice}")
    return 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Read `old new ref` lines from git and do what the hook of the given name does."""
    updates = [line.split(" ", 2) for line in sys.stdin.read().split("\n") if line]  # refs may hold other ends of lines
    return before(updates) if sys.argv[1] == "pre-receive" else after(updates)


if __name__ == "__main__":
    sys.exit(main())
