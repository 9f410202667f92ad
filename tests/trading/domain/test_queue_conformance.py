"""Queue and fills as hftbacktest has them, on the recorded books of 8 August 2024."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.trading.domain.moving_grid import Book, MovingGrid
from trading.domain.depth import ASK, BID, BOUGHT, BY_LOG, BY_POWER, BY_TRADES, SOLD
from trading.domain.tapes import Ints

RECORDED = Path(__file__).resolve().parents[3].parent / "shared" / "data"
# The collector's clock; hftbacktest's converter shifts each file by its own largest lead of the venue's clock.
CLOCK_BEHIND_NS = {"BTCUSDT": 1_272_156_851, "ETHUSDT": 1_272_228_703}

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the larger recordings are not beside this folder")


def whole(column: pa.ChunkedArray, digits: int) -> Ints:
    found: Ints = np.rint(pc.cast(column, pa.float64()).to_numpy() * 10**digits).astype(np.int64)
    return found


def grid(symbol: str, digits: int, lots: int, model: int, *, binance_rule: bool, in_floats: bool = False) -> MovingGrid:
    """Run the moving grid; by Binance's rule the book starts with the snapshot, else with the first message."""
    names = ("l2snap", "trades", "l2diff")
    snap, trades, diff = (
        pq.read_table(RECORDED / "ticks" / f"binance-usdm_{symbol}_20240808_{n}.parquet") for n in names
    )
    if binance_rule:
        diff = diff.filter(pc.greater(diff["final_id"], snap["last_update_id"][0]))
    received = [table["recv_ts_ns"].to_numpy() + CLOCK_BEHIND_NS[symbol] for table in (snap, trades, diff)]
    taken = int(diff["ts_ns"][0].as_py()) if binance_rule else int(received[0][0])
    at_ns = np.concatenate((np.full(len(snap), taken), trades["ts_ns"].to_numpy(), diff["ts_ns"].to_numpy()))
    sides = [np.where(table["side"].to_numpy() > 0, BID, ASK) for table in (snap, diff)]
    kind = np.concatenate((sides[0], np.where(trades["is_buyer_maker"].to_numpy(), SOLD, BOUGHT), sides[1]))
    ticks, quantities = (
        np.concatenate([whole(table[name], d) for table in (snap, trades, diff)])
        for name, d in (("price", digits), ("qty", 3))
    )
    low = int(ticks.min()) // 10 * 10 - 10
    columns = kind.astype(np.int64), ticks - low, quantities
    width = int(ticks.max()) - low + 20
    seen_ns = np.concatenate(received)
    venue, seen = Book(at_ns, *columns, width, model), Book(seen_ns, *columns, width, model)
    return MovingGrid(venue, seen, lots, low, in_floats).run(
        int(min(at_ns.min(), seen_ns.min())), int(max(at_ns.max(), seen_ns.max()))
    )


def test_the_reference_result_of_btc_is_met_trade_for_trade() -> None:
    reference = json.loads((RECORDED / "reference_results" / "hftbacktest_grid_usdm_20240808.json").read_text())
    expected = reference["results"]["BTCUSDT"]

    result = grid("BTCUSDT", 1, 10, BY_POWER, binance_rule=False)

    assert (result.steps, result.trades) == (expected["steps"], expected["num_trades"]) == (3_448, 941)
    assert (result.position / 1e3, result.value / 1e4) == (expected["position"], expected["trading_value"])


def test_the_reference_result_of_eth_is_met_once_the_position_is_summed_in_floats() -> None:
    """Fifty sells of 0.1 come to -4.999999999999998 in floats, which is above the limit of -5: one more is sent."""
    reference = json.loads((RECORDED / "reference_results" / "hftbacktest_grid_usdm_20240808.json").read_text())
    expected = reference["results"]["ETHUSDT"]

    result = grid("ETHUSDT", 2, 100, BY_POWER, binance_rule=False, in_floats=True)
    exact = grid("ETHUSDT", 2, 100, BY_POWER, binance_rule=False)

    assert (result.steps, result.trades) == (expected["steps"], expected["num_trades"]) == (3_448, 373)
    assert (result.position / 1e3, result.value / 1e5) == (expected["position"], expected["trading_value"])
    assert exact.trades == 372
    assert exact.value / 1e5 == pytest.approx(expected["trading_value"] - 0.1 * 2_683.80)


@pytest.mark.parametrize(
    ("model", "trades", "position", "value"),
    [(BY_POWER, 371, -3_300, 99_478.03), (BY_LOG, 372, -3_400, 99_746.28), (BY_TRADES, 370, -3_200, 99_209.75)],
    ids=["power 2", "log", "risk-averse"],
)
def test_on_the_same_events_every_queue_model_gives_what_hftbacktest_gives(
    model: int, trades: int, position: int, value: float
) -> None:
    """Measured with hftbacktest 2.4.4 on the same rebuilt book: the figures are its own, to the last digit."""
    result = grid("ETHUSDT", 2, 100, model, binance_rule=True)

    assert (result.trades, result.position, result.value / 1e5) == (trades, position, value)
