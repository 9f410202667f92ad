"""The adapter and the decoders on what the venue really sent; the recordings lie beside the checkout, not in it."""

import gzip
import io
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow
import pytest

from tests.contracts.conftest import instruments
from tests.contracts.loopback import Answer, Asked, Loopback, loopback
from tests.contracts.test_venue import order
from trading.adapters.binance_wire import AccountDecoder, MarketDecoder
from trading.adapters.venue_ccxt import BinanceVenue
from trading.domain.events import Event, OrderAccepted, OrderEnded, OrderFilled, OrderRefused
from trading.domain.instruments import Instrument
from trading.domain.market import BookTop, Trade
from trading.domain.orders import Side
from trading.ports import FateUnknown

RECORDED: Final = Path(__file__).parents[3] / "shared/data/recorded"
NOW_NS: Final = 1_700_000_000_000_000_000
FINE: Final = Decimal("0.000001")  # the documentation's own examples keep to no symbol's steps
LOOSE: Final = Instrument("BTCUSDT", "BTC", "USDT", FINE, FINE, Decimal(5))

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"the recordings are not at {RECORDED}")


def document(path: str) -> Any:
    """Return the JSON of one recorded file; what stands before the first bracket is the request."""
    text = (RECORDED / path).read_text()
    return json.JSONDecoder().raw_decode(text, min(text.find(c) for c in "{[" if c in text))[0]


class Shelf:
    """Answers every request with the bytes on the shelf."""

    def __init__(self) -> None:
        self.body = b""

    def __call__(self, asked: Asked) -> Answer:
        return Answer(body=self.body)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def server(shelf: Shelf) -> AsyncIterator[Loopback]:
    async with loopback(shelf) as running:
        yield running


@pytest.fixture
async def venue(server: Loopback) -> AsyncIterator[BinanceVenue]:
    opened = BinanceVenue(server.url, account="micro", key="k", secret="s", instruments={"BTCUSDT": LOOSE})
    yield opened
    await opened.close()


# --- replies --------------------------------------------------------------------------------------------------


def cryptofeed() -> Iterator[dict[str, Any]]:
    """Yield the lines of the capture of 12 Oct 2021."""
    with pyarrow.input_stream(RECORDED / "cryptofeed/BINANCE.jsonl.zst", compression="zstd") as stream:
        for line in io.BytesIO(stream.read()):
            yield json.loads(line)


async def test_every_market_of_the_real_exchange_is_read(shelf: Shelf, venue: BinanceVenue) -> None:
    body = next(line["data"] for line in cryptofeed() if line.get("url", "").endswith("exchangeInfo"))
    shelf.body = body.encode()
    symbols = [row["symbol"] for row in json.loads(body)["symbols"]]

    found = await venue.instruments(symbols)

    assert len(found) == len(symbols) == 1_695
    for instrument in found.values():
        assert instrument.tick_size > 0
        assert instrument.lot_size > 0
        assert 0 <= instrument.min_quantity <= instrument.max_quantity


@pytest.mark.parametrize(
    "path",
    [
        "nautilus/crate_test_data/spot/http_json/new_order_full_response.json",
        "binance_net/Endpoints/Spot/Trading/PlaceOrder.txt",
    ],
)
async def test_a_reply_to_an_order_is_read_only_by_the_order_it_names(
    path: str, shelf: Shelf, venue: BinanceVenue
) -> None:
    reply = document(path)
    shelf.body = json.dumps(reply).encode()
    sent = replace(order(1, Side.SELL, lots=10_000_000), client_order_id=reply["clientOrderId"])

    answer = await venue.submit(sent)

    assert [fill.trade_id for fill in answer.fills] == [56, 57, 58, 59, 60]
    assert sum(fill.fee for fill in answer.fills) == Decimal("39.983")
    with pytest.raises(FateUnknown):
        await venue.submit(order(1))


@pytest.mark.parametrize(
    ("path", "venue_ids"),
    [
        ("nautilus/crate_test_data/spot/http_json/cancel_open_orders_response.json", ["11", "13", "20", "21"]),
        ("binance_net/Endpoints/Spot/Trading/CancelAllOrders.txt", ["11", "13"]),
    ],
)
async def test_a_cancel_of_all_names_every_order(
    path: str, venue_ids: list[str], shelf: Shelf, venue: BinanceVenue
) -> None:
    shelf.body = json.dumps(document(path)).encode()

    canceled = await venue.cancel_all("BTCUSDT")

    assert [found.venue_order_id for found in canceled] == venue_ids
    assert not any(found.ours for found in canceled)


# --- the account stream ---------------------------------------------------------------------------------------

REPORTS: Final = {
    "calculated": None,  # a liquidation: new to us, so the stream breaks and a reconcile follows
    "canceled": OrderEnded,
    "custom_client_id": OrderFilled,
    "new": OrderAccepted,
    "new_limit_if_touched_price_match": OrderAccepted,
    "new_price_match": OrderAccepted,
    "new_stop_limit_price_match": OrderAccepted,
    "pending_cancel": None,
    "rejected": OrderRefused,
    "trade": OrderFilled,
    "trade_l_zero_new": None,  # an execution of nothing
    "trade_l_zero_partial": None,
}


def read(message: dict[str, Any]) -> list[Event] | ValueError:
    """Return what a report of the documentation's shape says, or why not."""
    report = message.get("data") or message.get("event") or message
    try:
        return AccountDecoder({report["s"]: replace(LOOSE, symbol=report["s"])}).decode(report)
    except ValueError as error:
        return error


@pytest.mark.parametrize(("name", "kind"), REPORTS.items())
def test_an_execution_report_says_one_thing_or_is_refused(name: str, kind: type[Event] | None) -> None:
    found = read(document(f"nautilus/ws_messages/ws_spot_execution_report_{name}.json"))

    assert [type(event) for event in found] == [kind] if isinstance(found, list) else kind is None


def test_the_current_subscriptions_report_is_read() -> None:
    text = (RECORDED / "binance_net/Subscriptions/Spot/Account/Order.txt").read_text()
    message = json.loads(text[text.index("= ") + 2 :])

    found = read(message)

    assert isinstance(found, list)
    assert [type(event) for event in found] == [OrderAccepted]


# --- the market -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "symbol", "least"),
    [
        ("hftbacktest/spot_btcusdt_20240808.first12000.gz", "BTCUSDT", 9_000),
        ("hftbacktest/spot_ethusdt_20240808.first8000.gz", "ETHUSDT", 5_000),
    ],
)
def test_every_recorded_trade_and_book_top_is_read_exactly(path: str, symbol: str, least: int) -> None:
    decoder = MarketDecoder(instruments())
    read_back = 0
    with gzip.open(RECORDED / path, "rt") as lines:
        for line in lines:
            message = json.loads(line.partition(" ")[2])
            fact = decoder.decode(message.get("data", message), NOW_NS)
            if fact is not None:
                assert isinstance(fact, (BookTop, Trade))
                assert fact.symbol == symbol
                _is_exact(fact, message["data"])
                read_back += 1

    assert read_back >= least


def _is_exact(fact: BookTop | Trade, message: dict[str, str]) -> None:
    market = instruments()[fact.symbol]
    if isinstance(fact, Trade):
        assert market.price(fact.price_ticks) == Decimal(message["p"])
        assert market.quantity(fact.quantity_lots) == Decimal(message["q"])
        assert fact.price_ticks > 0
        assert fact.quantity_lots > 0
    else:
        assert market.price(fact.bid_ticks) == Decimal(message["b"])
        assert market.price(fact.ask_ticks) == Decimal(message["a"])
        assert 0 < fact.bid_ticks < fact.ask_ticks
