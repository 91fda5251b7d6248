"""`python -m tests.dying KIND MOMENT WORDS`: `bucle WORDS`, killed with -9 before or after an event of KIND is committed."""

import os
import signal
import sys

from bucle.cli.main import main
from bucle.ledger import Event, Transaction
from bucle.ledger.sqlite import Database


def arm(kind: str, moment: str) -> None:
    """Let this process kill itself at that moment."""
    emit, commit, reached = Transaction.emit, Database._commit_group, []

    def noticing(self: Transaction, event: Event, subject: str) -> int:
        if event.kind == kind:
            reached.append(kind)
        return emit(self, event, subject)

    def dying(self: Database) -> None:
        if reached and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self)
        if reached:
            os.kill(os.getpid(), signal.SIGKILL)

    Transaction.emit, Database._commit_group = noticing, dying  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(*sys.argv[1:3])
    main(sys.argv[3:])
