"""What the gates are told: every metric of every window, out of the rows the services wrote."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.trading.measured import BTC, ETH, HOUR, MINUTE, Measured
from trading.domain.drills import Drill
from trading.domain.events import Severity
from trading.domain.evidence import METRICS, Measurement, SymbolFacts
from trading.domain.measuring import Over
from trading.domain.orders import OrderStatus, OrderType
from trading.models import ConductSample, HourFacts, PaperComparison
from trading.selectors import evidence
from trading.services import alerts
from trading.services import evidence as rolling

pytestmark = pytest.mark.django_db
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
DAY = 24 * HOUR
EVERYTHING = [(metric, over.value) for metric in METRICS for over in Over]


@pytest.fixture
def desk(db: None) -> Measured:
    return Measured.desk()


def trade(desk: Measured, since: datetime, hours: int) -> None:
    """Let a desk be watched and trade: each hour is a little richer, a little poorer, and has one order unfilled."""
    for number in range(hours):
        begin = since + number * HOUR
        lost = {BTC: SymbolFacts(drawdown=Decimal(number % 4) / 1_000), ETH: SymbolFacts(touched=2, touch_filled=1)}
        desk.watch(begin, 60, equities=(300 + number % 5, 301 + number % 7), symbols=lost, feed_losses=number % 2)
        desk.ask(begin, filled=4, status=OrderStatus.EXPIRED)
        for trip, profit in enumerate(("0.5", "0.25", "-0.5")):
            desk.sell(begin + trip * 20 * MINUTE, profit)
        desk.ask(begin, filled=0, status=OrderStatus.REJECTED, type=OrderType.LIMIT_MAKER, price_ticks=1)


def value_of(desk: Measured, metric: str, since: datetime, until: datetime) -> Decimal | None:
    return evidence.measure(desk.account, metric, since, until).value


# --- rolled up or not -------------------------------------------------------------------------------------------------


def test_what_was_rolled_up_says_the_same_as_the_rows(desk: Measured) -> None:
    trade(desk, BEGIN, 30)
    since, until = BEGIN + 20 * MINUTE, BEGIN + 29 * HOUR + 10 * MINUTE

    of_rows = evidence.measure_all(desk.account, EVERYTHING, since, until)
    rolling.roll_up(BEGIN + 29 * HOUR + MINUTE)
    rolled = evidence.measure_all(desk.account, EVERYTHING, since, until)

    assert HourFacts.objects.count() == 29
    assert rolled == of_rows


def test_the_edges_are_exact_to_the_minute(desk: Measured) -> None:
    trade(desk, BEGIN, 3)
    rolling.roll_up(BEGIN + 3 * HOUR + MINUTE)

    found = evidence.slices(desk.account, BEGIN + 21 * MINUTE, BEGIN + 2 * HOUR + 41 * MINUTE)

    assert [(one.since - BEGIN, one.until - BEGIN) for one in found] == [
        (21 * MINUTE, HOUR),
        (HOUR, 2 * HOUR),
        (2 * HOUR, 2 * HOUR + 41 * MINUTE),
    ]
    assert [one.facts.samples for one in found] == [78, 120, 82]
    assert [one.facts.total.round_trips for one in found] == [1, 3, 3]


def test_everything_is_asked_in_eight_queries_however_long_the_window(desk: Measured) -> None:
    trade(desk, BEGIN, 80)
    rolling.roll_up(BEGIN + 79 * HOUR + MINUTE)

    for since in (BEGIN + 30 * MINUTE, BEGIN + 70 * HOUR + 30 * MINUTE):
        with CaptureQueriesContext(connection) as asked:
            evidence.measure_all(desk.account, EVERYTHING, since, BEGIN + 80 * HOUR)
        assert len(asked) == 8


def test_hours_in_force_need_two_queries(desk: Measured) -> None:
    desk.watch(BEGIN, 90)

    with CaptureQueriesContext(connection) as asked:
        found = evidence.hours_in_force(desk.account, BEGIN, BEGIN + 2 * HOUR)

    assert (found, len(asked)) == ((Decimal("1.5"), False), 2)


def test_accelerated_hours_are_hours_of_the_market_and_said_to_be(desk: Measured) -> None:
    desk.watch(BEGIN, 30, speed=10)

    assert evidence.hours_in_force(desk.account, BEGIN, BEGIN + HOUR) == (Decimal(5), True)


# --- a value and what it rests on -------------------------------------------------------------------------------------


def test_a_measurement_says_what_it_was_measured_on(desk: Measured) -> None:
    trade(desk, BEGIN, 2)

    found = evidence.measure(desk.account, "win_rate", BEGIN, BEGIN + 2 * HOUR)

    assert (found.value, found.samples, found.coverage) == (Decimal(2) / 3, 6, Decimal(1))
    assert found.detail == "4 of 6 round trips with a profit after fees"
    assert (found.since, found.until) == (BEGIN, BEGIN + 2 * HOUR)


def test_coverage_is_the_watched_part_of_the_window(desk: Measured) -> None:
    desk.watch(BEGIN, 30)

    assert evidence.measure(desk.account, "feed_uptime", BEGIN, BEGIN + 2 * HOUR).coverage == Decimal("0.25")
    assert evidence.measure(desk.account, "feed_uptime", BEGIN, BEGIN).coverage == 0


def test_the_fill_rate_is_that_of_each_grids_style(desk: Measured) -> None:
    trade(desk, BEGIN, 1)

    found = evidence.measure(desk.account, "fill_rate_each_symbol", BEGIN, BEGIN + HOUR)

    assert found.each == ((BTC, Decimal("0.85")), (ETH, Decimal("0.5")))
    assert (found.value, found.samples) == (Decimal("0.5"), 4)


@pytest.mark.parametrize("metric", [name for name in METRICS if name != "crit_alerts"])
def test_where_nothing_happened_nothing_is_known(desk: Measured, metric: str) -> None:
    found = evidence.measure(desk.account, metric, BEGIN, BEGIN + HOUR)

    assert (found.value, found.samples, found.coverage) == (None, 0, Decimal(0))


def test_what_a_stranger_can_raise_is_not_held_against_the_desk(desk: Measured) -> None:
    trade(desk, BEGIN, 2)
    alerts.raise_alert(account=None, severity=Severity.WARN, code="SIGN_INS_FAILED", message="25", at=BEGIN + MINUTE)
    alerts.raise_alert(account=None, severity=Severity.WARN, code="B", message="b", at=BEGIN + MINUTE)

    found = evidence.measure(desk.account, "warn_alerts_per_day", BEGIN, BEGIN + 2 * HOUR)

    assert (found.value, found.samples) == (Decimal(12), 1)
    assert asked(found) == pytest.approx(Decimal(12))


REPEATED = [name for name in METRICS if "sharpe" not in name]  # their queries list what they are computed from


@pytest.mark.parametrize("metric", REPEATED)
def test_the_query_gives_the_value_again(desk: Measured, metric: str) -> None:
    trade(desk, BEGIN, 30)
    rolling.roll_up(BEGIN + 29 * HOUR + MINUTE)
    alerts.raise_alert(account=None, severity=Severity.CRIT, code="A", message="a", at=BEGIN + HOUR)
    alerts.raise_alert(account=desk.account, severity=Severity.WARN, code="B", message="b", at=BEGIN + HOUR)
    drill_all(desk)
    compare(desk, BEGIN + HOUR, BEGIN + 15 * HOUR, "2.4", "3", 9)
    compare(desk, BEGIN + 15 * HOUR, BEGIN + 29 * HOUR, "-1", "-0.5", 7)
    compare(desk, BEGIN, BEGIN + HOUR, "99", "3", 1)  # begins before the window

    found = evidence.measure(desk.account, metric, BEGIN + 20 * MINUTE, BEGIN + 29 * HOUR + 30 * MINUTE)

    assert found.value is not None
    assert float(asked(found)) == pytest.approx(float(found.value), rel=1e-6)


def drill_all(desk: Measured) -> None:
    """Let every kind be drilled: one passes at the second attempt, one fails at last."""
    desk.drill(Drill.MANUAL, BEGIN + HOUR, proven_after=MINUTE)
    for number, kind in enumerate(Drill):
        desk.drill(kind, BEGIN + 2 * HOUR + number * MINUTE)
    desk.drill(Drill.SILENT_DATA, BEGIN + 3 * HOUR, proven_after=MINUTE)


def compare(desk: Measured, since: datetime, until: datetime, paper: str, backtest: str, wins: int) -> None:
    """Store a stretch of 15 round trips of which the backtest won 10."""
    PaperComparison.objects.create(
        account=desk.account, since=since, until=until, is_over=True, events=1, capital_quote=300,
        paper_pnl_quote=paper, backtest_pnl_quote=backtest, paper_drawdown="0.004", backtest_drawdown="0.005",
        paper_round_trips=15, backtest_round_trips=15, paper_wins=wins, backtest_wins=10,
        returns={"paper": [], "backtest": []}, differences={}, compared_at=until,
    )  # fmt: skip


def asked(found: Measurement) -> Decimal:
    with connection.cursor() as cursor:
        cursor.execute(found.query)
        return Decimal(cursor.fetchone()[0])


def test_the_query_of_the_sharpe_ratio_lists_its_equities(desk: Measured) -> None:
    trade(desk, BEGIN, 2)

    with connection.cursor() as cursor:
        cursor.execute(evidence.measure(desk.account, "sharpe", BEGIN, BEGIN + 2 * HOUR).query)
        assert len(cursor.fetchall()) == 120


# --- what older rows do not hold --------------------------------------------------------------------------------------

DETAIL = [name for name, metric in METRICS.items() if metric.is_detail]
OLDER = ("detailed_ns", "feed_losses", "tick_submit", "ack_fill")


def age(desk: Measured, until: datetime) -> None:
    """Take from the stored rows before `until` what was not kept once."""

    def without(facts: dict[str, Any]) -> dict[str, Any]:
        symbols = {
            symbol: {name: value for name, value in one.items() if name not in ("answered", "rejected", "drawdown")}
            for symbol, one in facts["symbols"].items()
        }
        return {name: value for name, value in facts.items() if name not in OLDER} | {"symbols": symbols}

    for minute in ConductSample.objects.filter(account=desk.account, at__lt=until):
        minute.facts = without(minute.facts)
        minute.save()
    for hour in HourFacts.objects.filter(account=desk.account, hour__lt=until):
        hour.facts = [one | {"facts": without(one["facts"])} for one in hour.facts]
        hour.save()


@pytest.mark.parametrize("metric", DETAIL)
def test_of_older_hours_nothing_is_known_and_nothing_is_zero(desk: Measured, metric: str) -> None:
    trade(desk, BEGIN, 2)
    rolling.roll_up(BEGIN + 2 * HOUR + MINUTE)
    age(desk, BEGIN + 2 * HOUR)

    found = evidence.measure(desk.account, metric, BEGIN, BEGIN + 2 * HOUR)

    assert (found.value, found.samples, found.coverage) == (None, 0, Decimal(0))
    assert evidence.measure(desk.account, "latency_p99_ms", BEGIN, BEGIN + 2 * HOUR).coverage == 1


@pytest.mark.parametrize("metric", [name for name in DETAIL if name != "reject_rate"])
def test_older_minutes_are_not_covered_and_the_query_reads_them_alike(desk: Measured, metric: str) -> None:
    trade(desk, BEGIN, 2)
    age(desk, BEGIN + HOUR)

    found = evidence.measure(desk.account, metric, BEGIN, BEGIN + 2 * HOUR)

    assert found.value is not None
    assert found.coverage == Decimal("0.5")
    assert float(asked(found)) == pytest.approx(float(found.value), rel=1e-6)


# --- also measured ----------------------------------------------------------------------------------------------------


def test_the_values_beside_the_criteria(desk: Measured) -> None:
    trade(desk, BEGIN, 4)
    drill_all(desk)
    until = BEGIN + 4 * HOUR

    values = {metric: value_of(desk, metric, BEGIN, until) for metric in ("reject_rate", "reconnects", "kill_drills")}
    found = evidence.measure(desk.account, "symbol_drawdown", BEGIN, until)

    assert values == {"reject_rate": Decimal("0.2"), "reconnects": 120, "kill_drills": 3}
    assert (found.value, found.each) == (Decimal("0.003"), ((BTC, Decimal("0.003")), (ETH, None)))


def test_drills_are_not_known_until_every_kind_was_tried_within_the_window(desk: Measured) -> None:
    for number, kind in enumerate(Drill):
        desk.drill(kind, BEGIN + number * MINUTE)

    late = evidence.measure(desk.account, "kill_drills", BEGIN + MINUTE, BEGIN + HOUR)

    assert value_of(desk, "kill_drills", BEGIN, BEGIN + HOUR) == 4
    assert (late.value, late.samples) == (None, 3)
    assert late.detail.startswith("3 of 4 kinds: manual not tried; drawdown passed 2026-11-01 00:01; ")


# --- windows ----------------------------------------------------------------------------------------------------------


def days(desk: Measured, metric: str, since: datetime, until: datetime) -> list[Measurement]:
    return evidence.measure_all(desk.account, [(metric, Over.EACH_OF_3_DAYS)], since, until)[
        metric, Over.EACH_OF_3_DAYS
    ]


def test_each_of_three_days_is_measured_alone(desk: Measured) -> None:
    for day, equity in enumerate((300, 310, 305, 320)):
        desk.watch(BEGIN + day * DAY, 24 * 60, equities=(300, equity))
    rolling.roll_up(BEGIN + 4 * DAY + MINUTE)

    found = days(desk, "pnl_quote", BEGIN, BEGIN + 4 * DAY)
    last = evidence.measure_all(desk.account, [("pnl_quote", "last 3 days")], BEGIN, BEGIN + 4 * DAY)

    assert [one.value for one in found] == [10, 5, 20]
    assert [one.since for one in found] == [BEGIN + day * DAY for day in (1, 2, 3)]
    assert last["pnl_quote", "last 3 days"][0].value == 20
    assert last["pnl_quote", "last 3 days"][0].since == BEGIN + DAY


def test_a_run_of_two_days_has_two_of_them(desk: Measured) -> None:
    desk.watch(BEGIN, 48 * 60)

    assert len(days(desk, "pnl_quote", BEGIN, BEGIN + 2 * DAY)) == 2
    assert len(days(desk, "pnl_quote", BEGIN, BEGIN + 2 * DAY - MINUTE)) == 1


def test_accelerated_days_pass_in_minutes(desk: Measured) -> None:
    desk.watch(BEGIN, 96, speed=60)

    fresh = days(desk, "feed_uptime", BEGIN, BEGIN + 96 * MINUTE)
    rolling.roll_up(BEGIN + 2 * HOUR + MINUTE)
    rolled = days(desk, "feed_uptime", BEGIN, BEGIN + 96 * MINUTE)

    assert [(one.since - BEGIN) // MINUTE for one in fresh] == [24, 48, 72]
    assert fresh == rolled


def test_a_day_that_was_not_in_force_is_not_counted(desk: Measured) -> None:
    desk.watch(BEGIN, 24 * 60)
    desk.watch(BEGIN + DAY, 24 * 60, in_force_ns=0, market_ns=0)
    desk.watch(BEGIN + 2 * DAY, 24 * 60)

    assert len(days(desk, "feed_uptime", BEGIN, BEGIN + 3 * DAY)) == 2


# --- alerts -----------------------------------------------------------------------------------------------------------


def test_alerts_of_all_accounts_count_and_of_others_do_not(desk: Measured) -> None:
    other = type(desk.account).objects.create(slug="other", name="Other")
    for account, code in ((desk.account, "A"), (None, "B"), (other, "C")):
        alerts.raise_alert(account=account, severity=Severity.CRIT, code=code, message="", at=BEGIN + MINUTE)

    assert value_of(desk, "crit_alerts", BEGIN, BEGIN + HOUR) == 2


@pytest.mark.parametrize(
    ("at", "expected"),
    [(BEGIN - timedelta(seconds=1), 0), (BEGIN, 1), (BEGIN + timedelta(seconds=90), 1), (BEGIN + 2 * MINUTE, 0)],
    ids=["before", "at the begin", "in a minute that is not whole", "at the end"],
)
def test_an_alert_counts_where_it_last_occurred(desk: Measured, at: datetime, expected: int) -> None:
    for occurrence in (at - 5 * MINUTE, at):
        alerts.raise_alert(account=desk.account, severity=Severity.CRIT, code="A", message="", at=occurrence)

    assert value_of(desk, "crit_alerts", BEGIN, BEGIN + 2 * MINUTE) == expected


def test_an_unknown_metric_or_window_is_refused(desk: Measured) -> None:
    with pytest.raises(KeyError, match="luck"):
        evidence.measure(desk.account, "luck", BEGIN, BEGIN + HOUR)
    with pytest.raises(ValueError, match="the last year"):
        evidence.measure_all(desk.account, [("pnl_quote", "the last year")], BEGIN, BEGIN + HOUR)
