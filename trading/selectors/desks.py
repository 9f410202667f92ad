"""Which desks there are, and what is in force at each."""

from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q

from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.people import sees_everything
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


def visible_to(reader: User | AnonymousUser) -> list[Account]:
    """Return the accounts that `reader` sees and may touch, in the order they were made; the one place that decides.

    An account without members is everybody's; one with members is theirs, and of those who oversee everything.
    """
    if not reader.is_authenticated:
        return []
    groups = dict(reader.groups.values_list("pk", "name"))
    if sees_everything(frozenset(groups.values()), is_superuser=reader.is_superuser):
        return all_desks()
    member = Q(memberships__person=reader.pk) | Q(memberships__group__in=groups)
    return list(Account.objects.filter(Q(memberships=None) | member).distinct().order_by("id"))


def members_of(account: Account) -> list[str]:
    """Return who belongs to `account`, groups as "everybody of Trader"; empty where it is everybody's."""
    rows = account.memberships.select_related("person", "group")
    return [row.person.username if row.person else f"everybody of {row.group}" for row in rows]


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
    return Limits(
        phase=mandate.phase,
        version=mandate.version,
        capital_quote=mandate.capital_quote,
        symbols=frozenset(mandate.symbols),
        execution_styles=frozenset(ExecutionStyle(style) for style in mandate.execution_styles),
        max_position_fraction=mandate.max_position_fraction,
        max_symbol_exposure_fraction=mandate.max_symbol_exposure_fraction,
        max_total_exposure_fraction=mandate.max_total_exposure_fraction,
        max_daily_drawdown_fraction=mandate.max_daily_drawdown_fraction,
        max_daily_drawdown_hard_fraction=mandate.max_daily_drawdown_hard_fraction,
        max_symbol_drawdown_fraction=mandate.max_symbol_drawdown_fraction,
        max_daily_trades=mandate.max_daily_trades,
        max_open_orders=mandate.max_open_orders,
    )


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
