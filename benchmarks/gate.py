"""The gate with 14 days of evidence at ten fills a second, and how long after a CRIT the desk is halted.

The page: 14 days of phase 4.3 make twelve million fills. They are read as the roll-up keeps them, one row an hour, so
the rows behind closed hours are not inserted: the gate never asks for them. The last hour is not rolled up yet: its
36,000 fills, their orders and its 60 minutes are rows. Time is the server's, through Django's whole middleware.

CRIT -> HALT: the worker of the tasks runs as in `up`, in a process of its own. The clock starts before a CRIT is
raised and stops when another connection reads the account HALTED with its latch, and the latch file names it; on screen
it stops when a real browser has painted the state bar that says HALTED. What the round changed is then put back as it
was, evidence and all, by writing the rows.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import figures, sandbox
from benchmarks.figures import Bound

if TYPE_CHECKING:
    from django.test import Client

    from benchmarks.onscreen import Screen
    from riskops.models import PhaseRun
    from trading.models import Account

DESK: Final = "micro"
PHASE: Final = "4.3"
SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT")
DAYS: Final = 14
FILLS_PER_S: Final = 10
HOUR_S: Final = 3_600
SECOND_NS: Final = 1_000_000_000
ROWS_AT_ONCE: Final = 6_000
REQUESTS: Final = 50
WARM_UP: Final = 5
POLL_S: Final = 0.002
HALT_LIMIT_S: Final = 20.0  # two beats
BOUNDS: Final = {
    "page_p99_ms": Bound(at_most=300),
    "queries_that_days_add": Bound(at_most=0),
    "crit_to_halt_p99_ms": Bound(at_most=100),
    "crit_on_screen_p99_ms": Bound(at_most=500),
    "rounds": Bound(at_least=10),
}


def main(argv: Sequence[str]) -> int:
    """Ask for the page again and again, then raise one CRIT after the other."""
    parser = figures.options("gate", __doc__)
    parser.add_argument("--rounds", type=int, default=50, help="CRIT alerts to raise")
    options = parser.parse_args(argv)
    since = figures.before()
    with sandbox.database() as folder:
        measured = _measure(folder, options.rounds)
    return figures.conclude("gate", measured, BOUNDS, as_json=options.json, since=since)


def _measure(folder: Path, rounds: int) -> dict[str, Any]:
    at = datetime.now(UTC)
    sandbox.say(f"storing {DAYS} days ...")
    run = _begin(at)
    hours = _live_through(run.account, at)
    _ask_for_the_step(run)
    sandbox.say(f"{REQUESTS} requests ...")
    page = _page(run, at)
    sandbox.say(f"{rounds} CRIT alerts ...")
    halted, shown = _crits(run, folder, rounds)
    return {
        **page,
        "crit_to_halt_p50_ms": figures.percentile(halted, 50),
        "crit_to_halt_p99_ms": figures.percentile(halted, 99),
        "crit_on_screen_p50_ms": figures.percentile(shown, 50) if shown else None,
        "crit_on_screen_p99_ms": figures.percentile(shown, 99) if shown else None,
        "rounds": len(halted),
        "hours": hours,
        "fills_that_are_rows": FILLS_PER_S * HOUR_S,
    }


# --- fourteen days ----------------------------------------------------------------------------------------------


def _begin(at: datetime) -> "PhaseRun":
    """Return the run of the phase, begun 14 days ago; the phases before it are taken as gone through."""
    from riskops.domain.steps import ROADMAP, Decision
    from riskops.models import PhaseRun
    from riskops.services import phases
    from trading.models import Account, Grid

    began = at - timedelta(days=DAYS)
    phases.load_roadmap(at=began)
    account = Account.objects.get(slug=DESK)
    of_first = Grid.objects.filter(account=account).values("style", "spacing", "step_fraction", "slots", "lot_quote")[0]
    for symbol in SYMBOLS:
        Grid.objects.get_or_create(account=account, symbol=symbol, defaults=of_first)
    for phase_id in ROADMAP:
        run = phases.start_run(account=account, phase_id=phase_id, by="bench", at=began)
        if phase_id == PHASE:
            break
        PhaseRun.objects.filter(pk=run.pk).update(
            decision=Decision.GO, ended_at=began, measured={"latency_p95_ms": "100", "warn_alerts_per_day": "2"}
        )
    return run


def _live_through(account: "Account", at: datetime) -> int:
    """Store the closed hours rolled up and the last sixty minutes as rows; return the number of hours."""
    from trading.domain.evidence import HOUR, hour_of
    from trading.models import ConductSample, HourFacts

    live = at.replace(second=0, microsecond=0) - HOUR
    hour = hour_of(at) - timedelta(days=DAYS)
    rolled: list[HourFacts] = []
    while hour + HOUR <= live:
        facts = [{"minute": 0, "facts": _facts(60, len(rolled)).to_json()}]
        rolled.append(HourFacts(account=account, hour=hour, facts=facts, unended=0, fills_seen=0))
        hour += HOUR
    HourFacts.objects.bulk_create(rolled)
    minute = _facts(1, 0, with_rows=False).to_json()
    ConductSample.objects.bulk_create(
        ConductSample(account=account, at=live + number * timedelta(minutes=1), facts=minute) for number in range(60)
    )
    _trade(account, live)
    return len(rolled)


def _facts(minutes: int, number: int, *, with_rows: bool = True) -> Any:
    """Return what `minutes` of an even market show; `with_rows`: with what orders and fills tell."""
    from trading.domain.evidence import Equity, Facts, SymbolFacts
    from trading.domain.latency import Histogram

    seconds, per_symbol = minutes * 60, minutes * 60 * FILLS_PER_S // len(SYMBOLS)
    latency = Histogram()
    for one in range(600):
        latency.record_ns((20 + one * one // 2_000) * 1_000_000)
    symbol = SymbolFacts(
        filled_lots=per_symbol * 9, asked_lots=per_symbol * 10, ended=per_symbol, fills=per_symbol,
        round_trips=per_symbol // 2, wins=per_symbol // 3, gain_quote=Decimal(per_symbol) / 100,
        loss_quote=Decimal(per_symbol) / 300, answered=per_symbol, drawdown=Decimal(number % 7) / 1_000,
    )  # fmt: skip
    equity = Equity.of(Decimal(5_000 + number)).then(Equity.of(Decimal(5_001 + number)))
    return Facts(
        watched_ns=seconds * SECOND_NS,
        fed_ns=seconds * SECOND_NS,
        in_force_ns=seconds * SECOND_NS,
        market_ns=seconds * SECOND_NS,
        samples=seconds // 5,
        readings=seconds // 5,
        in_sync=seconds // 5,
        equity=equity,
        latency=latency,
        detailed_ns=seconds * SECOND_NS,
        tick_submit=latency,
        ack_fill=latency,
        symbols=dict.fromkeys(SYMBOLS, symbol) if with_rows else {},
    )


def _trade(account: "Account", since: datetime) -> None:
    """Store an hour of market orders, each with its one fill; every second one closes a round trip."""
    from django.db import connection

    from trading.models import Fill, Order

    for first in range(0, FILLS_PER_S * HOUR_S, ROWS_AT_ONCE):
        numbers = range(first, first + ROWS_AT_ONCE)
        orders = Order.objects.bulk_create(_order(account, since, number) for number in numbers)
        Fill.objects.bulk_create(_fill(order, number) for order, number in zip(orders, numbers, strict=True))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _order(account: "Account", since: datetime, number: int) -> Any:
    from trading.models import Order

    at = since + timedelta(seconds=number / FILLS_PER_S)
    return Order(
        account=account, client_order_id=f"gc-bench-{number}", venue_order_id=str(number),
        symbol=SYMBOLS[number % len(SYMBOLS)], side="SELL" if number // len(SYMBOLS) % 2 else "BUY", type="MARKET",
        purpose="GRID", slot=0, quantity=Decimal("0.001"), filled=Decimal("0.001"), quantity_lots=100, filled_lots=100,
        reference_ticks=1, status="FILLED", decided_at=at, decided_at_ns=int(at.timestamp()) * SECOND_NS, updated_at=at,
    )  # fmt: skip


def _fill(order: Any, number: int) -> Any:
    from trading.models import Fill

    profit = Decimal(number % 5 - 1) / 100 if order.side == "SELL" else None
    return Fill(
        account=order.account, order=order, trade_id=number, symbol=order.symbol, side=order.side, slot=0,
        price=Decimal(100), quantity=order.quantity, price_ticks=10_000, quantity_lots=100, fee=Decimal("0.0001"),
        fee_asset="USDT", maker=False, realized_quote=profit or Decimal(0), grid_profit_quote=profit,
        at=order.decided_at, at_ns=order.decided_at_ns,
    )  # fmt: skip


def _ask_for_the_step(run: "PhaseRun") -> None:
    """Have the step asked for, signed once and ticked: the page at its fullest."""
    from django.contrib.auth.models import User

    from riskops.services import phases
    from riskops.standing import checklist_of

    lead, at = User.objects.get(username="trading_lead"), datetime.now(UTC)
    request = phases.request_step(run=run, by=lead, at=at)
    phases.sign(
        request_id=request.pk, by=lead, role="Trading Lead", approves=True, note="", digest=request.digest, at=at
    )
    for item in checklist_of(request):
        phases.tick(request_id=request.pk, by=lead, item=item, done=True, note="", at=at)


# --- the page ---------------------------------------------------------------------------------------------------


def _page(run: "PhaseRun", at: datetime) -> dict[str, Any]:
    from riskops.models import PhaseRun

    client = _browser()
    few = PhaseRun.objects.filter(pk=run.pk)
    few.update(window_from=at - timedelta(days=1))
    of_a_day = _queries(client)
    few.update(window_from=at - timedelta(days=DAYS))
    queries = _queries(client)
    taken = sorted([_timed(client) for _ in range(WARM_UP + REQUESTS)][WARM_UP:])
    return {
        "page_p50_ms": figures.percentile(taken, 50),
        "page_p99_ms": figures.percentile(taken, 99),
        "queries": queries,
        "queries_that_days_add": queries - of_a_day,
    }


def _browser() -> "Client":
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client(headers={"host": settings.ALLOWED_HOSTS[0]})
    client.force_login(User.objects.get(username="trader"))
    return client


def _queries(client: "Client") -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    _timed(client)  # what is asked for once in a process is not counted
    with CaptureQueriesContext(connection) as asked:
        _timed(client)
    return len(asked)


def _timed(client: "Client") -> float:
    """Return the milliseconds one page took."""
    from benchmarks import stage

    began = time.perf_counter()
    answer = client.get("/gate/")
    taken = (time.perf_counter() - began) * 1_000
    if answer.status_code != 200 or f"Gate {PHASE}".encode() not in answer.content:
        raise stage.UnableToMeasure(f"the page is not the gate of {PHASE}: {answer.status_code}.")
    return taken


# --- CRIT -> HALT -----------------------------------------------------------------------------------------------


def _crits(run: "PhaseRun", folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Return after how many milliseconds each CRIT had halted the desk, and had done so on screen; both ascending."""
    from django.conf import settings

    from benchmarks import onscreen, stage
    from gridconsole import processes

    begun, cookies = datetime.now(UTC), _browser().cookies
    with (
        stage.running(processes.tasks(), folder, lambda: _was_judged(run, begun)),
        onscreen.screen(cookies[settings.SESSION_COOKIE_NAME].value) as screen,
    ):
        taken = list(_rounds(run, rounds, screen))
    return sorted(halted for halted, _ in taken), sorted(shown for _, shown in taken if shown is not None)


def _was_judged(run: "PhaseRun", since: datetime) -> bool:
    run.refresh_from_db()
    return run.judged_at is not None and run.judged_at > since


def _rounds(run: "PhaseRun", rounds: int, screen: "Screen | None") -> Iterator[tuple[float, float | None]]:
    from benchmarks import stage

    for number in range(rounds):
        if screen is not None:
            screen.look()
        began_ms = time.time() * 1_000
        halted = _halt(run)
        shown = screen.halted_at_ms() - began_ms if screen is not None else None
        sandbox.say(f"round {number + 1}: HALT in force after {halted:.0f} ms, on screen after {shown or 0:.0f} ms")
        yield halted, shown
        stage.wait_for("the run to end", partial(_has_ended, run))
        _put_back(run)


def _has_ended(run: "PhaseRun") -> bool:
    run.refresh_from_db()
    return run.ended_at is not None


def _halt(run: "PhaseRun") -> float:
    """Raise a CRIT; return the milliseconds until the halt is in force."""
    from benchmarks import stage
    from trading.domain.events import Severity
    from trading.services import alerts

    began = time.perf_counter()
    alerts.raise_alert(
        account=run.account, severity=Severity.CRIT, code="BENCH", message="a benchmark", at=datetime.now(UTC)
    )
    while not _is_halted(run.account):
        if time.perf_counter() - began > HALT_LIMIT_S:
            raise stage.UnableToMeasure(f"no HALT within {HALT_LIMIT_S:g} s of a CRIT.")
        time.sleep(POLL_S)
    return (time.perf_counter() - began) * 1_000


def _is_halted(account: "Account") -> bool:
    from trading.domain.limits import TradingState
    from trading.services import halts

    account.refresh_from_db(fields=["state"])
    is_latched = account.state == TradingState.HALTED and halts.in_force(account) is not None
    return is_latched and account.slug in halts.read_latch_file()


def _put_back(run: "PhaseRun") -> None:
    """Undo what the failed run did, so that the next round judges the same evidence."""
    from django.conf import settings

    from riskops.domain.steps import Decision
    from riskops.models import Incident, PhaseRun
    from trading.domain.limits import TradingState
    from trading.models import Account, Alert, Halt

    at = datetime.now(UTC)
    Alert.objects.filter(code="BENCH").delete()
    Halt.objects.filter(released_at=None).update(released_at=at, released_by="bench")
    Path(settings.HALT_LATCH_FILE).unlink(missing_ok=True)
    Account.objects.filter(pk=run.account_id).update(state=TradingState.ACTIVE)
    Incident.objects.filter(closed_at=None).update(closed_at=at)
    PhaseRun.objects.filter(pk=run.pk).update(ended_at=None, decision=Decision.PENDING, outcome="RUNNING")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
