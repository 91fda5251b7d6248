"""An end for a conversation as a whole: a receiver that says a byte now and then would outlast any timeout of a read."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0


@contextmanager
def deadline(connection: Callable[[], socket.socket | None], seconds: float = TOTAL_SECONDS) -> Iterator[None]:
    """Break the connection that `connection()` returns when the block takes longer."""

    def end() -> None:
        open_one = connection()
        if open_one is not None:
            with suppress(OSError):
                open_one.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
