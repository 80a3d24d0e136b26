"""A fake provider that costs almost nothing: raw asyncio, no HTTP library, answers prepared in advance.

`python -m bench.upstream` prints its port and serves until its standard input closes, so it cannot outlive
the bench. A request is steered by `bench:…` anywhere in its body (see answers). `POST /bench/release` ends
every open stream properly and answers how many there were.
"""

import asyncio
import sys
from typing import cast

import uvloop

from bench.answers import (
    LAST_CHUNK,
    SOUND_HEAD,
    Script,
    Steer,
    chunk,
    json_answer,
    read_model,
    read_steer,
    script,
)
from bench.cargo import SOUND_PART

LARGE_BYTES = 1_000_000
"""A larger body is not kept: nothing in it steers."""

Scripts = dict[tuple[bytes, bytes, int], Script]


class Provider(asyncio.Protocol):
    """One kept-alive connection: one request at a time, as every client of HTTP/1.1 sends them."""

    def __init__(self, scripts: Scripts, open_streams: set["Provider"]) -> None:
        self._scripts, self._open = scripts, open_streams
        self._pending = b""
        self._unread = 0
        """Bytes of a large body that are still to come."""
        self._path = b""
        self._full = False
        self._sound_bytes = 0
        """Sound that is still to be written."""
        self._timer: asyncio.TimerHandle | None = None
        self._script: Script | None = None
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport; Nagle is off in asyncio already."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not its subclasses

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer left: its stream ends."""
        self._open.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        """The peer does not read as fast as sound is written."""
        self._full = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._full = False
        if self._sound_bytes:
            self._play()

    def data_received(self, data: bytes) -> None:
        """Answers once a whole request is there. Of a large body only the beginning is kept."""
        if self._unread:
            self._unread -= len(data)
            if self._unread <= 0:
                self._unread = 0
                self._answer(self._path, self._pending)
                self._pending = b""
            return
        pending = self._pending + data if self._pending else data
        head_end = pending.find(b"\r\n\r\n")
        if head_end < 0:
            self._pending = pending
            return
        path = pending[: pending.find(b"\r\n")].split(b" ")[1]
        end = head_end + 4 + _content_length(pending[:head_end])
        if end > LARGE_BYTES:
            self._unread = end - len(pending)
            self._path, self._pending = path, pending[head_end + 4 :]
        elif len(pending) < end:
            self._pending = pending
        else:
            self._pending = pending[end:]
            self._answer(path, pending[head_end + 4 : end])

    def _answer(self, path: bytes, body: bytes) -> None:
        if path == b"/bench/release":
            text = b"%d" % len(self._open)
            for stream in list(self._open):
                stream._finish()
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text))
            return
        model, steer = read_model(body), read_steer(body)
        if steer is None:
            self._transport.write(json_answer(path, model))
            return
        if steer.kind == "sound":
            self._sound_bytes = steer.count
            self._transport.write(SOUND_HEAD)
            self._play()
            return
        key = (path, model, steer.burst)
        if key not in self._scripts:
            self._scripts[key] = script(path, model, burst=steer.burst)
        self._script = self._scripts[key]
        self._transport.write(self._script.opening)
        if steer.kind == "open":
            self._open.add(self)
            self._keep_open(steer, self._script)
        else:
            self._left = steer.count
            self._stream(steer, self._script)

    def _stream(self, steer: Steer, chunks: Script) -> None:
        if self._left <= 0:
            self._finish()
            return
        whole = self._left >= steer.burst
        self._transport.write(chunks.burst if whole else chunks.single)
        self._left -= steer.burst if whole else 1
        self._timer = asyncio.get_running_loop().call_later(steer.gap_ms / 1000, self._stream, steer, chunks)

    def _play(self) -> None:
        """Sound until the peer has enough in hand, or all of it."""
        while self._sound_bytes and not self._full and not self._transport.is_closing():
            piece = SOUND_PART[: self._sound_bytes]
            self._sound_bytes -= len(piece)
            self._transport.write(chunk(piece) + (b"" if self._sound_bytes else LAST_CHUNK))

    def _keep_open(self, steer: Steer, chunks: Script) -> None:
        self._transport.write(chunks.single)
        self._timer = asyncio.get_running_loop().call_later(steer.count, self._keep_open, steer, chunks)

    def _finish(self) -> None:
        self._open.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._script is not None and not self._transport.is_closing():
            self._transport.write(self._script.closing)


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    end = lowered.find(b"\r\n", at + 2)
    return int(lowered[at + 17 : end if end > 0 else len(lowered)])


async def serve(port: int = 0) -> None:
    """Serves on loopback until standard input closes; prints the port first."""
    loop = asyncio.get_running_loop()
    scripts: Scripts = {}
    open_streams: set[Provider] = set()
    server = await loop.create_server(
        lambda: Provider(scripts, open_streams), "127.0.0.1", port, backlog=2048, reuse_address=True
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    closed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), closed.set)
    await closed.wait()


def main() -> None:
    """Serves on a free port."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
