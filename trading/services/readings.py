"""Keep what the newest reading of the venue showed, so that a page can say it without asking the venue."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from trading import live
from trading.domain.desk import TraderView
from trading.domain.events import VenueOrder, VenueRead
from trading.domain.instruments import Instrument
from trading.domain.orders import OPEN
from trading.models import Account, VenueReading


def record(
    *, account: str, view: TraderView, read: VenueRead, instruments: Mapping[str, Instrument], at: datetime
) -> None:
    """Replace the stored reading of `account` (its slug); `view` is the core's with `read` merged.

    Browsers are told when something other than counts and times changed.
    """
    owner = Account.objects.get(slug=account)
    facts: dict[str, object] = {
        "is_clean": bool(view.reconcile_clean),
        "discrepancies": list(view.discrepancies),
        "local_open": view.reconcile_local_open,
        "venue_open": view.reconcile_venue_open,
        "foreign": [
            _foreign(order, instruments.get(order.symbol))
            for order in read.orders
            if not order.ours and order.status in OPEN
        ],
        "balances": _balances(owner.quote, view, read, instruments),
        "dust": {instruments[line.symbol].base: _text(line.dust_base) for line in view.symbols if line.dust_base},
    }
    told = ("is_clean", "discrepancies", "foreign", "dust")
    before = VenueReading.objects.filter(account=owner).first()
    VenueReading.objects.update_or_create(account=owner, defaults={**facts, "at": at})
    if before is None or any(getattr(before, name) != facts[name] for name in told):
        live.publish_events("reconcile")


def _foreign(order: VenueOrder, instrument: Instrument | None) -> dict[str, str | None]:
    """Return one order of others; what cannot be told without the filters of its symbol is None."""
    price = None if instrument is None or order.price_ticks is None else instrument.price(order.price_ticks)
    return {
        "id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "price": None if price is None else str(price),
        "quantity": None if instrument is None else str(instrument.quantity(order.quantity_lots)),
        "filled": None if instrument is None else str(instrument.quantity(order.filled_lots)),
    }


def _balances(
    quote: str, view: TraderView, read: VenueRead, instruments: Mapping[str, Instrument]
) -> dict[str, list[str]]:
    """Return asset -> [ours, the venue's] of what the desk trades; an asset the venue leaves out is zero there."""
    ours, none = {quote: view.cash_quote}, Decimal(0)
    for line in view.symbols:
        base = instruments[line.symbol].base
        ours[base] = ours.get(base, none) + line.base
    return {asset: [_text(held), _text(read.balances.get(asset, none))] for asset, held in sorted(ours.items())}


def _text(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
