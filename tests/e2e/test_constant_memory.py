"""A large upload and a large answer pass through the real process, and never is one of them whole in its memory."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from bench import proc
from bench.cargo import CARGOES
from bench.haul import Errand, Haul, haul
from bench.measure import upstream
from bench.processes import choose_cores
from tests.support.gateway import Gateway, base_url_at, gateway_process, until
from tests.support.postgres import Databases

AT_ONCE = 4
MOST_RISE_MB = 12
"""For four bodies of 25 or 50 MB that are under way at once: less than half of one of them."""


@pytest.fixture(scope="module")
def gateway(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    """A gateway in front of the fake provider of the bench, which keeps nothing and answers at once."""
    folder: Path = tmp_path_factory.mktemp("large")
    dsn = databases.clone()
    with upstream(choose_cores(), folder) as bench:
        origin = f"http://127.0.0.1:{bench.upstream_port}"
        providers = {slug: base_url_at(origin, slug) for slug in ("openai", "deepgram")}
        with gateway_process(dsn, folder / "gateway", providers=providers) as running:
            yield running
    databases.drop(dsn)


def carried(gateway: Gateway, key: str, cargo: str, *, is_small: bool = False) -> Haul:
    port = urlsplit(gateway.origin).port
    assert port is not None
    return asyncio.run(haul(Errand(port, key, cargo, 2 * AT_ONCE, AT_ONCE, is_small)))


@pytest.mark.parametrize("cargo", CARGOES)
def test_memory_does_not_rise_with_what_passes(gateway: Gateway, cargo: str) -> None:
    if proc.peak_kb([gateway.process.pid]) == 0:
        pytest.skip("this system does not tell how much memory a process had at most")
    key = gateway.mint(max_spend_usd="100")
    warming = carried(gateway, key.secret, cargo, is_small=True)
    assert (warming.complaint, warming.carried) == ("", 2 * AT_ONCE)
    processes = proc.members({"gateway": [gateway.process.pid]})["gateway"]
    proc.forget_peaks(processes)
    before_kb = proc.memory(processes).rss_kb
    told = carried(gateway, key.secret, cargo)
    rise_mb = (proc.peak_kb(processes) - before_kb) / 1024
    assert (told.complaint, told.carried) == ("", 2 * AT_ONCE)
    assert rise_mb < MOST_RISE_MB
    usage = until(lambda: (one := gateway.usage(key))["held_micros"] == 0 and one, "every call is settled")
    assert len(usage["events"]) == 4 * AT_ONCE
    assert all(event["cost_micros"] > 0 for event in usage["events"])
