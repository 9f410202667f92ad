"""Upgrade indicators: both sides of each edge, and what is not known is never OK."""

import pytest

from trading.domain.indicators import (
    Estimate,
    Indicator,
    Verdict,
    capacity,
    competition,
    data_volume,
    exact,
    gap_of,
    hardware,
    independent_labels,
    regime_entropy,
    regimes,
    saturation,
)

FLAT, STEEP, WIDE = Estimate(0.002, -0.004, 0.0099), Estimate(0.03, 0.01, 0.05), Estimate(0.01, -0.01, 0.03)


@pytest.mark.parametrize(
    ("ticks", "verdict"),
    [
        (None, Verdict.UNKNOWN),
        (0, Verdict.OK),
        (4_999_999, Verdict.OK),
        (5_000_000, Verdict.PLAN),
        (9_999_999, Verdict.PLAN),
        (10_000_000, Verdict.NOW),
    ],
)
def test_stage_one_waits_for_ten_million_ticks(ticks: int | None, verdict: Verdict) -> None:
    assert data_volume(ticks, 1).verdict is verdict


def test_what_is_missing_is_said_in_numbers() -> None:
    seen = data_volume(3_100_000, 1)

    assert (seen.why, seen.rule) == ("Not yet: 6,900,000 ticks are missing.", "10,000,000 stored ticks")
    assert data_volume(99_999_999, 4).why == "Not yet: 1 ticks are missing."
    assert data_volume(100_000_000, 4).verdict is Verdict.NOW


@pytest.mark.parametrize(
    ("labels", "verdict"),
    [
        (None, Verdict.UNKNOWN), (499.0, Verdict.OK), (500.0, Verdict.PLAN), (999.0, Verdict.PLAN),
        (1_000.0, Verdict.NOW),
    ],
)  # fmt: skip
def test_a_net_needs_ten_independent_labels_a_parameter(labels: float | None, verdict: Verdict) -> None:
    assert independent_labels(labels, parameters=100, stage=1).verdict is verdict


@pytest.mark.parametrize(
    ("gains", "verdict", "said"),
    [
        ((), Verdict.UNKNOWN, "evaluate --registered --indicators"),
        ((FLAT,), Verdict.PLAN, "look once more"),
        ((FLAT, FLAT), Verdict.NOW, "stopped learning"),
        ((FLAT, STEEP), Verdict.OK, "collect more"),
        ((STEEP, FLAT), Verdict.PLAN, "look once more"),
        ((FLAT, FLAT, WIDE), Verdict.UNKNOWN, "cannot be told"),
        ((FLAT, Estimate(0.002, -0.004, 0.01)), Verdict.UNKNOWN, "cannot be told"),  # 1 % is not below 1 %
        ((Estimate(0.03, 0.0099, 0.05),), Verdict.UNKNOWN, "cannot be told"),
    ],
)
def test_saturation_is_two_doublings_without_a_gain(gains: tuple[Estimate, ...], verdict: Verdict, said: str) -> None:
    seen = saturation(gains)

    assert seen.verdict is verdict
    assert said in seen.why


@pytest.mark.parametrize(
    ("gains", "verdict", "said"),
    [
        ((), Verdict.UNKNOWN, "evaluate --registered --indicators"),
        ((STEEP,), Verdict.PLAN, "once"),
        ((STEEP, STEEP), Verdict.NOW, "too small"),
        ((STEEP, FLAT), Verdict.OK, "enough"),
        ((STEEP, WIDE), Verdict.UNKNOWN, "cannot be told"),
    ],
)
def test_a_net_is_too_small_when_two_doublings_gain(gains: tuple[Estimate, ...], verdict: Verdict, said: str) -> None:
    seen = capacity(gains)

    assert seen.verdict is verdict
    assert said in seen.why


@pytest.mark.parametrize(
    ("chosen", "verdict"),
    [
        (None, Verdict.UNKNOWN), (Estimate(4, 3, 6), Verdict.OK), (Estimate(5, 4, 6), Verdict.PLAN),
        (Estimate(6, 5, 8), Verdict.NOW),
    ],
)  # fmt: skip
def test_more_regimes_count_when_every_fold_chooses_them(chosen: Estimate | None, verdict: Verdict) -> None:
    assert regimes(chosen, modelled=4).verdict is verdict


@pytest.mark.parametrize(
    ("rise", "verdict"),
    [
        (None, Verdict.UNKNOWN), (Estimate(0.099, 0.05, 0.2), Verdict.OK), (Estimate(0.10, 0.09, 0.2), Verdict.PLAN),
        (Estimate(0.15, 0.10, 0.2), Verdict.NOW),
    ],
)  # fmt: skip
def test_entropy_counts_against_training_at_the_same_number(rise: Estimate | None, verdict: Verdict) -> None:
    assert regime_entropy(rise, at_k=4).verdict is verdict


@pytest.mark.parametrize(
    ("gap", "verdict"),
    [
        (None, Verdict.UNKNOWN),
        (Estimate(0.05, 0.0, 0.1), Verdict.OK),  # not beyond chance
        (Estimate(-0.2, -0.3, -0.1), Verdict.OK),
        (Estimate(0.05, 0.001, 0.1), Verdict.PLAN),
        (Estimate(0.10, -0.01, 0.2), Verdict.PLAN),
        (Estimate(0.0999, 0.05, 0.2), Verdict.PLAN),
        (Estimate(0.10, 0.001, 0.2), Verdict.NOW),
    ],
)
def test_a_champion_is_behind_at_ten_percent_beyond_chance(gap: Estimate | None, verdict: Verdict) -> None:
    assert competition(gap, "HAR").verdict is verdict


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (None, Verdict.UNKNOWN), (0.499, Verdict.OK), (0.5, Verdict.PLAN), (0.749, Verdict.PLAN), (0.75, Verdict.NOW),
        (2.0, Verdict.NOW),
    ],
)  # fmt: skip
def test_hardware_is_due_at_three_quarters(share: float | None, verdict: Verdict) -> None:
    used = None if share is None else exact(share)

    assert hardware("memory", "Memory", used, "the memory there is").verdict is verdict


def unmeasured() -> list[Indicator]:
    return [
        data_volume(None, 1), independent_labels(None, 10, 1), saturation(()), capacity(()), regimes(None, 4),
        regime_entropy(None, 4), competition(None, "HAR"), hardware("p99", "p99", None, "the deadline"),
    ]  # fmt: skip


@pytest.mark.parametrize("seen", unmeasured(), ids=lambda one: one.code)
def test_what_was_not_measured_is_unknown_and_says_so(seen: Indicator) -> None:
    assert (seen.verdict, seen.measured) == (Verdict.UNKNOWN, None)
    assert seen.why
    assert seen.rule


@pytest.mark.parametrize("bounds", [(1, 2, 3), (1, 0, 0.5), (1, float("nan"), 2), (1, 0, float("inf"))])
def test_an_interval_that_does_not_hold_its_value_is_refused(bounds: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="give low <= value <= high"):
        Estimate(*bounds)


def test_the_gap_is_what_the_other_loses_less_with_what_the_days_differ_by() -> None:
    ours, theirs = [1.0, 2.0] * 5, [0.8, 1.6] * 5

    same = gap_of(ours, theirs)
    assert same is not None
    assert (same.value, same.low, same.high) == pytest.approx((0.2, 0.2, 0.2))

    seen = gap_of(ours, [0.9, 1.5] * 5)  # off by 0.1 of a mean of 1.5 a day, to both sides
    assert seen is not None
    assert seen.value == pytest.approx(0.2)
    assert seen.high - seen.value == pytest.approx(1.96 * (0.1 / 1.5) / 3)


@pytest.mark.parametrize(
    ("ours", "theirs"), [([1.0] * 9, [1.0] * 9), ([0.0] * 10, [1.0] * 10), ([1.0] * 10, [1.0] * 11)]
)
def test_a_gap_of_too_few_days_or_of_no_loss_is_not_known(ours: list[float], theirs: list[float]) -> None:
    assert gap_of(ours, theirs) is None
