"""Every price there is: which card counts for a provider's model at a moment. Pure, immutable, swapped whole."""

import re
from collections.abc import Mapping, Sequence

from qlaud.core.pricing import RateCard

_DATED = re.compile(r"[-@](?:20\d{6}|20\d\d-\d\d-\d\d)\Z")


class PriceBook:
    """Rate cards by provider and model id, dated. Immutable."""

    __slots__ = ("_cards", "version")

    def __init__(self, version: str, cards: Mapping[tuple[str, str], Sequence[RateCard]]) -> None:
        self.version = version
        self._cards = {
            (provider, model.lower()): tuple(
                sorted(dated, key=lambda card: (-card.from_ms, card.hours is None))
            )
            for (provider, model), dated in cards.items()
        }

    def cards(self, provider: str, model: str) -> tuple[RateCard, ...]:
        """Every card of a model, newest first, those of some hours before the one of all; empty when unknown.

        A dated id (`-20251001`, `-2025-10-01`, `@20251001`) that the book does not list is the id without its
        date. No other prefix ever matches: `x-4-8` is not `x-4`.
        """
        name = model.lower()
        found = self._cards.get((provider, name))
        if found is None and (dated := _DATED.search(name)):
            found = self._cards.get((provider, name[: dated.start()]))
        return found or ()

    def card(self, provider: str, model: str, at_ms: int) -> RateCard | None:
        """The card in force at `at_ms`, or None when the model has no price then."""
        return card_in_force(self.cards(provider, model), at_ms)

    def models(self, provider: str) -> tuple[str, ...]:
        """Every model id with a price at a provider, in lower case, sorted."""
        return tuple(sorted(model for owner, model in self._cards if owner == provider))


def card_in_force(newest_first: Sequence[RateCard], at_ms: int) -> RateCard | None:
    """The newest card that has begun at `at_ms` and whose hours it falls into.

    `at_ms` is when the request began: providers do not say which instant decides (DeepSeek), and this one is
    known when money is held.
    """
    for card in newest_first:
        if card.from_ms <= at_ms and (card.hours is None or card.hours.hold_at(at_ms)):
            return card
    return None
