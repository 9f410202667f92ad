"""The same numbers as six other engines on real recordings, to the last digit.

The numbers stand in the table of equal results that the benchmarks are held to. Its text names levels, capital and fee;
the ranges below (77.50 to 88.50 and 50 to 170) and the quantities were found by search: with them fills and equity of
both spacings agree exactly, and no other range on a step of 0.10 does.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.trading.domain.plain_grid import PlainGrid
from trading.domain import kernel
from trading.domain.kernel import Bounds, Ladder, Mode, Terms
from trading.domain.tapes import Ints, Tape, of_trades

ROOT = Path(__file__).resolve().parents[3]
RECORDED = ROOT.parent / "shared" / "data"
SHIPPED = ROOT / "trading" / "data" / "ticks_spot_BTC_ETH_20240808T2354.parquet"
CASH_TICKS = 1_000_000  # 10,000.00
A_TENTH_OF_A_PERCENT = (1, 1000)

needs_recordings = pytest.mark.skipif(not RECORDED.is_dir(), reason="the larger recordings are not beside this folder")


def cents(column: pa.ChunkedArray) -> Ints:
    ticks: Ints = np.rint(pc.cast(column, pa.float64()).to_numpy() * 100).astype(np.int64)
    return ticks


def arithmetic(low: float, high: float, slots: int) -> tuple[int, ...]:
    return tuple(int(x) for x in np.rint((low + (high - low) * np.arange(slots + 1) / slots) * 100))


def geometric(low: float, high: float, slots: int) -> tuple[int, ...]:
    return tuple(int(x) for x in np.rint(low * (high / low) ** (np.arange(slots + 1) / slots) * 100))


def terms(latency_ns: int = 0, lots_a_unit: int = 1) -> Terms:
    return Terms(
        CASH_TICKS * lots_a_unit,
        maker_fee=A_TENTH_OF_A_PERCENT,
        taker_fee=A_TENTH_OF_A_PERCENT,
        submit_ns=latency_ns,
        report_ns=latency_ns,
    )


@pytest.fixture(scope="module")
def ltc() -> pa.Table:
    return pq.read_table(RECORDED / "ticks" / "binance-spot_LTCUSDT_20250621-22_trades.parquet")


@needs_recordings
@pytest.mark.parametrize(
    ("levels", "fills", "equity"),
    [(arithmetic(77.5, 88.5, 44), 282, 985_559_132), (geometric(77.5, 88.5, 44), 277, 985_700_942)],
    ids=["arithmetic", "geometric"],
)
def test_real_trades_give_what_six_engines_give(
    ltc: pa.Table, levels: tuple[int, ...], fills: int, equity: int
) -> None:
    tape = of_trades("LTCUSDT", ltc["ts_ns"].to_numpy(), cents(ltc["price"]), through=False)

    outcome = kernel.run(tape, Ladder(levels, (2,) * 44, Mode.NEUTRAL), terms())

    assert (len(outcome.fills), outcome.equity) == (fills, equity)


@needs_recordings
@pytest.mark.parametrize(("latency_ns", "fills"), [(0, 5_256), (700_000_000, 5_018)], ids=["none", "0.7 s each way"])
def test_orders_that_trade_with_the_other_side_only_give_what_hftbacktest_gives(
    ltc: pa.Table, latency_ns: int, fills: int
) -> None:
    price, sold = cents(ltc["price"]), ltc["is_buyer_maker"].to_numpy()
    down, up = np.where(sold, price, 2 * price.max()), np.where(sold, 0, price)
    down[0] = up[0] = price[0]
    tape = Tape("LTCUSDT", ltc["ts_ns"].to_numpy(), down, up, price, ("A print fills only the other side.",))

    outcome = kernel.run(tape, Ladder(arithmetic(77.5, 88.5, 220), (4,) * 220, Mode.NEUTRAL), terms(latency_ns, 10))

    assert len(outcome.fills) == fills
    if latency_ns:
        assert outcome.equity == 9_719_826_196


@needs_recordings
def test_gaps_over_several_levels_fill_every_one_of_them() -> None:
    bars = pq.read_table(RECORDED / "klines" / "spot_1m" / "ETHUSDT.parquet")
    price = (cents(bars["c"]) * 2 + 25) // 50
    tape = of_trades("ETHUSDT", bars["open_ts"].to_numpy(), price, through=False)

    outcome = kernel.run(tape, Ladder(arithmetic(50, 170, 100), (1,) * 100, Mode.NEUTRAL), terms())

    assert (len(outcome.fills), outcome.equity) == (5_879, 1_405_871_612)


@pytest.fixture(scope="module")
def btc() -> Tape:
    table = pq.read_table(SHIPPED)
    trades = table.filter(pc.and_(pc.equal(table["symbol"], "BTCUSDT"), pc.equal(table["kind"], "trade")))
    return of_trades("BTCUSDT", trades["recv_ts_ns"].to_numpy(), cents(trades["price"]), through=False)


@pytest.mark.parametrize("spaced", [arithmetic, geometric])
def test_the_shipped_ticks_give_what_a_plain_grid_gives(btc: Tape, spaced: object) -> None:
    levels = arithmetic(61_400, 62_000, 20) if spaced is arithmetic else geometric(61_400, 62_000, 20)
    ladder = Ladder(levels, (100,) * 20, Mode.NEUTRAL)

    fast, slow = kernel.run(btc, ladder, terms(lots_a_unit=100_000)), PlainGrid(btc, ladder, terms(lots_a_unit=100_000))
    slow.run(0, Bounds())

    assert len(fast.fills) == len(slow.fills) > 20
    assert fast.equity == slow.equities[-1] * fast.scale
    assert fast.max_drawdown == slow.falls()[0] * fast.scale
