"""MiniMax's own chat, `POST /v1/text/chatcompletion_v2`: OpenAI's but for three things.

Errors come with status 200 and a `base_resp` code; a stream's chunks carry zeros for usage, and its end repeats the
whole answer with the real one (both are told by the objects themselves, so `openai_reading` knows them); and an
answer may be spoken too, which is billed as speech. Source: the vendor's page on the path, seen 2026-11.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from qlaud.wire import body as json_body
from qlaud.wire import openai_request
from qlaud.wire.openai_chat import OpenAIChatWire
from qlaud.wire.types import Asked, ModelCall


@dataclass(frozen=True, slots=True)
class MiniMaxChatWire(OpenAIChatWire):
    """`POST /v1/text/chatcompletion_v2`."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        call = openai_request.read_call(asked.body)
        options = json_body.read_object(json_body.read_body(asked.body), "stream_options")
        if options is None or not json_body.read_flag(options, "speech_output"):
            return call
        return replace(call, demand=replace(call.demand, unbounded_tool="speech_output"))
