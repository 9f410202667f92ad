"""Durations are counted in buckets that add up and never run backwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.latency import BUCKETS, LARGEST_US, Histogram, bucket_of, upper_us

US = 1_000


def histogram(*microseconds: int) -> Histogram:
    result = Histogram()
    for us in microseconds:
        result.record_ns(us * US)
    return result


@given(st.integers(0, LARGEST_US))
def test_every_duration_lies_in_a_bucket_at_most_a_thirtieth_wide(us: int) -> None:
    upper = upper_us(bucket_of(us))

    assert us <= upper <= us + us / 30 + 1
    assert bucket_of(upper) == bucket_of(us)


@given(st.integers(0, LARGEST_US - 1))
def test_buckets_rise_with_durations(us: int) -> None:
    assert bucket_of(us) <= bucket_of(us + 1) < BUCKETS


@pytest.mark.parametrize(("us", "bucket"), [(-5, 0), (0, 0), (LARGEST_US + 10, BUCKETS - 1), (10**30, BUCKETS - 1)])
def test_what_is_out_of_range_counts_at_the_edge(us: int, bucket: int) -> None:
    assert bucket_of(us) == bucket


def test_a_clock_that_runs_backwards_makes_no_negative_latency() -> None:
    result = Histogram()

    result.record_ns(-1_270_000_000)

    assert (result.percentile_ms(50), result.backwards) == (0.0, 1)


def test_percentiles_are_the_upper_edge_of_their_bucket() -> None:
    result = histogram(*range(1_000, 101_000, 1_000))

    assert result.percentile_ms(50) == pytest.approx(50, rel=0.04)
    assert result.percentile_ms(95) == pytest.approx(95, rel=0.04)
    assert result.percentile_ms(99) == pytest.approx(99, rel=0.04)
    assert result.percentile_ms(100) == pytest.approx(100, rel=0.04)


def test_without_samples_a_percentile_is_unknown() -> None:
    assert Histogram().percentile_ms(99) is None


@pytest.mark.parametrize("percent", [-0.1, 100.1, float("nan")])
def test_a_percentile_outside_its_range_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="percent"):
        histogram(1).percentile_ms(percent)


@given(st.lists(st.integers(0, 10**9)), st.lists(st.integers(0, 10**9)))
def test_adding_two_histograms_counts_the_samples_of_both(a: list[int], b: list[int]) -> None:
    sum_of_both = histogram(*a)
    sum_of_both.add(histogram(*b))

    assert sum_of_both.counts == histogram(*a, *b).counts


@given(st.lists(st.integers(0, 10**9)))
def test_a_stored_histogram_comes_back(samples: list[int]) -> None:
    original = histogram(*samples)

    assert Histogram.from_json(original.to_json()).counts == original.counts


@pytest.mark.parametrize("counts", [{"-1": 1}, {str(BUCKETS): 1}, {"0": 0}, {"0": -1}, {"0": True}, {"x": 1}])
def test_counts_that_no_histogram_wrote_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"bucket|invalid literal"):
        Histogram.from_json(counts)
