"""What the wires of transcription share: how much audio a request may bill.

The playing time of an upload is read before the call leaves. Audio at an address, and a file nobody can read, may
play as long as the deployment allows.
"""

from qlaud.core.errors import BadRequest
from qlaud.wire.form import Form
from qlaud.wire.media import raw_byte_rate
from qlaud.wire.types import Asked

LEAST_MS = 10_000
"""A transcription is held for ten seconds at least: some bill no less, others round up to whole seconds."""
MS_PER_S = 1000
BYTES_PER_MS = 4
"""32 kbit/s, what browsers record speech at: what a file nobody can read plays, by its size. For an estimate only."""

FILE_FIELDS = frozenset(("file", "audio"))
ADDRESS_FIELDS = frozenset(("url", "file_url", "file_id", "cloud_storage_url", "source_url"))
"""Where Groq, Mistral and ElevenLabs take audio from elsewhere."""

RAW_FIELDS = ("file_format", "audio_format")
"""Where a form may say that its file is nothing but samples, whatever stands at its beginning (ElevenLabs, xAI)."""
RAW_BYTES_PER_S = {"pcm_s16le_16": 32_000}
"""Of the one name that ElevenLabs has for raw sound (SDK 2.78.0)."""
USUAL_RATE = 8_000


def form_of(asked: Asked) -> Form:
    """The form. Raises BadRequest where the request is none."""
    if asked.form is None:
        raise BadRequest("send the audio as `multipart/form-data`, beside its fields")
    return asked.form


def measured_ms(asked: Asked) -> int | None:
    """What was sent plays, None where that is not known to be what the provider will hear.

    A form may name an address beside a short file, and a provider that does not know the file's field hears the other.
    """
    form = asked.form
    if form is not None:
        heard = len(form.files) == 1 and form.files[0].name in FILE_FIELDS
        if not heard or not form.fields.keys().isdisjoint(ADDRESS_FIELDS):
            return None
        if (bytes_per_s := _raw_rate(form)) is not None:
            return max(-(-form.files[0].size * MS_PER_S // bytes_per_s), asked.media_ms or 0)
    return asked.media_ms


def _raw_rate(form: Form) -> int | None:
    """Bytes a second of a file that is called raw, None of any other."""
    for name in RAW_FIELDS:
        kind = (form.text(name) or "").lower()
        rate = form.whole("sample_rate", least=1) or USUAL_RATE
        found = RAW_BYTES_PER_S.get(kind) or raw_byte_rate(kind, rate, form.whole("channels", least=1) or 1)
        if found is not None:
            return found
    return None


def held_ms(asked: Asked) -> int:
    """The most audio that may be billed, of one channel."""
    known_ms = measured_ms(asked)
    most_ms = asked.media_most_ms if known_ms is None else known_ms
    return max(-(-most_ms // MS_PER_S) * MS_PER_S, LEAST_MS)


def likely_ms(asked: Asked) -> int:
    """What one channel plays, for a provider that does not say: as measured, else as the size of the files allows."""
    known_ms = measured_ms(asked)
    if known_ms is not None:
        return known_ms
    files = asked.form.files if asked.form is not None else ()
    size = sum(file.size for file in files) or asked.upload_bytes
    return min(size // BYTES_PER_MS, asked.media_most_ms) if size else asked.media_most_ms
