"""Rows as CSV that a spreadsheet cannot mistake for formulas."""

import csv
import io
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from trading.models import Fill, Order

DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")  # OWASP: a cell that starts so may run as a formula
ORDER_HEADER: Final = (
    "decided_at_utc", "symbol", "side", "type", "purpose", "price_quote", "quantity_base", "filled_base", "status",
    "reason", "slot", "lap", "client_order_id", "venue_order_id", "updated_at_utc",
)  # fmt: skip
FILL_HEADER: Final = (
    "at_utc", "symbol", "side", "price_quote", "quantity_base", "fee", "fee_asset", "maker", "realized_quote",
    "grid_profit_quote", "slot", "lap", "trade_id", "client_order_id",
)  # fmt: skip


def as_csv(rows: Iterable[Order | Fill], *, fills: bool) -> str:
    """Return the rows as CSV with a header line; numbers are plain digits, text cells never start a formula."""
    header = FILL_HEADER if fills else ORDER_HEADER
    return table(header, (_fill(row) if isinstance(row, Fill) else _order(row) for row in rows))


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return any rows so; a Decimal or a whole number is a number, everything else is text, None is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([cell(value) for value in row])
    return out.getvalue()


def cell(value: object) -> str:
    """Return the text of one cell: plain digits for numbers, and no text that starts like a formula."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    text = str(value)
    return f"'{text}" if not isinstance(value, int) and text.startswith(DANGEROUS) else text


def _order(row: Order) -> list[object]:
    return [
        row.decided_at.isoformat(),
        row.symbol,
        row.side,
        row.type,
        row.purpose,
        row.price,
        row.quantity,
        row.filled,
        row.status,
        row.reason,
        None if row.slot is None else row.slot + 1,
        row.lap,
        row.client_order_id,
        row.venue_order_id,
        row.updated_at.isoformat(),
    ]


def _fill(row: Fill) -> list[object]:
    return [
        row.at.isoformat(),
        row.symbol,
        row.side,
        row.price,
        row.quantity,
        row.fee,
        row.fee_asset,
        int(row.maker),
        row.realized_quote,
        row.grid_profit_quote,
        None if row.slot is None else row.slot + 1,
        row.lap,
        row.trade_id,
        row.order.client_order_id,
    ]
