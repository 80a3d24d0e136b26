"""Percentiles, medians, ratios and growth of the bench."""

import pytest
from bench.stats import growth_mb, median, median_ratio, percentile


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (1, 1), (50, 50), (50.1, 51), (99, 99), (99.5, 100), (100, 100)]
)
def test_a_percentile_is_the_nearest_rank(percent: float, expected: int) -> None:
    assert percentile(list(range(1, 101)), percent) == expected


def test_the_p99_of_few_numbers_is_the_largest() -> None:
    assert percentile([1.0, 2.0, 9.0], 99) == 9.0


def test_a_percentile_and_a_median_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)
    with pytest.raises(ValueError, match="nothing"):
        median([])


def test_a_median_is_the_middle_whatever_the_order() -> None:
    assert median([9, 1, 5]) == 5
    assert median([9, 1, 5, 7]) == 6


def test_a_ratio_pairs_the_rounds_so_that_a_slow_round_cancels() -> None:
    assert median_ratio([100, 300, 100], [20, 60, 20]) == 5
    assert median([100, 300, 100]) / median([20, 60, 20]) == 5
    assert median_ratio([100, 300, 110], [20, 60, 11]) == 5, "not 100/20 of the medians by chance"


def test_a_ratio_without_pairs_is_none() -> None:
    assert median_ratio([], [1]) is None
    assert median_ratio([1], [0]) is None


def test_growth_leaves_the_warm_up_out() -> None:
    assert growth_mb([10, 80, 80, 80, 80, 80, 80, 80]) == 0
    assert growth_mb([10, 60, 80, 80, 85, 85, 90, 90]) == 10


def test_growth_needs_four_sizes() -> None:
    with pytest.raises(ValueError, match="four"):
        growth_mb([1, 2, 3])
