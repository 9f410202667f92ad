"""Put a mandate in force: capital, symbols and limits of one account, and the lots of its grids with them."""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final

from django.db import transaction

from trading import live
from trading.domain.events import Severity
from trading.domain.in_force import granted_lot
from trading.domain.limits import Limits
from trading.models import Account, Grid, Mandate, VenueInstrument
from trading.services import audit, transfers

NUMBERS: Final = tuple(  # of `Limits`; the other fields are the mandate's own
    field.name for field in fields(Limits) if field.name not in {"version", "symbols", "execution_styles"}
)
LONGEST_TIMEOUT_MS: Final = 10_000  # by then the venue itself has given up (reliability: decision 4)


class UnableToPutIntoForce(Exception):
    """The mandate before stays in force; the message is fit for the operator."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a mandate grants."""

    limits: Limits  # its version is not read: a mandate has its own
    symbols: tuple[str, ...]  # of the limits, in the order people see them
    review_every_h: int = 6
    alert_level: Severity = Severity.CRIT
    ours: tuple[str, ...] = ()  # names of the limits that the roadmap leaves unset


def put_into_force(*, account: Account, terms: Terms, by: str, at: datetime) -> Mandate:
    """Replace the mandate of `account`; its grids take lots of the new size, loops take it up within a second.

    What the capital lies above or below what was paid in is asked for (`trading.services.transfers`). Symbols that are
    no longer granted keep their grids, and the runtime refuses their orders.

    Raises:
        UnableToPutIntoForce: a number of `terms` is no positive, finite one.
    """
    limits = terms.limits
    _refuse_unsound(terms)
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)
        before = Mandate.objects.filter(account=account).order_by("-version").first()
        mandate = Mandate.objects.create(
            account=account,
            version=before.version + 1 if before else 1,
            symbols=list(terms.symbols),
            execution_styles=[str(style) for style in sorted(limits.execution_styles, reverse=True)],
            **{name: getattr(limits, name) for name in NUMBERS},
            review_every_h=terms.review_every_h,
            alert_level=terms.alert_level,
            ours=list(terms.ours),
            put_into_force_at=at,
            put_into_force_by=by,
        )
        _lay_grids(account, terms, granted_lot(mandate.limits))
        payload = {
            "phase": limits.phase,
            "version": mandate.version,
            "capital_quote": str(limits.capital_quote),
            "before": {"phase": before.phase, "capital_quote": str(before.capital_quote)} if before else None,
        }
        subject = f"account:{account.slug}"
        audit.record(actor=by, action="mandate.in_force", subject=subject, payload=payload, at=at)
        if before is not None:  # the first capital is what the account was funded with
            transfers.ask(account=account, mandate=mandate, by=by, at=at)
        transaction.on_commit(partial(live.send_command, {"cmd": "mandate", "account": account.slug}))
        transaction.on_commit(partial(live.publish_events, "desk"))
    return mandate


def _lay_grids(account: Account, terms: Terms, lot_quote: Decimal) -> None:
    """Give every grid its new lot; a symbol that is granted for the first time gets a grid like the first one."""
    grids = Grid.objects.filter(account=account)
    grids.filter(symbol__in=terms.symbols).update(lot_quote=lot_quote)
    like = grids.order_by("id").first()
    if like is None:
        return  # an account without a grid: a person lays the first one
    known = set(grids.values_list("symbol", flat=True))
    listed = VenueInstrument.objects.filter(venue=account.venue, symbol__in=set(terms.symbols) - known)
    Grid.objects.bulk_create(
        Grid(
            account=account,
            symbol=symbol,
            style=like.style,
            spacing=like.spacing,
            step_fraction=like.step_fraction,
            slots=like.slots,
            lot_quote=lot_quote,
        )
        for symbol in listed.order_by("symbol").values_list("symbol", flat=True)
    )


def _refuse_unsound(terms: Terms) -> None:
    numbers = {name: getattr(terms.limits, name) for name in NUMBERS} | {"review_every_h": terms.review_every_h}
    for name, value in numbers.items():
        if isinstance(value, Decimal) and not (value.is_finite() and value > 0):
            raise UnableToPutIntoForce(f"{name} is {value}; it must be a finite number above 0.")
        if isinstance(value, int) and value <= 0:
            raise UnableToPutIntoForce(f"{name} is {value}; it must be above 0.")
    if terms.limits.max_retries is None:
        raise UnableToPutIntoForce("max_retries is not said; a mandate needs a number.")
    timeout_ms = terms.limits.order_timeout_ms
    if timeout_ms > LONGEST_TIMEOUT_MS:
        raise UnableToPutIntoForce(f"order_timeout_ms is {timeout_ms}; use at most {LONGEST_TIMEOUT_MS}.")
    if not terms.symbols:
        raise UnableToPutIntoForce("The mandate names no symbol.")
