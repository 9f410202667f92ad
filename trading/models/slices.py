"""Facts out of the rows as they are: what the roll-up stores and the selectors read of time not rolled up yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Q

from trading.domain.evidence import Facts, Slice, SymbolFacts, cut
from trading.domain.orders import IN_FLIGHT, MARKET_CLOSED, TERMINAL, WITHDRAWN, OrderStatus, OrderType, Side
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
_ENDED: Final = "type = %(market)s AND status = ANY(%(ended)s)"
# A closed market's answer says nothing of how we order.
_ANSWERED: Final = "status <> ALL(%(in_flight)s) AND NOT starts_with(reason, %(closed)s)"
_ORDERS: Final = f"""
SELECT span.number, asked.symbol, asked.filled, asked.asked, asked.ended, asked.answered, asked.rejected, asked.unended
FROM {_SPANS} CROSS JOIN LATERAL (
    SELECT symbol, coalesce(sum(filled_lots) FILTER (WHERE {_ENDED}), 0)::bigint AS filled,
        coalesce(sum(quantity_lots) FILTER (WHERE {_ENDED}), 0)::bigint AS asked,
        count(*) FILTER (WHERE {_ENDED}) AS ended,
        count(*) FILTER (WHERE {_ANSWERED}) AS answered,
        count(*) FILTER (WHERE {_ANSWERED} AND status = %(rejected)s) AS rejected,
        count(*) FILTER (WHERE type = %(market)s AND status <> ALL(%(ended)s) OR status = ANY(%(in_flight)s)) AS unended
    FROM trading_order WHERE account_id = %(account)s AND decided_at >= span.since AND decided_at < span.until
        AND status <> %(denied)s AND reason <> %(withdrawn)s
    GROUP BY symbol
) asked"""


@dataclass(frozen=True, slots=True)
class Rows:
    """What orders and fills tell of some spans of time."""

    symbols: Sequence[Mapping[str, SymbolFacts]]  # of each span
    unended: int  # MARKET orders whose end, and others whose answer, is not known yet


def read(account: Account, spans: Sequence[Span]) -> list[Slice]:
    """Return slices that cover `spans` (whole minutes, in order of time, apart); three queries, none without spans.

    An order belongs to the time it was decided in; it counts once it was answered, the lots of a MARKET order once it
    has ended. A round trip belongs to the time its sell filled in. One that fills on both sides of an edge counts on
    both, with the profit of each.
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
        "in_flight": sorted(status.value for status in IN_FLIGHT),
        "rejected": OrderStatus.REJECTED.value,
        "denied": OrderStatus.DENIED.value,
        "withdrawn": WITHDRAWN,
        "closed": MARKET_CLOSED,
    }
    symbols: list[dict[str, SymbolFacts]] = [{} for _ in spans]
    for number, symbol, fills, trips, wins, gain, loss in _ask(_FILLS, values):
        symbols[number - 1][symbol] = SymbolFacts(
            fills=fills, round_trips=trips, wins=wins, gain_quote=gain, loss_quote=loss
        )
    unended = 0
    for number, symbol, filled, asked, ended, answered, rejected, open_orders in _ask(_ORDERS, values):
        known = symbols[number - 1].get(symbol, SymbolFacts())
        told = SymbolFacts(filled_lots=filled, asked_lots=asked, ended=ended, answered=answered, rejected=rejected)
        symbols[number - 1][symbol] = known.plus(told)
        unended += open_orders
    return Rows(symbols, unended)


def with_rows(one: Slice, symbols: Mapping[str, SymbolFacts]) -> Slice:
    """Return the slice with what its orders and fills tell."""
    return replace(one, facts=one.facts.then(Facts(symbols=symbols)))


def _ask(query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
