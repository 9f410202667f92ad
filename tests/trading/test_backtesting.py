"""A backtest put together from the shipped recordings."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from trading import backtesting
from trading.backtesting import UnableToBacktest, carry_out, load
from trading.domain.backtest_settings import read
from trading.domain.backtest_words import mark_out_in_words
from trading.domain.mark_outs import FEWEST_FILLS
from trading.selectors.backtests import RECORDINGS
from trading.simulator.replay import DATASETS


def test_what_is_told_of_the_shipped_recordings_is_what_they_hold() -> None:
    assert json.loads(RECORDINGS.read_text()) == backtesting.shipped_facts()


def test_bars_run_through_their_four_points_strictly() -> None:
    done = carry_out(read({"data": "bars", "symbol": "ADAUSDT", "step": "0.002"}))

    assert done.facts["events"] == 4 * 10_080
    assert done.facts["fills"] > 0
    assert any("strictly beyond its price" in line for line in done.facts["assumptions"])


def test_progress_rises_to_the_end() -> None:
    seen: list[float] = []

    carry_out(read({"engine": "core", "symbol": "ETHUSDT", "levels": "4"}), seen.append)

    assert seen == sorted(seen)
    assert seen[0] == pytest.approx(0.1)
    assert seen[-1] == pytest.approx(0.9)
    assert len(seen) > 5


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    shipped = Path(DATASETS["ticks"])
    copy = tmp_path / "ticks.parquet"
    copy.write_bytes(shipped.read_bytes())
    assert load(str(copy), "BTCUSDT")[0].count == 166_351

    copy.write_text("nothing")

    with pytest.raises(UnableToBacktest, match=r"ticks\.parquet: cannot be read as Parquet"):
        carry_out(read({"data": str(copy)}))


@pytest.mark.parametrize(("style", "fee"), [("MAKER", "0.0002"), ("TAKER", "0.0004")])
def test_the_narrowest_step_pays_for_both_fees_and_for_what_the_price_did_after_our_fills(style: str, fee: str) -> None:
    facts = carry_out(read({"style": style})).facts

    assert facts["mark_out_fills"] >= FEWEST_FILLS
    assert Decimal(facts["mark_out"]) != 0
    against_us = max(Decimal(facts["mark_out"]), Decimal(0))
    assert Decimal(facts["spacing_floor"]) == 2 * (Decimal(fee) + against_us)
    assert f"mean of {facts['mark_out_fills']}; no step below" in mark_out_in_words(facts)


def test_too_few_fills_leave_the_mark_out_unknown() -> None:
    facts = carry_out(read({"levels": "3", "step": "0.01"})).facts

    assert (facts["mark_out"], facts["spacing_floor"]) == (None, None)
    assert mark_out_in_words(facts) == "unknown (0 fills with 10 s after them, 20 needed)"
