"""TLS in front of a plain server on loopback, for SDKs that dial nothing else. Its certificate is made for the test."""

import asyncio
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

START_S = 10.0


@dataclass(frozen=True, slots=True)
class Front:
    """Where it stands, and the file with the certificate to trust."""

    origin: str
    trusted: Path


@contextmanager
def tls_front(origin: str, folder: Path) -> Generator[Front]:
    """A way to `origin` over TLS, on a free port, until the block ends. Its files are in `folder`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trusted = _certified(folder)
    context.load_cert_chain(trusted, folder / "front.key")
    behind = urlsplit(origin)
    bound: Future[int] = Future()
    over = threading.Event()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while piece := await reader.read(65_536):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server, from_server = await asyncio.open_connection(behind.hostname, behind.port)
        await asyncio.gather(carry(reader, from_server), carry(to_server, writer))

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        bound.set_result(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(over.wait)
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True, name="tls-front")
    thread.start()
    try:
        yield Front(f"https://127.0.0.1:{bound.result(START_S)}", trusted)
    finally:
        over.set()
        thread.join(START_S)


def _certified(folder: Path) -> Path:
    """A key and its own certificate for this machine, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "front")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    (folder / "front.key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    (folder / "front.pem").write_bytes(certificate.public_bytes(pem))
    return folder / "front.pem"
