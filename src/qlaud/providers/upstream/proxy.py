"""The way out through an HTTP proxy: which calls take it, and the CONNECT handshake.

Only https origins are ever proxied: plain http stays on the machine (see `origin`) and loopback is never
proxied, so `HTTP_PROXY` has nothing to say here and is not read. The proxy sees a host name and a port, then
only TLS. The environment is a parameter; nothing here reads the process's own.
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import cast
from urllib.parse import unquote, urlsplit

from qlaud.ports import UpstreamUnreachable
from qlaud.providers.upstream.origin import Origin

STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r\n")


@dataclass(frozen=True, slots=True)
class ProxyRule:
    """One proxy, and the hosts that bypass it."""

    host: str
    port: int
    authorization: bytes | None = field(default=None, repr=False)
    """The value of `proxy-authorization`, a secret."""
    bypass: tuple[str, ...] = ()
    """Entries of NO_PROXY in lower case: `*`, a host, a domain, `.domain`, `host:port`, an address, a network."""

    def covers(self, origin: Origin) -> bool:
        """Whether a call to `origin` goes through this proxy."""
        if not origin.tls or origin.is_loopback:
            return False
        return not any(bypasses(entry, origin) for entry in self.bypass)


def bypasses(entry: str, origin: Origin) -> bool:
    """Whether one NO_PROXY entry names `origin`. A domain names its sub-domains too."""
    if entry == "*":
        return True
    name, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (":" not in name or name.startswith("[")):
        if int(port) != origin.port:
            return False
        entry = name
    entry = entry.strip("[]")
    try:
        return ip_address(origin.host) in ip_network(entry, strict=False)
    except ValueError:
        domain = entry.lstrip("*").lstrip(".")
        return bool(domain) and (origin.host == domain or origin.host.endswith("." + domain))


def proxy_from_environment(environment: Mapping[str, str]) -> ProxyRule | None:
    """The rule of `https_proxy` (or HTTPS_PROXY, all_proxy, ALL_PROXY) and `no_proxy`; None without one.

    Raises ValueError if the proxy is not `http://[user:password@]host[:port]`.
    """
    names = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    url = next((environment[name] for name in names if environment.get(name)), "")
    if not url:
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        # The URL may hold a password: name the variable's form, not its value.
        raise ValueError("the HTTPS proxy must be given as http://[user:password@]host[:port]")
    authorization = None
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + b64encode(credentials.encode())
    no_proxy = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    bypass = tuple(entry.strip().lower() for entry in no_proxy.split(",") if entry.strip())
    return ProxyRule(parts.hostname, parts.port or 80, authorization, bypass)


def connect_request(rule: ProxyRule, origin: Origin) -> bytes:
    """The CONNECT request for `origin`."""
    lines = [b"CONNECT %b HTTP/1.1" % origin.authority, b"host: " + origin.authority]
    if rule.authorization is not None:
        lines.append(b"proxy-authorization: " + rule.authorization)
    return b"\r\n".join([*lines, b"\r\n"])


class ConnectHandshake(asyncio.Protocol):
    """Writes CONNECT and waits for the proxy's head; the transport is then free for TLS.

    A 2xx answer to CONNECT has no body whatever its headers say (RFC 9110, 9.3.6), so the head is all there is,
    and a byte beyond it before our ClientHello is a breach.
    """

    def __init__(self, request: bytes, limit_bytes: int, loop: asyncio.AbstractEventLoop) -> None:
        self._request, self._limit_bytes = request, limit_bytes
        self._seen = b""
        self.opened: asyncio.Future[None] = loop.create_future()
        """Resolves when the tunnel stands; raises UpstreamUnreachable if the proxy refuses."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send CONNECT."""
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """Collect the head and judge it."""
        self._seen += data
        end = self._seen.find(b"\r\n\r\n")
        if end < 0:
            if len(self._seen) > self._limit_bytes:
                self._refuse("the proxy's answer to CONNECT is too long")
            return
        status = STATUS_LINE.match(self._seen)
        if status is None:
            self._refuse("the proxy's answer to CONNECT is not HTTP")
        elif not status[1].startswith(b"2"):
            self._refuse(f"the proxy refused the tunnel with status {status[1].decode()}")
        elif len(self._seen) > end + 4:
            self._refuse("the proxy sent bytes before the tunnel was used")
        elif not self.opened.done():
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The proxy hung up."""
        self._refuse("the proxy closed the connection during CONNECT")

    def _refuse(self, reason: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(UpstreamUnreachable(reason))
