"""What the exchange remembers over a restart: one JSON file, replaced whole, read strictly."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from trading.domain.flows import Flow
from trading.domain.instruments import Instrument, parse_decimal
from trading.domain.market import BookTop
from trading.domain.orders import Fill, OrderStatus, OrderType, Side
from trading.domain.venue_orders import Balance, BookedOrder, NewOrder, Transfer, VenueState
from trading.simulator.exchange import Exchange, Seam

VERSION: Final = 1
FILE_NAME: Final = "simulator.json"
RECENT: Final = 200  # ended orders per account, and fills per account and symbol, kept in the file
SAVE_AFTER_S: Final = 0.1
SAVE_EVERY_S: Final = 5.0  # last bids move without anybody's order
LOG: Final = logging.getLogger(__name__)


class StateError(Exception):
    """The stored state cannot be used; the message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The state of an exchange."""

    lap: int
    epoch: int
    venue: VenueState
    tops: list[BookTop]  # last top per symbol, to settle positions at
    seams: list[Seam]


def load(path: Path, instruments: dict[str, Instrument]) -> Stored | None:
    """Return the state in `path`, None when there is none.

    Raises:
        StateError: the file is damaged, of another version, or names symbols that are not listed.
    """
    try:
        document = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StateError(f"{path}: {error}") from error
    try:
        return _decode(document, instruments)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise StateError(f"{path}: {type(error).__name__} {error}") from error


def set_aside(path: Path, *, now_s: int) -> Path:
    """Rename a damaged file so that a person may look at it; return its new name."""
    aside = path.with_name(f"{path.name}.damaged-{now_s}")
    path.replace(aside)
    return aside


def save(path: Path, exchange: Exchange) -> None:
    """Replace the file with the state of `exchange`; a reader sees the old or the new one, never half."""
    _replace(path, Encoder(exchange).encode())


class Keeper:
    """Saves the state shortly after every change, without holding the exchange up."""

    def __init__(self, path: Path, exchange: Exchange) -> None:
        self._path = path
        self._encoder = Encoder(exchange)
        self._changed = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []

    def note(self) -> None:
        """Say that balances or orders changed."""
        self._changed.set()

    async def saved(self) -> None:
        """Return once everything that is true now is in the file."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self.note()
        await waiting

    async def run(self) -> None:
        """Save until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), SAVE_EVERY_S)
            await asyncio.sleep(SAVE_AFTER_S)
            self._changed.clear()
            waiting, self._waiting = self._waiting, []
            saving = asyncio.ensure_future(asyncio.to_thread(_replace, self._path, self._encoder.encode()))
            try:
                await asyncio.shield(saving)
            except asyncio.CancelledError:
                await saving  # two writers at once could leave the older state
                raise
            for one in waiting:
                if not one.done():
                    one.set_result(None)

    def finish(self) -> None:
        """Save now; call it when `run` has ended."""
        _replace(self._path, self._encoder.encode())


def restore(path: Path, exchange: Exchange, *, now_s: Callable[[], float] = time.time) -> bool:
    """Bring `exchange` to the stored state; True if there was one. A damaged file is moved aside and said.

    After damage the counters start at the unix time, beyond every id that can have been used.
    """
    try:
        stored = load(path, exchange.listing.instruments)
    except StateError as error:
        seconds = int(now_s())
        aside = set_aside(path, now_s=seconds)
        LOG.error("The simulator's state is damaged (%s); moved to %s, accounts start anew.", error, aside.name)
        exchange.epoch = seconds // 60
        symbols = exchange.listing.instruments
        exchange.venue.restore(VenueState(seconds, dict.fromkeys(symbols, seconds), {}, {}, {}))
        return False
    if stored is None:
        return False
    exchange.lap, exchange.epoch = stored.lap, stored.epoch
    exchange.seams.extend(stored.seams)
    exchange.venue.restore(stored.venue)
    for top in stored.tops:
        exchange.venue.on_market(top)
        exchange.tapes[top.symbol].top = top
    return True


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


# --- to JSON --------------------------------------------------------------------------------------------------


class Encoder:
    """Writes the state of one exchange as JSON; rows that cannot change any more are encoded once."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._rows: dict[object, orjson.Fragment] = {}

    def encode(self) -> bytes:
        """Return the whole state."""
        exchange = self._exchange
        venue = exchange.venue.snapshot(recent=RECENT)
        tops = [top for symbol in exchange.tapes if (top := exchange.venue.top(symbol)) is not None]
        fresh: dict[object, orjson.Fragment] = {}
        content = orjson.dumps(
            {
                "version": VERSION,
                "lap": exchange.lap,
                "epoch": exchange.epoch,
                "next_order_id": venue.next_order_id,
                "next_trade_ids": venue.next_trade_ids,
                "balances": {
                    name: {asset: [_plain(b.free), _plain(b.locked)] for asset, b in balances.items()}
                    for name, balances in venue.balances.items()
                },
                "orders": {name: [self._order(b, fresh) for b in orders] for name, orders in venue.orders.items()},
                "fills": {name: [self._fill(f, fresh) for f in fills] for name, fills in venue.fills.items()},
                "transfers": {name: [_transfer_row(one) for one in made] for name, made in venue.transfers.items()},
                "tops": [list(top) for top in tops],
                "seams": [[seam.lap, seam.prices, seam.at_ms] for seam in exchange.seams],
            }
        )
        self._rows = fresh
        return content

    def _order(self, booked: BookedOrder, fresh: dict[object, orjson.Fragment]) -> orjson.Fragment:
        if booked.is_open:
            return orjson.Fragment(orjson.dumps(_order_row(booked)))
        row = self._rows.get(booked.order_id) or orjson.Fragment(orjson.dumps(_order_row(booked)))
        fresh[booked.order_id] = row
        return row

    def _fill(self, fill: Fill, fresh: dict[object, orjson.Fragment]) -> orjson.Fragment:
        key = (fill.symbol, fill.trade_id)
        row = self._rows.get(key) or orjson.Fragment(orjson.dumps(_fill_row(fill)))
        fresh[key] = row
        return row


def _plain(amount: Decimal) -> str:
    return format(amount, "f")


def _order_row(b: BookedOrder) -> list[Any]:
    o = b.order
    numbers = [o.quantity_lots, o.price_ticks, b.order_id, b.accepted_at_ns, b.updated_at_ns]
    state = [_plain(b.locked), b.status.value, b.filled_lots, _plain(b.filled_quote)]
    return [b.account, o.client_order_id, o.symbol, o.side.value, o.type.value, *numbers, *state]


def _transfer_row(t: Transfer) -> list[Any]:
    return [t.flow.flow_id, t.asset, _plain(t.asked), _plain(t.flow.amount_quote), t.flow.at_ns]


def _fill_row(f: Fill) -> list[Any]:
    identity = [f.trade_id, f.client_order_id, f.venue_order_id, f.symbol, f.side.value]
    return [*identity, f.price_ticks, f.quantity_lots, _plain(f.fee), f.fee_asset, f.maker, f.at_ns]


# --- from JSON ------------------------------------------------------------------------------------------------


def _decode(document: dict[str, Any], instruments: dict[str, Instrument]) -> Stored:
    if document["version"] != VERSION:
        raise ValueError(f"version {document['version']} is not {VERSION}")
    venue = VenueState(
        _whole(document["next_order_id"]),
        {symbol: _whole(number) for symbol, number in document["next_trade_ids"].items()},
        {name: {a: _balance(pair) for a, pair in rows.items()} for name, rows in document["balances"].items()},
        {name: [_order(row) for row in rows] for name, rows in document["orders"].items()},
        {name: [_fill(row) for row in rows] for name, rows in document["fills"].items()},
        # A file that was written before there were transfers has none.
        {name: [_transfer(row) for row in rows] for name, rows in document.get("transfers", {}).items()},
    )
    tops = [BookTop(str(row[0]), *(_whole(number) for number in row[1:])) for row in document["tops"]]
    unknown = {top.symbol for top in tops} - instruments.keys()
    unknown |= {b.order.symbol for rows in venue.orders.values() for b in rows} - instruments.keys()
    if unknown:
        raise ValueError(f"symbols {sorted(unknown)} are not listed")
    seams = [Seam(_whole(lap), dict(prices), _whole(at_ms)) for lap, prices, at_ms in document["seams"]]
    return Stored(_whole(document["lap"]), _whole(document["epoch"]), venue, tops, seams)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{str(value)[:40]!r} is not a whole number")
    return value


def _amount(value: object) -> Decimal:
    amount = parse_decimal(value, field="amount")
    if amount < 0:
        raise ValueError(f"{value} is negative")
    return amount


def _balance(pair: list[Any]) -> Balance:
    free, locked = pair
    return Balance(_amount(free), _amount(locked))


def _transfer(row: list[Any]) -> Transfer:
    flow_id, asset, asked, made, at_ns = row
    flow = Flow(str(flow_id), parse_decimal(made, field="transfer"), _whole(at_ns))
    return Transfer(str(asset), parse_decimal(asked, field="transfer"), flow)


def _order(row: list[Any]) -> BookedOrder:
    account, client_id, symbol, side, kind, lots, ticks, order_id, accepted, updated, locked, status, filled, quote = (
        row
    )
    price_ticks = None if ticks is None else _whole(ticks)
    order = NewOrder(str(client_id), str(symbol), Side(side), OrderType(kind), _whole(lots), price_ticks)
    return BookedOrder(
        str(account),
        order,
        _whole(order_id),
        _whole(accepted),
        _whole(updated),
        _amount(locked),
        OrderStatus(status),
        _whole(filled),
        _amount(quote),
    )


def _fill(row: list[Any]) -> Fill:
    trade_id, client_id, order_id, symbol, side, ticks, lots, fee, fee_asset, maker, at_ns = row
    return Fill(
        trade_id=_whole(trade_id),
        client_order_id=str(client_id),
        venue_order_id=str(order_id),
        symbol=str(symbol),
        side=Side(side),
        price_ticks=_whole(ticks),
        quantity_lots=_whole(lots),
        fee=_amount(fee),
        fee_asset=str(fee_asset),
        maker=bool(maker),
        at_ns=_whole(at_ns),
    )
