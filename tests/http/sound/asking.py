"""How the tests of this folder ask, and what they look at afterwards."""

from pathlib import Path
from typing import Any

import httpx
from tests.support.forms import KIND, joined, part
from tests.support.gateway import Gateway, MintedKey
from tests.support.media_files import chunk, wav, wav_format

WAIT_S = 30.0


def sound(seconds: int, *, filler: bytes = b"\x80\x01") -> bytes:
    """A WAV file that plays that long: 16 kHz, 16 bits, 32 kB a second."""
    return wav(wav_format(), chunk(b"data", filler * (16_000 * seconds)))


def form(file: bytes, *fields: tuple[str, str]) -> bytes:
    """A form with the file in front of its fields."""
    rest = [part(name, value.encode()) for name, value in fields]
    return joined(part("file", file, filename="a.wav", kind="audio/wav"), *rest)


def send_form(gateway: Gateway, key: MintedKey, path: str, body: bytes, **headers: str) -> httpx.Response:
    return send(gateway, key, path, body, **{"content-type": KIND.decode(), **headers})


def send(
    gateway: Gateway, key: MintedKey, path: str, body: bytes | dict[str, Any], **headers: str
) -> httpx.Response:
    """A POST whose answer is read whole."""
    given = {"authorization": f"Bearer {key.secret}", **headers}
    url = gateway.origin + path
    if isinstance(body, bytes):
        return httpx.post(url, content=body, headers=given, trust_env=False, timeout=WAIT_S)
    return httpx.post(url, json=body, headers=given, trust_env=False, timeout=WAIT_S)


def only_event(gateway: Gateway, key: MintedKey) -> dict[str, Any]:
    """The one event of a key that holds nothing more."""
    (event,) = gateway.wait_settled(key, 1)["events"]
    return event


class Peak:
    """The most memory a process had since this was made."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        (self._folder / "clear_refs").write_text("5")  # the peak begins anew (proc(5))
        self._before_kb = self._kb("VmRSS")

    @property
    def grown_kb(self) -> int:
        """Beyond what it had at the beginning."""
        return self._kb("VmHWM") - self._before_kb

    def _kb(self, name: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name))
