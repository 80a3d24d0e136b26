"""A provider's answer whose body was read before it is known whether it is relayed."""

from qlaud.flows.decoding import decoder_for
from qlaud.ports import Headers, UpstreamResponse

ERROR_BODY_LIMIT_BYTES = 65_536
"""Of a refusal no more than this is read, and relayed."""


class ReadAnswer:
    """An `UpstreamResponse` that is closed already."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    @property
    def text(self) -> bytes:
        """The body, decoded."""
        return decoder_for(self.headers).decode(self._body)

    async def read(self) -> bytes:
        """The body as it came, then b""."""
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        """Nothing is open."""


async def read_answer(response: UpstreamResponse) -> ReadAnswer:
    """`response`, read up to the limit and closed. Raises UpstreamFault."""
    body = b""
    try:
        while len(body) < ERROR_BODY_LIMIT_BYTES and (chunk := await response.read()):
            body += chunk
    finally:
        response.close()
    return ReadAnswer(response.status, response.headers, body)
