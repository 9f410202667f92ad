"""The desk's alert rules on what is measured: too many rejects, too few fills, too much in fees, a slow venue."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from trading.domain.latency import Histogram
from trading.domain.metrics import Rate

SMALLEST_SAMPLE: Final = 20  # orders or round trips, ours
# Whoever reaches the sign-in page can raise these. People are told; no gate counts them, or a stranger could delay it.
OF_STRANGERS: Final = frozenset({"SIGN_INS_FAILED"})
_MILLIONTHS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ShareRule:
    """Warn when a share lies beyond its limit; exactly on the limit it is kept."""

    code: str
    limit_fraction: float
    is_floor: bool  # True: warn below the limit; False: warn above it
    window: timedelta | None  # how far back it looks; None: to the start of the trading day
    text: str  # with {share} and {count}
    lasting: timedelta = timedelta(0)  # how long it must be beyond before anybody is told

    def is_broken(self, rate: Rate) -> bool | None:
        """Return whether to warn; None while the share is unknown or measured on fewer than `SMALLEST_SAMPLE`.

        One reject of three is no rate. None is no alert, and no pass either: nobody may read it as "kept".
        """
        share = rate.fraction
        if share is None or rate.count < SMALLEST_SAMPLE:
            return None
        return share < self.limit_fraction if self.is_floor else share > self.limit_fraction

    def message(self, rate: Rate) -> str:
        """Return what was measured, on how many, and the limit; fit for the operator.

        Raises:
            ValueError: the share is not known.
        """
        if rate.fraction is None:
            raise ValueError(f"{self.code}: a share that is not known has no message")
        limit = f"{'at least' if self.is_floor else 'at most'} {100 * self.limit_fraction:g} %"
        return f"{self.text.format(share=f'{100 * rate.fraction:.1f} %', count=rate.count)} (limit: {limit})."


@dataclass(frozen=True, slots=True)
class LatencyRule:
    """Warn when the 95th percentile of a latency lies above its limit, and goes on to."""

    code: str
    limit_ms: float
    window: timedelta
    lasting: timedelta
    text: str  # with {p95} and {count}

    def is_broken(self, histogram: Histogram) -> bool | None:
        """Return whether to warn; None on fewer than `SMALLEST_SAMPLE`: a quiet hour has no percentile."""
        p95 = histogram.percentile_ms(95.0)
        return None if p95 is None or histogram.samples < SMALLEST_SAMPLE else p95 > self.limit_ms

    def message(self, histogram: Histogram) -> str:
        """Return what was measured, on how many, and the limit; fit for the operator."""
        p95 = histogram.percentile_ms(95.0)
        shown = "not known" if p95 is None else f"{p95:,.0f} ms"
        return f"{self.text.format(p95=shown, count=histogram.samples)} (limit: at most {self.limit_ms:,g} ms)."


SHELVED_AT_MOST: Final = timedelta(hours=8)  # ISA-18.2 wants a bound; one shift is the desk's
SHORTEST_REASON: Final = 10  # characters; "ok" is no reason
# What a halt or a pause has answered is over when people release it.
OVER_WITH_THE_HALT: Final = (
    "DAILY_DRAWDOWN", "HARD_DRAWDOWN", "POSITION_MISMATCH", "HALT_NOT_PROVEN", "CONTRADICTION",
)  # fmt: skip
OVER_WITH_THE_PAUSE: Final = ("SYMBOL_DRAWDOWN", "GHOST_ORDER", "STEPS_CHANGED")


def why_not_shelve(*, hours: float, reason: str) -> str:
    """Return why an alert may not be put aside for so long, or an empty text."""
    most = SHELVED_AT_MOST.total_seconds() / 3_600
    if not 0 < hours <= most:
        return f"Shelve for more than 0 and at most {most:g} hours."
    return "" if len(reason.strip()) >= SHORTEST_REASON else f"Say why, in at least {SHORTEST_REASON} characters."


# Source: the desk's alert rules (mission, decisions.md).
REJECTS: Final = ShareRule(
    "REJECTS", 0.02, False, timedelta(hours=1), "The venue rejected {share} of {count} orders in an hour"
)
FILL_RATE: Final = ShareRule(
    "FILL_RATE", 0.85, True, timedelta(hours=6), "{count} market orders filled {share} of their quantity in 6 hours"
)
FEES: Final = ShareRule("FEES", 0.25, False, None, "Fees are {share} of the gross grid profit of {count} round trips")

VENUE_LATENCY: Final = LatencyRule(
    "VENUE_LATENCY", 1_500, timedelta(minutes=10), timedelta(minutes=2),
    "The venue acknowledged 95 % of {count} orders within {p95}, in 10 minutes",
)  # fmt: skip


def fee_share(fees_quote: Decimal, gross_grid_profit_quote: Decimal, round_trips: int) -> Rate:
    """Return the fees of the day / its gross grid profit, in millionths of the quote currency.

    Gross grid profit is what the sells of the grid's slots earned over the price paid, before any fee; inventory P&L
    is no part of it. The fees are all of the day, also of lots that are still held. Without a profit above zero there
    is nothing to take a share of: the rate is unknown.
    """
    if gross_grid_profit_quote <= 0:
        return Rate(0, 0, round_trips)
    return Rate(round(fees_quote * _MILLIONTHS), round(gross_grid_profit_quote * _MILLIONTHS), round_trips)
