"""Every wire format by its name in the providers' files. A new format is a module and a line here."""

from collections.abc import Callable, Mapping

from qlaud.wire.anthropic import AnthropicWire
from qlaud.wire.anthropic_batches import ANTHROPIC_BATCHES
from qlaud.wire.deepgram import DeepgramListenWire, DeepgramReadWire
from qlaud.wire.elevenlabs import ElevenLabsCreditsWire, ElevenLabsTranscriptionWire
from qlaud.wire.gemini import GeminiWire
from qlaud.wire.gemini_count import GeminiCountWire
from qlaud.wire.gemini_embed import GeminiEmbedWire
from qlaud.wire.gemini_video import GEMINI_VIDEO
from qlaud.wire.interactions import InteractionsWire
from qlaud.wire.jobs import JobRule
from qlaud.wire.minimax_chat import MiniMaxChatWire
from qlaud.wire.minimax_pieces import MiniMaxImageWire, MiniMaxMusicWire
from qlaud.wire.minimax_speech import MiniMaxSpeechWire
from qlaud.wire.minimax_video import MINIMAX_VIDEO
from qlaud.wire.mistral_ocr import MistralOcrWire
from qlaud.wire.openai_chat import OpenAIChatWire
from qlaud.wire.openai_embeddings import OpenAIEmbeddingsWire
from qlaud.wire.openai_images import OpenAIImagesWire
from qlaud.wire.openai_responses import OpenAIResponsesWire
from qlaud.wire.openai_speech import OpenAISpeechWire
from qlaud.wire.openai_transcription import TranscriptionWire
from qlaud.wire.openai_video import OPENAI_VIDEO
from qlaud.wire.qwen_native import QwenGenerationWire, QwenSpeechWire
from qlaud.wire.qwen_tasks import QWEN_IMAGE_TASKS, QWEN_VIDEO
from qlaud.wire.responses_jobs import RESPONSE_JOBS, kept_id
from qlaud.wire.speech import DeepgramSpeakWire, ElevenLabsSpeechWire, SpeechWire
from qlaud.wire.types import Tap, Wire
from qlaud.wire.videos import VideoWire
from qlaud.wire.xai_video import XAI_VIDEO

WIRES: Mapping[str, Wire] = {
    "messages": AnthropicWire(),
    "count_tokens": AnthropicWire(),
    "anthropic_batches": ANTHROPIC_BATCHES,
    "openai_chat": OpenAIChatWire(),
    "gemini_generate": GeminiWire(),
    "gemini_embed": GeminiEmbedWire(),
    "gemini_count": GeminiCountWire(),
    "gemini_interactions": InteractionsWire(),
    "gemini_video": GEMINI_VIDEO,
    "openai_video": OPENAI_VIDEO,
    "xai_video": XAI_VIDEO,
    "qwen_video": QWEN_VIDEO,
    "qwen_image_tasks": QWEN_IMAGE_TASKS,
    "minimax_video": MINIMAX_VIDEO,
    "minimax_chat": MiniMaxChatWire(),
    "mistral_fim": OpenAIChatWire(),
    "openai_responses": OpenAIResponsesWire(),
    "openai_embeddings": OpenAIEmbeddingsWire(),
    "openai_images": OpenAIImagesWire(),
    "openai_image_edits": OpenAIImagesWire(takes_form=True),
    "openai_speech": OpenAISpeechWire(),
    "openai_transcription": TranscriptionWire(),
    "openai_translation": TranscriptionWire(),
    "elevenlabs_speech": ElevenLabsSpeechWire(),
    "elevenlabs_transcription": ElevenLabsTranscriptionWire(),
    "elevenlabs_credits": ElevenLabsCreditsWire(stated_in=frozenset(("duration_seconds",))),
    "elevenlabs_isolation": ElevenLabsCreditsWire(),
    "elevenlabs_music": ElevenLabsCreditsWire(stated_in=frozenset(("music_length_ms", "composition_plan"))),
    "elevenlabs_voice_changer": ElevenLabsCreditsWire(),
    "elevenlabs_voice_design": ElevenLabsCreditsWire(),
    "deepgram_listen": DeepgramListenWire(),
    "deepgram_speak": DeepgramSpeakWire(),
    "deepgram_read": DeepgramReadWire(),
    "cartesia_speech": SpeechWire(model_field="model_id", text_field="transcript"),
    "mistral_speech": SpeechWire(text_field="input", stream_field="stream"),
    "mistral_ocr": MistralOcrWire(),
    "minimax_speech": MiniMaxSpeechWire(),
    "minimax_music": MiniMaxMusicWire(),
    "minimax_image": MiniMaxImageWire(),
    "qwen_generation": QwenGenerationWire(),
    "qwen_speech": QwenSpeechWire(),
    "qwen_image": QwenGenerationWire(),
    "xai_speech": SpeechWire(model_field=""),
    "xai_transcription": TranscriptionWire(model_field=""),
}

COMMON_PATHS: Mapping[str, tuple[str, str]] = {
    "/messages": ("messages", "messages"),
    "/chat/completions": ("openai_chat", "chat_completions"),
    "/responses": ("openai_responses", "responses"),
    "/embeddings": ("openai_embeddings", "embeddings"),
    "/images/generations": ("openai_images", "images"),
    "/images/edits": ("openai_image_edits", "images"),
    "/audio/speech": ("openai_speech", "audio_speech"),
    "/audio/transcriptions": ("openai_transcription", "audio_transcription"),
    "/audio/translations": ("openai_translation", "audio_transcription"),
}
"""The paths of model calls that every provider shares, below `/v1` (POST): wire and surface."""
VIDEOS: Mapping[str, VideoWire] = {
    "openai_video": OPENAI_VIDEO,
    "xai_video": XAI_VIDEO,
    "qwen_video": QWEN_VIDEO,
    "minimax_video": MINIMAX_VIDEO,
    "gemini_video": GEMINI_VIDEO,
}
"""Every wire that makes videos: the models of any of them can be called on the common paths."""

JOBS: Mapping[str, JobRule] = {
    "openai_responses": RESPONSE_JOBS,
    **VIDEOS,
    "qwen_image_tasks": QWEN_IMAGE_TASKS,
    "anthropic_batches": ANTHROPIC_BATCHES,
}
"""Every wire whose calls may begin jobs."""

KEEPERS: Mapping[str, Callable[[Tap], str]] = {"openai_responses": kept_id}
"""Wires whose answers providers keep, and how the id of one is found in its tap. Their paths are `jobs` too."""
