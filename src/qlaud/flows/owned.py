"""Whose an object at a provider is: what a call was answered with may be kept there, in one account for all keys.

It is written down before the caller is told its id, so that he is known to be the owner when he comes back with it.
"""

import logging
from collections.abc import Iterable

from qlaud.core.errors import NotFound, QlaudError, UnsupportedField
from qlaud.core.jobs import Owner
from qlaud.core.keys import Principal
from qlaud.core.ledger import Hold
from qlaud.core.providers import Provider
from qlaud.flows.calls import Route
from qlaud.ports import JobStore
from qlaud.wire.shelf import KEEPERS
from qlaud.wire.types import ModelCall

logger = logging.getLogger("qlaud.owned")

BACKGROUND = "background"
"""Quirk: responses may be made in the background."""


class Owned:
    """What keys own at providers. Without a store nobody owns anything."""

    def __init__(self, store: JobStore | None) -> None:
        self._store = store

    async def note(self, provider: str, object_id: str, hold: Hold) -> None:
        """It is his who took `hold`. Never raises: what is not written down cannot be continued, and is billed."""
        if self._store is None:
            return
        try:
            owner = Owner(hold.key_id, hold.account_id, hold.created_at)
            await self._store.own(provider, object_id, owner)
        except QlaudError as trouble:
            logger.warning("an answer that is kept has no owner", extra={"reason": str(trouble)})

    async def provider_of(self, principal: Principal, object_id: str, providers: Iterable[str]) -> str:
        """Which of `providers` has it, for its owner or an admin of his account; "" for anybody else."""
        for slug in providers if self._store is not None else ():
            owner = await self._store.owner(slug, object_id) if self._store is not None else None
            if owner is None or owner.account_id != principal.account_id:
                continue
            if principal.scope == "admin" or owner.key_id == principal.key_id:
                return slug
        return ""


def may_keep(route: Route, wire_name: str) -> bool:
    """Whether answers on this wire are kept at this host, and can be asked for again."""
    return wire_name in KEEPERS and has_jobs(route.provider, wire_name)


def has_jobs(provider: Provider, wire_name: str) -> bool:
    """Whether what calls on this wire leave at a provider can be asked for there."""
    wire = provider.wires.get(wire_name)
    return wire is not None and wire.jobs is not None


def that_keep(routes: tuple[Route, ...], call: ModelCall, wire_name: str) -> tuple[Route, ...]:
    """The routes that can continue what `call` continues, or go on in the background. Raises UnsupportedField."""
    keeping = tuple(route for route in routes if may_keep(route, wire_name))
    if call.background:
        keeping = tuple(route for route in keeping if BACKGROUND in route.provider.quirks)
    if keeping:
        return keeping
    if call.background:
        raise UnsupportedField(
            "the provider of this model has no `background`; ask for a stream", param="background"
        )
    raise UnsupportedField(
        "responses of this model are not kept here and cannot be continued; send the whole input",
        param="previous_response_id",
    )


def not_yours() -> NotFound:
    """Of an object that the caller does not own."""
    return NotFound("no such response of this key; send the whole input")
