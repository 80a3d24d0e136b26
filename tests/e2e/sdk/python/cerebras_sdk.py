"""Cerebras' SDK. Making a client warms a connection, with a call of its own."""

from typing import Any

import cerebras.cloud.sdk as cerebras
import chat_lines
import lines


def connect(call: dict[str, Any]) -> Any:
    return cerebras.Cerebras(base_url=call["base_url"], api_key=call["key"], **call["options"])


def tell(error: Exception) -> dict[str, Any] | None:
    return lines.told_by_stainless(error) if isinstance(error, cerebras.APIError) else None


lines.note_httpx()
lines.serve(cerebras.__version__, chat_lines.DEEDS, connect, tell)
