"""What people have to move at a venue where the console moves no money."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Sum

from trading.domain.modes import Mode
from trading.models import Account, CapitalTransfer, CashFlow, asked_for, shown
from trading.selectors.desks import mandate_in_force
from trading.selectors.numbers import UNKNOWN, short


@dataclass(frozen=True, slots=True)
class Due:
    """One transfer that waits for people; amounts as the venue writes them, in the quote currency, without a sign."""

    id: int
    account: Account
    is_deposit: bool
    capital: str
    asked: str  # all of it, parts that are booked included
    booked: str
    seen: str  # at the venue and not booked; a dash where that is not known
    missing: str  # neither booked nor seen
    over: str  # seen beyond what was asked for; "" when there is none
    confirmed: str  # what a person says was moved, "" while nobody has
    confirmed_by: str
    amount: str  # what the form offers to confirm
    can_end: bool  # nothing of it shows


def due(account: Account, at: datetime) -> list[Due]:
    """Return what of `account` waits for people as of `at`; of a paper account nothing does."""
    mandate = mandate_in_force(account)
    if account.mode == Mode.PAPER or mandate is None:
        return []
    return [_due(row, short(mandate.capital_quote), at) for row in asked_for(account).select_related("account")]


def _due(row: CapitalTransfer, capital: str, at: datetime) -> Due:
    paid = CashFlow.objects.filter(transfer__mandate=row.mandate_id).aggregate(sum=Sum("amount_quote"))["sum"]
    open_, booked, seen = abs(row.amount_quote), abs(paid or Decimal(0)), shown(row, at)
    found = None if seen is None else abs(seen)
    left = None if found is None else max(Decimal(0), open_ - found)
    return Due(
        id=row.pk,
        account=row.account,
        is_deposit=row.amount_quote > 0,
        capital=capital,
        asked=short(open_ + booked),
        booked=short(booked),
        seen=short(found),
        missing=UNKNOWN if left is None else short(left),
        over=short(found - open_) if found is not None and found > open_ else "",
        confirmed="" if row.confirmed_quote is None else short(abs(row.confirmed_quote)),
        confirmed_by=row.confirmed_by,
        amount=f"{(found or open_).normalize():f}",
        can_end=found == 0,
    )
