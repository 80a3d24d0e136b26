"""Paths as patterns."""

import pytest

from qlaud.core.paths import PathPattern


@pytest.mark.parametrize(
    ("pattern", "path", "values"),
    [
        ("/v1/speech/{voice}", "/v1/speech/v-1", {"voice": "v-1"}),
        ("/v1/speech/{voice}", "/v1/speech/a/b", None),
        ("/v1/speech/{voice}", "/v1/speech/", None),
        ("/v1/models/{model}:generate", "/v1/models/google/gemini-3:generate", {"model": "google/gemini-3"}),
        ("/v1/models/{model}:generate", "/v1/models/org/m:free:generate", {"model": "org/m:free"}),
        ("/v1/models/{model}:generate", "/v1/models/m:count", None),
        ("/v1/models/{name}", "/v1/models/m-1.5", {"name": "m-1.5"}),
        ("/v1/models/{name}", "/v1/models/m:count", None),
        ("/v1/models/{name}", "/v1/models/m/operations/o", None),
        ("/v1/a.b", "/v1/aXb", None),
    ],
)
def test_a_path_matches_whole(pattern: str, path: str, values: dict[str, str] | None) -> None:
    assert PathPattern(pattern).match(path) == values


def test_only_the_named_part_of_a_raw_path_is_replaced() -> None:
    pattern = PathPattern("/v1/models/{model}:generate")
    assert pattern.replaced(b"/v1/models/a%20b:generate", "model", b"c") == b"/v1/models/c:generate"
    assert pattern.replaced(b"/elsewhere", "model", b"c") == b"/elsewhere"


def test_a_pattern_is_filled_with_values() -> None:
    assert PathPattern("/v1/jobs/{job}").filled({"job": "j-1"}) == "/v1/jobs/j-1"
    assert PathPattern("/v1/jobs/{job}").names == {"job"}
    assert PathPattern("/v1/jobs").is_fixed


@pytest.mark.parametrize("text", ["v1", "/{a}/{a}", "/{A}", "/{a"])
def test_a_pattern_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"path|placeholder"):
        PathPattern(text)
