"""What a venue lets us trade, and in which steps."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Final

MAX_DIGITS: Final = 20  # more digits than any venue sends; a longer number is an attack or a defect
_ALLOWED: Final = frozenset("0123456789.-")


class UnreadableNumber(ValueError):
    """The text is not a plain finite decimal; the message names the field and the reason."""


def parse_decimal(text: object, *, field: str) -> Decimal:
    """Return the plain ASCII decimal in `text`: digits, at most one point, an optional leading minus.

    Raises:
        UnreadableNumber: anything else (NaN, infinity, exponent, blanks, separators, other digits, > 20 digits).
    """
    if isinstance(text, bool) or not isinstance(text, str | int | Decimal):
        raise UnreadableNumber(
            f"{field}: expected a decimal number, got {type(text).__name__}; send it as plain digits."
        )
    if isinstance(text, int) and abs(text) >= 10**MAX_DIGITS:
        raise UnreadableNumber(f"{field}: more than {MAX_DIGITS} digits; send a shorter number.")
    plain = format(text, "f") if isinstance(text, Decimal) and text.is_finite() else str(text)
    digits = plain.removeprefix("-")
    well_formed = bool(digits) and set(plain) <= _ALLOWED and "-" not in digits and digits.count(".") <= 1
    if not well_formed or digits in {".", ""}:
        raise UnreadableNumber(f"{field}: {plain[:40]!r} is not a plain decimal number such as 0.125.")
    if sum(c.isdigit() for c in digits) > MAX_DIGITS:
        raise UnreadableNumber(f"{field}: more than {MAX_DIGITS} digits; send a shorter number.")
    return Decimal(plain)


@dataclass(frozen=True, slots=True)
class Instrument:
    """One spot market and the steps its venue accepts; prices become integer ticks, quantities integer lots."""

    symbol: str  # venue notation, "BTCUSDT"
    base: str
    quote: str
    tick_size: Decimal  # smallest price step, quote currency
    lot_size: Decimal  # smallest quantity step, base currency
    min_notional: Decimal  # smallest order value, quote currency
    min_quantity: Decimal = Decimal(0)  # base currency
    max_quantity: Decimal = Decimal("9000")  # base currency
    market_max_quantity: Decimal = Decimal("9000")  # base currency, MARKET orders
    trading: bool = True  # False while the venue says BREAK or HALT

    def ticks(self, price: Decimal) -> int:
        """Return `price` in ticks.

        Raises:
            ValueError: the price is not on the tick.
        """
        return _steps(price, self.tick_size, f"{self.symbol} price")

    def lots(self, quantity: Decimal) -> int:
        """Return `quantity` in lots.

        Raises:
            ValueError: the quantity is not on the lot.
        """
        return _steps(quantity, self.lot_size, f"{self.symbol} quantity")

    def ticks_down(self, price: Decimal) -> int:
        """Return the largest tick count whose price is not above `price`."""
        return int((price / self.tick_size).to_integral_value(ROUND_DOWN))

    def ticks_up(self, price: Decimal) -> int:
        """Return the smallest tick count whose price is not below `price`."""
        return int((price / self.tick_size).to_integral_value(ROUND_UP))

    def lots_down(self, quantity: Decimal) -> int:
        """Return the largest lot count that is not above `quantity`."""
        return int((quantity / self.lot_size).to_integral_value(ROUND_DOWN))

    def price(self, ticks: int) -> Decimal:
        """Return the price of `ticks` in quote currency."""
        return ticks * self.tick_size

    def quantity(self, lots: int) -> Decimal:
        """Return the quantity of `lots` in base currency."""
        return lots * self.lot_size

    def notional(self, price_ticks: int, quantity_lots: int) -> Decimal:
        """Return the value of `quantity_lots` at `price_ticks` in quote currency, exact."""
        return (price_ticks * quantity_lots) * (self.tick_size * self.lot_size)

    def smallest_lots(self, price_ticks: int) -> int:
        """Return the fewest lots the venue accepts at `price_ticks` (min quantity and min notional)."""
        by_notional = self.min_notional / self.notional(price_ticks, 1)
        by_quantity = self.min_quantity / self.lot_size
        return int(max(by_notional, by_quantity, Decimal(1)).to_integral_value(ROUND_UP))


def _steps(value: Decimal, step: Decimal, what: str) -> int:
    count = value / step
    whole = int(count)
    if count != whole:
        raise ValueError(f"{what}: {value} is not a multiple of {step}.")
    return whole
