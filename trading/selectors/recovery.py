"""What an execution loop starts from: the mandate in force, its grids, and everything the journal kept."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Max, Q, QuerySet

from trading.domain import events as e
from trading.domain import places
from trading.domain.desk import Chosen, HaltState, NeverRan, TraderState
from trading.domain.flows import UNFUNDED, Flow, Funding
from trading.domain.instruments import Instrument
from trading.domain.limits import Limits
from trading.domain.orders import TERMINAL, Fill, Order, OrderStatus, OrderType, Purpose, Side
from trading.domain.recovery import REREAD_NS
from trading.models import (
    ADVICE_CHANGED,
    Account,
    AuditEvent,
    CashFlow,
    EquitySample,
    Grid,
    Halt,
    TradingDay,
    VenueInstrument,
)
from trading.models import Fill as FillRow
from trading.models import Order as OrderRow
from trading.selectors.desks import mandate_in_force

_EVERYTHING_WAS_CASH = ("start", "seam")


class NoMandate(Exception):
    """The account has no mandate in force: it must not trade. Load the demo or put a mandate into force."""


def limits_in_force(account: Account) -> Limits:
    """Return the newest mandate of `account` as the runtime enforces it.

    Raises:
        NoMandate: none was ever put into force.
    """
    mandate = mandate_in_force(account)
    if mandate is None:
        raise NoMandate(f"{account.name} has no mandate in force.")
    return mandate.limits


def grid_settings(account: Account) -> tuple[Chosen, ...]:
    """Return the enabled grids of `account`, by symbol.

    Raises:
        UnsoundGrid: a stored specification is none.
    """
    return tuple(grid.chosen for grid in Grid.objects.filter(account=account, enabled=True).order_by("symbol"))


def stored_instruments(venue: str) -> dict[str, Instrument]:
    """Return the filters last seen of each symbol of `venue`."""
    return {row.symbol: row.instrument for row in VenueInstrument.objects.filter(venue=venue)}


def halts_in_force(account: Account) -> tuple[HaltState, ...]:
    """Return the latched halts of `account` and of its symbols; none while all of it may trade."""
    latched = Halt.objects.filter(account=account, released_at=None).order_by("id")
    return tuple(HaltState(h.reason, h.flatten, h.stage, nanoseconds(h.latched_at), h.symbol) for h in latched)


def trader_state(account: Account) -> TraderState | NeverRan:
    """Return what the journal kept of `account`, and what people have paused or halted."""
    days = TradingDay.objects.filter(account=account).order_by("-id")
    grids = Grid.objects.filter(account=account).order_by("symbol")
    paused = {grid.symbol: grid.paused_reason for grid in grids if grid.paused_reason}
    day, opening = days.first(), days.filter(reason__in=_EVERYTHING_WAS_CASH).first()
    if day is None or opening is None:
        return NeverRan(paused, halts_in_force(account))
    earlier = FillRow.objects.filter(account=account, lap__lt=opening.lap)
    newest = FillRow.objects.filter(account=account).aggregate(newest=Max("at"))["newest"]
    reread = (newest or opening.opened_at) - timedelta(microseconds=REREAD_NS // 1_000)
    return TraderState(
        opening=_day(opening),
        day=_day(day),
        grids=tuple(
            e.PersistGrid(
                g.symbol,
                tuple(g.levels_ticks),
                g.levels_lap,
                nanoseconds(opening.opened_at),
                places.from_json(g.footing) if g.footing else None,
            )
            for g in grids
            if (g.levels_ticks or g.footing) and g.levels_lap == opening.lap
        ),
        orders=tuple(_order(row) for row in _open_or_ended_lately(account)),
        fills=tuple(_fill(row) for row in _fills_since(account, opening)),
        paused=paused,
        halts=halts_in_force(account),
        high_water_quote=_high_water(account),
        settled=tuple(_fill(row) for row in earlier.filter(at__gte=reread).select_related("order").order_by("id")),
        last_trade_ids=dict(
            earlier.filter(at__lt=reread)
            .order_by()
            .values("symbol")
            .annotate(last=Max("trade_id"))
            .values_list("symbol", "last")
        ),
        flows=tuple(_flow(row) for row in _flows(account)),
        advised=tuple(grid.symbol for grid in grids if _is_advised(account, grid.symbol)),
    )


def _is_advised(account: Account, symbol: str) -> bool:
    """Return whether the newest row of the trail that speaks of a model's advice on `symbol` puts one in force."""
    rows = AuditEvent.objects.filter(action=ADVICE_CHANGED, subject=f"account:{account.slug}")
    newest = rows.filter(payload__advice__contains=[{"symbol": symbol}]).first()
    said = [] if newest is None else [one for one in newest.payload["advice"] if one["symbol"] == symbol]
    return bool(said) and "model" in said[-1]


def nanoseconds(at: datetime) -> int:
    """Return `at` in nanoseconds since 1970 UTC, microseconds kept."""
    return int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1_000


def _open_or_ended_lately(account: Account) -> QuerySet[OrderRow]:
    """Return the orders a late word may still be about: the fills of this time are read again after a restart."""
    orders = OrderRow.objects.filter(account=account).exclude(status=OrderStatus.DENIED)
    newest = orders.aggregate(newest=Max("updated_at"))["newest"]
    if newest is None:
        return orders.none()
    lately = Q(updated_at__gte=newest - timedelta(microseconds=REREAD_NS // 1_000))
    return orders.filter(~Q(status__in=TERMINAL) | lately).order_by("id")


def _fills_since(account: Account, opening: TradingDay) -> list[FillRow]:
    later = FillRow.objects.filter(account=account, lap=opening.lap)  # a lap number never comes back
    return list(later.select_related("order").order_by("id"))


def _high_water(account: Account) -> Decimal | None:
    """Return the highest equity ever seen, as without any transfer."""
    last = _flows(account).last()
    samples, days = EquitySample.objects.filter(account=account), TradingDay.objects.filter(account=account)
    if last is not None:
        samples, days = samples.filter(at__gt=last.booked_at), days.filter(opened_at__gt=last.booked_at)
    highest = (
        samples.aggregate(high=Max("equity_quote"))["high"],
        days.aggregate(high=Max("opening_equity_quote"))["high"],
    )
    funding = UNFUNDED if last is None else Funding(last.paid_in_quote, last.scale)
    seen = [funding.unscaled(value) for value in highest if value is not None]
    return max([*seen, *([] if last is None else [last.high_water_quote])], default=None)


def _flows(account: Account) -> QuerySet[CashFlow]:
    return CashFlow.objects.filter(account=account).select_related("transfer").order_by("id")


def _day(row: TradingDay) -> e.PersistDay:
    return e.PersistDay(
        row.lap, row.opening_equity_quote, row.opening_cash_quote, row.reason, nanoseconds(row.opened_at)
    )


def _flow(row: CashFlow) -> e.PersistFlow:
    return e.PersistFlow(
        Flow(row.transfer.flow_id, row.amount_quote, nanoseconds(row.made_at)),
        row.equity_before_quote,
        row.paid_in_quote,
        row.scale,
        row.high_water_quote,
        row.lap,
        nanoseconds(row.day_opened_at),
        nanoseconds(row.booked_at),
    )


def _order(row: OrderRow) -> Order:
    return Order(
        client_order_id=row.client_order_id,
        symbol=row.symbol,
        side=Side(row.side),
        type=OrderType(row.type),
        quantity_lots=row.quantity_lots,
        price_ticks=row.price_ticks,
        slot=row.slot,
        purpose=Purpose(row.purpose),
        decided_at_ns=row.decided_at_ns,
        reference_ticks=row.reference_ticks,
        status=OrderStatus(row.status),
        filled_lots=row.filled_lots,
        venue_order_id=row.venue_order_id or None,
        reason=row.reason,
        lap=row.lap,
        updated_at_ns=nanoseconds(row.updated_at),
    )


def _fill(row: FillRow) -> e.PersistFill:
    fill = Fill(
        trade_id=row.trade_id,
        client_order_id=row.order.client_order_id,
        venue_order_id=row.order.venue_order_id,
        symbol=row.symbol,
        side=Side(row.side),
        price_ticks=row.price_ticks,
        quantity_lots=row.quantity_lots,
        fee=row.fee,
        fee_asset=row.fee_asset,
        maker=row.maker,
        at_ns=row.at_ns,
    )
    return e.PersistFill(fill, row.slot, row.realized_quote, row.grid_profit_quote, row.lap)
