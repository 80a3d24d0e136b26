"""The clients that call providers: `HttpUpstream` implements `ports.Upstream`, `WebSocketUpstream` its live twin."""

from qlaud.providers.upstream.client import HttpUpstream
from qlaud.providers.upstream.limits import UpstreamLimits
from qlaud.providers.upstream.proxy import ProxyRule, proxy_from_environment
from qlaud.providers.upstream.websocket import LiveLimits, WebSocketUpstream

__all__ = [
    "HttpUpstream",
    "LiveLimits",
    "ProxyRule",
    "UpstreamLimits",
    "WebSocketUpstream",
    "proxy_from_environment",
]
