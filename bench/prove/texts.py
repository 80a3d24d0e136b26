"""Prompts of every size and script, and the provider's own count of what it received.

The count never exceeds the UTF-8 bytes of the text, as with every byte-level tokenizer. Three mappings: a common
one, a dear one where every character of a foreign script is a token, and `dense`, where every byte is a token: the
worst a tokenizer can do, and the case in which a bound by bytes must still hold.
"""

import base64
import json
import re
import struct
from collections.abc import Mapping
from random import Random
from typing import Any

WORDS = (
    "the",
    "cap",
    "holds",
    "a",
    "budget",
    "of",
    "tokens",
    "every",
    "user",
    "meter",
    "stream",
    "until",
    "it",
)
PIECES: Mapping[str, tuple[str, ...]] = {
    "ascii": tuple(f"{word} " for word in WORDS),
    "code": (
        "def f(x):\n",
        "    return x + 1\n",
        '"usage":',
        "{\n",
        "}\n",
        "\\n",
        "/* */ ",
        "if (a == b) ",
        "\t",
    ),
    "cjk": ("预算", "上限", "每个", "用户", "東京", "計測", "한국", "어", "。"),
    "emoji": ("🙂", "🚀", "👩‍👩‍👧", "💸", "🇩🇪", "🔥"),
    "mixed": ("naïve ", "Ünïcödé ", "жük ", "עברית ", "ไทย", "\U0001d54f", "z\u0337a\u0337 ", "plain "),
    "escapes": ('"', "\\", "\n", "\t", "\u0001", "/", "<", "\u2028"),
}
KINDS = tuple(PIECES)
COMMON = re.compile(r" ?[A-Za-z]{1,6}|\d{1,3}|[\u0080-\u07ff]{1,2}|[\U00010000-\U0010ffff]|[^\s]|\s{1,8}")
PICTURE = struct.Struct(">4sII")
MAGIC = b"PICT"
FRAME = 3
"""Tokens a provider wraps around one message."""
TOOL_PROMPT = 346


def make_text(dice: Random, kind: str, size: int) -> str:
    """A text of roughly `size` characters. Long ones repeat a block."""
    pieces = PIECES[kind]
    block = "".join(dice.choices(pieces, k=min(64, size // 2 + 1)))
    return (block * (size // max(1, len(block)) + 1))[:size]


def make_picture(dice: Random, size_bytes: int) -> str:
    """Base64 of something with a width and a height."""
    head = PICTURE.pack(MAGIC, dice.randint(1, 8000), dice.randint(1, 8000))
    return base64.b64encode(head + dice.randbytes(64) * (size_bytes // 64)).decode()


def count_text(text: str, mapping: str) -> int:
    """Tokens of a text: at most its bytes in UTF-8."""
    if mapping == "dense":
        return len(text.encode())
    common = len(COMMON.findall(text))
    if mapping == "common":
        return common
    return min(len(text.encode()), common + sum(1 for sign in text if sign > "\u07ff"))


def picture_tokens(wire: str, encoded: str) -> int:
    """Tokens of a picture by the provider's formula."""
    magic, width, height = PICTURE.unpack(base64.b64decode(encoded[:16])[: PICTURE.size])
    assert magic == MAGIC
    if wire == "anthropic":
        return min(4784, -(-width * height // 750)) + 16
    return min(10_000, -(-width // 32) * -(-height // 32)) * 246 // 100


def count_input(wire: str, body: Mapping[str, Any], mapping: str) -> int:
    """Every input token of a request body, as its provider counts them."""
    total = FRAME
    system = body.get("system")
    if system is not None:
        total += FRAME + _content(wire, system, mapping)
    for message in body["messages"]:
        total += FRAME + _content(wire, message["content"], mapping)
    if "tools" in body:
        schemas = json.dumps(body["tools"], separators=(",", ":"), ensure_ascii=False)
        total += TOOL_PROMPT + count_text(schemas, mapping)
    return total


def _content(wire: str, content: Any, mapping: str) -> int:
    if isinstance(content, str):
        return count_text(content, mapping)
    total = 0
    for block in content:
        if block["type"] == "text":
            total += count_text(block["text"], mapping)
        elif block["type"] == "image":
            total += picture_tokens(wire, block["source"]["data"])
        else:
            total += picture_tokens(wire, block["image_url"]["url"].partition(",")[2])
    return total
