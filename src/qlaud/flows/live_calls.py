"""One live session as values: what came in, and the caller's side of it."""

from typing import Protocol

from msgspec import Struct

from qlaud.core.errors import QlaudError
from qlaud.core.ids import RequestId
from qlaud.core.paths import PathPattern
from qlaud.ports import Headers, LiveEnd
from qlaud.wire.live import Frame


class LiveIncoming(Struct, frozen=True, gc=False):
    """A handshake as the edge read it."""

    id: RequestId
    secret: str
    wires: tuple[str, ...]
    """The live wires the path may speak, by their names in the registry; the model's host decides."""
    surface: str
    headers: Headers
    query: bytes
    subprotocols: tuple[str, ...]
    """As the caller offered them, less those that carried its key."""
    model: str
    provider: str = ""
    """The provider the path names; empty where the model decides."""
    target: bytes = b""
    """Then: the raw path as the vendor knows it."""
    pattern: PathPattern | None = None
    first: Frame | None = None
    """The message that named the model, which the caller has sent and nobody has passed on."""


class LiveCaller(Protocol):
    """The caller's side of a session. Owned by the edge."""

    async def accept(self, subprotocol: str | None, headers: Headers) -> None:
        """Answer the handshake, with the provider's choice among the sub-protocols. Raises OSError when it is gone."""
        ...

    async def receive(self) -> Frame | LiveEnd:
        """The next message, or how the caller left. May be cancelled without losing one."""
        ...

    async def send(self, frame: Frame) -> None:
        """Send a message; returns when the caller's side takes more. Raises OSError when it is gone."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """End it in good manners. Raises OSError when it is gone."""
        ...

    async def fail(self, error: QlaudError) -> None:
        """Tell an error in the surface's own form, and close. Raises OSError when it is gone."""
        ...

    def cut(self) -> None:
        """Break the connection: nobody reads at its other end."""
        ...
