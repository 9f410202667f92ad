"""What people have to move at a venue where the console moves no money."""

from dataclasses import dataclass
from decimal import Decimal

from trading.domain.modes import Mode
from trading.models import Account, VenueReading, asked_for
from trading.selectors.desks import mandate_in_force
from trading.selectors.numbers import plain


@dataclass(frozen=True, slots=True)
class Due:
    """One transfer that waits for people."""

    id: int
    account: Account
    text: str  # "Capital in force is 600 USDT, at the venue are 300 USDT: deposit 300 USDT there, then confirm it."
    confirmed_by: str  # "" while nobody has


def due(account: Account) -> list[Due]:
    """Return what of `account` waits for people; of a paper account nothing does."""
    mandate = mandate_in_force(account)
    if account.mode == Mode.PAPER or mandate is None:
        return []
    reading = VenueReading.objects.filter(account=account).first()
    held = reading.balances.get(account.quote, [None, None])[1] if reading is not None else None
    there = "what the venue holds is not known" if held is None else f"at the venue are {plain(Decimal(held))}"
    capital = f"Capital in force is {plain(mandate.capital_quote)} {account.quote}, {there}"
    return [
        Due(row.pk, account, f"{capital}: {_deed(row.amount_quote, account.quote)}", row.confirmed_by)
        for row in asked_for(account)
    ]


def _deed(amount_quote: Decimal, quote: str) -> str:
    verb = "deposit" if amount_quote > 0 else "withdraw"
    return f"{verb} {plain(abs(amount_quote))} {quote} there, then confirm it."
