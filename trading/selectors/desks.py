"""Which desks there are, and what is in force at each."""

from dataclasses import dataclass
from decimal import Decimal

from trading.domain.limits import Limits
from trading.models import Account, Grid, Mandate, TradingDay, VenueInstrument
from trading.selectors.numbers import decimals_of


@dataclass(frozen=True, slots=True)
class Steps:
    """How many decimals prices and quantities of one symbol have."""

    price: int
    quantity: int


def all_desks() -> list[Account]:
    """Return every account in the order it was made."""
    return list(Account.objects.order_by("id"))


def chosen(desks: list[Account], slug: str | None) -> Account | None:
    """Return the desk called `slug`, else the first, else None when there is none yet."""
    return next((desk for desk in desks if desk.slug == slug), desks[0] if desks else None)


def mandate_in_force(account: Account) -> Mandate | None:
    """Return the newest mandate of `account`."""
    return Mandate.objects.filter(account=account).order_by("-version").first()


def first_on(phase: str) -> Mandate | None:
    """Return the mandate in force of the first account that is on `phase`, None where none is."""
    newest = Mandate.objects.select_related("account").order_by("account_id", "-version").distinct("account_id")
    return next((mandate for mandate in newest if mandate.phase == phase), None)


def limits_of(mandate: Mandate) -> Limits:
    """Return the numbers of `mandate` as the core reads them."""
    return mandate.limits


def grids_of(account: Account) -> list[Grid]:
    """Return the enabled grids of `account`, in the order of its mandate's symbols, then by name."""
    mandate = mandate_in_force(account)
    order = {symbol: place for place, symbol in enumerate(mandate.symbols if mandate else [])}
    grids = Grid.objects.filter(account=account, enabled=True)
    return sorted(grids, key=lambda grid: (order.get(grid.symbol, len(order)), grid.symbol))


def day_of(account: Account) -> TradingDay | None:
    """Return the trading day that runs."""
    return TradingDay.objects.filter(account=account).order_by("-id").first()


def instruments_of(account: Account) -> dict[str, VenueInstrument]:
    """Return the venue's filters by symbol."""
    return {row.symbol: row for row in VenueInstrument.objects.filter(venue=account.venue)}


def steps_of(instruments: dict[str, VenueInstrument], symbol: str) -> Steps:
    """Return the decimals of `symbol`; two and six where the venue's filters are not known."""
    row = instruments.get(symbol)
    return Steps(decimals_of(row.tick_size), decimals_of(row.lot_size)) if row else Steps(2, 6)


def money(fraction: Decimal | None, capital: Decimal) -> Decimal | None:
    """Return `fraction` of `capital`."""
    return None if fraction is None else fraction * capital
