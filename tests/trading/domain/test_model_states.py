"""Which state of a model follows which, and what takes one back."""

from dataclasses import replace
from itertools import product

import pytest

from trading.domain import model_drift
from trading.domain.model_states import (
    FALLBACK_FEWEST,
    FOLLOW,
    LIVE,
    PSI_LIMIT,
    Condition,
    ModelState,
    drift,
    fallback,
    why_not_move,
    why_roll_back,
)

S = ModelState
WELL = Condition(psi=0.25, loss_drift=0.99, asked=1_000, fell_back=50, silent_s=600, t_rule=-1.9)
UP = {
    (S.REGISTERED, S.OFFLINE_PASS), (S.OFFLINE_PASS, S.SHADOW), (S.SHADOW, S.CANARY), (S.CANARY, S.CHAMPION),
    (S.RETIRED, S.SHADOW), (S.ROLLED_BACK, S.SHADOW),
}  # fmt: skip
OUT = {
    (S.REGISTERED, S.RETIRED), (S.OFFLINE_PASS, S.RETIRED), (S.SHADOW, S.RETIRED), (S.CHAMPION, S.RETIRED),
    (S.ROLLED_BACK, S.RETIRED), (S.CANARY, S.ROLLED_BACK), (S.CHAMPION, S.ROLLED_BACK),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(product(S, S)))
def test_a_model_goes_up_step_by_step_and_may_be_refused_at_any_time(before: ModelState, after: ModelState) -> None:
    refused = after is S.REFUSED and before is not S.REFUSED

    allowed = not why_not_move(before, after)

    assert allowed is (refused or (before, after) in UP | OUT)


def test_only_a_rollback_gives_a_retired_champion_its_place_back() -> None:
    assert why_not_move(S.RETIRED, S.CHAMPION) == "After retired comes shadow, refused, not champion."
    assert why_not_move(S.RETIRED, S.CHAMPION, is_rollback=True) == ""
    assert why_not_move(S.ROLLED_BACK, S.CHAMPION, is_rollback=True)
    assert why_not_move(S.REFUSED, S.SHADOW) == "A model that was refused stays it: register it anew."


def test_the_watch_and_the_loop_that_measures_speak_of_the_same_drift() -> None:
    assert PSI_LIMIT == model_drift.PSI_LIMIT


def test_every_state_has_a_row() -> None:
    assert set(FOLLOW) == set(S)


def test_a_model_on_every_edge_goes_on() -> None:
    for state in S:
        assert why_roll_back(state, WELL) == ""
    assert drift(WELL) == fallback(WELL) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"psi": 0.26}, "a feature has drifted: PSI 0.26, limit 0.25"),
        ({"psi": float("nan")}, "a feature has drifted: PSI nan, limit 0.25"),
        ({"loss_drift": 1.0}, "its loss has drifted: Page-Hinkley at 1.00 of its threshold"),
        ({"fell_back": 51}, "the rule was used for 51 of 1000 bars, limit 5%"),
        ({"t_rule": -2.0}, "its loss is worse than the rule's: t = -2.0, limit -2"),
        ({"crits": ("B", "A", "B")}, "CRIT while it was the canary: A, B"),
    ],
)
def test_what_takes_a_canary_back(change: dict[str, object], words: str) -> None:
    seen = replace(WELL, **change)  # type: ignore[arg-type]

    assert why_roll_back(S.CANARY, seen) == words
    assert (why_roll_back(S.CHAMPION, seen) == words) is ("crits" not in change)
    assert all(why_roll_back(state, seen) == "" for state in set(S) - LIVE)


def test_a_rate_of_too_few_bars_is_no_rate() -> None:
    few = replace(WELL, asked=FALLBACK_FEWEST - 1, fell_back=FALLBACK_FEWEST - 1)

    assert why_roll_back(S.CHAMPION, few) == ""
    assert why_roll_back(S.CHAMPION, replace(few, asked=FALLBACK_FEWEST))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"silent_s": None}, "nothing is known of it yet"),
        ({"silent_s": 600.5}, "nothing was heard of it for 600 s"),
        ({"faults": ("BTCUSDT: late", "ETHUSDT: drift")}, "BTCUSDT: late; ETHUSDT: drift"),
    ],
)
def test_what_is_not_heard_is_told(change: dict[str, object], words: str) -> None:
    assert fallback(replace(WELL, **change)) == words  # type: ignore[arg-type]
