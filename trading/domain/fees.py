"""What a venue takes for an execution."""

from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import Final

FEE_STEP: Final = Decimal("0.00000001")  # Binance books commissions with eight decimals


@dataclass(frozen=True, slots=True)
class Fees:
    """Maker and taker fee as fractions of the notional, taken in quote currency."""

    maker_fraction: Decimal
    taker_fraction: Decimal

    def fee(self, notional_quote: Decimal, *, maker: bool) -> Decimal:
        """Return the fee of one execution in quote currency, rounded up to the venue's eight decimals."""
        fraction = self.maker_fraction if maker else self.taker_fraction
        return (notional_quote * fraction).quantize(FEE_STEP, ROUND_UP)


DEMO_FEES: Final = Fees(Decimal("0.0002"), Decimal("0.0004"))  # decisions.md 20
