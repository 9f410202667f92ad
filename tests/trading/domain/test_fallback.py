"""Every reason not to hear a model, at both sides of its edge."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.trading.tiny_card import card
from trading.domain.fallback import (
    FAR,
    FURTHEST,
    GOOD_BARS,
    HARD_MS,
    MOST_APART,
    SOFT_MISSES,
    Facts,
    Verdict,
    Watch,
    distances,
)
from trading.domain.learned import Fault, ModelOutput
from trading.domain.model_drift import PSI_LIMIT

SAID = ModelOutput("m", "BTCUSDT", 0, (-9.0,))
GOOD = Facts(at_ns=0, now_ns=0, output=SAID, rule_log_rv=-9.0, psi=0.1, loss_drift=0.5)
CARD = card(deadline_ms=5.0, ttl_s=120)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, None),
        ({"output": None}, Fault.BROKEN),
        ({"fault": Fault.NOT_FINITE, "reason": "log_rv"}, Fault.NOT_FINITE),
        ({"now_ns": 120_000_000_000}, None),
        ({"now_ns": 120_000_000_001}, Fault.STALE),
        ({"took_ms": 5.0}, None),
        ({"took_ms": 5.1}, Fault.LATE),
        ({"rms": FAR}, None),
        ({"rms": FAR + 0.01}, Fault.OUTLIER),
        ({"furthest": FURTHEST}, None),
        ({"furthest": FURTHEST + 0.01}, Fault.OUTLIER),
        ({"rms": float("nan")}, Fault.OUTLIER),
        ({"rule_log_rv": -9.0 + MOST_APART}, None),
        ({"rule_log_rv": -9.01 - MOST_APART}, Fault.DISAGREEMENT),
        ({"rule_log_rv": None}, None),
        ({"psi": PSI_LIMIT}, None),
        ({"psi": PSI_LIMIT + 0.01}, Fault.DRIFT),
        ({"psi": None, "loss_drift": None}, None),
        ({"loss_drift": 0.99}, None),
        ({"loss_drift": 1.0}, Fault.DRIFT),
    ],
)
def test_each_reason_holds_from_its_edge_on(changed: dict[str, Any], fault: Fault | None) -> None:
    verdict = Watch(CARD).judge(replace(GOOD, **changed))

    assert verdict.fault == fault
    assert bool(verdict.reason) == (fault is not None)


def faults(watch: Watch, many: Iterable[Facts]) -> list[Fault | None]:
    return [watch.judge(facts).fault for facts in many]


def test_a_model_that_failed_is_heard_after_good_bars_in_a_row_and_each_failure_counts_anew() -> None:
    watch, broken = Watch(CARD), replace(GOOD, output=None)

    assert faults(watch, [broken] + [GOOD] * (GOOD_BARS - 1) + [broken]) == (
        [Fault.BROKEN] + [Fault.RECOVERING] * (GOOD_BARS - 1) + [Fault.BROKEN]
    )
    assert faults(watch, [GOOD] * GOOD_BARS) == [Fault.RECOVERING] * (GOOD_BARS - 1) + [None]


@pytest.mark.parametrize("fault", [Fault.WARMING, Fault.MISSING, Fault.HALTED])
def test_what_is_not_its_fault_is_over_at_once(fault: Fault) -> None:
    watch = Watch(CARD)

    assert faults(watch, [replace(GOOD, output=None, fault=fault, reason="x"), GOOD]) == [fault, None]


def test_what_is_not_its_fault_does_not_shorten_what_it_owes() -> None:
    watch, warming = Watch(CARD), replace(GOOD, fault=Fault.WARMING)
    faults(watch, [replace(GOOD, output=None), *[warming] * GOOD_BARS])

    assert faults(watch, [GOOD]) == [Fault.RECOVERING]


def test_one_soft_miss_costs_its_bar_and_three_in_a_row_cost_more() -> None:
    slow = replace(GOOD, took_ms=6.0)

    assert faults(Watch(CARD), [slow, GOOD]) == [Fault.LATE, None]
    assert faults(Watch(CARD), [slow] * (SOFT_MISSES - 1) + [GOOD] + [slow, GOOD])[-1] is None
    assert faults(Watch(CARD), [slow] * SOFT_MISSES + [GOOD])[-1] is Fault.RECOVERING


def test_one_hard_miss_is_enough_whatever_the_card_says() -> None:
    late = replace(GOOD, took_ms=HARD_MS + 0.1)

    assert faults(Watch(card(deadline_ms=500.0)), [late, GOOD]) == [Fault.LATE, Fault.RECOVERING]


def test_what_was_said_grows_old_with_no_new_bar() -> None:
    watch = Watch(CARD)
    watch.judge(GOOD)

    assert watch.look(120_000_000_000) == Verdict()
    assert watch.look(120_000_000_001).fault is Fault.STALE
    assert faults(watch, [replace(GOOD, at_ns=130_000_000_000, now_ns=130_000_000_000)]) == [Fault.RECOVERING]


def test_how_far_features_lie_is_told_in_standard_deviations() -> None:
    mean, spread = np.array([1.0, 2.0]), np.array([1.0, 2.0])

    assert distances(mean, spread, np.array([1, 2], np.float32)) == (0.0, 0.0)
    assert distances(mean, spread, np.array([4, 10], np.float32)) == pytest.approx((12.5**0.5, 4.0))


def test_no_answer_at_all_is_never_a_soft_miss() -> None:
    none = replace(GOOD, output=None, fault=Fault.LATE, reason="no answer after 50 ms", took_ms=HARD_MS)

    assert faults(Watch(CARD), [none, GOOD]) == [Fault.LATE, Fault.RECOVERING]
