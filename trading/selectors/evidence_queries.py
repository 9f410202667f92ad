"""SQL that gives a measured value again, for a person who wants to see it come out of the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from trading.domain.alarms import OF_STRANGERS
from trading.domain.drift import (
    DAY_NS,
    FEWEST_COMPARED,
    SMALLEST_DRAWDOWN_FRACTION,
    SMALLEST_PNL_FRACTION,
)
from trading.domain.drills import LATCHED_WITHIN, PROVEN_WITHIN, Drill
from trading.domain.latency import SUB_BITS
from trading.domain.limits import ExecutionStyle
from trading.domain.measuring import HOUR_NS, LARGEST_PROFIT_FACTOR, MINUTE_NS, MONTH_DAYS
from trading.domain.orders import IN_FLIGHT, MARKET_CLOSED, TERMINAL, WITHDRAWN, OrderStatus, OrderType

_MINUTE: Final = timedelta(minutes=1)
_SUB: Final = 1 << SUB_BITS

# Slices of rolled up hours, and the minutes of what is not rolled up.
_FACTS: Final = """WITH seen AS (
    SELECT h.hour + make_interval(mins => (one ->> 'minute')::int) AS at, one -> 'facts' AS facts
    FROM trading_hourfacts h, jsonb_array_elements(h.facts) one
    WHERE h.account_id = {account} AND h.hour >= {since} AND h.hour <= {last_hour}
    UNION ALL
    SELECT m.at, m.facts FROM trading_conductsample m
    WHERE m.account_id = {account} AND m.at >= {since} AND m.at < {until} AND NOT EXISTS (
        SELECT FROM trading_hourfacts h WHERE h.account_id = {account}
            AND h.hour = date_trunc('hour', m.at, 'UTC') AND h.hour >= {since} AND h.hour <= {last_hour})
)
"""
_MARKET_NS: Final = "sum((facts ->> 'market_ns')::numeric)"
_FIRST: Final = "(array_agg((facts -> 'equity' ->> 'first')::numeric ORDER BY at))[1]"
_LAST: Final = "(array_agg((facts -> 'equity' ->> 'last')::numeric ORDER BY at DESC))[1]"
# Held less paid in; rows from before there were transfers have neither: what was held is their equity.
_NET: Final = (
    "(coalesce(facts -> 'equity' ->> 'held_%s', facts -> 'equity' ->> '%s')::numeric"
    " - coalesce(facts -> 'equity' ->> 'paid_in_%s', '0')::numeric)"
)
_PNL: Final = (
    f"(array_agg({_NET % (('last',) * 3)} ORDER BY at DESC))[1] - (array_agg({_NET % (('first',) * 3)} ORDER BY at))[1]"
)
_LOOKED: Final = "FROM seen WHERE facts ->> 'equity' IS NOT NULL"
_FALL: Final = f"""SELECT max(greatest((facts -> 'equity' ->> 'drawdown')::numeric, 1 - trough / high)) FROM (
    SELECT facts, (facts -> 'equity' ->> 'trough')::numeric AS trough, max((facts -> 'equity' ->> 'peak')::numeric)
        OVER (ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS high {_LOOKED}
) slices"""
_ALERTS: Final = """FROM trading_alert
WHERE (account_id = {account} OR account_id IS NULL) AND (at >= {exact_since}{missed}) AND at < {exact_until}
    AND code <> ALL({strangers})"""
# What happened before the window and was stored by a transaction that its beginning did not see.
_MISSED: Final = """
    OR NOT pg_visible_in_snapshot(stored_in::text::xid8, '{snapshot}'::pg_snapshot) AND stored_in <> {transaction}"""
_TRIPS: Final = """FROM (
    SELECT sum(grid_profit_quote) AS profit FROM trading_fill WHERE account_id = {account} AND at >= {since}
        AND at < {until} AND side = 'SELL' AND grid_profit_quote IS NOT NULL GROUP BY order_id
) trips"""
_RATES: Final = (
    _FACTS.rstrip()
    + f""", rates AS (
    SELECT symbol, sum(filled_lots) AS part, sum(quantity_lots) AS whole, count(*) AS orders FROM trading_order
    WHERE account_id = {{account}} AND decided_at >= {{since}} AND decided_at < {{until}} AND symbol = ANY({{takers}})
        AND type = '{OrderType.MARKET}' AND status = ANY({{ended}}) AND status <> '{OrderStatus.DENIED}'
        AND reason <> '{WITHDRAWN}' GROUP BY symbol
    UNION ALL
    SELECT symbol, sum((one ->> 'touch_filled')::bigint), sum((one ->> 'touched')::bigint),
        sum((one ->> 'touched')::bigint) FROM seen, jsonb_each(facts -> 'symbols') each(symbol, one)
    WHERE symbol = ANY({{makers}}) GROUP BY symbol
)
"""
)
_BOTH: Final = (
    "FROM trading_papercomparison WHERE account_id = {account} AND since >= {exact_since} AND until <= {exact_until}"
)
_IS_COMPARED: Final = f"""(SELECT sum(extract(epoch FROM until - since)) * 1000000000 {_BOTH})
    >= {FEWEST_COMPARED} * (SELECT sum((facts ->> 'watched_ns')::numeric) FROM seen)"""
_PERCENTILE: Final = f"""SELECT (CASE WHEN bucket < {_SUB} THEN bucket
    ELSE ((mod(bucket, {_SUB}) + {_SUB + 1})::bigint << (bucket / {_SUB} - 1)::int) - 1 END) / 1000.0 FROM (
    SELECT bucket, sum(n) OVER (ORDER BY bucket) AS seen, sum(n) OVER () AS all_of_them FROM (
        SELECT key::int AS bucket, sum(value::bigint) AS n FROM seen, jsonb_each_text(facts -> '%s') GROUP BY 1
    ) counts
) running WHERE seen >= %s * all_of_them ORDER BY bucket LIMIT 1"""


def _percentile(segment: str, fraction: str) -> str:
    return _FACTS + _PERCENTILE % (segment, fraction)


def _drift(distance: str) -> str:
    return f"{_FACTS}SELECT CASE WHEN {_IS_COMPARED} THEN {distance} END {_BOTH}"


_CHANGES: Final = """SELECT symbol, cause, edited_at, since FROM (
SELECT symbol, cause, edited_at, since FROM trading_gridinforce
WHERE account_id = {account} AND since <= {exact_until}
UNION ALL
SELECT version.name, change.after, NULL, change.at FROM trading_modelchange change
JOIN trading_modelversion version ON version.id = change.version_id
WHERE change.at <= {exact_until} AND ARRAY[change.before, change.after]::text[] && '{{CANARY,CHAMPION}}'
) each ORDER BY since DESC"""
_HOURS: Final = f"""{_FACTS}SELECT coalesce({_MARKET_NS}, 0) / {HOUR_NS} AS hours,
    (SELECT json_agg(changes) FROM (
{{changes}}
    ) changes) AS changes FROM seen"""

_QUERIES: Final[Mapping[str, str]] = {
    "crit_alerts": f"SELECT count(*) {_ALERTS} AND severity = 'CRIT'",
    "warn_alerts_per_day": f"{_FACTS}SELECT (SELECT count(*) {_ALERTS} AND severity = 'WARN')"
    f" / nullif({_MARKET_NS} / {DAY_NS}, 0) FROM seen",
    "fill_rate": f"{_RATES}SELECT sum(part::numeric / whole * orders) / sum(orders) FROM rates WHERE whole > 0",
    "fill_rate_each_symbol": f"{_RATES}SELECT min(part::numeric / whole) FROM rates WHERE whole > 0",
    "latency_p50_ms": _percentile("latency", "0.5"),
    "latency_p95_ms": _percentile("latency", "0.95"),
    "latency_p99_ms": _percentile("latency", "0.99"),
    "tick_submit_p50_ms": _percentile("tick_submit", "0.5"),
    "tick_submit_p95_ms": _percentile("tick_submit", "0.95"),
    "tick_submit_p99_ms": _percentile("tick_submit", "0.99"),
    "ack_fill_p50_ms": _percentile("ack_fill", "0.5"),
    "ack_fill_p95_ms": _percentile("ack_fill", "0.95"),
    "ack_fill_p99_ms": _percentile("ack_fill", "0.99"),
    # Of the orders themselves: also of hours that were rolled up before this was kept, which the value leaves out.
    "reject_rate": f"SELECT count(*) FILTER (WHERE status = '{OrderStatus.REJECTED}')::numeric / nullif(count(*), 0)"
    " FROM trading_order WHERE account_id = {account} AND decided_at >= {since} AND decided_at < {until}"
    f" AND status <> ALL({{unanswered}}) AND reason <> '{WITHDRAWN}' AND NOT starts_with(reason, '{MARKET_CLOSED}')",
    "reconnects": f"{_FACTS}SELECT CASE WHEN sum((facts ->> 'detailed_ns')::numeric) > 0"
    " THEN sum((facts ->> 'feed_losses')::numeric) END FROM seen",
    "feed_uptime": f"{_FACTS}SELECT sum((facts ->> 'fed_ns')::numeric)"
    " / nullif(sum((facts ->> 'watched_ns')::numeric), 0) FROM seen",
    "position_sync": f"{_FACTS}SELECT sum((facts ->> 'in_sync')::numeric)"
    " / nullif(sum((facts ->> 'readings')::numeric), 0) FROM seen",
    "daily_drawdown": f"{_FACTS}SELECT max((facts ->> 'daily_drawdown')::numeric) {_LOOKED}",
    "symbol_drawdown": f"{_FACTS}SELECT max((one ->> 'drawdown')::numeric)"
    " FROM seen, jsonb_each(facts -> 'symbols') each(symbol, one)",
    "high_water_drawdown": f"{_FACTS}{_FALL}",
    # The whole window at once; of more than 30 market days each 30 are to be asked for alone.
    "monthly_drawdown": f"{_FACTS}{_FALL}",
    "pnl_quote": f"{_FACTS}SELECT {_PNL} {_LOOKED}",
    "pnl_per_day_quote": f"{_FACTS}SELECT ({_PNL}) / nullif({_MARKET_NS} / {DAY_NS}, 0) {_LOOKED}",
    "monthly_return": f"{_FACTS}SELECT ({_LAST} - {_FIRST}) / {_FIRST} * {MONTH_DAYS}"
    f" / nullif({_MARKET_NS} / {DAY_NS}, 0) {_LOOKED}",
    "fills_per_minute": f"{_FACTS}SELECT (SELECT count(*) FROM trading_fill WHERE account_id = {{account}}"
    f" AND at >= {{since}} AND at < {{until}}) / nullif({_MARKET_NS} / {MINUTE_NS}, 0) FROM seen",
    # The last equity of each market day; its returns, their mean / deviation * sqrt(365), are the rest.
    "sharpe": f"{_FACTS}SELECT at, facts ->> 'market_ns' AS market_ns, facts -> 'equity' ->> 'last' AS equity"
    f" {_LOOKED} ORDER BY at",
    "win_rate": f"SELECT count(*) FILTER (WHERE profit > 0)::numeric / nullif(count(*), 0) {_TRIPS}",
    "profit_factor": "SELECT CASE WHEN sum(greatest(-profit, 0)) > 0 THEN least("
    f"sum(greatest(profit, 0)) / sum(greatest(-profit, 0)), {LARGEST_PROFIT_FACTOR})"
    f" WHEN sum(profit) > 0 THEN {LARGEST_PROFIT_FACTOR} END {_TRIPS}",
    "kill_drills": f"SELECT CASE WHEN count(*) = {len(Drill)} THEN count(*) FILTER (WHERE passed) END FROM ("
    f"SELECT DISTINCT ON (d.drill) h.latched_at - d.asked_at <= interval '{LATCHED_WITHIN.seconds} s'"
    f" AND h.proven_clear_at - h.latched_at <= interval '{PROVEN_WITHIN.seconds} s' AS passed"
    " FROM trading_haltdrill d LEFT JOIN trading_halt h ON h.id = d.halt_id WHERE d.account_id = {account}"
    " AND d.asked_at >= {exact_since} AND d.asked_at < {exact_until} ORDER BY d.drill, d.id DESC) newest",
    "drift_pnl": _drift(
        "abs(sum(paper_pnl_quote) - sum(backtest_pnl_quote))"
        f" / greatest(abs(sum(backtest_pnl_quote)), max(capital_quote) * {SMALLEST_PNL_FRACTION})"
    ),
    "drift_drawdown": _drift(
        "abs(max(paper_drawdown) - max(backtest_drawdown))"
        f" / greatest(max(backtest_drawdown), {SMALLEST_DRAWDOWN_FRACTION})"
    ),
    "drift_win_rate": _drift(
        "abs(sum(paper_wins)::numeric / nullif(sum(paper_round_trips), 0)"
        " - sum(backtest_wins)::numeric / nullif(sum(backtest_round_trips), 0))"
        " / greatest(sum(backtest_wins)::numeric, 1) * sum(backtest_round_trips)"
    ),
    # The daily returns of both sides; their Sharpe ratios and the distance of them are the rest.
    "drift_sharpe": f"SELECT since, returns {_BOTH} ORDER BY since",
}


@dataclass(frozen=True, slots=True)
class Query:
    """What to ask the database of one account."""

    account: int
    symbols: Mapping[ExecutionStyle, Sequence[str]]

    def of(self, metric: str, since: datetime, until: datetime, seen: tuple[str, int] = ("", 0)) -> str:
        """Return the SQL of one metric between two times; `seen` is the snapshot the window began with, and whose."""
        begin, end = _minute(since + _MINUTE - timedelta(microseconds=1)), _minute(until)
        return _QUERIES[metric].format(
            account=self.account,
            since=_time(begin),
            until=_time(end),
            last_hour=_time(end - timedelta(hours=1)),
            exact_since=_time(since),
            missed=_MISSED.format(snapshot=seen[0], transaction=seen[1]) if seen[0] else "",
            exact_until=_time(until),
            takers=_texts(self.symbols[ExecutionStyle.TAKER]),
            strangers=_texts(sorted(OF_STRANGERS)),
            makers=_texts(self.symbols[ExecutionStyle.MAKER]),
            ended=_texts(sorted(TERMINAL)),
            unanswered=_texts(sorted({*IN_FLIGHT, OrderStatus.DENIED})),
        )

    def of_change(self, until: datetime, since: datetime | None = None) -> str:
        """Return the SQL of the hours in force from `since` on, beside every change of the grids.

        `since` is where the first whole slice after the newest change begins; None: there is none to count from.
        """
        if since is None:
            return _CHANGES.format(account=self.account, exact_until=_time(until))
        end = _minute(until)
        times = {"since": _time(since), "until": _time(end), "last_hour": _time(end - timedelta(hours=1))}
        return _HOURS.format(
            account=self.account, **times, changes=_CHANGES.format(account=self.account, exact_until=_time(until))
        )


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _time(at: datetime) -> str:
    return f"'{at.astimezone(UTC).isoformat()}'::timestamptz"


def _texts(texts: Sequence[str]) -> str:
    # Names of symbols and states hold no quotes; one that does cannot leave its own either.
    return "ARRAY[{}]::text[]".format(", ".join("'{}'".format(text.replace("'", "''")) for text in texts))
