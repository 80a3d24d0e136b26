"""Runs every scenario on both event loops that the product supports."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop

Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """`run(main)` plays `main()` to its end on a new loop, at most thirty seconds."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    async def bounded(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async with asyncio.timeout(30):
            await main()

    def play(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(bounded(main))

    return play
