"""What the simulated exchange lists: recorded filters, dated and corrected, and the exchangeInfo reply."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from trading.domain.instruments import Instrument, parse_decimal

DATA_ROOM: Final = Path(__file__).resolve().parent.parent / "data"
EXCHANGE_INFO: Final = DATA_ROOM / "exchange_info.json"
MIN_NOTIONAL: Final = Decimal(5)  # quote currency; the recording of 2021 says 10, Binance lists 5 today
MAX_NOTIONAL: Final = "9000000.00000000"
ORDER_TYPES: Final = ["LIMIT", "LIMIT_MAKER", "MARKET"]


class ListingError(Exception):
    """The filters cannot be used; the message names the file, the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The instruments of the exchange and where their filters come from."""

    instruments: dict[str, Instrument]
    max_price: dict[str, Decimal]  # quote currency
    recorded_at: str  # date of the recording


def load(path: Path = EXCHANGE_INFO, *, min_notional: Decimal = MIN_NOTIONAL) -> Listing:
    """Return the listing in `path`, with `min_notional` (quote currency) for every instrument.

    Raises:
        ListingError: the file cannot be read or a field is missing or no plain decimal.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        entries = document["symbols"]
        instruments = {entry["symbol"]: _instrument(entry, min_notional) for entry in entries}
        max_price = {entry["symbol"]: parse_decimal(entry["maxPrice"], field="maxPrice") for entry in entries}
        return Listing(instruments, max_price, str(document["recorded_at"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ListingError(f"{path.name}: {reason}. Restore the file from the release.") from error


def _instrument(entry: Mapping[str, Any], min_notional: Decimal) -> Instrument:
    def value(field: str) -> Decimal:
        return parse_decimal(entry[field], field=f"{entry['symbol']} {field}")

    return Instrument(
        symbol=entry["symbol"],
        base=entry["baseAsset"],
        quote=entry["quoteAsset"],
        tick_size=value("tickSize"),
        lot_size=value("stepSize"),
        min_notional=min_notional,
        min_quantity=value("minQty"),
        max_quantity=value("maxQty"),
        market_max_quantity=value("marketMaxQty"),
    )


def describe(listing: Listing, symbol: str, *, trading: bool) -> dict[str, Any]:
    """Return one entry of the exchangeInfo reply."""
    instrument = listing.instruments[symbol]
    return {
        "symbol": symbol,
        "status": "TRADING" if trading else "BREAK",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": False,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(instrument, listing.max_price[symbol]),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def exchange_info(
    listing: Listing, *, trading: Collection[str], now_ms: int, rate_limits: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the exchangeInfo reply; symbols outside `trading` are in BREAK."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": rate_limits,
        "exchangeFilters": [],
        "symbols": [describe(listing, symbol, trading=symbol in trading) for symbol in listing.instruments],
    }


def _filters(instrument: Instrument, max_price: Decimal) -> list[dict[str, Any]]:
    tick, step = f"{instrument.tick_size:.8f}", f"{instrument.lot_size:.8f}"
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": f"{max_price:.8f}", "tickSize": tick},
        {
            "filterType": "LOT_SIZE",
            "minQty": f"{instrument.min_quantity:.8f}",
            "maxQty": f"{instrument.max_quantity:.8f}",
            "stepSize": step,
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": "0.00000000",
            "maxQty": f"{instrument.market_max_quantity:.8f}",
            "stepSize": "0.00000000",
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": f"{instrument.min_notional:.8f}",
            "applyMinToMarket": True,
            "maxNotional": MAX_NOTIONAL,
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
    ]
