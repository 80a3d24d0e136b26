"""Origins: where a request goes, and the rule that plain text never leaves the machine.

Invariant: an `Origin` with `tls` false is a loopback host. Pure; used by the client and its tests.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from qlaud.ports import UpstreamUnreachable

HTTPS_PORT = 443
HTTP_PORT = 80


@dataclass(frozen=True, slots=True)
class Origin:
    """One server: where to connect and what to call it in `host`."""

    host: str
    """Without brackets, in lower case."""
    port: int
    tls: bool

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine by name or address."""
        return is_loopback(self.host)

    @property
    def authority(self) -> bytes:
        """`host:port`, brackets around IPv6."""
        return (
            f"[{self.host}]:{self.port}".encode() if ":" in self.host else f"{self.host}:{self.port}".encode()
        )

    @property
    def host_header(self) -> bytes:
        """The authority without the scheme's own port."""
        default = HTTPS_PORT if self.tls else HTTP_PORT
        return self.authority.rpartition(b":")[0] if self.port == default else self.authority


def is_loopback(host: str) -> bool:
    """True for `localhost`, 127.0.0.0/8 and ::1, written in full."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parse_origin(text: str) -> Origin:
    """The origin of `https://host[:port]`, or of `http://` to a loopback host.

    Raises UpstreamUnreachable for anything else: a path, a user name, another scheme, plain text to the network.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UpstreamUnreachable(f"not an origin: {text!r} ({error})") from None
    tidy = host is not None and host.isascii() and host.isprintable() and " " not in host
    if not tidy or host is None or parts.scheme not in ("http", "https"):
        raise UpstreamUnreachable(f"not an origin: {text!r}; give https://host[:port]")
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or text.endswith(("?", "#")):
        raise UpstreamUnreachable("an origin is a scheme, a host and a port, nothing else")
    tls = parts.scheme == "https"
    if port == 0:
        raise UpstreamUnreachable(f"port 0 cannot be called: {text!r}")
    if not tls and not is_loopback(host):
        raise UpstreamUnreachable(f"{text!r} is plain http beyond this machine; use https")
    return Origin(host, port or (HTTPS_PORT if tls else HTTP_PORT), tls)
