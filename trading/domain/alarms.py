"""The desk's alert rules on shares: too many rejects, too few fills, too much in fees."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from trading.domain.metrics import Rate

SMALLEST_SAMPLE: Final = 20  # orders or round trips, ours
_MILLIONTHS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ShareRule:
    """Warn when a share lies beyond its limit; exactly on the limit it is kept."""

    code: str
    limit_fraction: float
    is_floor: bool  # True: warn below the limit; False: warn above it
    window: timedelta | None  # how far back it looks; None: to the start of the trading day
    text: str  # with {share} and {count}

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


# Source: the desk's alert rules (mission, decisions.md).
REJECTS: Final = ShareRule(
    "REJECTS", 0.02, False, timedelta(hours=1), "The venue rejected {share} of {count} orders in an hour"
)
FILL_RATE: Final = ShareRule(
    "FILL_RATE", 0.85, True, timedelta(hours=6), "{count} market orders filled {share} of their quantity in 6 hours"
)
FEES: Final = ShareRule("FEES", 0.25, False, None, "Fees are {share} of the gross grid profit of {count} round trips")


def fee_share(fees_quote: Decimal, gross_grid_profit_quote: Decimal, round_trips: int) -> Rate:
    """Return the fees of the day / its gross grid profit, in millionths of the quote currency.

    Gross grid profit is what the sells of the grid's slots earned over the price paid, before any fee; inventory P&L
    is no part of it. The fees are all of the day, also of lots that are still held. Without a profit above zero there
    is nothing to take a share of: the rate is unknown.
    """
    if gross_grid_profit_quote <= 0:
        return Rate(0, 0, round_trips)
    return Rate(round(fees_quote * _MILLIONTHS), round(gross_grid_profit_quote * _MILLIONTHS), round_trips)
