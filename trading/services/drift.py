"""Hold every stretch of paper against its backtest: the same recorded market data, once live and once folded."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain, pairwise
from typing import Any, Final

from django.db.models import Q

from trading.domain import backtest
from trading.domain.advice_tape import tape_of
from trading.domain.desk import DeskSettings
from trading.domain.drift import (
    LISTED,
    Booked,
    Conduct,
    Deal,
    Sample,
    conduct,
    fills_digest,
    only_on_one_side,
    order_by_order,
)
from trading.domain.events import AdviceChanged
from trading.domain.fees import DEMO_FEES
from trading.domain.limits import Limits
from trading.domain.market import MarketEvent
from trading.domain.orders import Side
from trading.models import (
    ADVICE_CHANGED,
    Account,
    AuditEvent,
    CashFlow,
    ConductSample,
    EquitySample,
    Fill,
    Grid,
    Mandate,
    PaperComparison,
    TradingDay,
    VenueInstrument,
)
from trading.services import recordings
from trading.services.audit import microseconds
from trading.services.samples import KEEP_EQUITY

log = logging.getLogger(__name__)

Recorded = Callable[[Sequence[str], int, int], Iterable[MarketEvent]]  # (symbols, from ns, to ns) -> as received

EVERYTHING_WAS_CASH: Final = ("start", "seam")
AGAIN_AFTER: Final = timedelta(days=1)  # a stretch that goes on is folded from its beginning each time
SHORTEST: Final = timedelta(minutes=5)  # a lap of an accelerated replay is shorter, and says nothing of a market
AT_ONCE: Final = 12  # stretches of one account in one go: the next go takes the next


@dataclass(frozen=True, slots=True)
class Stretch:
    """From one moment when everything was cash to the next, or to the newest equity."""

    opening: TradingDay
    until: datetime
    closing_quote: Decimal
    is_over: bool


def compare_all(at: datetime) -> int:
    """Compare what every paper account has not had compared yet; return how many stretches."""
    papers = Account.objects.filter(mode=Account.Mode.PAPER)
    return sum(compare(account, recordings.recorded, at) for account in papers)


def compare(account: Account, recorded: Recorded, at: datetime) -> int:
    """Compare the oldest stretches of `account` that are not, and once a day the one that goes on; return how many.

    A stretch whose market data was not recorded, or cannot be read, is left out: it stays unknown.
    """
    lately = Q(is_over=True) | Q(compared_at__gt=at - AGAIN_AFTER)
    known = set(PaperComparison.objects.filter(lately, account=account).values_list("since", "is_over"))
    missing = [one for one in _stretches(account, at) if (one.opening.opened_at, one.is_over) not in known]
    compared = 0
    for stretch in missing:
        if compared == AT_ONCE:
            break
        compared += _compare(account, stretch, recorded, at)
    return compared


def _stretches(account: Account, at: datetime) -> Iterator[Stretch]:
    """Yield the stretches of which the equity is still kept, oldest first."""
    days = TradingDay.objects.filter(account=account, reason__in=EVERYTHING_WAS_CASH, opened_at__gte=at - KEEP_EQUITY)
    openings = list(days.order_by("id"))
    for one, following in pairwise(openings):
        yield Stretch(one, following.opened_at, following.opening_equity_quote, is_over=True)
    if openings:
        newest = _samples(account, openings[-1], at)[-1:]
        for sample in newest:
            until = datetime.fromtimestamp(sample.at_ns / 1e9, UTC)
            yield Stretch(openings[-1], until, sample.equity_quote, is_over=False)


def _compare(account: Account, stretch: Stretch, recorded: Recorded, at: datetime) -> bool:
    since, until = stretch.opening.opened_at, stretch.until
    if until - since < SHORTEST:
        return False
    folded = _folded(account, stretch, recorded)
    if folded is None:
        return False
    opening = Sample(_ns(since), stretch.opening.opening_equity_quote)
    on_paper, in_backtest = _booked(account, stretch), backtest.booked(folded)
    closing = Sample(_ns(until), stretch.closing_quote)
    paper = conduct(opening, _earned(account, stretch, [*_samples(account, stretch.opening, until), closing]), on_paper)
    tested = conduct(opening, folded.equity, in_backtest)
    PaperComparison.objects.update_or_create(
        account=account,
        since=since,
        defaults={
            "until": until,
            "is_over": stretch.is_over,
            "events": folded.events,
            "capital_quote": opening.equity_quote,
            **_columns("paper", paper),
            **_columns("backtest", tested),
            "returns": {"paper": [str(one) for one in paper.returns], "backtest": [str(one) for one in tested.returns]},
            "differences": _differences(on_paper, in_backtest),
            "compared_at": at,
        },
    )
    return True


def _folded(account: Account, stretch: Stretch, recorded: Recorded) -> backtest.Result | None:
    """Return what the backtest of the stretch does.

    None where nothing of it was recorded, nobody measured how fast its market ran, or a grid was edited.
    """
    since, until = _ns(stretch.opening.opened_at), _ns(stretch.until)
    mandates, speed = _mandates(account, stretch), _speed(account, stretch)
    rows = list(Grid.objects.filter(account=account, enabled=True).order_by("symbol"))
    if any(row.edited_at is not None and row.edited_at > stretch.opening.opened_at for row in rows):
        return None  # it ran other grids than those of now, for a part of it or all
    grids = tuple(row.chosen for row in rows)
    symbols = [grid.symbol for grid in grids]
    listed = VenueInstrument.objects.filter(venue=account.venue, symbol__in=symbols)
    events = iter(recorded(symbols, since, until))
    try:
        first = next(events, None)
        if first is None or not mandates or speed is None:
            return None
        return backtest.run(
            chain([first], events),
            settings=DeskSettings(account.slug, account.quote, grids, DEMO_FEES, stretch.opening.opening_equity_quote),
            limits=mandates[0][1],
            instruments={row.symbol: row.instrument for row in listed},
            mandates=mandates[1:],
            advice=_advice(account, symbols, since, until),
            speed=speed,
        )
    except recordings.UnableToRead as error:
        log.warning("%s: the market data of a stretch cannot be read: %s", account.slug, error)
        return None


def _speed(account: Account, stretch: Stretch) -> float | None:
    """Return how many seconds of market passed in one of ours, None where nobody measured it.

    The forecast reckons with them, on both sides.
    """
    samples = ConductSample.objects.filter(account=account, at__gte=stretch.opening.opened_at, at__lt=stretch.until)
    spans = list(samples.values_list("facts__market_ns", "facts__in_force_ns"))
    in_force_ns = sum(in_force for _, in_force in spans)
    return sum(market for market, _ in spans) / in_force_ns if in_force_ns else None


def _mandates(account: Account, stretch: Stretch) -> list[tuple[int, Limits]]:
    """Return the mandate in force when the stretch began, and those that came during it."""
    rows = Mandate.objects.filter(account=account, put_into_force_at__lte=stretch.until).order_by("version")
    before = [row for row in rows if row.put_into_force_at <= stretch.opening.opened_at][-1:]
    during = [row for row in rows if row.put_into_force_at > stretch.opening.opened_at]
    return [(_ns(row.put_into_force_at), row.limits) for row in [*before, *during]]


def _advice(account: Account, symbols: Sequence[str], since: int, until: int) -> list[tuple[int, AdviceChanged]]:
    """Return what a model asked of the desk during the stretch, from what was in force when it began."""
    rows = AuditEvent.objects.filter(action=ADVICE_CHANGED, subject=f"account:{account.slug}", at__lt=_moment(until))
    before = rows.filter(at__lt=_moment(since))
    newest = [before.filter(payload__advice__contains=[{"symbol": symbol}]).first() for symbol in symbols]
    known = {row.sequence: row for row in [*newest, *rows.filter(at__gte=_moment(since))] if row is not None}
    said = [one for _, row in sorted(known.items()) for one in row.payload["advice"]]
    return tape_of((one for one in said if one["symbol"] in symbols), since, until)


def _moment(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / 1e9, UTC)


def _samples(account: Account, opening: TradingDay, until: datetime) -> list[Sample]:
    rows = EquitySample.objects.filter(account=account, lap=opening.lap, at__gte=opening.opened_at, at__lt=until)
    return [Sample(_ns(at), equity) for at, equity in rows.order_by("at").values_list("at", "equity_quote")]


def _earned(account: Account, stretch: Stretch, samples: Sequence[Sample]) -> list[Sample]:
    """Return `samples` less what was paid in during the stretch: money that is paid in is no profit."""
    during = CashFlow.objects.filter(
        account=account, booked_at__gte=stretch.opening.opened_at, booked_at__lt=stretch.until
    )
    flows = [(_ns(at), amount) for at, amount in during.values_list("booked_at", "amount_quote")]
    return [
        one._replace(equity_quote=one.equity_quote - sum((paid for at, paid in flows if at <= one.at_ns), Decimal(0)))
        for one in samples
    ]


def _booked(account: Account, stretch: Stretch) -> list[Booked]:
    mine = Fill.objects.filter(account=account, lap=stretch.opening.lap, at__gte=stretch.opening.opened_at)
    columns = ("symbol", "side", "slot", "price_ticks", "quantity_lots")
    rows = mine.filter(at__lt=stretch.until).order_by("id")
    return [
        Booked(Deal(symbol, Side(side), slot, price, lots), order, profit, at_ns)
        for symbol, side, slot, price, lots, order, profit, at_ns in rows.values_list(
            *columns, "order__client_order_id", "grid_profit_quote", "at_ns"
        )
    ]


def _ns(at: datetime) -> int:
    return microseconds(at) * 1_000


def _columns(side: str, done: Conduct) -> dict[str, Any]:
    return {
        f"{side}_pnl_quote": done.pnl_quote,
        f"{side}_drawdown": done.drawdown_fraction,
        f"{side}_round_trips": done.round_trips,
        f"{side}_wins": done.wins,
    }


def _differences(paper: Sequence[Booked], tested: Sequence[Booked]) -> dict[str, Any]:
    """Return the hash of each side's list of fills, how many only one side has, and where they differ, by time."""
    ours, theirs = only_on_one_side(paper, tested)
    found = [("paper", one) for one in ours] + [("backtest", one) for one in theirs]
    found.sort(key=lambda each: each[1].at_ns)
    first = [[side, one.at_ns, *map(str, one.deal)] for side, one in found[:LISTED]]
    apart = order_by_order(paper, tested)
    return {
        "paper": len(ours),
        "backtest": len(theirs),
        "first": first,
        "fills_sha256": {
            "paper": fills_digest(one.deal for one in paper),
            "backtest": fills_digest(one.deal for one in tested),
        },
        "orders_apart": len(apart),
        "orders": [[one.symbol, one.side, one.slot, one.paper, one.backtest] for one in apart[:LISTED]],
    }
