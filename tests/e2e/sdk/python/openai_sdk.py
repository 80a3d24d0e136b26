"""OpenAI's SDK, of this generation and the one before, for OpenAI and for those who say to use it."""

import base64
import json
from typing import Any

import chat_lines
import lines
import openai


def connect(call: dict[str, Any]) -> Any:
    return openai.OpenAI(base_url=call["base_url"], api_key=call["key"], **call["options"])


def summed_up(answer: Any) -> dict[str, Any]:
    if answer.output is None:
        return {"shown": None, "tool": None}  # an error that came as an answer
    calls = [[one.name, json.loads(one.arguments)] for one in answer.output if one.type == "function_call"]
    return {"shown": answer.output_text, "tool": calls[0] if calls else None}


def responded(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return summed_up(client.responses.create(**args))


def responded_in_events(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.responses.stream(**args) as stream:
        kinds = [event.type for event in stream]
        return {**summed_up(stream.get_final_response()), "kinds": kinds}


def response_cancelled(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.responses.create(stream=True, **args) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                return {"shown": event.delta}
    raise AssertionError("a stream without a word")


def embedded(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": client.embeddings.create(**args).data[0].embedding}


def painted(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": lines.digest(base64.b64decode(client.images.generate(**args).data[0].b64_json))}


def painted_in_events(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.images.generate(stream=True, **args) as stream:
        events = list(stream)
    return {"shown": lines.digest(base64.b64decode(events[-1].b64_json)), "pieces": len(events)}


def edited(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    picture = ("picture.png", lines.bytes_of(args, "image"), "image/png")
    answer = client.images.edit(**{**args, "image": picture})
    return {"shown": lines.digest(base64.b64decode(answer.data[0].b64_json))}


def spoken(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": lines.digest(client.audio.speech.create(**args).content)}


def spoken_in_chunks(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.audio.speech.with_streaming_response.create(**args) as answer:
        return {"shown": lines.digest(answer.iter_bytes())}


def speech_cancelled(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.audio.speech.with_streaming_response.create(**args) as answer:
        return {"shown": len(next(answer.iter_bytes(1024)))}


def file_of(args: dict[str, Any]) -> dict[str, Any]:
    return {**args, "file": ("sound.wav", lines.bytes_of(args, "file"), "audio/wav")}


def transcribed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    answer = client.audio.transcriptions.create(**file_of(args))
    return {"shown": answer if isinstance(answer, str) else answer.text}


def transcribed_in_events(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.audio.transcriptions.create(stream=True, **file_of(args)) as stream:
        events = list(stream)
    return {"shown": "".join(one.delta for one in events if one.type == "transcript.text.delta")}


def translated(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": client.audio.translations.create(**file_of(args)).text}


def filmed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Begins a video, looks until it is done, and fetches it."""
    video = client.videos.create(**args)
    statuses = [video.status]
    while video.status not in ("completed", "failed") and len(statuses) < 50:
        video = client.videos.retrieve(video.id)
        statuses.append(video.status)
    if video.status == "failed":
        return {"shown": video.error.message}
    return {"shown": lines.digest(client.videos.download_content(video.id).content), "statuses": statuses}


def in_background(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Begins a response in the background and looks until it is done."""
    response = client.responses.create(**args)
    for _ in range(50):
        if response.status == "completed":
            break
        response = client.responses.retrieve(response.id)
    return {"shown": response.output_text}


def background_left(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Begins a response in the background and never asks for it."""
    return {"shown": client.responses.create(**args).status}


def film_left(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Begins a video and never asks for it."""
    return {"shown": client.videos.create(**args).status}


def conversed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """A question by socket, and what is answered."""
    words, kinds, tool = [], [], None
    content = [{"type": "input_text", "text": args["text"]}]
    with client.realtime.connect(model=args["model"]) as socket:
        kinds.append(socket.recv().type)
        socket.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        socket.response.create()
        for event in socket:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                words.append(event.delta)
            if event.type == "response.function_call_arguments.done":
                tool = [event.name, json.loads(event.arguments)]
            if event.type in args.get("until", ["response.done"]):
                break
    return {"shown": "".join(words), "kinds": kinds, "tool": tool}


def tell(error: Exception) -> dict[str, Any] | None:
    if isinstance(error, openai.APIError):
        return lines.told_by_stainless(error)
    return lines.told_of_a_socket(error)


lines.note_httpx()
lines.serve(
    openai.__version__,
    {
        **chat_lines.DEEDS,
        "respond": responded,
        "respond_stream": responded_in_events,
        "respond_cancel": response_cancelled,
        "embed": embedded,
        "image": painted,
        "image_stream": painted_in_events,
        "edit": edited,
        "speech": spoken,
        "speech_stream": spoken_in_chunks,
        "speech_cancel": speech_cancelled,
        "transcribe": transcribed,
        "transcribe_stream": transcribed_in_events,
        "translate": translated,
        "converse": conversed,
        "film": filmed,
        "film_left": film_left,
        "background": in_background,
        "background_left": background_left,
    },
    connect,
    tell,
)
