"""Which desks there are, and what is in force at each."""

from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import prefetch_related_objects

from trading.domain.limits import Limits
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


def with_members() -> list[Account]:
    """Return every account in the order it was made, its members read along: two queries."""
    return list(Account.objects.order_by("id").prefetch_related("memberships"))


def sees(reader: User, account: Account) -> bool:
    """Return whether `reader` sees an account and may touch it; the one place that decides.

    An account without members is everybody's; one with members is theirs, and of those who oversee everything.
    """
    groups = {group.pk: group.name for group in reader.groups.all()}
    members = list(account.memberships.all())
    if not members or sees_everything(frozenset(groups.values()), is_superuser=reader.is_superuser):
        return True
    return any(member.person_id == reader.pk or member.group_id in groups for member in members)


def visible_to(reader: User | AnonymousUser) -> list[Account]:
    """Return the accounts that `reader` sees, in the order they were made."""
    if isinstance(reader, AnonymousUser):
        return []
    prefetch_related_objects([reader], "groups")
    return [account for account in with_members() if sees(reader, account)]


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
    return next((mandate for mandate in mandates_in_force() if mandate.phase == phase), None)


def mandates_in_force() -> list[Mandate]:
    """Return the newest mandate of every account that has one."""
    rows = Mandate.objects.select_related("account")
    return list(rows.order_by("account_id", "-version").distinct("account_id"))


def limits_of(mandate: Mandate) -> Limits:
    """Return the numbers of `mandate` as the core reads them."""
    return mandate.limits


def grids_of(account: Account) -> list[Grid]:
    """Return the enabled grids of `account`, in the order of its mandate's symbols, then by name."""
    mandate = mandate_in_force(account)
    order = {symbol: place for place, symbol in enumerate(mandate.symbols if mandate else [])}
    grids = Grid.objects.filter(account=account, enabled=True)
    return sorted(grids, key=lambda grid: (order.get(grid.symbol, len(order)), grid.symbol))


def running_symbols() -> list[str]:
    """Return every symbol that a grid of any account runs on, sorted."""
    return sorted(set(Grid.objects.filter(enabled=True).values_list("symbol", flat=True)))


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
