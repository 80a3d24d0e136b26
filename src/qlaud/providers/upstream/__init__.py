"""The lean HTTP/1.1 client that calls providers: `HttpUpstream` implements `ports.Upstream`."""

from qlaud.providers.upstream.client import HttpUpstream
from qlaud.providers.upstream.limits import UpstreamLimits
from qlaud.providers.upstream.proxy import ProxyRule, proxy_from_environment

__all__ = ["HttpUpstream", "ProxyRule", "UpstreamLimits", "proxy_from_environment"]
