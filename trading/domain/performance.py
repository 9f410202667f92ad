"""The performance statement: what the gates measure and two more ratios, each with its value or why there is none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trading.domain.drift import DAY_NS, FEWEST_RETURNS, YEAR_DAYS
from trading.domain.evidence import METRICS, Metric, Unit
from trading.domain.measuring import MEASURES, Found, Material, daily_returns

_ZERO: Final = Decimal(0)


def downside_deviation(returns: Sequence[Decimal]) -> Decimal:
    """Return the root of the mean square of the returns below zero, over all of `returns` (at least one).

    Source:
        F. A. Sortino, L. N. Price (1994), "Performance Measurement in a Downside Risk Framework", Journal of Investing
        3(3), 59-64; the target is zero.
    """
    return (sum((min(one, _ZERO) ** 2 for one in returns), _ZERO) / len(returns)).sqrt()


def sortino(of: Material) -> Found:
    """Mean of the daily returns / their downside deviation * sqrt(365), on the days of the Sharpe ratio."""
    returns = daily_returns(of)
    if len(returns) < FEWEST_RETURNS:
        return _too_few(len(returns))
    spread, mean = downside_deviation(returns), sum(returns, _ZERO) / len(returns)
    if not spread:
        return Found(None, len(returns), f"none of {len(returns)} days lost: the ratio has no bound")
    words = f"{len(returns)} daily returns, mean {mean:.5%}, downside {spread:.5%}, a year of {YEAR_DAYS} days"
    return Found(mean * Decimal(YEAR_DAYS).sqrt() / spread, len(returns), words)


def calmar(of: Material) -> Found:
    """Return of a year at the pace seen, not compounded / largest drawdown from the high-water mark.

    Source:
        T. W. Young (1991), "Calmar Ratio: A Smoother Tool", Futures 20(1), 40; over the window instead of 36 months.
    """
    equity, days = of.facts.equity, Decimal(of.facts.market_ns) / DAY_NS
    if equity is None or equity.first <= 0 or days < FEWEST_RETURNS:
        return _too_few(int(days))
    if not equity.drawdown:
        return Found(None, int(days), "nothing was lost from a high: the ratio has no bound")
    yearly = (equity.last / equity.first - 1) * YEAR_DAYS / days
    words = f"{yearly:.2%} a year at the pace of {days:.1f} market days / a drawdown of {equity.drawdown:.3%}"
    return Found(yearly / equity.drawdown, int(days), words)


def _too_few(days: int) -> Found:
    return Found(None, days, f"{days} whole market days; at least {FEWEST_RETURNS} are needed")


_RATIOS: Final[Mapping[str, tuple[Metric, Callable[[Material], Found]]]] = {
    "sortino": (Metric("Sortino ratio", Unit.RATIO, FEWEST_RETURNS, "days"), sortino),
    "calmar": (Metric("Calmar ratio", Unit.RATIO, FEWEST_RETURNS, "days"), calmar),
}
STATEMENT: Final = (  # what a performance statement holds, in its order
    "pnl_quote", "monthly_return", "sharpe", "sortino", "calmar", "high_water_drawdown", "daily_drawdown", "win_rate",
    "profit_factor", "fills_per_minute", "fill_rate", "latency_p95_ms", "feed_uptime", "position_sync", "crit_alerts",
    "warn_alerts_per_day",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a statement."""

    name: str
    metric: Metric
    value: Decimal | None  # None: not known, and `detail` says why
    samples: int
    detail: str


def statement(of: Material) -> tuple[Figure, ...]:
    """Return every figure of `STATEMENT`; one with fewer samples than its metric asks for is not known."""
    return tuple(_figure(name, of) for name in STATEMENT)


def _figure(name: str, of: Material) -> Figure:
    metric, measure = _RATIOS[name] if name in _RATIOS else (METRICS[name], MEASURES[name])
    found = measure(of)
    if found.value is not None and found.samples < metric.fewest:
        words = f"{found.samples} {metric.sample}, at least {metric.fewest} are needed ({found.detail})"
        return Figure(name, metric, None, found.samples, words)
    return Figure(name, metric, found.value, found.samples, found.detail)


def fee_in_quote(fee: Decimal, fee_at_price: Decimal, *, asset: str, base: str, quote: str) -> Decimal | None:
    """Return fees of one asset in quote as the ledger books them, None where they are in neither base nor quote.

    `fee` is their sum, `fee_at_price` the sum of each times the price of its fill.
    """
    if not fee or asset == quote:
        return fee
    return fee_at_price if asset == base else None
