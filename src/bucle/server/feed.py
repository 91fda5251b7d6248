"""Wakes event streams when the ledger has something new, without a thread for each of them."""

import asyncio
import threading

from bucle.ledger import Ledger


class EventFeed:
    """A bridge from the threads that commit to the event loop on which streams wait."""

    def __init__(self, ledger: Ledger) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}
        ledger.on_commit(self.wake)

    async def wait(self, seconds: float) -> None:
        """Wait for the next commit, or so many seconds."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._waiting[future] = loop
        try:
            await asyncio.wait_for(future, seconds)
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._waiting.pop(future, None)

    def wake(self) -> None:
        """Wake all who wait; from any thread."""
        if not self._waiting:
            return
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for future, loop in waiting.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, future)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
