"""A template on the edge of a bound is read; one step beyond it is refused with its line, its name and what to do."""

from pathlib import Path

import pytest

from riskops.domain import phases
from riskops.domain.phases import UnreadablePhase, read
from trading.domain.evidence import METRICS

SMALL = (Path(phases.__file__).parents[1] / "roadmap" / "4.1.toml").read_text(encoding="utf-8")
TIMEOUT = "timeout_ms = 5000"
HARD_STOP = "max_daily_drawdown_hard_fraction = 0.05"
PER_POSITION = "max_position_fraction = 0.02"
PER_SYMBOL = "max_symbol_exposure_fraction = 0.10"
MEASURED = ", ".join(METRICS)


def changed(old: str, new: str) -> str:
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


def line_of(start: str, text: str = SMALL) -> int:
    return next(number for number, line in enumerate(text.split("\n"), start=1) if line.startswith(start))


def refusal(text: str) -> str:
    with pytest.raises(UnreadablePhase) as refused:
        read(text, name="4.1")
    return str(refused.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (TIMEOUT, "timeout_ms = 10000"),
        (HARD_STOP, "max_daily_drawdown_hard_fraction = 1"),
        (PER_POSITION, "max_position_fraction = 0.10"),
        (PER_SYMBOL, "max_symbol_exposure_fraction = 0.20"),
        (HARD_STOP, "max_daily_drawdown_hard_fraction = 0.02"),
    ],
    ids=["longest timeout", "all capital", "position as a symbol", "symbol as all", "hard stop as the daily stop"],
)
def test_a_value_on_its_bound_is_read(old: str, new: str) -> None:
    assert read(changed(old, new), name="4.1").id == "4.1"


@pytest.mark.parametrize(
    ("old", "new", "where", "reason"),
    [
        (TIMEOUT, "timeout_ms = 10001", "executor.timeout_ms", "is 10001; use at most 10000."),
        (
            HARD_STOP,
            "max_daily_drawdown_hard_fraction = 1.01",
            "limits.max_daily_drawdown_hard_fraction",
            "is 1.01; a fraction of capital is at most 1.",
        ),
        (
            PER_POSITION,
            "max_position_fraction = 0.101",
            "limits.max_position_fraction",
            "is 0.101, above max_symbol_exposure_fraction 0.10.",
        ),
    ],
)
def test_a_value_beyond_its_bound_is_refused(old: str, new: str, where: str, reason: str) -> None:
    assert refusal(changed(old, new)) == f"4.1, line {line_of(old)}: {where}: {reason}"


def test_an_item_that_is_there_twice_is_refused_on_the_line_of_the_checklist() -> None:
    text = SMALL + '\n[[automatic]]\nitem = "Team notified"\nmetric = "sharpe"\n'

    assert refusal(text) == f"4.1, line {line_of('checklist')}: checklist: names 'Team notified' twice; each item once."


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ('\n[[automatic]]\nitem = "Fills"\nmetric = "rate"\n', "automatic.6.metric"),
        ('\n[[criteria]]\nmetric = "rate"\nat_least = 1\non_miss = "STAY"\n', "criteria.10.metric"),
    ],
)
def test_what_is_not_measured_is_refused_with_everything_that_is(table: str, where: str) -> None:
    text = SMALL + table
    line = line_of('metric = "rate"', text)

    assert refusal(text) == f"4.1, line {line}: {where}: 'rate' is not measured; use one of {MEASURED}."
