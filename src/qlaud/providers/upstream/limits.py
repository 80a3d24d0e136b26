"""The client's limits: every wait and every buffer has one. Built by `app` from settings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpstreamLimits:
    """What one client may wait for, keep and accept. Each is per connection or per origin, never global."""

    connect_timeout_s: float = 10.0
    """Name lookup, TCP, proxy tunnel and TLS together."""
    first_byte_timeout_s: float = 600.0
    """From the request being written to the whole response head."""
    idle_timeout_s: float = 300.0
    """Between two body bytes of a response, or between two writes of a stalled upload."""
    pool_wait_s: float = 10.0
    """For a free connection when the origin is at its limit."""
    idle_keepalive_s: float = 30.0
    """Kept in the pool unused. Half of what common servers grant, so they rarely hang up first."""
    max_connections_per_origin: int = 1000
    max_idle_per_origin: int = 200
    header_limit_bytes: int = 65_536
    """A response head with its interim responses; also framing or trailers without a body byte."""
    line_limit_bytes: int = 16_384
    """One header line, or the status line."""
    header_count_limit: int = 256
    buffer_bytes: int = 262_144
    """Body bytes kept for a slow reader before the socket is no longer read. One read may overshoot it."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above zero")
