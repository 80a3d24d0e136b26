"""The page of a run."""

from bench import page
from bench.report import Aim


def test_a_page_tells_the_machine_every_aim_with_its_verdict_and_every_table() -> None:
    sections = [page.Section("Calls", [["contender", "req/s"], ["qlaud", "4,225"]], "How it was made.")]
    aims = [Aim("CPU, us", 250, 230.0), Aim("latency, ms", 2, 2.07), Aim("growth, MB", 4, None)]
    text = page.text({"CPU": "AMD", "kernel": "Linux"}, sections, aims, noise="other work: 1% at most")
    assert "CPU: AMD, kernel: Linux." in text
    for row in (
        "| CPU, us | 250 | 230.00 | met |",
        "| latency, ms | 2 | 2.07 | NOT met |",
        "| growth, MB | 4 | - | not measured |",
        "| qlaud | 4,225 |",
    ):
        assert row in text
    assert text.index("Other work: 1% at most.") < text.index("## Calls") < text.index("How it was made.")
