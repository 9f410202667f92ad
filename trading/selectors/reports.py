"""What one account did in one span of time, as plain JSON: whole numbers, and decimals and moments as text."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from django.db.models import Count, F, Q, Sum, Value
from django.db.models.functions import StrIndex, Substr, TruncDate

from trading.domain.evidence import Facts, Slice, merged
from trading.domain.metrics import drawdown_fraction
from trading.domain.orders import OrderStatus, Side
from trading.domain.performance import Figure, fee_in_quote, statement
from trading.domain.tax import Trade
from trading.models import (
    Account,
    Fill,
    ForeignOrderDecision,
    Halt,
    HaltDrill,
    Mandate,
    Order,
    Settlement,
    VenueInstrument,
)
from trading.selectors import evidence
from trading.selectors.recovery import nanoseconds

POINTS: Final = 1_000  # of a chart; more than it has pixels
SECOND_NS: Final = 1_000_000_000
_ZERO: Final = Decimal(0)
_PLACES: Final = Decimal("1E-12")
LIMITS: Final = (
    "max_daily_drawdown_fraction", "max_daily_drawdown_hard_fraction", "max_symbol_drawdown_fraction",
    "max_position_fraction", "max_symbol_exposure_fraction", "max_total_exposure_fraction", "max_daily_trades",
    "max_open_orders",
)  # fmt: skip

Json = dict[str, Any]


def activity(account: Account, since: datetime, until: datetime) -> Json:
    """Return everything a report tells of `account` from `since` to before `until`.

    However much happened it is fourteen queries: seven of `trading.selectors.evidence`, and fills, instruments,
    denials, halts, drills, mandates and decisions about orders of others.
    """
    slices = evidence.slices(account, since, until)
    of = evidence.material(account, slices, since, until)
    fills = _fills(account, since, until)
    bases = bases_of(account)
    return {
        "coverage": coverage(of.facts, sum(((one.until - one.since).total_seconds() for one in slices), 0.0)),
        "equity": equity(of.facts),
        "figures": [_figure(one) for one in statement(of)],
        "series": _series(slices),
        "days": _days(account, slices, fills, bases),
        "symbols": _symbols(account, of.facts, fills, bases),
        "fees": _fees(account, fills, bases),
        "denials": _denials(account, since, until),
        "halts": _halts(account, since, until),
        "drills": _drills(account, since, until),
        "mandates": _mandates(account, since, until),
        "foreign": _foreign(account, since, until),
    }


def text(value: Decimal | None) -> str | None:
    """Return a decimal as plain digits, at most twelve places; None stays None."""
    if value is None:
        return None
    rounded = value.quantize(_PLACES).normalize() if abs(value) < Decimal("1E15") else value
    return f"{rounded + 0:f}"


def coverage(facts: Facts, wall_s: float) -> Json:
    """Return how much of a span of `wall_s` seconds was watched, in force and of the market, in whole seconds."""
    return {
        "wall_s": int(wall_s),
        "watched_s": facts.watched_ns // SECOND_NS,
        "in_force_s": facts.in_force_ns // SECOND_NS,
        "market_s": facts.market_ns // SECOND_NS,
        "accelerated": facts.accelerated,
    }


def equity(facts: Facts) -> Json | None:
    """Return first and last equity, highest and lowest as without any transfer, and the deepest fall; None where nobody
    looked. Once there were transfers, `paid_in` is what of them lies between the two."""
    if facts.equity is None:
        return None
    found = facts.equity
    ends = {"first": text(found.held_first), "last": text(found.held_last)}
    depth = {name: text(getattr(found, name)) for name in ("peak", "trough", "drawdown")}
    return {**ends, **depth, **({"paid_in": text(found.paid_in)} if found.paid_in_last else {})}


def bases_of(account: Account) -> dict[str, str]:
    """Return the base asset of every symbol of the account's venue."""
    return dict(VenueInstrument.objects.filter(venue=account.venue).values_list("symbol", "base"))


def trades(account: Account, until: datetime) -> list[Trade]:
    """Return every execution and settlement of `account` before `until`, in order of time; three queries."""
    bases = bases_of(account)
    fills = Fill.objects.filter(account=account, at__lt=until).values_list(
        "at", "trade_id", "symbol", "side", "price", "quantity", "fee", "fee_asset", "at_ns"
    )
    found = [
        (
            at_ns,
            number,
            Trade(at, str(number), symbol, _base(symbol, bases, account), Side(side), price, base, fee, asset),
        )
        for at, number, symbol, side, price, base, fee, asset, at_ns in fills.iterator(chunk_size=5_000)
    ]
    for row in Settlement.objects.filter(account=account, at__lt=until, quantity_base__gt=0):
        asset, seam = _base(row.symbol, bases, account), f"seam of lap {row.lap}"
        settled = Trade(row.at, seam, row.symbol, asset, Side.SELL, row.price, row.quantity_base)
        found.append((nanoseconds(row.at), row.pk, settled))
    return [one for _, _, one in sorted(found, key=lambda row: row[:2])]


def _base(symbol: str, bases: dict[str, str], account: Account) -> str:
    return bases.get(symbol, symbol.removesuffix(account.quote))


# --- figures and series -----------------------------------------------------------------------------------------------


def _figure(one: Figure) -> Json:
    return {
        "name": one.name,
        "label": one.metric.label,
        "unit": one.metric.unit.value,
        "value": text(one.value),
        "samples": one.samples,
        "detail": one.detail,
    }


def _series(slices: Sequence[Slice]) -> list[list[str | None]]:
    """Return [end, last, highest, lowest, fall from the highest so far] of each slice, at most `POINTS` of them.

    What nobody watched is a point without values, so that no line is drawn across it.
    """
    size = -(-len(slices) // POINTS) or 1
    found, peak = list[list[str | None]](), _ZERO
    for start in range(0, len(slices), size):
        part = slices[start : start + size]
        seen = merged(one.facts for one in part).equity
        if seen is None:
            found.append([_moment(part[-1].until), None, None, None, None])
            continue
        fall = max(seen.drawdown, min(drawdown_fraction(peak, seen.trough), Decimal(1)))
        peak = max(peak, seen.peak)
        held = Decimal(1) if seen.held_last == seen.last else seen.held_last / seen.last
        values = (seen.held_last, seen.peak * held, seen.trough * held, fall)
        found.append([_moment(part[-1].until), *(text(value) for value in values)])
    return found


def _days(account: Account, slices: Sequence[Slice], fills: Sequence[Json], bases: dict[str, str]) -> list[Json]:
    found = []
    for day, of_day in groupby(slices, key=lambda one: one.since.astimezone(UTC).date()):
        parts = list(of_day)
        facts = merged(one.facts for one in parts)
        mine = [row for row in fills if row["day"] == day]
        known = facts.equity
        wall = sum(((one.until - one.since).total_seconds() for one in parts), 0.0)
        found.append(
            {
                "day": day.isoformat(),
                **coverage(facts, wall),
                "equity": text(known.held_last) if known else None,
                "pnl": text(known.pnl) if known else None,
                "drawdown": text(known.drawdown) if known else None,
                "fills": sum(row["fills"] for row in mine),
                "round_trips": facts.total.round_trips,
                "realized": text(_sum(row["realized"] for row in mine)),
                "fees": text(_fees_known(account, mine, bases)),
            }
        )
    return found


# --- fills ------------------------------------------------------------------------------------------------------------


def _fills(account: Account, since: datetime, until: datetime) -> list[Json]:
    """Return the fills added up by UTC day, symbol, side and asset of the fee."""
    rows = Fill.objects.filter(account=account, at__gte=since, at__lt=until).order_by()
    sums = rows.values("symbol", "side", "fee_asset", day=TruncDate("at", tzinfo=UTC)).annotate(
        fills=Count("id"),
        base=Sum("quantity"),
        notional=Sum(F("price") * F("quantity")),
        fees=Sum("fee"),
        fees_at_price=Sum(F("fee") * F("price")),
        realized=Sum("realized_quote"),
        grid_profit=Sum("grid_profit_quote"),
    )
    return sorted(map(dict, sums), key=lambda row: (row["day"], row["symbol"], row["side"], row["fee_asset"]))


def _symbols(account: Account, facts: Facts, fills: Sequence[Json], bases: dict[str, str]) -> list[Json]:
    found = []
    for symbol in sorted({row["symbol"] for row in fills}):
        mine = [row for row in fills if row["symbol"] == symbol]
        known = facts.symbols.get(symbol)
        found.append(
            {
                "symbol": symbol,
                "fills": sum(row["fills"] for row in mine),
                "bought": text(_sum(row["notional"] for row in mine if row["side"] == Side.BUY)),
                "sold": text(_sum(row["notional"] for row in mine if row["side"] == Side.SELL)),
                "realized": text(_sum(row["realized"] for row in mine)),
                "grid_profit": text(_sum(row["grid_profit"] or _ZERO for row in mine)),
                "fees": text(_fees_known(account, mine, bases)),
                "round_trips": known.round_trips if known else 0,
                "wins": known.wins if known else 0,
            }
        )
    return found


def _fees(account: Account, fills: Sequence[Json], bases: dict[str, str]) -> list[Json]:
    """Return the fees by asset, the asset's own amount beside its value; None: it has no known value."""
    found = []
    for asset in sorted({row["fee_asset"] for row in fills if row["fees"]}):
        mine = [row for row in fills if row["fee_asset"] == asset]
        values = [_value(account, row, bases) for row in mine]
        known = None if any(value is None for value in values) else _sum(value or _ZERO for value in values)
        found.append({"asset": asset, "amount": text(_sum(row["fees"] for row in mine)), "in_quote": text(known)})
    return found


def _fees_known(account: Account, fills: Sequence[Json], bases: dict[str, str]) -> Decimal | None:
    values = [_value(account, row, bases) for row in fills]
    return None if any(value is None for value in values) else _sum(value or _ZERO for value in values)


def _value(account: Account, row: Json, bases: dict[str, str]) -> Decimal | None:
    base = _base(row["symbol"], bases, account)
    return fee_in_quote(row["fees"], row["fees_at_price"], asset=row["fee_asset"], base=base, quote=account.quote)


def _sum(values: Iterable[Decimal]) -> Decimal:
    return sum(values, _ZERO)


# --- risk -------------------------------------------------------------------------------------------------------------


def _denials(account: Account, since: datetime, until: datetime) -> list[Json]:
    """Return how often each rule denied an order, the most frequent first."""
    denied = Order.objects.filter(
        account=account, decided_at__gte=since, decided_at__lt=until, status=OrderStatus.DENIED
    ).order_by()
    code = Substr("reason", 1, StrIndex(F("reason"), Value(":")) - 1)
    coded = denied.filter(reason__contains=":").annotate(code=code)
    found = coded.values("code").annotate(times=Count("id"))
    return sorted(
        ({"code": row["code"], "times": row["times"]} for row in found), key=lambda one: (-one["times"], one["code"])
    )


def _halts(account: Account, since: datetime, until: datetime) -> list[Json]:
    """Return the halts latched in the span, also the one that ends a run; what happened to one later is not told."""
    rows = Halt.objects.filter(account=account, latched_at__gte=since, latched_at__lte=until).order_by("id")
    return [
        {
            "what": row.symbol or "whole desk",
            "by": row.requested_by,
            "reason": row.reason,
            "latched_at": _moment(row.latched_at),
            "proven_clear_at": _before(row.proven_clear_at, until),
            "released_at": _before(row.released_at, until),
            "released_by": row.released_by if _before(row.released_at, until) else "",
        }
        for row in rows
    ]


def _drills(account: Account, since: datetime, until: datetime) -> list[Json]:
    rows = HaltDrill.objects.filter(account=account, asked_at__gte=since, asked_at__lt=until).select_related("halt")
    return [
        {
            "drill": row.drill,
            "by": row.asked_by,
            "asked_at": _moment(row.asked_at),
            "proven_clear_at": _before(row.halt.proven_clear_at if row.halt else None, until),
        }
        for row in rows.order_by("id")
    ]


def _mandates(account: Account, since: datetime, until: datetime) -> list[Json]:
    """Return every mandate that was in force at any time of the span, oldest first."""
    rows = list(Mandate.objects.filter(account=account, put_into_force_at__lt=until).order_by("version"))
    begun = [row for row in rows if row.put_into_force_at <= since]
    return [
        {
            "version": row.version,
            "phase": row.phase,
            "capital": text(row.capital_quote),
            "since": _moment(row.put_into_force_at),
            "by": row.put_into_force_by,
            "limits": {name: _limit(getattr(row, name)) for name in LIMITS},
        }
        for row in [*begun[-1:], *(row for row in rows if row.put_into_force_at > since)]
    ]


def _limit(value: Decimal | int | None) -> str | None:
    return text(value) if isinstance(value, Decimal) else None if value is None else str(value)


def _foreign(account: Account, since: datetime, until: datetime) -> list[Json]:
    rows = ForeignOrderDecision.objects.filter(Q(decided_at__gte=since, decided_at__lt=until), account=account)
    return [
        {"symbol": row.symbol, "choice": row.choice, "by": row.decided_by, "at": _moment(row.decided_at)}
        for row in rows.order_by("id")
    ]


def _moment(at: datetime | date) -> str:
    return at.astimezone(UTC).isoformat() if isinstance(at, datetime) else at.isoformat()


def _before(at: datetime | None, until: datetime) -> str | None:
    return _moment(at) if at is not None and at < until else None
