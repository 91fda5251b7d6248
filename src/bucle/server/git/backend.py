"""One request handed to `git http-backend`: the body streams in while the answer streams out, however large either is."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Callable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bucle.server import decoding

_CHUNK = 1 << 16
_LONGEST_HEAD = 1 << 14
_log = logging.getLogger(__name__)


class GitExchange(Response):
    """The answer of one CGI call. A push runs to its end when its client goes away; a fetch is ended."""

    def __init__(
        self, environment: Mapping[str, str], *, writes: bool, largest: int, finished: Callable[[], None] | None = None
    ) -> None:
        super().__init__()
        self._environment = dict(environment)
        self._writes = writes
        self._largest = largest
        self._finished = finished

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run git and pass on what it says."""
        process = await asyncio.create_subprocess_exec(
            shutil.which("git") or "git",
            "http-backend",
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        feeding = asyncio.create_task(self._feed(process, receive))
        try:
            await self._answer(process, send)
        except asyncio.CancelledError:
            if self._writes:
                await asyncio.shield(_drain(process))
            raise
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding
            _end(process)
            await process.wait()
            if self._finished is not None:
                self._finished()

    async def _feed(self, process: asyncio.subprocess.Process, receive: Receive) -> None:
        """Pass the body on; then watch whether the client leaves."""
        if process.stdin is None:
            return
        fed, more = 0, True
        while more:
            try:
                message = await asyncio.wait_for(receive(), decoding.SILENCE)
            except TimeoutError:  # git has begun to answer: that its answer breaks off is all that can be said
                _log.warning("a request to git stopped coming after %s bytes", fed)
                _end(process)
                return
            if message["type"] == "http.disconnect":
                _end(process)  # an incomplete pack is worth nothing
                return
            fed += len(message.get("body", b""))
            more = message.get("more_body", False)
            if fed > self._largest:
                _end(process)
                return
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # git has read enough: let it say why
                process.stdin.write(message.get("body", b""))
                await process.stdin.drain()
        process.stdin.close()
        while (await receive())["type"] != "http.disconnect":
            pass
        if not self._writes:
            _end(process)

    async def _answer(self, process: asyncio.subprocess.Process, send: Send) -> None:
        if process.stdout is None:
            return
        head = await _head(process.stdout)
        if head is None:
            self.status_code = 502
            headers = [(b"content-type", b"text/plain")]
        else:
            self.status_code, headers = head
        ours = {name for name, _ in headers}
        headers += [(name, value) for name, value in self.raw_headers if name not in ours and name != b"content-length"]
        gone = False
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        while chunk := await process.stdout.read(_CHUNK):
            if not gone:
                try:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                except OSError:
                    gone = True  # git goes on and is read to its end, so that the push is complete
        if not gone:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _head(stream: asyncio.StreamReader) -> tuple[int, list[tuple[bytes, bytes]]] | None:
    """Read the CGI header: status and headers, None when git ended before it had one."""
    status, length = 200, 0
    headers: list[tuple[bytes, bytes]] = []
    while line := (await stream.readline()):
        length += len(line)
        name, colon, value = line.rstrip(b"\r\n").partition(b":")
        if not colon:
            return (status, headers) if not name else None
        if length > _LONGEST_HEAD:
            return None
        if name.lower() == b"status":
            status = int(value.split()[0])
        else:
            headers.append((name.strip().lower(), value.strip()))
    return None


def _end(process: asyncio.subprocess.Process) -> None:
    """Kill git, which may have ended by itself meanwhile, and the processes that it started: they do the work."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def _drain(process: asyncio.subprocess.Process) -> None:
    if process.stdout is not None:
        while await process.stdout.read(_CHUNK):
            pass
    await process.wait()
