"""The published dynamic grid: its own figures to the digit, and what the ledger says of the same trades."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.trading.domain.dynamic_grid import COIN, Bar, Booked, Published, Rules, run

RECORDED = Path(__file__).resolve().parents[3].parent / "shared" / "data"
RESULTS = RECORDED / "reference_results" / "dgt2025_BTCUSDT_1m_20210426-20210520.csv"
SINCE, UNTIL = datetime(2021, 4, 26, tzinfo=UTC), datetime(2021, 5, 20, 20, tzinfo=UTC)  # the last bar opens then
EXPECTED = {  # % of the money put in; BTC itself lost 18.7 %
    (0.01, 5): {"2024": 86.7, "2025": -3.3, "ledger": -1.3},
    (0.02, 3): {"2024": 82.2, "2025": -4.7, "ledger": -2.1},
    (0.05, 2): {"2024": 66.5, "2025": -7.0, "ledger": -0.2},
    (0.1, 10): {"2024": -47.3, "2025": -47.3, "ledger": -7.5},  # one grid that never broke
}

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the larger recordings are not beside this folder")


@pytest.fixture(scope="module")
def bars() -> list[Bar]:
    table = pq.read_table(RECORDED / "klines" / "spot_1m" / "BTCUSDT.parquet")
    since, until = (int(at.timestamp()) * 10**9 for at in (SINCE, UNTIL))
    table = table.filter((pc.field("open_ts") >= since) & (pc.field("open_ts") <= until))
    return [Bar(*prices) for prices in zip(*(table[c].cast(pa.float64()).to_pylist() for c in "olhc"), strict=True)]


def percent(worth: float, put_in: float) -> float:
    return worth / put_in * 100 - 100


@pytest.mark.parametrize(("size", "half"), EXPECTED)
def test_the_published_figures_are_met_and_the_ledger_says_otherwise(bars: list[Bar], size: float, half: int) -> None:
    with RESULTS.open() as file:
        rows = {(float(row["grid_size"]), int(row["grid_numbers_half"])): row for row in csv.DictReader(file)}
    row = rows[size, half]
    rules = Rules(size, half)
    revised, first, booked = Published(rules), Published(rules, takes_out=False), Booked(rules)

    last = run(bars, rules, revised, booked)
    run(bars, rules, first)

    worth = revised.cash + revised.coin * last
    found = (revised.grids, revised.cash, revised.coin, revised.put_in, worth, percent(worth, revised.put_in))
    columns = ("grid_count", "USDT", "COIN", "input_money", "total_value", "real_profit_percentage")
    assert found == pytest.approx(tuple(float(row[name]) for name in columns), rel=1e-9)
    assert {name: round(value, 1) for name, value in told(first, revised, booked, last).items()} == EXPECTED[size, half]


def told(first: Published, revised: Published, booked: Booked, last: float) -> dict[str, float]:
    return {
        "2024": percent(first.cash + first.coin * last, first.put_in),
        "2025": percent(revised.cash + revised.coin * last, revised.put_in),
        "ledger": percent(float(booked.value(last)), float(booked.put_in)),
    }


def test_the_ledger_keeps_every_unit(bars: list[Bar]) -> None:
    """Money put in, less what coin cost, plus what it brought, less fees: nothing else is in the cash."""
    rules = Rules(0.02, 3)
    booked = Booked(rules)

    run(bars, rules, Published(rules), booked)

    seen = booked.fills
    spent = sum(
        (1 if fill.side == "BUY" else -1) * COIN.notional(fill.price_ticks, fill.quantity_lots) for fill in seen
    )
    assert booked.ledger.cash == booked.put_in - spent - sum(fill.fee for fill in seen)
    assert booked.ledger.positions[COIN.symbol].base == sum(
        (1 if fill.side == "BUY" else -1) * COIN.quantity(fill.quantity_lots) for fill in seen
    )
