"""Is every sum the sum of its rows? Asked by `qlaud doctor`, and by the tests after every journey."""

from qlaud.ports_management import Books, Difference


class Doctor:
    """Recomputes the projections."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def examine(self) -> list[Difference]:
        """Every projection that differs from its rows, at one moment; calls go on meanwhile."""
        async with self._books.snapshot() as session:
            return await session.doctor.differences()

    async def mend(self) -> list[Difference]:
        """Put every projection right; returns what was wrong. Calls wait until it is done."""
        async with self._books.transaction() as session:
            await session.doctor.lock_all()
            wrong = await session.doctor.differences()
            if wrong:
                await session.doctor.mend()
            return wrong
