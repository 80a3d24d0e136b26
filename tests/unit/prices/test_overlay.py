"""Price files: what they may say, and what is said when they are wrong."""

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from qlaud.core.price_book import PriceBook
from qlaud.core.rates import Rate
from qlaud.core.usage import Usage
from qlaud.providers.price_compile import compile_sheet, price_files
from qlaud.providers.price_lines import read_overlay
from qlaud.providers.pricebook import prices_of
from qlaud.providers.toml_files import BadFile

HEAD = 'provider = "acme"\nreleased = 2026-01-02\n'
MODEL = HEAD + '[[model]]\nid = "m"\nsource = "s"\nverified = 2026-01-01\n'
PRICE = MODEL + '[[model.prices]]\nrates = { input_tokens = "2/M", output_tokens = "10/M", calls = "5/1k" }\n'
CHANGE = PRICE + '[[change]]\nmodels = ["m"]\nsource = "s"\nverified = 2026-01-01\nwhy = "w"\n'


def at(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000


def book(folder: Path, *texts: str) -> PriceBook:
    for number, text in enumerate(texts):
        (folder / f"{number}.toml").write_text(text)
    files = [folder / f"{number}.toml" for number in range(len(texts))]
    return prices_of(compile_sheet(files, known={})).book


def micros(book: PriceBook, usage: Usage, day: str = "2026-06-01", model: str = "m") -> int:
    card = book.card("acme", model, at(day))
    assert card is not None
    return card.charge(usage).cost_micros


@pytest.mark.parametrize(
    ("quantity", "text", "rate"),
    [
        ("input_tokens", "3/M", Rate(3_000_000)),
        ("input_tokens", "0.0125/M", Rate(12_500)),
        ("web_searches", "10/1k", Rate(10_000_000_000)),
        ("images", "0.04/1", Rate(40_000_000_000)),
        ("audio_ms", "0.0043/min", Rate(215_000, 3)),
        ("audio_ms", "0.27/h", Rate(75_000)),
        ("video_ms", "0.10/s", Rate(100_000_000)),
        ("characters", "15/M", Rate(15_000_000)),
        ("pages", "1/1k", Rate(1_000_000_000)),
    ],
)
def test_rates_are_read_exactly(tmp_path: Path, quantity: str, text: str, rate: Rate) -> None:
    made = book(tmp_path, MODEL + f'[[model.prices]]\nrates = {{ {quantity} = "{text}" }}\n')
    card = made.card("acme", "m", 0)
    assert card is not None
    assert card.rate(quantity) == rate
    assert rate.exact == Fraction(rate.picos, rate.per)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("provider = 3\nreleased = 2026-01-02\n", "provider: expected text in quotes"),
        (HEAD + "colour = 3\n", "colour: is no key of this file"),
        ('provider = "acme"\n', "released: is missing"),
        (HEAD + 'released = "x"\n', "Cannot overwrite a value"),
        (MODEL, "prices"),
        (MODEL + '[[model.prices]]\nrates = { tokens = "1/M" }\n', "unknown quantity tokens"),
        (
            MODEL + '[[model.prices]]\nrates = { input_tokens = "1" }\n',
            'rates.input_tokens: "1" is not a rate',
        ),
        (MODEL + '[[model.prices]]\nrates = { input_tokens = "-1/M" }\n', "is not a rate"),
        (MODEL + '[[model.prices]]\nrates = { input_tokens = "1/min" }\n', "is not a rate"),
        (MODEL + '[[model.prices]]\nrates = { audio_ms = "1/M" }\n', "is not a rate"),
        (
            MODEL + '[[model.prices]]\nrates = { audio_ms = "2 x input_tokens" }\n',
            "relative to a rate that is not there",
        ),
        (PRICE + 'bands = [{ input = "2", output = "2" }]\n', "either `above`"),
        (PRICE + 'lines = [{ tokens = "2" }]\n', "exactly one of `tier`"),
        (PRICE + 'lines = [{ tokens = "2", tier = "a", geo = "b" }]\n', "exactly one of `tier`"),
        (PRICE + 'lines = [{ tokens = "two", tier = "a" }]\n', "two"),
        (HEAD + 'implicit_writes = ["9m"]\n', "implicit_writes"),
        (HEAD + "least = { seconds = 10 }\n", "least: seconds = 10"),
        (HEAD + "least = { audio_ms = 0 }\n", "least: audio_ms = 0"),
        (PRICE + 'lines = [{ grade = "a", rates = { images = "1" } }]\n', 'rates.images: "1" is not a rate'),
        (PRICE + 'hours = "peak"\n', "m: unknown hours peak"),
        (HEAD + '[hours.peak]\nwindows = ["1:00-2:00"]\n', '"1:00-2:00" is not a window'),
        (HEAD + '[hours.peak]\nwindows = ["02:00-01:00"]\n', "hours: at least one window"),
        (HEAD + '[hours.peak]\nwindows = ["00:00-01:00"]\ndays = ["Mon"]\n', "unknown days ['Mon']"),
        (HEAD + '[seed]\nprovider = "openai"\nverified = 2026-01-01\nonly = "("\n', "unterminated"),
        (
            PRICE + "addons = [" + ",".join(f'{{ grade = "a{n}", rates = {{}} }}' for n in range(7)) + "]\n",
            "addons: at most 6",
        ),
        (HEAD + '[seed]\nprovider = "nobody"\nverified = 2026-01-01\n', "seed.provider"),
        (CHANGE.replace('models = ["m"]', 'models = ["other"]'), "change 1: models: no model other at acme"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadFile) as caught:
        book(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "0.toml"))
    assert complaint in str(caught.value)


def test_bands_and_lines_multiply_tokens_but_not_fees(tmp_path: Path) -> None:
    made = book(
        tmp_path,
        HEAD
        + '[terms.tier]\nnames = { "" = "", fast = "fast" }\nreach = { "" = [""] }\n'
        + PRICE.removeprefix(HEAD)
        + 'bands = [{ at = 200, input = "2", output = "1.5" }]\nlines = [{ tier = "fast", tokens = "3" }]\n',
    )
    assert micros(made, Usage(input_tokens=199, output_tokens=1, calls=1)) == 398 + 10 + 5000
    assert micros(made, Usage(input_tokens=200, output_tokens=1, calls=1)) == 800 + 15 + 5000
    assert micros(made, Usage(input_tokens=200, output_tokens=1, calls=1, tier="fast")) == 2400 + 45 + 5000


def test_a_line_may_state_rates_of_its_own(tmp_path: Path) -> None:
    made = book(
        tmp_path,
        MODEL
        + '[[model.prices]]\nrates = { images = "0.02/1", images_in = "0.002/1", input_tokens = "1/M" }\nlines = [\n'
        '  { grade = "high", rates = { images = "0.05/1" } },\n'
        '  { tier = "batch", tokens = "0.5", rates = { images = "0.8 x images" } },\n]\n',
    )
    usage = Usage(images=1, images_in=1, input_tokens=1000)
    card = made.card("acme", "m", 0)
    assert card is not None
    micros = {key: card.lines[key][0].cost(usage) for key in card.lines}
    assert micros == {
        ("", "", "", ""): 23_000_000_000,
        ("", "", "", "high"): 53_000_000_000,
        ("batch", "", "", ""): 18_500_000_000,
        ("batch", "", "", "high"): 42_500_000_000,
    }


def test_what_comes_on_top_is_added_in_every_combination(tmp_path: Path) -> None:
    made = book(
        tmp_path,
        MODEL + '[[model.prices]]\nrates = { audio_ms = "0.006/min" }\n'
        'lines = [{ grade = "live", rates = { audio_ms = "0.01/min" } }]\n'
        'addons = [{ grade = "redact", rates = { audio_ms = "0.002/min", calls = "1/1k" } },'
        ' { grade = "diarize", rates = { audio_ms = "0.001/min" } }]\n',
    )
    card = made.card("acme", "m", 0)
    assert card is not None
    minute = {key[3]: bands[0].cost(Usage(audio_ms=60_000)) for key, bands in card.lines.items()}
    per = {key[3]: bands[0].per for key, bands in card.lines.items()}
    assert {grade: (cost or 0) // per[grade] for grade, cost in minute.items()} == {
        "": 6_000_000_000,
        "diarize": 7_000_000_000,
        "redact": 8_000_000_000,
        "diarize+redact": 9_000_000_000,
        "live": 10_000_000_000,
        "live+diarize": 11_000_000_000,
        "live+redact": 12_000_000_000,
        "live+diarize+redact": 13_000_000_000,
    }
    assert card.lines["", "", "", "redact"][0].rates["calls"] == Rate(1_000_000_000)
    assert "calls" not in card.lines["", "", "", "diarize"][0].rates


HOURS = (
    '[hours.peak]\nwindows = ["01:00-04:00", "06:00-10:00"]\ndays = ["mon", "tue", "wed", "thu", "fri"]\n'
    "not_on = [2026-06-02]\n"
)


def test_prices_follow_their_hours_and_a_newer_one_ends_them(tmp_path: Path) -> None:
    made = book(
        tmp_path,
        HEAD + HOURS + PRICE.removeprefix(HEAD) + '[[model.prices]]\nfrom = 2026-05-01\nhours = "peak"\n'
        'rates = { input_tokens = "4/M" }\n[[model.prices]]\nfrom = 2026-05-01\nrates = { input_tokens = "3/M" }\n'
        '[[model.prices]]\nfrom = 2026-07-01\nrates = { input_tokens = "1/M" }\n'
        '[[change]]\nmodels = ["m"]\nsource = "s"\nverified = 2026-01-01\nwhy = "w"\nrates = { pages = "1/1k" }\n',
    )
    moments = (
        "2026-04-29T02:00",
        "2026-06-01T02:00",
        "2026-06-01T05:00",
        "2026-06-02T02:00",
        "2026-06-06T02:00",
        "2026-07-01T02:00",
    )
    usage = Usage(input_tokens=1000, pages=1)
    assert [micros(made, usage, day) for day in moments] == [3000, 5000, 4000, 4000, 4000, 2000]


def test_prices_follow_their_days(tmp_path: Path) -> None:
    made = book(
        tmp_path,
        PRICE + '[[model.prices]]\nfrom = 2026-05-01\nrates = { input_tokens = "4/M" }\n'
        '[[change]]\nmodels = ["*"]\nsource = "s"\nverified = 2026-01-01\nwhy = "sale"\n'
        'rates = { input_tokens = "0.5 x input_tokens" }\nfrom = 2026-07-01\nuntil = 2026-08-01\n',
    )
    usage = Usage(input_tokens=1000)
    days = ("2026-04-30", "2026-05-01", "2026-06-30", "2026-07-01", "2026-07-31", "2026-08-01")
    assert [micros(made, usage, day) for day in days] == [2000, 4000, 4000, 2000, 2000, 4000]


def test_a_change_can_leave_stated_rates_alone(tmp_path: Path) -> None:
    made = book(tmp_path, CHANGE + 'rates = { input_tokens = "9/M", pages = "1/1k" }\nonly_missing = true\n')
    assert micros(made, Usage(input_tokens=1000, pages=1)) == 2000 + 1000


def test_an_operators_file_wins_over_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'provider = "openai"\nreleased = 2026-12-24\n'
        '[terms.tier]\nnames = { "" = "", priority = "priority" }\nreach = { "" = ["priority"] }\n'
        '[[model]]\nid = "gpt-6-sol"\nsource = "our contract"\nverified = 2026-12-24\n'
        '[[model.prices]]\nrates = { input_tokens = "1/M", output_tokens = "2/M" }\n'
        '[[change]]\nmodels = ["gpt-6-luna"]\nsource = "our contract"\nverified = 2026-12-24\nwhy = "discount"\n'
        'rates = { input_tokens = "0.05/M" }\n'
    )
    made = prices_of(compile_sheet(price_files(tmp_path), known={})).book
    sol, luna = (
        made.card("openai", "gpt-6-sol", at("2026-11-21")),
        made.card("openai", "gpt-6-luna", at("2026-11-21")),
    )
    assert sol is not None
    assert luna is not None
    assert (sol.rate("input_tokens"), luna.rate("input_tokens")) == (Rate(1_000_000), Rate(50_000))
    assert sol.source == "our contract"
    assert sol.terms.tier.reach == {"": ("priority",)}
    assert made.version.startswith("2026-12-24.")


def test_the_version_tells_two_books_apart(tmp_path: Path) -> None:
    first = book(tmp_path, PRICE).version
    assert first == book(tmp_path, PRICE + "# a comment\n").version
    assert first != book(tmp_path, PRICE.replace('"2/M"', '"3/M"')).version


def test_every_shipped_file_is_read_and_says_something() -> None:
    overlays = [read_overlay(file) for file in price_files(None)]
    assert len(overlays) >= 3
    assert all(overlay.provider for overlay in overlays)
