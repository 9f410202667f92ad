"""What a report counts, against a history made by hand; and in how many queries."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.trading.measured import BTC, ETH, HOUR, INSTRUMENTS, MINUTE, Measured
from trading.domain import events as e
from trading.domain.evidence import Equity, Facts, Slice
from trading.domain.orders import Fill, OrderStatus, Side
from trading.models import Halt, Mandate, Settlement, VenueInstrument
from trading.selectors import evidence, reports
from trading.selectors.recovery import nanoseconds
from trading.services import evidence as rolling

pytestmark = pytest.mark.django_db
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
DAY = 24 * HOUR
QUERIES = 14


@pytest.fixture
def desk(db: None) -> Measured:
    for symbol in (BTC, ETH):
        VenueInstrument.objects.create(
            venue="binance", symbol=symbol, base=symbol[:3], quote="USDT", tick_size="0.01", lot_size="0.00001",
            min_notional=5, as_of=BEGIN.date(), source="hand",
        )  # fmt: skip
    return Measured.desk()


def execute(desk: Measured, at: datetime, side: Side, realized: str, profit: str | None = None, **changes: Any) -> None:
    """Store one execution of 10 lots at 60,000.00."""
    values: dict[str, Any] = {"symbol": BTC, "fee": Decimal("0.0024"), "fee_asset": "USDT"}
    values |= changes
    order = desk.ask(at, side=side, symbol=values["symbol"])
    fill = Fill(
        next(desk.numbers), order.client_order_id, "1", values["symbol"], side, 6_000_000, 10, values["fee"],
        values["fee_asset"], False, nanoseconds(at),
    )  # fmt: skip
    earned = None if profit is None else Decimal(profit)
    desk.journal.commit_now([e.PersistFill(fill, 0, Decimal(realized), earned, 0)], at_ns=nanoseconds(at))


def mandate(desk: Measured, version: int, at: datetime, capital: int = 300) -> None:
    Mandate.objects.create(
        account=desk.account, version=version, phase="4.0", capital_quote=capital, symbols=[BTC],
        execution_styles=["TAKER"], max_position_fraction="0.02", max_symbol_exposure_fraction="0.1",
        max_total_exposure_fraction="0.2", max_daily_drawdown_fraction="0.02", max_daily_drawdown_hard_fraction="0.05",
        max_daily_trades=20, max_open_orders=3, put_into_force_at=at, put_into_force_by="cto",
    )  # fmt: skip


def history(desk: Measured) -> None:
    """Two days: a round trip on each, one fee in base and one in an asset of neither, a denial, a halt."""
    mandate(desk, 1, BEGIN - DAY)
    mandate(desk, 2, BEGIN + 30 * HOUR, capital=600)
    desk.watch(BEGIN + HOUR, 60, equities=(300, 303, 301))
    desk.watch(BEGIN + 25 * HOUR, 30, equities=(301, 299))
    execute(desk, BEGIN + HOUR, Side.BUY, "-0.0024")
    execute(desk, BEGIN + 2 * HOUR, Side.SELL, "0.5", "0.4976")
    execute(desk, BEGIN + 25 * HOUR, Side.BUY, "-0.006", symbol=ETH, fee=Decimal("0.0000001"), fee_asset="ETH")
    execute(desk, BEGIN + 26 * HOUR, Side.SELL, "-0.25", "-0.256", symbol=ETH, fee=Decimal("0.00001"), fee_asset="BNB")
    denied = desk.ask(BEGIN + HOUR, filled=0)
    denied.status, denied.reason = OrderStatus.DENIED, "DAILY_TRADES: 20 trades used or pending, limit 20"
    desk.store(denied, BEGIN + HOUR)
    Halt.objects.create(
        account=desk.account, requested_by="rule: gate", reason="one CRIT", latched_at=BEGIN + 2 * DAY,
        proven_clear_at=BEGIN + 2 * DAY + MINUTE,
    )  # fmt: skip


@pytest.fixture
def told(desk: Measured) -> dict[str, Any]:
    history(desk)
    return reports.activity(desk.account, BEGIN, BEGIN + 2 * DAY)


def test_the_time_that_was_watched_is_told_beside_the_time_that_passed(told: dict[str, Any]) -> None:
    assert told["coverage"] == {
        "wall_s": 172_800, "watched_s": 5_400, "in_force_s": 5_400, "market_s": 5_400, "accelerated": False,
    }  # fmt: skip


def test_equity_from_the_first_look_to_the_last(told: dict[str, Any]) -> None:
    assert told["equity"] == {
        "first": "300", "last": "299", "peak": "303", "trough": "299", "drawdown": "0.013201320132",
    }  # fmt: skip


def test_each_day_by_itself(told: dict[str, Any]) -> None:
    first, second = told["days"]

    assert (first["day"], first["equity"], first["pnl"], first["fills"], first["fees"]) == (
        "2026-11-01", "301", "1", 2, "0.0048",
    )  # fmt: skip
    assert (first["round_trips"], first["realized"], first["watched_s"]) == (1, "0.4976", 3_600)
    assert (second["equity"], second["pnl"], second["fills"], second["fees"]) == ("299", "-2", 2, None)


def test_each_symbol_with_what_its_sales_realised(told: dict[str, Any]) -> None:
    btc, eth = told["symbols"]

    assert (btc["symbol"], btc["fills"], btc["realized"], btc["grid_profit"]) == (BTC, 2, "0.4976", "0.4976")
    assert (btc["bought"], btc["sold"], btc["fees"]) == ("6", "6", "0.0048")
    assert (btc["round_trips"], btc["wins"]) == (1, 1)
    assert (eth["realized"], eth["fees"], eth["wins"]) == ("-0.256", None, 0)


def test_fees_by_asset_with_their_value_where_it_is_known(told: dict[str, Any]) -> None:
    assert told["fees"] == [
        {"asset": "BNB", "amount": "0.00001", "in_quote": None},
        {"asset": "ETH", "amount": "0.0000001", "in_quote": "0.006"},
        {"asset": "USDT", "amount": "0.0048", "in_quote": "0.0048"},
    ]


def test_denials_halts_and_mandates(told: dict[str, Any]) -> None:
    assert told["denials"] == [{"code": "DAILY_TRADES", "times": 1}]
    assert [(one["version"], one["capital"]) for one in told["mandates"]] == [(1, "300"), (2, "600")]
    (halt,) = told["halts"]
    assert (halt["what"], halt["proven_clear_at"]) == ("whole desk", None)  # what came after the span is not told


def test_the_series_falls_where_equity_fell_and_has_holes_where_nobody_looked(told: dict[str, Any]) -> None:
    series = {row[0]: row[1:] for row in told["series"]}

    assert series["2026-11-01T02:00:00+00:00"] == ["301", "303", "300", "0.009900990099"]
    assert series["2026-11-01T03:00:00+00:00"] == [None] * 4
    assert series["2026-11-02T02:00:00+00:00"] == ["299", "301", "299", "0.013201320132"]


def test_the_figures_are_those_of_the_gate(desk: Measured, told: dict[str, Any]) -> None:
    for row in told["figures"]:
        if row["name"] in {"sortino", "calmar"} or row["value"] is None:
            continue
        found = evidence.measure(desk.account, row["name"], BEGIN, BEGIN + 2 * DAY)
        assert row["value"] == reports.text(found.value), row["name"]
        assert row["detail"] == found.detail


def test_what_is_not_known_says_what_it_needs(told: dict[str, Any]) -> None:
    figures = {row["name"]: row for row in told["figures"]}

    assert (figures["pnl_quote"]["value"], figures["pnl_quote"]["samples"]) == ("-1", 240)
    assert figures["win_rate"]["value"] is None
    assert "2 round trips, at least 20 are needed" in figures["win_rate"]["detail"]
    assert figures["sharpe"]["detail"] == "0 whole market days; at least 7 are needed"


def test_rolled_up_or_not_a_report_says_the_same(desk: Measured, told: dict[str, Any]) -> None:
    rolling.roll_up(BEGIN + 2 * DAY + MINUTE)

    assert reports.activity(desk.account, BEGIN, BEGIN + 2 * DAY) == told


@pytest.mark.parametrize("days", [1, 2, 30])
def test_it_is_fourteen_queries_however_long_the_period(desk: Measured, days: int) -> None:
    history(desk)
    rolling.roll_up(BEGIN + 2 * DAY + MINUTE)

    with CaptureQueriesContext(connection) as asked:
        reports.activity(desk.account, BEGIN, BEGIN + days * DAY + 30 * MINUTE)

    assert len(asked) <= QUERIES


def test_nothing_at_all_is_told_as_nothing(desk: Measured) -> None:
    told = reports.activity(desk.account, BEGIN, BEGIN + HOUR)

    assert (told["equity"], told["symbols"], told["fees"], told["coverage"]["watched_s"]) == (None, [], [], 0)
    assert [row[1:] for row in told["series"]] == [[None] * 4]


def test_a_long_series_keeps_its_deepest_fall(desk: Measured) -> None:
    slices = []
    for hour in range(2_500):
        facts = Facts(samples=1, equity=Equity.of(Decimal(299 if hour == 1_234 else 300)))
        slices.append(Slice(BEGIN + hour * HOUR, BEGIN + (hour + 1) * HOUR, facts))

    series = reports._series(slices)

    assert len(series) <= reports.POINTS
    assert max(Decimal(row[4] or 0) for row in series) == Decimal("0.003333333333")


def test_the_tax_report_reads_fills_and_settlements_in_order_of_time(desk: Measured) -> None:
    history(desk)
    Settlement.objects.create(
        account=desk.account, symbol=BTC, quantity_base="0.00001", price=59_000, lap=1, at=BEGIN + 3 * HOUR
    )

    found = reports.trades(desk.account, BEGIN + 25 * HOUR + MINUTE)

    assert [(one.symbol, one.side, one.base) for one in found] == [
        (BTC, "BUY", "BTC"), (BTC, "SELL", "BTC"), (BTC, "SELL", "BTC"), (ETH, "BUY", "ETH"),
    ]  # fmt: skip
    assert [one.reference for one in found][2] == "seam of lap 1"
    assert found[0].quantity == INSTRUMENTS[BTC].quantity(10)
    assert (found[3].fee, found[3].fee_asset) == (Decimal("0.0000001"), "ETH")
