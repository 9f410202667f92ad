"""The tax report: the disposals of one year beside the lots they came out of."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from riskops.selectors.reports import Money, money
from trading.domain import tax
from trading.selectors import reports
from trading.selectors.numbers import plain, short

if TYPE_CHECKING:
    from trading.models import Account

DISPOSALS_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class SymbolTotal:
    """The disposals of one symbol in the year."""

    symbol: str
    disposals: int
    base: str
    proceeds: str
    cost: str
    gain: Money
    unknown: int


@dataclass(frozen=True, slots=True)
class DisposalLine:
    """One disposal as it is read."""

    symbol: str
    sold_at: datetime
    acquired_at: datetime | None
    days_held: int | None
    base: str
    proceeds: str
    cost: str
    gain: Money


@dataclass(frozen=True, slots=True)
class TaxPage:
    """The disposals of one year by one method."""

    year: int
    method: str
    totals: tuple[SymbolTotal, ...]
    gain: Money
    unknown: int
    fees_without_value: tuple[tuple[str, str], ...]
    shown: tuple[DisposalLine, ...]
    count: int
    held: int


def tax_page(account: "Account", year: int, method: tax.Method) -> TaxPage:
    """Return the tax report of a year; what was bought in earlier years is known."""
    disposals, books = _disposals(account, year, method)
    symbols = sorted({one.symbol for one in disposals})
    totals = [(symbol, tax.total(one for one in disposals if one.symbol == symbol)) for symbol in symbols]
    everything = tax.total(disposals)
    return TaxPage(
        year=year,
        method=method.value,
        totals=tuple(
            SymbolTotal(
                symbol,
                of.disposals,
                short(of.base),
                plain(of.proceeds_quote, 4),
                plain(of.cost_quote, 4),
                money(str(of.gain_quote), 4),
                of.unknown,
            )
            for symbol, of in totals
        ),
        gain=money(str(everything.gain_quote), 4),
        unknown=everything.unknown,
        fees_without_value=tuple((asset, short(fee)) for asset, fee in sorted(books.fees_without_value.items())),
        shown=tuple(_line(one) for one in disposals[-DISPOSALS_SHOWN:][::-1]),
        count=len(disposals),
        held=len(books.held),
    )


TAX_HEADER: Final = (
    "account", "mode", "year", "method", "symbol", "acquired_at_utc", "sold_at_utc", "days_held", "quantity_base",
    "proceeds_quote", "cost_quote", "gain_quote", "quote", "buy_trade", "sale_trade",
)  # fmt: skip


def tax_rows(account: "Account", year: int, method: tax.Method) -> list[list[object]]:
    """Return every disposal of a year for a CSV; an unknown cost and its gain are empty."""
    disposals, _ = _disposals(account, year, method)
    return [
        [
            account.slug, account.mode, year, method.value, one.symbol,
            one.acquired_at.isoformat() if one.acquired_at else None, one.sold_at.isoformat(), one.days_held,
            *map(_digits, (one.base, one.proceeds_quote, one.cost_quote, one.gain_quote)), account.quote, one.bought_by,
            one.sold_by,
        ]
        for one in disposals
    ]  # fmt: skip


def _digits(value: Decimal | None) -> Decimal | None:
    """Return the value without zeros at its end."""
    written = reports.text(value)
    return None if written is None else Decimal(written)


def _line(one: tax.Disposal) -> DisposalLine:
    return DisposalLine(
        symbol=one.symbol,
        sold_at=one.sold_at,
        acquired_at=one.acquired_at,
        days_held=one.days_held,
        base=short(one.base),
        proceeds=plain(one.proceeds_quote, 6),
        cost=plain(one.cost_quote, 6),
        gain=money(None if one.gain_quote is None else str(one.gain_quote), 6),
    )


def _disposals(account: "Account", year: int, method: tax.Method) -> tuple[list[tax.Disposal], tax.Books]:
    begin, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    books = tax.keep_books(reports.trades(account, end), method, account.quote)
    return [one for one in books.disposals if one.sold_at >= begin], books
