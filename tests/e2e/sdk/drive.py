"""Runs the Python SDK of one vendor: a line of JSON in is a call, a line out its result.

Current and previous SDKs cannot share an environment, so this file imports nothing of the project. The HTTP client is
the SDK's own, with a hook that notes what leaves. `drive.mjs` does the same for Node.
"""

import base64
import importlib
import json
import sys
from typing import Any

VENDOR = sys.argv[1]
sdk = importlib.import_module(VENDOR)


def connect(call: dict[str, Any], sent: list[Any]) -> Any:
    def note(request: Any) -> None:
        headers = [[name.decode().lower(), value.decode()] for name, value in request.headers.raw]
        body = base64.b64encode(request.read()).decode()
        sent.append({"target": request.url.raw_path.decode(), "headers": headers, "body": body})

    kind = sdk.Anthropic if VENDOR == "anthropic" else sdk.OpenAI
    http_client = sdk.DefaultHttpxClient(event_hooks={"request": [note]})
    return kind(
        base_url=call["base_url"], api_key=call["key"], http_client=http_client, **call.get("options", {})
    )


def whole(client: Any, args: dict[str, Any]) -> Any:
    if VENDOR == "openai":
        api = client.chat.completions
    else:
        api = client.beta.messages if "betas" in args else client.messages
    raw = api.with_raw_response.create(**args)
    return {"answer": raw.parse().model_dump(mode="json"), "headers": dict(raw.headers)}


def streamed(client: Any, args: dict[str, Any]) -> Any:
    if VENDOR == "anthropic":
        api = client.beta.messages if "betas" in args else client.messages
        with api.stream(**args) as stream:
            kinds = [event.type for event in stream]
            answer = stream.get_final_message().model_dump(mode="json")
            return {"answer": answer, "kinds": kinds, "headers": dict(stream.response.headers)}
    with client.chat.completions.create(stream=True, **args) as stream:
        chunks = [chunk.model_dump(mode="json") for chunk in stream]
        return {"chunks": chunks, "headers": dict(stream.response.headers)}


def cancelled(client: Any, args: dict[str, Any]) -> Any:
    """Reads a stream to its first word and hangs up."""
    api = client.messages if VENDOR == "anthropic" else client.chat.completions
    word = ""
    with api.create(stream=True, **args) as stream:
        for event in stream:
            if VENDOR == "anthropic" and event.type == "content_block_delta":
                word = event.delta.text
            elif VENDOR == "openai" and event.choices:
                word = event.choices[0].delta.content or ""
            if word:
                break
        headers = dict(stream.response.headers)
    return {"word": word, "headers": headers}


def counted(client: Any, args: dict[str, Any]) -> Any:
    return {"input_tokens": client.messages.count_tokens(**args).input_tokens}


def listed(client: Any, args: dict[str, Any]) -> Any:
    found = client.models.retrieve(args["model"])
    return {"models": [model.id for model in client.models.list()], "found": found.id}


DEEDS = {"create": whole, "stream": streamed, "cancel": cancelled, "count": counted, "models": listed}


def told(error: Any) -> dict[str, Any]:
    return {
        "classes": [cls.__name__ for cls in type(error).__mro__],
        "status": getattr(error, "status_code", None),
        "body": getattr(error, "body", None),
        "message": str(error),
        "headers": dict(error.response.headers) if hasattr(error, "response") else {},
    }


def main() -> None:
    print(json.dumps({"version": sdk.__version__}), flush=True)
    for line in sys.stdin:
        call = json.loads(line)
        sent: list[Any] = []
        try:
            with connect(call, sent) as client:
                result = DEEDS[call["deed"]](client, call["args"])
        except sdk.APIError as error:
            result = {"error": told(error)}
        print(json.dumps({**result, "sent": sent}), flush=True)


main()
