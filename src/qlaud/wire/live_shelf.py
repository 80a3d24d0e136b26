"""Every live wire by its name in the providers' files. A new one is a meter and a line here."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from qlaud.core.errors import QlaudError
from qlaud.wire.gemini_names import check_query
from qlaud.wire.live import Frame, LiveTerms, Meter
from qlaud.wire.live_deepgram import ListenMeter, SpeakMeter
from qlaud.wire.live_elevenlabs import SpeechMeter, TranscriptionMeter, secrets_in, without_secrets
from qlaud.wire.live_gemini import GeminiLiveMeter
from qlaud.wire.live_gemini_setup import model_in, with_model
from qlaud.wire.live_openai import RealtimeMeter
from qlaud.wire.live_partings import (
    deepgram_parting,
    elevenlabs_parting,
    elevenlabs_transcription_parting,
    gemini_parting,
    openai_parting,
)
from qlaud.wire.live_time import TimeMeter


class LiveWire(Struct, frozen=True):
    """One kind of socket."""

    error_shape: str
    """Of a handshake that is refused (`errors.SHAPES`)."""
    meter: Callable[[bytes, LiveTerms], Meter]
    """A meter for one session, from its query."""
    parting: Callable[[QlaudError, str], Frame | None]
    """The last message of a session the gateway ends, from the error and the request's id; None where a close frame
    says it all."""
    model_parameter: str = "model"
    """Where the query names the model; empty where no address does."""
    model_in: Callable[[Frame], str] | None = None
    """Then: finds the model in the first frame, for which the handshake is accepted. Raises BadRequest without one."""
    with_model: Callable[[Frame, str], Frame] | None = None
    """Then: puts another model's name there."""
    check_query: Callable[[bytes], None] | None = None
    """Raises UnsupportedField for a query under which the frames could not be read."""
    not_metered: tuple[str, ...] = ()
    """Parameters of the query whose cost nobody can tell."""
    secrets_in: Callable[[Frame], tuple[str, ...]] | None = None
    """Finds the credentials in a frame, where a first frame may carry them."""
    cleaned: Callable[[Frame], Frame] | None = None
    """Takes them out."""


LIVE_WIRES: Mapping[str, LiveWire] = {
    "openai_realtime": LiveWire(
        "openai", lambda _, terms: RealtimeMeter(terms), openai_parting, not_metered=("call_id",)
    ),
    "xai_realtime": LiveWire("openai", lambda _, terms: TimeMeter(terms, "xai"), openai_parting),
    "deepgram_live_listen": LiveWire("deepgram", ListenMeter, deepgram_parting),
    "deepgram_live_flux": LiveWire(
        "deepgram", lambda query, terms: ListenMeter(query, terms, flux=True), deepgram_parting
    ),
    "deepgram_live_speak": LiveWire("deepgram", SpeakMeter, deepgram_parting),
    "deepgram_live_speak_v2": LiveWire(
        "deepgram", lambda query, terms: SpeakMeter(query, terms, tells=True), deepgram_parting
    ),
    "elevenlabs_live_speech": LiveWire(
        "elevenlabs",
        SpeechMeter,
        elevenlabs_parting,
        "model_id",
        secrets_in=secrets_in,
        cleaned=without_secrets,
    ),
    "elevenlabs_live_transcription": LiveWire(
        "elevenlabs",
        TranscriptionMeter,
        elevenlabs_transcription_parting,
        "model_id",
        not_metered=("transcript_edit",),
    ),
    "gemini_live": LiveWire(
        "google",
        GeminiLiveMeter,
        gemini_parting,
        "",
        model_in=model_in,
        with_model=with_model,
        check_query=check_query,
    ),
}
