"""The table and the aims of the bench."""

from bench import report

RESULTS = {
    "direct": {"p50_ms": [0.5, 0.6, 0.5], "p99_ms": [1.0, 9.0, 1.0], "rps": [40000.0]},
    "nginx": {"contender_us_per_request": [25.0, 50.0, 25.0], "p50_ms": [0.7, 0.8, 0.7], "rps": [30000.0]},
    "qlaud": {
        "contender_us_per_request": [200.0, 300.0, 150.0],
        "database_us_per_request": [120.0, 130.0, 110.0],
        "contender_us_per_event": [4.5],
        "contender_us_per_fast_event": [4.1],
        "core_share": [0.974],
        "p50_ms": [1.7, 2.2, 1.9],
        "p99_ms": [5.0, 12.0, 6.0],
        "open_mb": [140.0],
    },
}


def _aims(growth_mb: float | None = None) -> dict[str, report.Aim]:
    return {aim.promise: aim for aim in report.aims(RESULTS, growth_mb=growth_mb, growth_limit_mb=4)}


def test_added_latency_is_less_the_base_of_the_same_round() -> None:
    assert report.added(RESULTS, "qlaud", "p99_ms") == 4.0


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert report.against(RESULTS, "qlaud", "contender_us_per_request") == 6


def test_an_aim_is_met_at_its_limit_and_missed_above() -> None:
    found = _aims()
    assert found["gateway CPU a request, times nginx"].verdict == "met"
    assert found["gateway CPU a streamed event at full speed, us"].verdict == "NOT met"


def test_an_aim_that_was_not_measured_is_neither_met_nor_missed() -> None:
    assert _aims()["memory growth over the soak, MB"].verdict == "not measured"
    assert _aims(4.1)["memory growth over the soak, MB"].verdict == "NOT met"
    assert _aims(-1.0)["memory growth over the soak, MB"].verdict == "met"


def test_aims_name_only_the_gateway() -> None:
    others = {name: RESULTS[name] for name in ("direct", "nginx")}
    assert {aim.verdict for aim in report.aims(others)} == {"not measured"}


def test_a_row_shows_ratios_beside_absolutes_and_a_dash_for_what_is_missing() -> None:
    head, direct, _, qlaud = report.rows(RESULTS, {"qlaud": "the gateway"})
    cells = dict(zip(head, qlaud, strict=True))
    assert cells["contender"] == "the gateway"
    assert cells["CPU us/req"] == "200 (6.0x)"
    assert cells["own core used"] == "97%"
    assert cells["CPU us/event"] == "4.5", "no ratio without the reference"
    assert cells["idle MB"] == "-"
    assert cells["added p50 ms"] == "1.40"
    assert dict(zip(head, direct, strict=True))["added p50 ms"] == "base 0.50"


def test_a_text_table_is_aligned() -> None:
    lines = report.text_table(report.rows(RESULTS, {})).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 3 + 1 + 3, "a head of three lines, a rule, three contenders"


def test_a_markdown_table_has_the_same_cells_in_every_line() -> None:
    lines = report.markdown_table(report.rows(RESULTS, {})).splitlines()
    assert {line.count("|") for line in lines} == {len(report.COLUMNS) + 1}
    assert lines[1].startswith("| --- | ---: |")
