"""A metric of each symbol is only met when it was measured on each symbol of the phase."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from riskops.domain import phases
from riskops.domain.gates import Finding, State, judge
from riskops.domain.phases import Criterion, OnMiss
from trading.domain.evidence import Measurement
from trading.domain.measuring import Over

FILE = Path(phases.__file__).parents[1] / "roadmap" / "4.3.toml"
PHASE = phases.read(FILE.read_text(encoding="utf-8"), name="4.3")
SINCE = datetime(2025, 3, 1, tzinfo=UTC)
FILLED = Decimal("0.9")


def finding(metric: str, *each: tuple[str, Decimal | None]) -> Finding:
    criterion = Criterion(metric, OnMiss.HALT, at_least=Decimal("0.85"))
    row = Measurement(metric, FILLED, 400, Decimal(1), SINCE, SINCE, "", "", each)
    verdict = judge(replace(PHASE, criteria=(criterion,)), {(metric, Over.RUN): [row]}, {}, Decimal(336))
    return verdict.findings[0]


def test_every_symbol_measured_is_met() -> None:
    found = finding("fill_rate_each_symbol", *((symbol, FILLED) for symbol in PHASE.symbols))

    assert (found.state, found.reason) == (State.MET, "")


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        (("BNBUSDT",), "nothing was measured on BNBUSDT"),
        (("ETHUSDT", "ADAUSDT"), "nothing was measured on ETHUSDT, ADAUSDT"),
    ],
)
def test_a_symbol_that_is_left_out_is_no_data(left_out: tuple[str, ...], words: str) -> None:
    found = finding("fill_rate_each_symbol", *((one, FILLED) for one in PHASE.symbols if one not in left_out))

    assert (found.state, found.reason) == (State.NO_DATA, words)
    assert found.is_open


def test_a_symbol_below_the_bound_is_not_hidden_by_one_that_is_left_out() -> None:
    found = finding("fill_rate_each_symbol", ("BTCUSDT", Decimal("0.84")))

    assert (found.state, found.reason) == (State.NOT_MET, "")


def test_a_metric_of_the_whole_desk_asks_for_no_symbol() -> None:
    assert finding("fill_rate").state is State.MET
