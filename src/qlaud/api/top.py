"""The top of a request: whatever goes wrong below becomes an error in the surface's own shape."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qlaud.core.errors import Internal, QlaudError

logger = logging.getLogger("qlaud.api")

T = TypeVar("T")


class ClientLeft(Exception):
    """The connection closed before the request was whole: nobody is left to answer."""


async def guarded(
    work: Awaitable[T], fail: Callable[[QlaudError], Awaitable[None]], request_id: str
) -> T | None:
    """What `work` gives; None after `fail` has told the caller why there is nothing, or when the caller left."""
    try:
        return await work
    except ClientLeft:
        return None
    except QlaudError as error:
        await fail(error)
    except Exception:
        logger.exception("a request broke", extra={"request_id": request_id})
        await fail(Internal())
    return None
