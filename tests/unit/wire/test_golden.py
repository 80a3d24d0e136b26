"""A corpus of answers as providers send them: what each must be metered as, and what it costs, worked out by hand.

One file an answer, in tests/recorded/golden/<wire>/<nn>-<what>.toml:

    wire, provider, model         who answered, and the model's id there
    request, path_model, query    what was asked: the JSON text, the model of a path, the query
    request_headers, path_streams what else says what is asked
    form, files, upload_bytes, media_ms    or an upload: fields by name, sizes of files by field, playing time
    record                        of a job that the answer began: what it says of its end
    status, headers, answer       what came back; with `line_ends = "crlf"` its lines end so
    outcome                       exact (left out), estimate, nothing
    at                            the day it was asked, where prices changed
    usage                         every quantity that is not zero, in the units of the price list, and any other field
                                  worth naming
    cost_micros                   without markup, its derivation in a comment

Each answer is fed whole, byte by byte and in random pieces: nothing may differ, and no byte may be lost.
"""

import random
import tomllib
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from qlaud.core.pricing import RateCard
from qlaud.core.usage import QUANTITIES, AtLeast, Begun, Exact, Metered, Nothing, Usage
from qlaud.providers.pricebook import Prices
from qlaud.wire.form import FilePart, Form
from qlaud.wire.jobs import Ended
from qlaud.wire.shelf import JOBS, WIRES
from qlaud.wire.types import AnswerHead, Asked, ModelCall

GOLDEN = Path(__file__).parents[2] / "recorded" / "golden"
KINDS: dict[str, type[Metered]] = {"exact": Exact, "estimate": AtLeast, "nothing": Nothing}
TOLD = ("vendor_cost_picos",)
"""Fields beside the quantities that must be named where they are not zero."""


class Sample(msgspec.Struct, forbid_unknown_fields=True):
    """One file."""

    wire: str
    provider: str
    answer: str
    model: str = ""
    request: str = ""
    path_model: str = ""
    query: str = ""
    request_headers: dict[str, str] = {}
    path_streams: bool = False
    form: dict[str, str] = {}
    files: dict[str, int] = {}
    upload_bytes: int = 0
    media_ms: int | None = None
    status: int = 200
    headers: dict[str, str] = {}
    record: str = ""
    line_ends: str = "lf"
    outcome: str = "exact"
    at: str = "2026-11-21T12:00:00Z"
    usage: dict[str, int | str | dict[str, int]] = {}
    cost_micros: int | None = None

    @property
    def sent(self) -> bytes:
        """The answer, byte for byte."""
        return self.answer.replace("\n", "\r\n" if self.line_ends == "crlf" else "\n").encode()


def read(path: Path) -> Sample:
    return msgspec.convert(tomllib.loads(path.read_text()), Sample)


def call_of(sample: Sample) -> ModelCall:
    form = None
    if sample.form or sample.files:
        fields = {name: (value.encode(),) for name, value in sample.form.items()}
        files = tuple(FilePart(name, name, "", 0, size) for name, size in sample.files.items())
        form = Form(fields=fields, spans={}, files=files, boundary=b"b", closing=0)
    return WIRES[sample.wire].read_call(
        Asked(
            body=sample.request.encode(),
            model=sample.path_model,
            query=sample.query.encode(),
            headers=tuple((name.encode(), value.encode()) for name, value in sample.request_headers.items()),
            stream=sample.path_streams,
            form=form,
            upload_bytes=sample.upload_bytes,
            media_ms=sample.media_ms,
        )
    )


def metered(sample: Sample, edges: list[int]) -> Metered:
    answer = sample.sent
    headers = tuple((name.encode(), value.encode()) for name, value in sample.headers.items())
    call = call_of(sample)
    head = AnswerHead(sample.status, headers)
    tap = WIRES[sample.wire].tap(call, strip_usage=False, head=head)
    cuts = sorted({0, len(answer), *edges})
    relayed = b"".join(tap.feed(answer[start:end]) for start, end in pairwise(cuts)) + tap.finish()
    assert relayed == answer
    return tap.outcome(input_bound=call.demand.input_tokens)


SAMPLES = sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("*/*.toml"))


@pytest.mark.parametrize("name", SAMPLES)
def test_an_answer_is_metered_to_the_unit_however_it_is_cut(name: str, prices: Prices) -> None:
    sample = read(GOLDEN / name)
    assert name.startswith(f"{sample.wire}/")
    size = len(sample.sent)
    found = metered(sample, [])
    dice = random.Random(name)
    for edges in (list(range(size)), *([dice.randrange(size + 1) for _ in range(9)] for _ in range(5))):
        assert metered(sample, edges) == found
    if sample.record:
        assert isinstance(found, Begun)
        ended = JOBS[sample.wire].progress(sample.record.encode(), found.planned)
        assert isinstance(ended, Ended)
        found = ended.metered
    told = found.usage if isinstance(found, (Exact, AtLeast)) else Usage()
    card = card_of(sample, prices)
    usage = card.in_its_units(told) if card else told
    assert (type(found) if usage is told else AtLeast) is KINDS[sample.outcome]
    counted = {quantity: n for quantity in (*QUANTITIES, *TOLD) if (n := getattr(usage, quantity))}
    assert counted == {key: n for key, n in sample.usage.items() if key in (*QUANTITIES, *TOLD)}
    for key, value in sample.usage.items():
        assert getattr(usage, key) == value
    if sample.cost_micros is not None:
        assert card is not None, f"{sample.provider} {sample.model} has no price"
        assert card.charge(usage).provider_cost_micros == sample.cost_micros
        demand = call_of(sample).demand
        if (demand.max_output == 0 or sample.record) and not demand.unbounded_tool:
            assert sample.cost_micros <= card.worst(demand).micros(0)


def card_of(sample: Sample, prices: Prices) -> RateCard | None:
    at_ms = int(datetime.fromisoformat(sample.at).astimezone(UTC).timestamp() * 1000)
    return prices.book.card(sample.provider, sample.model, at_ms)
