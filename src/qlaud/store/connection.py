"""The part of a driver's connection that statements need, with types (the driver ships none)."""

from collections.abc import Sequence
from typing import Any, Protocol


class Row(Protocol):
    """One row: values by column name. What a column holds is known to the statement that asked for it."""

    def __getitem__(self, column: str, /) -> Any: ...


class Connection(Protocol):
    """Runs one statement at a time."""

    async def fetch(self, query: str, *args: object) -> Sequence[Row]:
        """All rows."""
        ...

    async def fetchrow(self, query: str, *args: object) -> Row | None:
        """The first row."""
        ...

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first column of the first row."""
        ...

    async def execute(self, query: str, *args: object) -> str:
        """The command tag, `UPDATE 1`."""
        ...
