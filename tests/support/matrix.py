"""Which cells of provider x modality x case have a passing test. Tests say it with a mark, a run writes it down.

    @pytest.mark.matrix(provider="google", modality="speech", case="stream", sdk="google-genai")

`sdk` is what people install, and is left out where a test speaks HTTP itself. The hooks below are those of a pytest
plug-in; `tests/conftest.py` takes them over. A run updates the tests it ran in `build/matrix.json`, and
`make providers-matrix` makes the page out of it.
"""

import json
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "build" / "matrix.json"
CASES = ("call", "stream", "tools", "error", "cap", "cancel")
MODALITIES: dict[str, tuple[str, ...]] = {
    "messages": ("text (messages)",),
    "openai_chat": ("text (chat)",),
    "openai_responses": ("text (responses)",),
    "gemini_generate": ("text (native)", "images", "speech"),
    "qwen_generation": ("text (native)", "images", "speech"),
    "minimax_chat": ("text (native)",),
    "mistral_fim": ("text (completion)",),
    "deepgram_read": ("text (analysis)",),
    "openai_embeddings": ("embeddings",),
    "gemini_interactions": ("text (interactions)",),
    "gemini_embed": ("embeddings",),
    **dict.fromkeys(
        ("openai_images", "openai_image_edits", "qwen_image_tasks", "minimax_image"), ("images",)
    ),
    "qwen_image": ("images",),
    **dict.fromkeys(("openai_speech", "elevenlabs_speech", "deepgram_speak", "cartesia_speech"), ("speech",)),
    **dict.fromkeys(("mistral_speech", "minimax_speech", "qwen_speech", "xai_speech"), ("speech",)),
    **dict.fromkeys(("openai_transcription", "openai_translation"), ("transcription",)),
    **dict.fromkeys(("elevenlabs_transcription", "deepgram_listen"), ("transcription",)),
    **dict.fromkeys(("mistral_transcription", "xai_transcription"), ("transcription",)),
    **dict.fromkeys(("openai_video", "xai_video", "qwen_video", "minimax_video", "gemini_video"), ("video",)),
    "anthropic_batches": ("batches",),
    "mistral_ocr": ("ocr",),
    "minimax_music": ("music",),
    "elevenlabs_music": ("music",),
    "elevenlabs_credits": ("sound effects",),
    "elevenlabs_voice_changer": ("voice changing",),
    "elevenlabs_isolation": ("voice isolation",),
    "elevenlabs_voice_design": ("voice design",),
    **dict.fromkeys(("openai_realtime", "xai_realtime"), ("live conversation",)),
    "gemini_live": ("live conversation",),
    **dict.fromkeys(("deepgram_live_listen", "deepgram_live_flux"), ("live transcription",)),
    "elevenlabs_live_transcription": ("live transcription",),
    **dict.fromkeys(("deepgram_live_speak", "deepgram_live_speak_v2"), ("live speech",)),
    "elevenlabs_live_speech": ("live speech",),
}
"""What a wire is for. A wire that is not listed stands for itself, so that it is not forgotten."""
_ANSWER_ONLY = frozenset(("stream", "tools", "cancel"))
_SOUND = frozenset(("tools",))
NO_SUCH_CASE: dict[str, frozenset[str]] = {
    **dict.fromkeys(("embeddings", "images", "transcription", "ocr", "voice design"), _ANSWER_ONLY),
    "text (analysis)": _ANSWER_ONLY,
    **dict.fromkeys(("speech", "music", "sound effects", "voice changing", "voice isolation"), _SOUND),
    "text (completion)": _SOUND,
    **dict.fromkeys(("video", "batches"), frozenset(("stream", "tools"))),
    "live conversation": frozenset(("stream",)),
    **dict.fromkeys(("live transcription", "live speech"), frozenset(("stream", "tools"))),
}
"""What a modality does not have, as a rule. A live session is a stream."""
SUCH_A_CASE = frozenset(
    (
        ("openai", "images", "stream"),
        ("qwen", "images", "cancel"),  # as tasks
        ("openai", "transcription", "stream"),
        ("mistral", "transcription", "stream"),
    )
)
"""Who has it all the same."""
NO_SUCH_CASE_HERE = frozenset(
    (
        ("perplexity", "text (chat)", "tools"),
        ("elevenlabs", "sound effects", "stream"),
        ("elevenlabs", "voice design", "cap"),  # nothing bounds it, so keys with a cap may not make it at all
    )
)
"""Who has not what others have."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One claim of a test."""

    provider: str
    modality: str
    case: str
    sdk: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        return (self.provider, self.modality, self.case)


def has_case(provider: str, modality: str, case: str) -> bool:
    """Whether there is something to test."""
    place = (provider, modality, case)
    if case in NO_SUCH_CASE.get(modality, ()):
        return place in SUCH_A_CASE
    return place not in NO_SUCH_CASE_HERE


def cells_of(marks: Iterable[pytest.Mark]) -> list[Cell]:
    """What a test's marks claim. Raises ValueError for a claim that has no cell."""
    cells = [Cell(**mark.kwargs) for mark in marks if mark.name == "matrix"]
    for cell in cells:
        if cell.case not in CASES or not has_case(*cell.place):
            raise ValueError(f"the matrix has no cell for {cell}")
    return cells


def recorded() -> dict[str, dict[str, Any]]:
    """Every test that a run has written down: its cells and whether it passed."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def earned(before: Iterable[Cell]) -> set[Cell]:
    """The cells that have a passing test and no failing one. What no recorded run touched is as it was `before`."""
    passed: set[Cell] = set()
    failed: set[Cell] = set()
    for test in recorded().values():
        (passed if test["passed"] else failed).update(Cell(**cell) for cell in test["cells"])
    return (passed | set(before)) - failed


# The plug-in's hooks.

_seen = pytest.StashKey[dict[str, dict[str, Any] | None]]()
"""How each marked test ended; None is one that was skipped."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, and begin a record."""
    config.addinivalue_line("markers", "matrix(provider, modality, case, sdk): a cell of docs/providers.md")
    config.stash[_seen] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note how a marked test ended. One that fails on setting up or clearing away has failed."""
    report = yield
    cells = cells_of(item.iter_markers("matrix"))
    if cells and (report.when == "call" or not report.passed):
        seen = item.config.stash[_seen]
        shown = [
            {"provider": cell.provider, "modality": cell.modality, "case": cell.case, "sdk": cell.sdk}
            for cell in cells
        ]
        seen[item.nodeid] = None if report.skipped else {"cells": shown, "passed": report.passed}
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Forget what is recorded of tests that are no longer there. When tests are only listed, print what they claim."""
    option = session.config.option
    if not (option.keyword or option.markexpr or any("::" in arg for arg in session.config.args)):
        here = {item.nodeid for item in session.items}
        files = {name.partition("::")[0] for name in here}
        gone = {test for test in recorded() if test.partition("::")[0] in files and test not in here}
        session.config.stash[_seen].update(dict.fromkeys(gone))
    if option.collectonly and option.verbose < -1:
        for item in session.items:
            for cell in cells_of(item.iter_markers("matrix")):
                print("matrix:", json.dumps([cell.provider, cell.modality, cell.case, cell.sdk]))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the run down. Only tests that ran are touched."""
    seen = session.config.stash[_seen]
    if seen and not session.config.option.collectonly:
        RECORD.parent.mkdir(exist_ok=True)
        kept = {test: outcome for test, outcome in {**recorded(), **seen}.items() if outcome is not None}
        RECORD.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
