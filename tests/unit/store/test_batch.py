"""Group commit: what one caller, one bad item or a lost database may do to the others."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from qlaud.core.errors import Internal, StoreUnavailable
from qlaud.store.batch import Batcher, Item

Answers = dict[object, dict[str, object]]
GIVE_UP_S = 5.0


class FakeApply:
    """A database that answers, refuses or is away, batch by batch; while `open` is clear, it takes its time."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.faults: list[Exception | None] = []
        self.poison: set[object] = set()
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, batch: list[Item]) -> Answers:
        self.batches.append([item.row[0] for item in batch])
        await self.open.wait()
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        if self.poison & {item.row[0] for item in batch}:
            raise asyncpg.DataError("invalid input in query argument: value out of int64 range")
        return {(item.kind, item.row[0]): {"outcome": "held", "retry": item.is_retry} for item in batch}


def item(name: str, kind: str = "hold") -> Item:
    return Item(kind, (name,), None, False, asyncio.get_running_loop().create_future())


def run(play: Callable[[Batcher, FakeApply], Awaitable[None]]) -> None:
    async def main() -> None:
        apply = FakeApply()
        batcher = Batcher(apply, give_up_s=GIVE_UP_S)  # type: ignore[arg-type]
        batcher.start()
        await play(batcher, apply)
        apply.open.set()
        await batcher.close(1.0)

    asyncio.run(main())


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_comes_while_a_batch_is_under_way_forms_the_next() -> None:
    async def play(batcher: Batcher, apply: FakeApply) -> None:
        apply.open.clear()
        batcher.submit(item("a"))
        await turns()
        later = [batcher.submit(item(name)) for name in "bc"]
        apply.open.set()
        await asyncio.gather(*later)
        assert apply.batches == [["a"], ["b", "c"]]

    run(play)


def test_a_hold_whose_caller_left_before_it_was_sent_is_never_taken() -> None:
    async def play(batcher: Batcher, apply: FakeApply) -> None:
        apply.open.clear()
        batcher.submit(item("a"))
        await turns()
        left, stays = batcher.submit(item("left")), batcher.submit(item("stays"))
        left.cancel()
        apply.open.set()
        await stays
        assert apply.batches == [["a"], ["stays"]]
        assert batcher.take_orphans() == []

    run(play)


def test_a_hold_whose_caller_left_while_it_was_taken_is_an_orphan() -> None:
    async def play(batcher: Batcher, apply: FakeApply) -> None:
        apply.open.clear()
        left = batcher.submit(item("left"))
        await turns()
        left.cancel()
        apply.open.set()
        await turns()
        assert batcher.take_orphans() == ["left"]
        assert batcher.take_orphans() == []

    run(play)


def test_a_hold_whose_caller_left_as_its_answer_came_is_an_orphan() -> None:
    async def play(batcher: Batcher, apply: FakeApply) -> None:
        taken = batcher.submit(item("taken"))
        await taken
        batcher.abandon("taken", taken)
        assert batcher.take_orphans() == ["taken"]

    run(play)


def test_a_settlement_nobody_waits_for_is_still_committed() -> None:
    async def play(batcher: Batcher, apply: FakeApply) -> None:
        apply.faults = [StoreUnavailable()]
        batcher.submit(item("s", "settle")).cancel()
        last = batcher.submit(item("z", "settle"))
        await last
        assert apply.batches == [["s", "z"], ["s", "z"]]

    run(play)


def test_what_was_sent_before_the_database_was_lost_is_sent_again_and_marked() -> None:
    async def play(batcher: Batcher, apply: FakeApply) -> None:
        apply.faults = [StoreUnavailable()]
        answer = await batcher.submit(item("a"))
        assert answer is not None
        assert answer["retry"] is True

    run(play)


@pytest.mark.parametrize(("kind", "orphans"), [("hold", ["x"]), ("extend", [])])
def test_only_a_hold_that_may_stand_is_given_back_when_its_caller_is_refused(
    kind: str, orphans: list[str]
) -> None:
    """An extension carries the id of a hold that is in use."""

    async def play(batcher: Batcher, apply: FakeApply) -> None:
        apply.faults = [StoreUnavailable()]
        one = item("x", kind)
        answer = batcher.submit(one)
        one.since -= GIVE_UP_S + 1
        with pytest.raises(StoreUnavailable):
            await answer
        assert batcher.take_orphans() == orphans

    run(play)


def test_callers_behind_a_full_batch_of_settlements_are_refused_in_time_too() -> None:
    async def play(batcher: Batcher, apply: FakeApply) -> None:
        apply.faults = [StoreUnavailable()]
        for number in range(200):
            batcher.submit(item(f"s{number}", "settle"))
        last = item("hold")
        answer = batcher.submit(last)
        last.since -= GIVE_UP_S + 1
        with pytest.raises(StoreUnavailable):
            await answer
        assert batcher.take_orphans() == [], "it was never sent"

    run(play)


def test_one_item_that_cannot_be_encoded_fails_alone() -> None:
    async def play(batcher: Batcher, apply: FakeApply) -> None:
        apply.open.clear()
        batcher.submit(item("first"))
        await turns()
        apply.poison = {"bad"}
        answers = [batcher.submit(item(name, "settle")) for name in ("a", "bad", "b")]
        apply.open.set()
        done = await asyncio.gather(*answers, return_exceptions=True)
        assert isinstance(done[1], Internal)
        assert [one["outcome"] for one in (done[0], done[2])] == ["held", "held"]  # type: ignore[index]
        assert apply.batches[1:] == [["a", "bad", "b"], ["a"], ["bad"], ["b"]]

    run(play)


def test_a_database_lost_while_a_bad_item_is_looked_for_loses_nothing() -> None:
    async def play(batcher: Batcher, apply: FakeApply) -> None:
        apply.poison = {"bad"}
        apply.faults = [None, None, StoreUnavailable()]
        answers = [batcher.submit(item(name, "settle")) for name in ("a", "b", "bad", "c")]
        done = await asyncio.gather(*answers, return_exceptions=True)
        assert [isinstance(one, Internal) for one in done] == [False, False, True, False]

    run(play)


def test_a_defect_fails_its_own_batch_and_not_the_ledger(caplog: pytest.LogCaptureFixture) -> None:
    async def play(batcher: Batcher, apply: FakeApply) -> None:
        apply.faults = [AttributeError("a defect")]
        with pytest.raises(Internal):
            await batcher.submit(item("a"))
        assert await batcher.submit(item("b")) is not None

    run(play)
    assert "the ledger broke" in caplog.text


def test_closing_waits_for_what_is_queued_and_says_what_was_not_committed() -> None:
    async def main() -> tuple[int, int]:
        apply = FakeApply()
        batcher = Batcher(apply, give_up_s=GIVE_UP_S)  # type: ignore[arg-type]
        batcher.start()
        batcher.submit(item("a", "settle"))
        done = await batcher.close(1.0)
        batcher.start()
        apply.open.clear()
        batcher.submit(item("b", "settle"))
        return done, await batcher.close(0.01)

    assert asyncio.run(main()) == (0, 1)
