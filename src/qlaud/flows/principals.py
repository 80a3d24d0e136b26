"""Who calls an endpoint that takes no hold: the key is looked up for this very request, never remembered."""

from collections.abc import Sequence

from qlaud.core.errors import (
    ExpiredKey,
    InvalidKey,
    ModelNotAllowed,
    RevokedKey,
    ScopeTooSmall,
    UnsupportedField,
)
from qlaud.core.keys import Principal, allows, secret_digest
from qlaud.ports import Clock
from qlaud.ports_management import Books, Credential


class Principals:
    """Looks callers up."""

    def __init__(self, books: Books, clock: Clock) -> None:
        self._books, self._clock = books, clock

    async def of(self, secret: str) -> Principal:
        """The owner of `secret`. Raises InvalidKey, RevokedKey, ExpiredKey, StoreUnavailable."""
        return (await self.credential(secret)).principal

    async def credential(self, secret: str) -> Credential:
        """The key as it stands now, with the models it may use. Raises as `of`."""
        async with self._books.lookup() as session:
            found = await session.keys.find_credential(secret_digest(secret))
        if found is None:
            raise InvalidKey
        if found.revoked_at is not None:
            raise RevokedKey
        if found.expires_at is not None and found.expires_at <= self._clock.now_ms():
            raise ExpiredKey
        return found

    async def admin(self, secret: str) -> Principal:
        """As `of`, for the control plane. Raises ScopeTooSmall too."""
        principal = await self.of(secret)
        if principal.scope != "admin":
            raise ScopeTooSmall
        return principal

    async def check_models(self, secret: str, models: Sequence[str]) -> None:
        """Raises ModelNotAllowed for the first of `models` that the key may not use."""
        if models:
            allowed = (await self.credential(secret)).allowed_models
            for slug in models:
                if not allows(allowed, slug):
                    raise ModelNotAllowed(slug)

    async def check_resource(self, secret: str, field: str | None) -> None:
        """Raises UnsupportedField where a standard key names something of the operator's account at a provider.

        `field` is what names it in the request, None where nothing does.
        """
        if field is not None and (await self.of(secret)).scope != "admin":
            raise UnsupportedField(
                f"`{field}` names a file, cache or store of the operator's account, which all users share; "
                "only a master key may use it: send the content itself",
                param=field,
            )
