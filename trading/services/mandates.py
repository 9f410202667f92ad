"""Put a mandate in force: capital, symbols and limits of one account, and the lots of its grids with them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial

from django.db import transaction

from trading import live
from trading.domain.limits import ExecutionStyle
from trading.models import Account, Grid, Mandate
from trading.services import audit


class UnableToPutIntoForce(Exception):
    """The mandate before stays in force; the message is fit for the operator."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a mandate grants; fractions are of capital."""

    phase: str
    capital_quote: Decimal
    symbols: tuple[str, ...]
    execution_styles: tuple[ExecutionStyle, ...]
    max_position_fraction: Decimal
    max_symbol_exposure_fraction: Decimal
    max_total_exposure_fraction: Decimal
    max_daily_drawdown_fraction: Decimal
    max_daily_drawdown_hard_fraction: Decimal
    max_symbol_drawdown_fraction: Decimal | None
    max_daily_trades: int
    max_open_orders: int
    ours: tuple[str, ...] = ()  # names of the limits that the roadmap leaves unset


def put_into_force(*, account: Account, terms: Terms, by: str, at: datetime) -> Mandate:
    """Replace the mandate of `account`; its grids take lots of the new size, loops take it up within a second.

    Symbols that are no longer granted keep their grids, and the runtime refuses their orders.

    Raises:
        UnableToPutIntoForce: a number of `terms` is no positive, finite one.
    """
    _refuse_unsound(terms)
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)
        before = Mandate.objects.filter(account=account).order_by("-version").first()
        mandate = Mandate.objects.create(
            account=account,
            version=before.version + 1 if before else 1,
            phase=terms.phase,
            capital_quote=terms.capital_quote,
            symbols=list(terms.symbols),
            execution_styles=[str(style) for style in terms.execution_styles],
            max_position_fraction=terms.max_position_fraction,
            max_symbol_exposure_fraction=terms.max_symbol_exposure_fraction,
            max_total_exposure_fraction=terms.max_total_exposure_fraction,
            max_daily_drawdown_fraction=terms.max_daily_drawdown_fraction,
            max_daily_drawdown_hard_fraction=terms.max_daily_drawdown_hard_fraction,
            max_symbol_drawdown_fraction=terms.max_symbol_drawdown_fraction,
            max_daily_trades=terms.max_daily_trades,
            max_open_orders=terms.max_open_orders,
            ours=list(terms.ours),
            put_into_force_at=at,
            put_into_force_by=by,
        )
        lot_quote = terms.capital_quote * terms.max_position_fraction
        Grid.objects.filter(account=account, symbol__in=terms.symbols).update(lot_quote=lot_quote)
        payload = {
            "phase": terms.phase,
            "version": mandate.version,
            "capital_quote": str(terms.capital_quote),
            "before": {"phase": before.phase, "capital_quote": str(before.capital_quote)} if before else None,
        }
        subject = f"account:{account.slug}"
        audit.record(actor=by, action="mandate.in_force", subject=subject, payload=payload, at=at)
        transaction.on_commit(partial(live.send_command, {"cmd": "mandate", "account": account.slug}))
        transaction.on_commit(partial(live.publish_events, "desk"))
    return mandate


def _refuse_unsound(terms: Terms) -> None:
    for name in terms.__dataclass_fields__:
        value = getattr(terms, name)
        if isinstance(value, Decimal) and not (value.is_finite() and value > 0):
            raise UnableToPutIntoForce(f"{name} is {value}; it must be a finite number above 0.")
        if isinstance(value, int) and value <= 0:
            raise UnableToPutIntoForce(f"{name} is {value}; it must be above 0.")
    if not terms.symbols:
        raise UnableToPutIntoForce("The mandate names no symbol.")
