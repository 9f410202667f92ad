"""Every number of every phase file, from the file to the denial: a run starts, its mandate is in force, and just beyond
each number something is refused, doubted or due that just within it is not.

The walks are listed by the names of the template's own fields: a new field fails here until somebody walks it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_django import Settings

from riskops.domain.gates import Outcome, judge
from riskops.domain.incidents import review_due_at
from riskops.domain.phases import Duration, Executor, Monitoring, Phase, PhaseLimits, Stay, UnreadablePhase, read
from riskops.domain.steps import ROADMAP, Decision, why_not_decide
from riskops.models import PhaseRun
from riskops.services import phases
from riskops.standing import template_of
from tests.riskops import cast
from tests.riskops.cast import BEGIN
from tests.trading.domain.hand import BTC, CENTRE, SECOND, Hand
from trading.adapters.venue_ccxt import BinanceVenue
from trading.domain.events import MetricsKept, OrderRefused, ReadVenue, Severity, Submit, TimerFired, is_told
from trading.domain.evidence import METRICS, Measurement
from trading.domain.limits import ExecutionStyle, Limits, TradingState
from trading.domain.measuring import Over
from trading.domain.orders import Order, OrderStatus, OrderType, Purpose, Side
from trading.domain.risk import Exposure, check
from trading.models import Mandate
from trading.runtime.rows import Orders
from trading.selectors.recovery import limits_in_force

SMALL: Final = Decimal("0.00000001")
WORTH: Final = Decimal(6)  # of the order below: 0.0001 BTC at 60,000
PARTS: Final = {
    "limits": PhaseLimits,
    "executor": Executor,
    "monitoring": Monitoring,
    "duration": Duration,
    "stay": Stay,
}


@dataclass(frozen=True)
class InForce:
    """One phase as it was read, and as it is in force."""

    phase: Phase
    limits: Limits
    mandate: Mandate


Walk = Callable[[InForce], "bool | None"]  # None: this phase does not set it


def denials(at: InForce, *, kind: OrderType = OrderType.MARKET, **changes: Any) -> list[str]:
    """Return the codes of an order of 6 USDT; `changes` are facts, or fields of the order after `order_`."""
    facts: dict[str, Any] = {
        "state": TradingState.ACTIVE, "flatten": False, "pause": "", "fresh": True, "reconciled": True,
        "symbol_worst_quote": Decimal(0), "total_worst_quote": Decimal(0), "slot_worst_quote": Decimal(0),
        "open_orders": 0, "trades_today": 0, "trades_pending": 0, "exits_owed": 0,
        "daily_drawdown_fraction": Decimal(0), "high_water_drawdown_fraction": Decimal(0),
        "symbol_drawdown_fraction": Decimal(0), "free_lots": 10, "bid_ticks": CENTRE, "ask_ticks": CENTRE,
        "bid_lots": 10**9, "ask_lots": 10**9,
    }  # fmt: skip
    price = None if kind is OrderType.MARKET else CENTRE
    order = Order("id", "BTCUSDT", Side.BUY, kind, 10, price, 0, Purpose.GRID, 0, CENTRE)
    mine = {name.removeprefix("order_"): value for name, value in changes.items() if name.startswith("order_")}
    facts |= {name: value for name, value in changes.items() if not name.startswith("order_")}
    return [denial.code for denial in check(replace(order, **mine), Exposure(**facts), at.limits, BTC)]


def edge(code: str, at: InForce, within: Mapping[str, Any], beyond: Mapping[str, Any]) -> bool:
    return code not in denials(at, **within) and code in denials(at, **beyond)


def worst(fact: str, fraction: str, code: str) -> Walk:
    """Walk a share of the capital: with the order it is exactly used up, and then a hundred-millionth more."""

    def walk(at: InForce) -> bool:
        most = at.phase.capital_quote * getattr(at.phase.limits, fraction) - WORTH
        return edge(code, at, {fact: most}, {fact: most + SMALL})

    return walk


def share(fact: str, limit: str, code: str) -> Walk:
    """Walk a drawdown: from exactly the limit on nothing is bought."""

    def walk(at: InForce) -> bool | None:
        bound = getattr(at.phase.limits, limit)
        return None if bound is None else edge(code, at, {fact: bound - SMALL}, {fact: bound})

    return walk


def trades(at: InForce) -> bool:
    most = at.phase.limits.max_daily_trades
    return edge("DAILY_TRADES", at, {"trades_today": most - 2}, {"trades_today": most - 1})


def open_orders(at: InForce) -> bool:
    most = at.phase.limits.max_open_orders
    return edge("MAX_OPEN_ORDERS", at, {"open_orders": most - 1}, {"open_orders": most})


def trade_loss(at: InForce) -> bool | None:
    limits = at.phase.limits
    if limits.max_trade_loss_quote is None:
        return None
    stop = limits.max_daily_drawdown_hard_fraction / limits.max_total_exposure_fraction
    held = limits.max_trade_loss_quote / stop - WORTH
    lots = {grid.lot_quote * stop <= limits.max_trade_loss_quote for grid in at.mandate.account.grids.all()}
    fact = "slot_worst_quote"
    return lots == {True} and edge("TRADE_LOSS", at, {fact: held - SMALL}, {fact: held + Decimal("0.0001")})


def slippage(at: InForce) -> bool | None:
    most = at.phase.limits.max_slippage_loss_quote
    if most is None:
        return None
    spread = int(most * 2 / BTC.notional(1, 1_000))  # 1,000 lots lose half of it
    order = {"order_quantity_lots": 1_000, "ask_ticks": CENTRE}
    within, beyond = ({**order, "bid_ticks": CENTRE - spread - more} for more in (0, 1))
    return edge("SLIPPAGE", at, within, beyond)


def order_types(at: InForce) -> bool:
    kinds = {"MARKET": OrderType.MARKET, "LIMIT": OrderType.LIMIT_MAKER}
    denied = {name for name, kind in kinds.items() if "EXECUTION_STYLE" in denials(at, kind=kind)}
    return denied == set(kinds) - set(at.phase.executor.order_types)


def symbols(at: InForce) -> bool:
    allowed = all("SYMBOL" not in denials(at, order_symbol=symbol) for symbol in at.phase.symbols)
    return allowed and "SYMBOL" in denials(at, order_symbol="DOGEUSDT")


def capital(at: InForce) -> bool:
    twice = replace(at, phase=replace(at.phase, capital_quote=2 * at.phase.capital_quote))
    walk = worst("total_worst_quote", "max_total_exposure_fraction", "TOTAL_EXPOSURE")
    return walk(at) is True and walk(twice) is False


def leverage(at: InForce) -> bool:
    text = (phases.FILES / f"{at.phase.id}.toml").read_text(encoding="utf-8")
    with pytest.raises(UnreadablePhase, match="spot trades with 1"):
        read(text.replace("leverage = 1", "leverage = 2"), name=at.phase.id)
    return at.phase.leverage == 1 and at.limits.max_total_exposure_fraction <= 1


def timeout(at: InForce) -> bool:
    wanted = at.phase.executor.timeout_ms
    timeout_ms = Orders(limits=at.limits).timeout_ms
    assert timeout_ms is not None
    venue = BinanceVenue("http://127.0.0.1:1", account="a", key="", secret="", instruments={}, timeout_ms=timeout_ms)
    return bool(
        venue._exchange.timeout == wanted
    )  # ccxt gives up after this: tests/trading/adapters/test_binance_ccxt.py


def hand(at: InForce, style: ExecutionStyle = ExecutionStyle.TAKER) -> Hand:
    """Return a desk in the hand under what this mandate says of conduct, with room in everything else."""
    names = ("max_retries", "position_sync_every_s", "health_every_s", "metrics_every_s")
    return Hand(style, slots=1, **{name: getattr(at.limits, name) for name in names})


def retries(at: InForce) -> bool:
    """Refuse one slot again and again: the order and each retry go, and then nothing for five minutes."""
    desk, tried = hand(at, ExecutionStyle.MAKER), 0
    while desk.sent:
        tried += 1
        (order,) = desk.sent
        desk.give(OrderRefused(order.client_order_id, "-2010", "no", desk.now_ns))
        for _ in range(70):  # longer than any wait between two retries
            desk.seconds(1)
            if desk.sent:
                break
            desk.read()
    return tried == 1 + at.phase.executor.max_retries


def sync(at: InForce) -> bool:
    desk, every_s = hand(at), at.phase.monitoring.position_sync_every_s
    since_ns = [desk.now_ns]
    for _ in range(3 * every_s):
        desk.seconds(1)
        if any(isinstance(effect, ReadVenue) for effect in desk.effects):
            since_ns.append(desk.now_ns)
            desk.read()
    waits = {after - before for before, after in pairwise(since_ns[1:])}
    return waits == {every_s * SECOND}


def crossing(desk: Hand, seconds: int, *, timer: bool) -> list[str]:
    """Let time pass, with or without the watches; return what the next crossing comes to."""
    desk.now_ns += seconds * SECOND
    desk.top(desk.level(0) + 5)  # the market has been heard: its silence would halt
    if timer:
        desk.give(TimerFired(desk.now_ns))
    desk.read()
    desk.top(desk.level(0) - 1)
    sent = [effect.order for effect in desk.effects if isinstance(effect, Submit)]
    denied = [order.reason for order in desk.journal.orders.values() if order.status is OrderStatus.DENIED]
    return ["sent" for _ in sent] + denied


def health(at: InForce) -> bool:
    every_s = at.phase.monitoring.health_every_s
    within = crossing(hand(at), every_s, timer=False)
    beyond = crossing(hand(at), every_s + 1, timer=False)
    return within == ["sent"] and [reason[:11] for reason in beyond] == ["NOT_WATCHED"]


def metrics(at: InForce) -> bool:
    every_s, came = at.phase.monitoring.metrics_every_s, []
    for seconds in (every_s, every_s + 1):
        desk = hand(at)
        desk.give(MetricsKept(desk.now_ns))
        came.append(crossing(desk, seconds, timer=True))
    return came[0] == ["sent"] and [reason[:12] for reason in came[1]] == ["NOT_MEASURED"]


def review(at: InForce) -> bool:
    hours = at.phase.monitoring.review_every_h
    return at.mandate.review_every_h == hours and review_due_at(BEGIN, hours) == BEGIN + timedelta(hours=hours)


def alert_level(at: InForce) -> bool:
    level = Severity(at.mandate.alert_level)
    told = [severity for severity in Severity if is_told(severity, level)]
    return level == at.phase.monitoring.alert_level and told == list(Severity)[list(Severity).index(level) :]


def hours(extended: bool) -> Walk:
    def walk(at: InForce) -> bool:
        needed = at.phase.stay.extend_hours if extended else at.phase.duration.min_hours
        outcomes = [
            judge(at.phase, {}, {}, Decimal(needed) - less, is_extended=extended).outcome
            for less in (0, Decimal("0.01"))
        ]
        return outcomes == [Outcome.STAY, Outcome.RUNNING]

    return walk


def signers(at: InForce) -> bool:
    refused = why_not_decide(
        Decision.GO, verdict=judge(at.phase, {}, {}, Decimal(0)), needed=at.phase.signers, given=[], requester=1,
        digest="", notes="", unticked=[], is_real=False, is_accelerated=False,
    )  # fmt: skip
    return bool(refused)


def criteria(at: InForce) -> bool:
    """Hold each criterion against its bound and a little beyond: the first is met, the second is not."""
    for criterion in at.phase.criteria:
        kind, bound = criterion.bound
        bound *= 100 if kind == "of_previous" else 1
        inside = {"above": SMALL, "below": -SMALL}.get(kind, Decimal(0))
        outside = {"above": Decimal(0), "at_least": -SMALL, "below": Decimal(0)}.get(kind, SMALL)
        stands = []
        for value in (bound + inside, bound + outside):
            each = tuple((symbol, value) for symbol in at.phase.symbols) if METRICS[criterion.metric].of_each else ()
            one = Measurement(criterion.metric, value, 10**6, Decimal(1), BEGIN, BEGIN, "", "", each)
            found = {(criterion.metric, criterion.over): [one] * (3 if criterion.over is Over.EACH_OF_3_DAYS else 1)}
            verdict = judge(at.phase, found, {criterion.metric: Decimal(100)}, Decimal(10**6))
            stands += [finding.state.value for finding in verdict.findings if finding.criterion == criterion]
        if stands != ["met", "not met"]:
            return False
    return True


WALKS: Final[Mapping[str, Walk]] = {
    "capital_quote": capital,
    "leverage": leverage,
    "symbols": symbols,
    "signers": signers,
    "criteria": criteria,
    "limits.max_position_fraction": worst("slot_worst_quote", "max_position_fraction", "MAX_POSITION"),
    "limits.max_symbol_exposure_fraction": worst(
        "symbol_worst_quote", "max_symbol_exposure_fraction", "SYMBOL_EXPOSURE"
    ),
    "limits.max_total_exposure_fraction": worst("total_worst_quote", "max_total_exposure_fraction", "TOTAL_EXPOSURE"),
    "limits.max_daily_drawdown_fraction": share(
        "daily_drawdown_fraction", "max_daily_drawdown_fraction", "DAILY_DRAWDOWN"
    ),
    "limits.max_daily_drawdown_hard_fraction": share(
        "daily_drawdown_fraction", "max_daily_drawdown_hard_fraction", "HARD_DRAWDOWN"
    ),
    "limits.max_symbol_drawdown_fraction": share(
        "symbol_drawdown_fraction", "max_symbol_drawdown_fraction", "SYMBOL_DRAWDOWN"
    ),
    "limits.max_daily_trades": trades,
    "limits.max_open_orders": open_orders,
    "limits.max_trade_loss_quote": trade_loss,
    "limits.max_slippage_loss_quote": slippage,
    "executor.order_types": order_types,
    "executor.timeout_ms": timeout,
    "executor.max_retries": retries,
    "monitoring.alert_level": alert_level,
    "monitoring.health_every_s": health,
    "monitoring.metrics_every_s": metrics,
    "monitoring.position_sync_every_s": sync,
    "monitoring.review_every_h": review,
    "duration.min_hours": hours(extended=False),
    "stay.extend_hours": hours(extended=True),
}
WORDS: Final = {  # what is read, shown and signed, and bounds nothing by itself
    "id", "version", "name", "ours", "goals", "checklist", "infrastructure", "compliance", "digest", "stay.label",
    "automatic",  # names criteria of the phase before, whose gate is walked with it
}  # fmt: skip


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"


def names() -> Iterator[str]:
    for one in fields(Phase):
        part = PARTS.get(one.name)
        yield from (f"{one.name}.{inner.name}" for inner in fields(part)) if part else (one.name,)


def put_in_force(phase_id: str) -> InForce:
    """Start every run up to `phase_id`; those before have ended with GO."""
    account = cast.desk()
    for name in ROADMAP[: ROADMAP.index(phase_id) + 1]:
        PhaseRun.objects.filter(ended_at=None).update(ended_at=BEGIN, decision=Decision.GO)
        run = phases.start_run(account=account, phase_id=name, by="lead", at=BEGIN)
    return InForce(template_of(run), limits_in_force(account), run.mandate)


def test_every_field_of_a_template_is_walked_or_is_words_alone() -> None:
    assert all(is_dataclass(part) for part in PARTS.values())
    assert set(names()) == WALKS.keys() | WORDS


@pytest.mark.django_db
@pytest.mark.parametrize("phase_id", ROADMAP)
def test_every_number_holds_from_the_file_to_the_denial(phase_id: str) -> None:
    at = put_in_force(phase_id)
    came = {name: walk(at) for name, walk in WALKS.items()}

    assert denials(at) == []
    assert [name for name, holds in came.items() if holds is False] == []
    unset = {name for name, holds in came.items() if holds is None}
    assert unset == {f"limits.{one.name}" for one in fields(PhaseLimits) if getattr(at.phase.limits, one.name) is None}
