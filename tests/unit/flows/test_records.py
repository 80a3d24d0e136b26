"""Fetching what a record names: with the operator's key from the provider itself, and from nobody else."""

import asyncio

import pytest
from tests.support.jobs_desk import ACME, FILM, Page, RecordKeeper

from qlaud.core.catalog import Catalog
from qlaud.core.providers import Registry
from qlaud.flows.directory import Directory, Outlets
from qlaud.flows.records import MOST_HOPS, Records
from qlaud.ports import UpstreamFault

HERE, ELSEWHERE = "https://acme.example", "https://films.example"


def moved(to: str) -> Page:
    return Page(302, b"", ((b"location", to.encode()),))


async def _fetched(keeper: RecordKeeper, url: str) -> tuple[int, bytes]:
    outlets = Outlets(http=keeper, simulator=keeper)
    records = Records(Directory(Catalog((FILM,), "9"), Registry({"acme": ACME}), outlets))
    async with records.fetched("acme", url, ()) as response:
        return response.status, await response.read()


def fetched(keeper: RecordKeeper, url: str) -> tuple[int, bytes]:
    """Status and first piece of what is at `url`."""
    return asyncio.run(_fetched(keeper, url))


def asked(keeper: RecordKeeper) -> list[tuple[str, bool]]:
    """Where was asked, and whether with the operator's key."""
    return [
        (
            request.origin + request.target.decode(),
            any(name == b"authorization" for name, _ in request.headers),
        )
        for request in keeper.asked
    ]


def test_the_provider_itself_gets_the_key_also_where_it_leads_on() -> None:
    keeper = RecordKeeper({"/f?alt=media": moved("/g?x=1"), "/g?x=1": Page(200, b"film")})
    assert fetched(keeper, f"{HERE}/f?alt=media") == (200, b"film")
    assert asked(keeper) == [(f"{HERE}/f?alt=media", True), (f"{HERE}/g?x=1", True)]


def test_nobody_else_gets_the_key() -> None:
    keeper = RecordKeeper({"/f": moved(f"{ELSEWHERE}/g"), "/g": Page(200, b"film")})
    assert fetched(keeper, f"{HERE}/f") == (200, b"film")
    assert asked(keeper) == [(f"{HERE}/f", True), (f"{ELSEWHERE}/g", False)]


@pytest.mark.parametrize("first", [f"{HERE}@films.example/f", f"{HERE}.example/f", f"{HERE}:444/f"])
def test_a_likeness_of_the_provider_is_somebody_else(first: str) -> None:
    keeper = RecordKeeper({"/f": Page(200, b"film")})
    fetched(keeper, first)
    assert [keyed for _, keyed in asked(keeper)] == [False]


def test_somebody_else_cannot_lead_the_key_to_an_address_of_the_provider() -> None:
    keeper = RecordKeeper({"/f": moved(f"{HERE}/v1/files"), "/v1/files": Page(401, b"no key")})
    assert fetched(keeper, f"{ELSEWHERE}/f") == (401, b"no key")
    assert asked(keeper) == [(f"{ELSEWHERE}/f", False), (f"{HERE}/v1/files", False)]


@pytest.mark.parametrize(
    "url", ["http://films.example/f", "ftp://films.example/f", "file:///etc/passwd", "https://[x/f", ""]
)
def test_an_address_that_is_not_https_is_not_asked(url: str) -> None:
    keeper = RecordKeeper()
    with pytest.raises(UpstreamFault):
        fetched(keeper, url)
    for leading in (moved(url),) if url else ():
        keeper.records["/f"] = leading
        with pytest.raises(UpstreamFault):
            fetched(keeper, f"{ELSEWHERE}/f")
    assert {where for where, _ in asked(keeper)} <= {f"{ELSEWHERE}/f"}


def test_an_address_that_leads_to_itself_is_left() -> None:
    keeper = RecordKeeper({"/f": moved("/f")})
    with pytest.raises(UpstreamFault, match="circles"):
        fetched(keeper, f"{HERE}/f")
    assert len(keeper.asked) == MOST_HOPS
