"""The people of a desk, and a run whose evidence was stored minute by minute, as its loop stores it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.contrib.auth.models import Group, User

from riskops.domain.steps import Decision
from riskops.models import PhaseRun, StepRequest
from riskops.services import phases
from riskops.standing import checklist_of
from trading.domain.evidence import Equity, Facts, SymbolFacts
from trading.domain.grid import GridSettings
from trading.domain.latency import Histogram
from trading.domain.limits import ExecutionStyle
from trading.models import Account, ConductSample, Grid
from trading.selectors import recovery
from trading.services import grids, in_force

BEGIN: Final = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
SECOND_NS: Final = 1_000_000_000
SPEED: Final = 60  # an hour of the market in a minute
ROLES: Final[Mapping[str, str]] = {
    "trader": "Trader",
    "lead": "Trading Lead",
    "engineer": "Engineer",
    "cto": "CTO",
    "ceo": "CEO",
}


def person(name: str) -> User:
    """Return one of the people, who may be new."""
    found, created = User.objects.get_or_create(username=name)
    if created:
        found.groups.add(Group.objects.get_or_create(name=ROLES[name])[0])
    return found


def desk() -> Account:
    """Return a desk with a grid on both symbols of the first phase, and a loaded roadmap."""
    phases.load_roadmap(at=BEGIN)
    account = Account.objects.create(slug="micro", name="Micro $300")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        Grid.objects.create(
            account=account, symbol=symbol, style="TAKER", spacing="geometric", step_fraction="0.001", slots=8,
            lot_quote=6,
        )  # fmt: skip
    return account


def good_minute(equity: str = "300") -> Facts:
    """Return a minute in which everything went well."""
    latency = Histogram()
    for _ in range(10):
        latency.record_ns(20_000_000)
    symbol = SymbolFacts(
        filled_lots=50, asked_lots=50, ended=10, fills=10, round_trips=5, wins=5, gain_quote=Decimal(1),
        answered=10, drawdown=Decimal("0.001"),
    )  # fmt: skip
    return Facts(
        watched_ns=60 * SECOND_NS,
        fed_ns=60 * SECOND_NS,
        in_force_ns=60 * SECOND_NS,
        market_ns=60 * SPEED * SECOND_NS,
        accelerated=True,
        samples=12,
        readings=12,
        in_sync=12,
        equity=Equity.of(Decimal(equity)),
        latency=latency,
        detailed_ns=60 * SECOND_NS,
        tick_submit=latency,
        ack_fill=latency,
        symbols={"BTCUSDT": symbol, "ETHUSDT": symbol},
    )


def live_through(account: Account, minutes: int, since: datetime = BEGIN, **changed: object) -> datetime:
    """Store `minutes` minutes from `since`; return when they are over."""
    facts = replace(good_minute(), **changed).to_json()  # type: ignore[arg-type]
    lived = (ConductSample(account=account, at=since + number * MINUTE, facts=facts) for number in range(minutes))
    ConductSample.objects.bulk_create(lived, ignore_conflicts=True)
    return since + minutes * MINUTE


def edit_grid(account: Account, at: datetime, symbol: str = "BTCUSDT", step: str = "0.002") -> None:
    """Save another grid, as the page and a candidate do; the desk takes it up when it next starts."""
    grid = Grid.objects.get(account=account, symbol=symbol)
    grids.write(grid, GridSettings(symbol, ExecutionStyle.TAKER, Decimal(step), 8, grid.lot_quote), at)


def start_desk(account: Account, at: datetime) -> None:
    """Have the desk run the grids that are stored."""
    fence = Account.objects.get(pk=account.pk).fence
    in_force.record(account=account.slug, fence=fence, grids=recovery.grid_settings(account), at=at)


def passed_run() -> tuple[PhaseRun, datetime]:
    """Return a run of the first phase with its whole time in force, and when that was."""
    account = desk()
    run = phases.start_run(account=account, phase_id="4.0", by="lead", at=BEGIN)
    at = live_through(account, 49)
    phases.judge(run=run, at=at)
    run.refresh_from_db()
    return run, at


def ask(run: PhaseRun, at: datetime, by: str = "lead") -> StepRequest:
    """Ask for the step."""
    return phases.request_step(run=run, by=person(by), at=at)


def sign(request: StepRequest, name: str, at: datetime, *, approves: bool = True, note: str = "") -> None:
    """Sign as the person's own role."""
    phases.sign(
        request_id=request.pk, by=person(name), role=ROLES[name], approves=approves, note=note, digest=request.digest,
        at=at,
    )  # fmt: skip


def tick_everything(request: StepRequest, at: datetime) -> None:
    """Tick the whole checklist."""
    for item in checklist_of(request):
        phases.tick(request_id=request.pk, by=person("engineer"), item=item, done=True, note="", at=at)


def decide(request: StepRequest, decision: Decision, at: datetime, *, by: str = "cto", notes: str = "") -> StepRequest:
    """Record a decision."""
    return phases.decide(
        request_id=request.pk, by=person(by), decision=decision, notes=notes, digest=request.digest, at=at
    )


def signed_request(run: PhaseRun, at: datetime) -> StepRequest:
    """Return a request that only waits for GO."""
    request = ask(run, at)
    for name in ("lead", "engineer", "cto"):
        sign(request, name, at)
    tick_everything(request, at)
    return request
