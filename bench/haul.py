"""Carries large bodies through a contender: reads one errand from standard input, prints what became of it.

Every transfer is a connection of its own. What arrives is counted and thrown away; what is sent is one piece of
sound again and again, so that this process stays small and cheap.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

import uvloop

from bench.cargo import CARGOES, SMALL, SOUND_PART, Cargo, request_head

READ_BYTES = 262_144
LAST_CHUNK = b"0\r\n\r\n"
LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Errand:
    """What to carry, how often, and how many at a time."""

    port: int
    key: str
    cargo: str
    count: int
    parallel: int
    is_small: bool = False
    """The small one of its kind, to warm up with."""


@dataclass(frozen=True, slots=True)
class Haul:
    """What became of an errand."""

    carried: int
    seconds: float
    complaint: str = ""


async def haul(errand: Errand) -> Haul:
    """Every transfer of the errand, until the first that fails."""
    cargo = (SMALL if errand.is_small else CARGOES)[errand.cargo]
    left, carried = errand.count, 0

    async def carry() -> None:
        nonlocal left, carried
        while left > 0:
            left -= 1
            await transfer(cargo, errand.port, errand.key)
            carried += 1

    complaint, start = "", time.perf_counter()
    try:
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            for _ in range(errand.parallel):
                group.create_task(carry())
    except* (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as failed:
        complaint = f"{type(failed.exceptions[0]).__name__}: {failed.exceptions[0]}"
    return Haul(carried, time.perf_counter() - start, complaint)


async def transfer(cargo: Cargo, port: int, key: str) -> None:
    """One call. Raises ValueError for an answer that is not what was asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request_head(cargo, port, key) + cargo.before)
        for at in range(0, cargo.sound_bytes, len(SOUND_PART)):
            writer.write(SOUND_PART[: cargo.sound_bytes - at])
            await writer.drain()
        writer.write(cargo.behind)
        await _answer(reader, cargo)
    finally:
        writer.transport.abort()


async def _answer(reader: asyncio.StreamReader, cargo: Cargo) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise ValueError(f"{head[:15]!r}: {await reader.read(500)!r}")
    _, sized, length = head.partition(b"\r\ncontent-length:")
    wanted = int(length.partition(b"\r\n")[0]) if sized else -1
    got, tail = 0, b""
    while got < wanted or (wanted < 0 and not tail.endswith(LAST_CHUNK)):
        piece = await reader.read(READ_BYTES)
        if not piece:
            raise ValueError(f"the answer ended after {got} bytes")
        got += len(piece)
        tail = (tail + piece)[-len(LAST_CHUNK) :]
    if got < cargo.answer_bytes:
        raise ValueError(f"the answer has {got} bytes, not {cargo.answer_bytes}")


def main() -> None:
    """One errand in, one outcome out."""
    errand = Errand(**json.loads(sys.stdin.readline()))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(haul(errand)))), flush=True)


if __name__ == "__main__":
    main()
