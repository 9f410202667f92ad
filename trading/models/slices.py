"""Facts out of the rows as they are: what the roll-up stores and the selectors read of time not rolled up yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Q

from trading.domain.evidence import Facts, Slice, SymbolFacts, cut
from trading.domain.orders import TERMINAL, WITHDRAWN, OrderStatus, OrderType, Side
from trading.models.accounts import Account
from trading.models.watch import ConductSample

Span = tuple[datetime, datetime]  # since, until
# One query for any number of spans; LATERAL, so that each is a range of its own in the index. Only sells that close a
# round trip are grouped by order: that takes a third off the time.
_SPANS: Final = "unnest(%(since)s::timestamptz[], %(until)s::timestamptz[]) WITH ORDINALITY span(since, until, number)"
_FILLS: Final = f"""
SELECT span.number, sold.symbol, sum(sold.fills)::bigint, count(sold.profit), count(*) FILTER (WHERE sold.profit > 0),
    sum(greatest(coalesce(sold.profit, 0), 0)), sum(greatest(-coalesce(sold.profit, 0), 0))
FROM {_SPANS} CROSS JOIN LATERAL (
    SELECT symbol, count(*) AS fills, sum(grid_profit_quote) AS profit
    FROM trading_fill WHERE account_id = %(account)s AND at >= span.since AND at < span.until
    GROUP BY symbol, CASE WHEN side = %(sell)s AND grid_profit_quote IS NOT NULL THEN order_id END
) sold GROUP BY span.number, sold.symbol"""
_ORDERS: Final = f"""
SELECT span.number, asked.symbol, asked.filled, asked.asked, asked.ended, asked.unended
FROM {_SPANS} CROSS JOIN LATERAL (
    SELECT symbol, coalesce(sum(filled_lots) FILTER (WHERE status = ANY(%(ended)s)), 0)::bigint AS filled,
        coalesce(sum(quantity_lots) FILTER (WHERE status = ANY(%(ended)s)), 0)::bigint AS asked,
        count(*) FILTER (WHERE status = ANY(%(ended)s)) AS ended,
        count(*) FILTER (WHERE status <> ALL(%(ended)s)) AS unended
    FROM trading_order WHERE account_id = %(account)s AND decided_at >= span.since AND decided_at < span.until
        AND type = %(market)s AND status <> %(denied)s AND reason <> %(withdrawn)s
    GROUP BY symbol
) asked"""


@dataclass(frozen=True, slots=True)
class Rows:
    """What orders and fills tell of some spans of time."""

    symbols: Sequence[Mapping[str, SymbolFacts]]  # of each span
    unended: int  # MARKET orders whose end is not known yet


def read(account: Account, spans: Sequence[Span]) -> list[Slice]:
    """Return slices that cover `spans` (whole minutes, in order of time, apart); three queries, none without spans.

    A MARKET order belongs to the time it was decided in, and counts once it has ended; a round trip belongs to the time
    its sell filled in. One that fills on both sides of an edge counts on both, with the profit of each.
    """
    if not spans:
        return []
    found = conduct(account, spans)
    told = rows(account, [(one.since, one.until) for one in found])
    return [with_rows(one, symbols) for one, symbols in zip(found, told.symbols, strict=True)]


def conduct(account: Account, spans: Sequence[Span]) -> list[Slice]:
    """Return what the execution loop saw during `spans`, in slices that cover them."""
    wanted = Q()
    for since, until in spans:
        wanted |= Q(at__gte=since, at__lt=until)
    stored = ConductSample.objects.filter(wanted, account=account).order_by("at").values_list("at", "facts")
    minutes = [(at, Facts.from_json(facts)) for at, facts in stored]
    return [
        one
        for since, until in spans
        for one in cut(since, until, [minute for minute in minutes if since <= minute[0] < until])
    ]


def rows(account: Account, spans: Sequence[Span]) -> Rows:
    """Return what the orders and fills of `account` tell of each of `spans`; two queries."""
    values = {
        "account": account.pk,
        "since": [since for since, _ in spans],
        "until": [until for _, until in spans],
        "sell": Side.SELL.value,
        "market": OrderType.MARKET.value,
        "ended": sorted(status.value for status in TERMINAL),
        "denied": OrderStatus.DENIED.value,
        "withdrawn": WITHDRAWN,
    }
    symbols: list[dict[str, SymbolFacts]] = [{} for _ in spans]
    for number, symbol, fills, trips, wins, gain, loss in _ask(_FILLS, values):
        symbols[number - 1][symbol] = SymbolFacts(
            fills=fills, round_trips=trips, wins=wins, gain_quote=gain, loss_quote=loss
        )
    unended = 0
    for number, symbol, filled, asked, ended, open_orders in _ask(_ORDERS, values):
        known = symbols[number - 1].get(symbol, SymbolFacts())
        symbols[number - 1][symbol] = known.plus(SymbolFacts(filled_lots=filled, asked_lots=asked, ended=ended))
        unended += open_orders
    return Rows(symbols, unended)


def with_rows(one: Slice, symbols: Mapping[str, SymbolFacts]) -> Slice:
    """Return the slice with what its orders and fills tell."""
    return replace(one, facts=one.facts.then(Facts(symbols=symbols)))


def _ask(query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
