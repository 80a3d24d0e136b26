"""OpenAI's SDK in a realtime session, for OpenAI and for xAI. A program of its own: it needs `websockets`."""

import json
from typing import Any

import lines
import openai
from websockets.exceptions import ConnectionClosed


def connect(call: dict[str, Any]) -> Any:
    return openai.OpenAI(base_url=call["base_url"], api_key=call["key"], **call["options"])


def talked(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Opens a session, says a text, asks for an answer and reads until it is done, or until the session ends."""
    shown, tool, kinds = "", None, []
    with client.realtime.connect(model=args["model"]) as session:
        session.session.update(session=args["session"])
        content = [{"type": "input_text", "text": args["text"]}]
        session.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        session.response.create()
        try:
            for event in session:
                kinds.append(event.type)
                if event.type == "response.output_text.delta":
                    shown += event.delta
                elif event.type == "error":
                    shown = event.error.code
                elif event.type == "response.done":
                    calls = [one for one in event.response.output or () if one.type == "function_call"]
                    tool = [calls[0].name, json.loads(calls[0].arguments)] if calls else None
                    if not args.get("stay"):
                        break
                if event.type == args.get("leave_at"):
                    break
        except ConnectionClosed as end:
            return {"shown": shown, "closed": [end.rcvd.code, end.rcvd.reason], "kinds": kinds}
    return {"shown": shown, "tool": tool, "kinds": kinds}


def tell(error: Exception) -> dict[str, Any] | None:
    if isinstance(error, openai.APIError):
        return lines.told_by_stainless(error)
    return lines.told_of_a_socket(error)


lines.serve(openai.__version__, {"talk": talked}, connect, tell)
