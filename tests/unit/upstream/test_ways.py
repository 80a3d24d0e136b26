"""How a connection comes to be: TLS that verifies, the proxy's tunnel, the connect timeout."""

import asyncio
import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.unit.upstream.abusive import OK, Peer, Script, answering, call, serving, until, whole

from qlaud.ports import UpstreamBroken, UpstreamSlow, UpstreamUnreachable
from qlaud.providers.upstream import HttpUpstream, ProxyRule, UpstreamLimits


@dataclass(frozen=True, slots=True)
class Trust:
    """A private CA and a server certificate of its own making."""

    client: ssl.SSLContext
    server: ssl.SSLContext


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make_trust(where: Path) -> Trust:
    """Trust for `localhost`, 127.0.0.1 and `provider.test`."""
    today = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(subject: str, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("Test CA"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=1))
        )

    constraints = x509.BasicConstraints(ca=True, path_length=None)
    ca = certificate("Test CA", ca_key.public_key()).add_extension(constraints, critical=True)
    signed_ca = ca.sign(ca_key, hashes.SHA256())
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("localhost"),
            x509.DNSName("provider.test"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        ]
    )
    leaf = certificate("server", key.public_key()).add_extension(names, critical=False)
    pem = serialization.Encoding.PEM
    chain, secret = where / "server.pem", where / "server.key"
    chain.write_bytes(leaf.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    secret.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, secret)
    server.set_alpn_protocols(["h2", "http/1.1"])
    return Trust(ssl.create_default_context(cadata=signed_ca.public_bytes(pem).decode()), server)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return make_trust(tmp_path_factory.mktemp("trust"))


def test_a_verified_server_is_called_over_tls_in_http_1_1_and_kept(run, trust):
    protocols = set[str | None]()

    async def script(peer: Peer) -> None:
        protocols.add(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        while True:
            assert b"\r\nhost: localhost:" in await peer.request()
            await peer.send(OK)

    async def main() -> None:
        client = HttpUpstream(tls=trust.client)
        async with serving(script, tls=trust.server, host="localhost") as server:
            for _ in range(3):
                assert await whole(await client.send(call(server.origin, body=b"x" * 100_000))) == b"ok"
            assert server.connections == 1
            assert protocols == {"http/1.1"}
            await client.aclose()
            await until(lambda: client.open_connections == 0)

    run(main)


@pytest.mark.parametrize(("host", "trusted"), [("127.0.0.1", False), ("127.0.0.2", True)])
def test_a_server_without_a_trusted_certificate_for_its_name_is_sent_nothing(run, trust, host, trusted):
    heard = list[bytes]()

    async def main() -> None:
        client = HttpUpstream(tls=trust.client if trusted else None)
        async with serving(answering(server=heard), tls=trust.server, host=host) as server:
            with pytest.raises(UpstreamUnreachable, match="CERTIFICATE_VERIFY_FAILED") as caught:
                await client.send(call(server.origin))
            assert not caught.value.started
            assert heard == []
            assert client.open_connections == 0

    run(main)


@pytest.mark.parametrize("weakness", ["any certificate", "any name"])
def test_a_context_that_does_not_verify_is_refused(weakness):
    context = ssl.create_default_context()
    context.check_hostname = False
    if weakness == "any certificate":
        context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="does not verify"):
        HttpUpstream(tls=context)


def test_an_answer_cut_short_under_tls_is_broken(run, trust):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK[:-1])

    async def main() -> None:
        client = HttpUpstream(tls=trust.client)
        async with serving(script, tls=trust.server, host="localhost") as server:
            with pytest.raises(UpstreamBroken):
                await whole(await client.send(call(server.origin)))
            assert client.open_connections == 0

    run(main)


def test_a_tls_connection_hung_up_while_idle_is_replaced(run, trust):
    heard = list[bytes]()

    async def script(peer: Peer) -> None:
        heard.append(await peer.request())
        await peer.send(OK)

    async def main() -> None:
        client = HttpUpstream(tls=trust.client)
        async with serving(script, tls=trust.server, host="localhost") as server:
            for count in range(1, 4):
                assert await whole(await client.send(call(server.origin))) == b"ok"
                await until(lambda: client.open_connections == 0)
                assert len(heard) == count

    run(main)


def test_a_server_that_never_shakes_hands_is_slow_to_connect(run):
    async def script(peer: Peer) -> None:
        assert await peer.gone()

    async def main() -> None:
        client = HttpUpstream(UpstreamLimits(connect_timeout_s=0.05))
        async with serving(script) as server:
            with pytest.raises(UpstreamSlow) as caught:
                await client.send(call(server.origin.replace("http:", "https:")))
            assert (caught.value.phase, caught.value.started) == ("connect", False)
            assert client.open_connections == 0

    run(main)


def test_a_call_cancelled_while_it_connects_leaves_nothing_behind(run):
    reached, hung_up = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        reached.set()
        assert await peer.gone()
        hung_up.set()

    async def main() -> None:
        client = HttpUpstream(UpstreamLimits(max_connections_per_origin=1))
        async with serving(script) as server:
            for _ in range(2):  # the second would find no slot if the first kept it
                reached.clear()
                hung_up.clear()
                sending = asyncio.create_task(client.send(call(server.origin.replace("http:", "https:"))))
                await reached.wait()
                sending.cancel()
                await asyncio.wait((sending,))
                assert sending.cancelled()
                await hung_up.wait()
            assert client.open_connections == 0

    run(main)


def proxying(port: int, asked: list[bytes]) -> Script:
    """A proxy that sends every tunnel to `port` on this machine."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def script(peer: Peer) -> None:
        asked.append(await peer.head())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await peer.send(b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n")
        try:
            await asyncio.gather(copy(peer.reader, writer), copy(reader, peer.writer))
        finally:
            writer.close()

    return script


def test_a_call_goes_through_the_proxy_s_tunnel_and_the_proxy_sees_only_a_name(run, trust):
    asked, heard = list[bytes](), list[bytes]()

    async def main() -> None:
        async with (
            serving(answering(server=heard), tls=trust.server) as provider,
            serving(proxying(provider.port, asked)) as proxy,
        ):
            rule = ProxyRule("127.0.0.1", proxy.port, b"Basic dTpw")
            client = HttpUpstream(tls=trust.client, proxy=rule)
            for _ in range(3):
                assert await whole(await client.send(call("https://provider.test"))) == b"ok"
            where = b"provider.test:443"
            tunnel = b"CONNECT %b HTTP/1.1\r\nhost: %b\r\nproxy-authorization: Basic dTpw\r\n\r\n"
            assert asked == [tunnel % (where, where)]
            assert len(heard) == 3
            assert b"proxy-authorization" not in heard[0]
            assert b"\r\nhost: provider.test\r\n" in heard[0]
            await client.aclose()
            await until(lambda: client.open_connections == 0)

    run(main)


def test_the_server_behind_the_proxy_must_verify_too(run, trust):
    asked, heard = list[bytes](), list[bytes]()

    async def main() -> None:
        async with (
            serving(answering(server=heard), tls=trust.server) as provider,
            serving(proxying(provider.port, asked)) as proxy,
        ):
            client = HttpUpstream(tls=trust.client, proxy=ProxyRule("127.0.0.1", proxy.port))
            with pytest.raises(UpstreamUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
                await client.send(call("https://other.test"))
            assert heard == []

    run(main)


def test_loopback_is_never_proxied(run):
    asked = list[bytes]()

    async def main() -> None:
        async with serving(answering()) as server, serving(answering(server=asked)) as proxy:
            client = HttpUpstream(proxy=ProxyRule("127.0.0.1", proxy.port))
            assert await whole(await client.send(call(server.origin))) == b"ok"
            assert asked == []
            await client.aclose()

    run(main)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "status 407"),
        (b"HTTP/1.1 503 No\r\n\r\nsorry", "status 503"),
        (b"SOCKS\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nearly", "before the tunnel"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 5000, "too long"),
        (b"HTTP/1.1 200", "closed"),
        (b"", "closed"),
    ],
)
def test_a_proxy_that_refuses_makes_the_provider_unreachable(run, answer, told):
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)

    async def main() -> None:
        async with serving(script) as proxy:
            rule = ProxyRule("127.0.0.1", proxy.port)
            client = HttpUpstream(UpstreamLimits(header_limit_bytes=4096), proxy=rule)
            with pytest.raises(UpstreamUnreachable, match=told) as caught:
                await client.send(call("https://provider.test"))
            assert not caught.value.started
            assert client.open_connections == 0

    run(main)


def test_a_silent_proxy_is_slow_to_connect(run):
    async def script(peer: Peer) -> None:
        assert await peer.gone()

    async def main() -> None:
        async with serving(script) as proxy:
            rule = ProxyRule("127.0.0.1", proxy.port)
            client = HttpUpstream(UpstreamLimits(connect_timeout_s=0.05), proxy=rule)
            with pytest.raises(UpstreamSlow) as caught:
                await client.send(call("https://provider.test"))
            assert caught.value.phase == "connect"

    run(main)
