"""Orders, fills and reconciliations as filtered, sorted pages that do not slip while new rows arrive."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as DamagedBase64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.dateparse import parse_datetime

from trading.domain.orders import OPEN, OrderStatus
from trading.models import Account, Fill, Order, Reconciliation, VenueInstrument
from trading.selectors import desks
from trading.selectors.numbers import UNKNOWN, plain, sign, signed

PAGE_SIZE: Final = 50
EXPORT_LIMIT: Final = 50_000  # rows of one CSV file


class UnreadableCursor(ValueError):
    """The address of the page was damaged or belongs to another sorting: start at the first page."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a person asked for."""

    symbol: str = ""
    side: str = ""
    status: str = ""
    text: str = ""  # part of an order id or of a reason
    sort: str = ""  # name of a column; "" is the tab's own order, newest first
    ascending: bool = False
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of one tab and where the next ones start."""

    rows: list[Any]
    next_cursor: str  # "" on the last page
    first: bool


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order as it is written on the page."""

    at: datetime
    updated_at: datetime
    symbol: str
    side: str
    type: str
    purpose: str
    price: str
    quantity: str
    filled: str
    status: str
    reason: str
    slot: str
    lap: int
    client_order_id: str
    venue_order_id: str


@dataclass(frozen=True, slots=True)
class FillRow:
    """One execution as it is written on the page."""

    at: datetime
    symbol: str
    side: str
    price: str
    quantity: str
    value: str
    fee: str
    fee_asset: str
    liquidity: str
    realized: str
    realized_sign: int
    grid_profit: str
    grid_profit_sign: int
    slot: str
    lap: int
    trade_id: int
    client_order_id: str


@dataclass(frozen=True, slots=True)
class ReconcileRow:
    """One comparison with the venue's books."""

    at: datetime
    clean: bool
    local_open: int
    venue_open: int
    discrepancies: list[str]


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab of the page."""

    name: str
    title: str
    empty: str
    columns: tuple[tuple[str, str], ...]  # (sort name or "", title)
    base: Callable[[Account], QuerySet[Any]]
    sorts: dict[str, str]  # sort name -> field


ORDER_SORTS: Final = {
    "time": "decided_at",
    "symbol": "symbol",
    "side": "side",
    "price": "price",
    "quantity": "quantity",
    "filled": "filled",
    "status": "status",
}
FILL_SORTS: Final = {
    "time": "at",
    "symbol": "symbol",
    "side": "side",
    "price": "price",
    "quantity": "quantity",
    "fee": "fee",
    "realized": "realized_quote",
    "profit": "grid_profit_quote",
}
_ORDER_COLUMNS: Final = (
    ("time", "Time UTC"),
    ("symbol", "Symbol"),
    ("side", "Side"),
    ("", "Type"),
    ("price", "Price"),
    ("quantity", "Quantity"),
    ("filled", "Filled"),
    ("status", "Status"),
    ("", "Slot"),
    ("", "Reason"),
    ("", "Client order id"),
)
_FILL_COLUMNS: Final = (
    ("time", "Time UTC"),
    ("symbol", "Symbol"),
    ("side", "Side"),
    ("price", "Price"),
    ("quantity", "Quantity"),
    ("", "Value"),
    ("fee", "Fee"),
    ("", "Maker / taker"),
    ("realized", "Realized P&L"),
    ("profit", "Grid profit"),
    ("", "Slot"),
    ("", "Lap"),
    ("", "Client order id"),
)
TABS: Final = {
    tab.name: tab
    for tab in (
        Tab(
            "open",
            "Open",
            "A MAKER grid keeps its ladder here; a TAKER grid sends market orders, which are open for milliseconds.",
            _ORDER_COLUMNS,
            lambda account: Order.objects.filter(account=account, status__in=OPEN),
            ORDER_SORTS,
        ),
        Tab(
            "fills",
            "Fills",
            "The paper engine places its first orders within seconds of a price; their executions appear here.",
            _FILL_COLUMNS,
            lambda account: Fill.objects.filter(account=account).select_related("order"),
            FILL_SORTS,
        ),
        Tab(
            "denied",
            "Denied & rejected",
            "Orders that our own risk check denied, or that the venue rejected, appear here with the reason.",
            _ORDER_COLUMNS,
            lambda account: Order.objects.filter(
                account=account, status__in=[OrderStatus.DENIED, OrderStatus.REJECTED]
            ),
            ORDER_SORTS,
        ),
        Tab(
            "all",
            "All orders",
            "Every order from its intent to its end appears here.",
            _ORDER_COLUMNS,
            lambda account: Order.objects.filter(account=account),
            ORDER_SORTS,
        ),
    )
}


def page(account: Account, tab: Tab, query: Query) -> Page:
    """Return one page of `tab`.

    Raises:
        UnreadableCursor: the cursor is damaged or belongs to another sorting.
    """
    rows = list(_after(_filtered(account, tab, query), tab, query)[: PAGE_SIZE + 1])
    more = len(rows) > PAGE_SIZE
    return Page(
        rows=_written(account, rows[:PAGE_SIZE]),
        next_cursor=_cursor(rows[PAGE_SIZE - 1], tab, query) if more else "",
        first=not query.cursor,
    )


def export(account: Account, tab: Tab, query: Query) -> Iterable[Order | Fill]:
    """Return the rows of `tab` under the same filter and sorting, at most `EXPORT_LIMIT`."""
    return _sorted(_filtered(account, tab, query), tab, query)[:EXPORT_LIMIT].iterator(chunk_size=2_000)


def counts(account: Account) -> dict[str, int]:
    """Return how many rows the tabs hold that an operator watches."""
    return {name: TABS[name].base(account).count() for name in ("open", "denied")}


def reconciliations(account: Account, limit: int = 50) -> list[ReconcileRow]:
    """Return the newest comparisons with the venue; of clean ones only the last is kept."""
    rows = Reconciliation.objects.filter(account=account).order_by("-id")
    fields = rows.values_list("at", "is_clean", "local_open", "venue_open", "discrepancies")
    return [ReconcileRow(*row) for row in fields[:limit]]


def _filtered(account: Account, tab: Tab, query: Query) -> QuerySet[Any]:
    rows = tab.base(account)
    if query.symbol:
        rows = rows.filter(symbol=query.symbol)
    if query.side:
        rows = rows.filter(side=query.side)
    if query.status and tab.sorts is ORDER_SORTS:
        rows = rows.filter(status=query.status)
    if query.text and tab.sorts is ORDER_SORTS:
        rows = rows.filter(Q(client_order_id__icontains=query.text) | Q(reason__icontains=query.text))
    elif query.text:
        rows = rows.filter(order__client_order_id__icontains=query.text)
    return rows


def _sort_field(tab: Tab, query: Query) -> str:
    return tab.sorts.get(query.sort, tab.sorts["time"])


def _sorted(rows: QuerySet[Any], tab: Tab, query: Query) -> QuerySet[Any]:
    field = _sort_field(tab, query)
    if field in {"price", "grid_profit_quote"}:  # empty for market orders and for buys: they sort as zero
        rows = rows.annotate(sort_key=Coalesce(F(field), Decimal(0)))
    else:
        rows = rows.annotate(sort_key=F(field))
    return rows.order_by("sort_key", "id") if query.ascending else rows.order_by("-sort_key", "-id")


def _after(rows: QuerySet[Any], tab: Tab, query: Query) -> QuerySet[Any]:
    rows = _sorted(rows, tab, query)
    if not query.cursor:
        return rows
    value, key = _position(query.cursor, tab, query)
    side = "gt" if query.ascending else "lt"
    try:
        return rows.filter(Q(**{f"sort_key__{side}": value}) | Q(sort_key=value, **{f"id__{side}": key}))
    except (ValidationError, ValueError, TypeError) as error:
        raise UnreadableCursor(str(error)) from error


def _cursor(row: Any, tab: Tab, query: Query) -> str:
    value = row.sort_key
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return urlsafe_b64encode(json.dumps([_sort_field(tab, query), text, row.pk]).encode()).decode()


def _position(cursor: str, tab: Tab, query: Query) -> tuple[object, int]:
    try:
        field, text, key = json.loads(urlsafe_b64decode(cursor.encode()))
        if field != _sort_field(tab, query) or not isinstance(text, str) or not isinstance(key, int):
            raise UnreadableCursor("the cursor belongs to another sorting")
        if field in {"decided_at", "at"}:
            if (at := parse_datetime(text)) is None:
                raise UnreadableCursor("the cursor holds no time")
            return at, key
        number = field in {"price", "quantity", "filled", "fee", "realized_quote", "grid_profit_quote"}
        return (Decimal(text) if number else text), key
    except UnreadableCursor:
        raise
    except (DamagedBase64, ValueError, TypeError, ArithmeticError) as error:
        raise UnreadableCursor("the cursor cannot be read") from error


def _written(account: Account, rows: list[Any]) -> list[OrderRow | FillRow]:
    instruments = desks.instruments_of(account)
    return [_fill_row(row, instruments) if isinstance(row, Fill) else _order_row(row, instruments) for row in rows]


def _order_row(row: Order, instruments: dict[str, VenueInstrument]) -> OrderRow:
    steps = desks.steps_of(instruments, row.symbol)
    return OrderRow(
        at=row.decided_at,
        updated_at=row.updated_at,
        symbol=row.symbol,
        side=row.side,
        type=row.type,
        purpose=row.purpose,
        price="market" if row.price is None else plain(row.price, steps.price),
        quantity=plain(row.quantity, steps.quantity),
        filled=plain(row.filled, steps.quantity),
        status=row.status,
        reason=row.reason,
        slot=UNKNOWN if row.slot is None else str(row.slot + 1),
        lap=row.lap,
        client_order_id=row.client_order_id,
        venue_order_id=row.venue_order_id,
    )


def _fill_row(row: Fill, instruments: dict[str, VenueInstrument]) -> FillRow:
    steps = desks.steps_of(instruments, row.symbol)
    profit = row.grid_profit_quote
    return FillRow(
        at=row.at,
        symbol=row.symbol,
        side=row.side,
        price=plain(row.price, steps.price),
        quantity=plain(row.quantity, steps.quantity),
        value=plain(row.price * row.quantity),
        fee=plain(row.fee, 6),
        fee_asset=row.fee_asset,
        liquidity="maker" if row.maker else "taker",
        realized=signed(row.realized_quote, 4),
        realized_sign=sign(row.realized_quote, 4),
        grid_profit=UNKNOWN if profit is None else signed(profit, 4),
        grid_profit_sign=sign(profit, 4),
        slot=UNKNOWN if row.slot is None else str(row.slot + 1),
        lap=row.lap,
        trade_id=row.trade_id,
        client_order_id=row.order.client_order_id,
    )
