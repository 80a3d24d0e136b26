"""Large bodies of the bench: they are what they say, arrive whole, and a body held in memory would show."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bench import proc, transfers
from bench.cargo import BOUNDARY, CARGOES, Cargo, request_head, wave_head
from bench.haul import Errand, Haul, haul, transfer
from bench.upstream import Provider

from qlaud.wire.multipart import FormReader


@asynccontextmanager
async def provider() -> AsyncIterator[int]:
    """The fake provider's port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Provider({}, set()), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_the_model_stands_behind_the_file() -> None:
    cargo = CARGOES["form"]
    reader = FormReader(f"multipart/form-data; boundary={BOUNDARY.decode()}".encode())
    reader.feed(cargo.before)
    reader.feed(bytes(cargo.sound_bytes))
    reader.feed(cargo.behind)
    form = reader.finish()
    assert form.text("model") == "whisper-1"
    assert [file.size for file in form.files] == [len(wave_head(0)) + cargo.sound_bytes]
    assert form.spans["model"][0][0] > form.files[0].offset
    assert f"content-length: {cargo.length}\r\n".encode() in request_head(cargo, 1, "key")


@pytest.mark.parametrize("name", CARGOES)
def test_a_large_body_is_carried_whole(name: str) -> None:
    async def carry() -> Haul:
        async with provider() as port:
            return await haul(Errand(port, "none", name, count=3, parallel=2))

    told = asyncio.run(carry())
    assert (told.carried, told.complaint) == (3, "")


def test_an_answer_that_is_too_short_is_a_complaint() -> None:
    more = Cargo(
        "", "/v1/audio/speech", "application/json", b'{"input":"bench:sound:1000"}', answer_bytes=2000
    )

    async def carry() -> None:
        async with provider() as port:
            await transfer(more, port, "none")

    with pytest.raises(ValueError, match="not 2000"):
        asyncio.run(carry())


def test_a_contender_that_is_gone_is_a_complaint() -> None:
    told = asyncio.run(haul(Errand(1, "none", "sound", count=1, parallel=1)))
    assert told.carried == 0
    assert "Error" in told.complaint


def test_a_peak_begins_anew_when_it_is_forgotten() -> None:
    large = bytearray(60_000_000)
    large[::4096] = b"x" * len(large[::4096])
    high_kb = proc.peak_kb([os.getpid()])
    del large
    proc.forget_peaks([os.getpid()])
    assert proc.peak_kb([os.getpid()]) < high_kb - 50_000
    assert proc.peak_kb([2**22 + 1]) == 0
    assert proc.parse_peak("Name: x\nVmHWM:\t  1234 kB\nVmRSS: 9 kB\n") == 1234
    assert proc.parse_peak("Name: x\n") == 0


FIGURES = {
    "turn_mb_per_s": [120.0],
    "turn_cpu_ms": [60.0, 50.0, 70.0],
    "once_mb_per_s": [200.0],
    "turn_rise_mb": [0.5],
    "once_rise_mb": [8.0],
    "each_rise_mb": [1.0],
}


def test_one_body_held_in_memory_breaks_the_aims() -> None:
    carried = {"qlaud": {name: dict(FIGURES) for name in CARGOES}}
    assert [aim.verdict for aim in transfers.aims(carried)] == ["met", "met"]
    carried["qlaud"]["raw"] |= {"turn_rise_mb": [24.0], "each_rise_mb": [24.0]}
    assert [aim.verdict for aim in transfers.aims(carried)] == ["NOT met", "NOT met"]
    assert {aim.verdict for aim in transfers.aims({"nginx": carried["qlaud"]})} == {"not measured"}


def test_a_row_is_a_body_through_a_contender() -> None:
    found = transfers.rows({"qlaud": {name: {} if name == "raw" else FIGURES for name in CARGOES}}, {})
    assert len(found) == 1 + len(CARGOES)
    assert found[1] == ["25 MB upload, form: qlaud", "120", "60", "200", "0.5", "8.0"]
    assert found[2][1:] == ["-"] * 5
