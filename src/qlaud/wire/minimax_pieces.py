"""MiniMax's `POST /v1/music_generation` and `/v1/image_generation`: billed by the piece. See `types.Wire`.

Facts (the vendor's pages, seen 2026-11): a song costs the same whatever its length, and may come as events; of `n`
pictures asked for, `metadata.success_count` were made and are billed. An error comes with status 200 and a
`base_resp.status_code` that is not 0, and then nothing is billed.
"""

from dataclasses import dataclass

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.body import read_body, read_flag, read_text, read_whole
from qlaud.wire.counts import Fields, count, is_well, last_object, nested, number, read_fields
from qlaud.wire.taps import BodyTap, tap_for
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, ModelCall, Tap
from qlaud.wire.unit_wire import UnitReading, UnitWire, unit_call

MOST_PICTURES = 9


@dataclass(frozen=True, slots=True)
class MiniMaxMusicWire(UnitWire):
    """A song."""

    error_shape: str = "minimax"

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be composed, by which model. Raises InvalidJson or BadRequest."""
        members = read_body(asked.body)
        model = read_text(members, "model") or asked.model
        return unit_call(model, {"calls": 1}, Usage(calls=1), stream=read_flag(members, "stream"))

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """Events and JSON are read for whether there was a song."""
        return tap_for(MusicReading(call), call, strip_usage=False, head=head)


@dataclass(frozen=True, slots=True)
class MiniMaxImageWire(UnitWire):
    """Pictures."""

    error_shape: str = "minimax"

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be painted, by which model. Raises InvalidJson or BadRequest."""
        members = read_body(asked.body)
        pictures = read_whole(members, "n", least=1, most=MOST_PICTURES) or 1
        model = read_text(members, "model") or asked.model
        return unit_call(model, {"images": pictures}, Usage(images=pictures))

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """The answer says how many there are."""
        return BodyTap(ImagesReading(call))


class MusicReading(UnitReading):
    """A song, in one piece or in events."""

    def __init__(self, call: ModelCall) -> None:
        super().__init__(call)
        self.started = False

    def plain(self, events: bytes) -> bool:
        """Sound, unless it is the last of it or an error."""
        if events.rfind(b'"extra_info"') >= 0 or not is_well(events):
            return False
        self.started = self.started or b'"audio"' in events
        return True

    def event(self, text: bytes) -> bool:
        """The last piece of sound says how long it was."""
        fields = read_fields(text)
        if fields is not None:
            self._fold(fields)
        return False

    def tail(self, text: bytes, relayed: int) -> None:
        """A piece of sound too large to keep."""
        self._fold({"data": {"audio": True}, **_ends(text)})

    def body(self, text: bytes, size: int) -> None:
        answer = read_fields(text) if size == len(text) else None
        if answer is None:
            answer = {"data": {"audio": bool(text.strip())}, **_ends(text)}
        self._fold(answer)

    def outcome(self, *, input_bound: int) -> Metered:
        if self.complete:
            return Exact(self.expected)
        return AtLeast(self.expected) if self.started else Nothing()

    def _fold(self, fields: Fields) -> None:
        if number(nested(fields, "base_resp"), "status_code"):
            return
        self.started = self.started or bool(nested(fields, "data").get("audio"))
        self.complete = self.complete or (self.started and bool(fields.get("extra_info")))


class ImagesReading(UnitReading):
    """Pictures: by address, or as base64."""

    def __init__(self, call: ModelCall) -> None:
        super().__init__(call)
        self._made: int | None = None

    def body(self, text: bytes, size: int) -> None:
        answer = read_fields(text) if size == len(text) else None
        if answer is None:
            answer = _ends(text)
        failed = number(nested(answer, "base_resp"), "status_code") != 0
        self.work_seen = bool(text.strip()) and not failed
        self._made = 0 if failed else count(nested(answer, "metadata").get("success_count"))
        self.complete = self._made is not None

    def outcome(self, *, input_bound: int) -> Metered:
        if self._made:
            return Exact(Usage(images=self._made))
        return AtLeast(self.expected) if self.work_seen and self._made is None else Nothing()


def _ends(text: bytes) -> Fields:
    """What stands at the end of an answer too large to keep."""
    names = ("base_resp", "extra_info", "metadata")
    return {name: found for name in names if (found := last_object(text, name))}
