"""The billing upstream: a provider on loopback that speaks both wires, tokenises what it really received, keeps its
own books, and lies or fails as its script says.

Raw asyncio, in the process of the harness, so that books and scripts need no wire of their own. A request carries
its tag where a caller names its own user (`metadata.user_id`, `user`); the script of the tag was laid down before.
"""

import asyncio
import json
import socket
import struct
import time
from contextlib import suppress
from random import Random
from typing import Any, cast

from bench.prove import books as ledger
from bench.prove.answers import (
    Answer,
    Asked,
    anthropic_usage,
    billed,
    chunk,
    event,
    openai_usage,
    read_asked,
    write_answer,
)
from bench.prove.books import Books, Entry
from bench.prove.prices import MODELS, Used
from bench.prove.texts import count_input

SENTENCES = {
    400: "bad",
    401: "who",
    404: "no",
    429: "slow down",
    500: "oops",
    503: "later",
    529: "overloaded",
}
STALL_S = 30.0


class HungUp(Exception):
    """The gateway closed the connection."""


class Line(asyncio.Protocol):
    """One connection from the gateway: requests one after the other."""

    def __init__(self, books: Books, lines: set["Line"]) -> None:
        self._books, self._lines = books, lines
        self._pending = b""
        self._answering: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()
        self.entry: Entry | None = None
        self.wrote_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._lines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lines.discard(self)
        self._gone.set()

    def data_received(self, data: bytes) -> None:
        self._pending += data
        self._next()

    def hang_up(self) -> None:
        """Close from the provider's side."""
        self._transport.abort()

    def _next(self) -> None:
        head_end = self._pending.find(b"\r\n\r\n")
        if self._answering is not None or head_end < 0:
            return
        start = head_end + 4
        length = _content_length(self._pending[:head_end])
        if len(self._pending) < start + length:
            return
        body, self._pending = self._pending[start : start + length], self._pending[start + length :]
        self._answering = asyncio.get_running_loop().create_task(self._answer(body))

    async def _answer(self, text: bytes) -> None:
        body = json.loads(text)
        tag = str((body.get("metadata") or {}).get("user_id") or body.get("user"))
        script = self._books.scripts.get(tag)
        if script is None:
            if tag in self._books.past:
                self._books.late += 1
            else:
                self._books.strangers.append(text[:300])
            self._transport.abort()
            return
        model = MODELS[body["model"]]
        asked = read_asked(model, body, count_input(model.wire, body, script.mapping), script)
        loop = asyncio.get_running_loop()
        entry = self.entry = self._books.open(tag, asked, loop.time())
        self.wrote_s = loop.time()
        with suppress(HungUp):
            await self._perform(entry, asked)
        entry.lasted_s = loop.time() - entry.arrived_s
        entry.gone_ms = time.time_ns() // 1_000_000
        if not entry.ended:
            entry.left_early = True
            entry.silence_s = loop.time() - self.wrote_s
            whole = script.deaf and not asked.stream
            ledger.end(entry, self._planned(asked, entry), whole=whole)
        self.entry = self._answering = None
        if not self._gone.is_set():
            self._next()

    def _planned(self, asked: Asked, entry: Entry) -> Answer | None:
        """What a hang-up is billed by; None for an answer that costs nothing."""
        if entry.script.fault in ("refused", "error_first") or asked.input_tokens > asked.model.window:
            return None
        return Answer(200, (), (), billed(asked, entry.script))

    async def _perform(self, entry: Entry, asked: Asked) -> None:
        script = entry.script
        if asked.input_tokens > asked.model.window:
            await self._refuse(entry, asked, 400)
            return
        match script.fault:
            case "refused" | "refused_billed" | "refused_silent":
                await self._refuse(entry, asked, script.status)
                return
            case "error_first":
                await self._pause(script.think_ms)
                await self._send(_head(200, [("content-type", _stream_type(asked))]) + _framed(_error(asked)))
                await self._send(b"0\r\n\r\n")
                ledger.end(entry, None, whole=False)
                return
            case _:
                pass
        answer = write_answer(Random(entry.tag), asked, script)
        entry.pieces = answer.pieces
        ledger.generate(entry, answer, None)
        await self._pause(script.think_ms)
        if script.fault == "no_answer":
            ledger.end(entry, answer, whole=script.deaf)
            self._close(reset=script.at_permille % 2 == 1)
        elif script.fault == "no_head":
            await self._pause(STALL_S * 1000)
        else:
            await self._write(entry, asked, answer)

    async def _refuse(self, entry: Entry, asked: Asked, status: int) -> None:
        script = entry.script
        fields: dict[str, Any] = {"error": {"type": "api_error", "message": SENTENCES[status]}}
        if asked.model.wire == "anthropic":
            fields["type"] = "error"
        if script.fault in ("refused_billed", "refused_silent") and status >= 500:
            used = Used(asked.input_tokens, output=min(script.wanted, asked.limit), context=asked.context)
            entry.used = used
            if script.fault == "refused_billed":
                fields |= usage_fields(asked, used)
                entry.told = "yes"
        await self._pause(script.think_ms)
        entry.ended = True
        body = json.dumps(fields).encode()
        await self._send(_head(status, [("content-type", "application/json")], len(body)) + body)

    async def _write(self, entry: Entry, asked: Asked, answer: Answer) -> None:
        """The answer's bytes in their pieces, up to where the script breaks them."""
        script = entry.script
        by_length = not asked.stream and "unsized" not in script.quirks and script.fault != "error_event"
        size = sum(len(piece.content) for piece in answer.pieces)
        head = _head(answer.status, [*answer.headers, ("request-id", entry.tag)], size if by_length else None)
        broken = script.fault in ("cut", "reset", "stall", "error_event")
        budget = (len(head) + size) * script.at_permille // 1000 if broken else len(head) + size + 1
        if script.fault == "error_event":  # not before something was written: then nothing would be billed
            budget = max(budget, len(head) + (len(answer.pieces[0].content) if asked.stream else 1))
        await self._send(head[:budget])
        budget -= len(head)
        for number, piece in enumerate(answer.pieces):
            if budget <= 0 and broken:
                break
            if number % script.burst == 0:
                await self._pause(script.pause_ms)
            ledger.generate(entry, answer, piece)
            whole = len(piece.content) <= budget or not broken
            if piece.told:
                entry.told = self._told(entry, len(piece.content) - budget if broken else 0)
            part = piece.content if whole else piece.content[: max(0, budget)]
            await self._send_part(part, script, sized=by_length)
            budget -= len(piece.content)
        silent_after_all = script.fault == "stall" and by_length and budget == 0
        if (
            broken and not silent_after_all
        ):  # a sized answer is over with its last byte, whoever is silent then
            await self._break(entry, asked, answer)
            return
        ledger.end(entry, answer, whole=True)
        if not by_length:
            await self._send(b"0\r\n\r\n")

    def _told(self, entry: Entry, missing: int) -> ledger.Told:
        if entry.told == "yes":
            return "yes"
        if missing > 2:
            return entry.told
        spoiled = entry.script.fault == "error_event" and not entry.stream  # what follows makes it no JSON
        doubtful = missing > 0 or spoiled or entry.script.fault == "reset" or "gzip" in entry.script.quirks
        return "perhaps" if doubtful and entry.script.fault is not None else "yes"

    async def _break(self, entry: Entry, asked: Asked, answer: Answer) -> None:
        match entry.script.fault:
            case "stall":
                await self._pause(STALL_S * 1000)
            case "error_event":
                with suppress(HungUp):
                    await self._send(_framed(b"\n\n" + _error(asked)) + b"0\r\n\r\n")
                ledger.end(entry, answer, whole=False)
                self._close(reset=False)
            case fault:
                ledger.end(entry, answer, whole=False)
                self._close(reset=fault == "reset")

    async def _send_part(self, part: bytes, script: Any, *, sized: bool) -> None:
        parts = [part]
        if "tiny_chunks" in script.quirks and len(part) <= 4_000:
            parts = [part[at : at + 7] for at in range(0, len(part), 7)]
        for one in parts:
            if one:
                await self._send(one if sized else _framed(one))

    async def _send(self, data: bytes) -> None:
        if self._gone.is_set():
            raise HungUp
        self._transport.write(data)
        self.wrote_s = asyncio.get_running_loop().time()

    async def _pause(self, pause_ms: float) -> None:
        if self._gone.is_set():
            raise HungUp
        if pause_ms:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_ms / 1000):
                    await self._gone.wait()
            if self._gone.is_set():
                raise HungUp

    def _close(self, *, reset: bool) -> None:
        if not reset:
            self._transport.close()
            return
        line: socket.socket = self._transport.get_extra_info("socket")
        with suppress(OSError):
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


def _stream_type(asked: Asked) -> str:
    return "text/event-stream" if asked.stream else "application/json"


def _error(asked: Asked) -> bytes:
    error = {"type": "overloaded_error", "message": "Overloaded"}
    if not asked.stream:
        return json.dumps({"type": "error", "error": error}).encode()
    return event("error", {"error": error}) if asked.model.wire == "anthropic" else chunk({"error": error})


def usage_fields(asked: Asked, used: Used) -> dict[str, Any]:
    """What an error that is billed says of it."""
    if asked.model.wire == "anthropic":
        return {"usage": anthropic_usage(used, used.output, frozenset())}
    usage = openai_usage(used, used.output, used.output, frozenset())
    return {"usage": usage, "service_tier": used.context or "default"}


def _framed(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def _head(status: int, headers: list[tuple[str, str]], length: int | None = None) -> bytes:
    framing = ("transfer-encoding", "chunked") if length is None else ("content-length", str(length))
    lines = [f"HTTP/1.1 {status} x", *(f"{name}: {text}" for name, text in [*headers, framing])]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    end = lowered.find(b"\r\n", at + 2)
    return int(lowered[at + 17 : end if end > 0 else len(lowered)])


class Provider:
    """The upstream, listening."""

    def __init__(self) -> None:
        self.books = Books()
        self._lines: set[Line] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        """Listen on a free port of loopback."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Line(self.books, self._lines), "127.0.0.1", 0, backlog=2048
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def busy(self, tags: set[str]) -> int:
        """How many of these calls are still being answered."""
        return sum(1 for line in self._lines if line.entry is not None and line.entry.tag in tags)

    async def close(self) -> None:
        """Stop listening and cut what is left."""
        if self._server is not None:
            self._server.close()
        for line in list(self._lines):
            line.hang_up()
        await asyncio.sleep(0)
