"""What a prediction goes back to."""

from bucle.ledger import Reader
from bucle.serving import store


def prediction_causes(reader: Reader, id: str) -> tuple[int, ...]:
    """Return the seqs that a prediction goes back to: its deployment, its entry in the log, its label if it has one.

    Empty when there is no such prediction in the ledger; one that was just made may still be in the spool (`Services.flush`).
    """
    row = reader.row(store.SELECT_PREDICTION, (id,))
    if row is None:
        return ()
    return tuple(seq for seq in (row["event"], row["logged"], row["label_event"]) if seq is not None)
