"""The demo: two desks that trade the shipped replay, and the five people who run them."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Any, Final

from django.contrib.auth.models import Group, User
from django.db import transaction

from trading.domain.fees import DEMO_FEES
from trading.domain.grid import GridSettings, narrowest_step_fraction
from trading.domain.limits import ExecutionStyle
from trading.models import Account, Grid, Mandate, VenueInstrument
from trading.services import audit

DATA: Final = Path(__file__).resolve().parents[1] / "data"
EVERYBODY: Final = "demo"
MIN_NOTIONAL: Final = Decimal(5)  # quote; decisions.md 19, the exchange itself has the last word at connect

TICK_SYMBOLS: Final = ("BTCUSDT", "ETHUSDT")
BAR_SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "XRPUSDT", "SOLUSDT", "LINKUSDT")
LOWEST_PRICE: Final = {  # best bid of the shipped recordings, quote: one tick is the largest fraction of it
    "BTCUSDT": Decimal("61556.04"),
    "ETHUSDT": Decimal("2315.09"),
    "BNBUSDT": Decimal("640.88"),
    "ADAUSDT": Decimal("0.7441"),
    "XRPUSDT": Decimal("2.3275"),
    "SOLUSDT": Decimal("166.120"),
    "LINKUSDT": Decimal("15.599"),
}
STEP_UNIT: Final = Decimal("0.0001")  # a widened step is rounded up to this
DATASET_SYMBOLS: Final = {"ticks": TICK_SYMBOLS, "bars": BAR_SYMBOLS}


@dataclass(frozen=True, slots=True)
class Desk:
    """One demo account with its mandate and the grid it runs on each of its symbols."""

    slug: str
    name: str
    phase: str
    capital_quote: Decimal
    style: ExecutionStyle
    symbols: tuple[str, ...]
    max_position_fraction: Decimal
    max_symbol_exposure_fraction: Decimal  # ours: the roadmap names none
    max_total_exposure_fraction: Decimal  # ours
    max_daily_drawdown_fraction: Decimal
    max_daily_drawdown_hard_fraction: Decimal
    max_symbol_drawdown_fraction: Decimal | None
    max_daily_trades: int
    max_open_orders: int
    ours: tuple[str, ...]  # limits the roadmap leaves unset (decisions.md 18)
    step_fraction: Decimal  # wider where the tick is coarse, see `grid_on`
    slots: int
    conduct: Mapping[str, object] = field(default_factory=dict)  # what differs from phase 4.0

    @property
    def lot_quote(self) -> Decimal:
        """Value of one lot: the largest the mandate allows."""
        return self.capital_quote * self.max_position_fraction

    def grid_on(self, symbol: str, tick_size: Decimal) -> GridSettings:
        """Return the grid on one symbol; a step that would not pay for fees, spread and rounding is widened."""
        grid = GridSettings(symbol, self.style, self.step_fraction, self.slots, self.lot_quote)
        narrowest = narrowest_step_fraction(grid, DEMO_FEES, tick_size / LOWEST_PRICE[symbol])
        if narrowest <= grid.step_fraction:
            return grid
        return replace(grid, step_fraction=narrowest.quantize(STEP_UNIT, ROUND_UP))


_EXPOSURE_OURS: Final = ("max_symbol_exposure_fraction", "max_total_exposure_fraction")
DEMO_DESKS: Final = (
    Desk(
        slug="micro",
        name="Micro $300",
        phase="4.0",
        capital_quote=Decimal(300),
        style=ExecutionStyle.TAKER,
        symbols=TICK_SYMBOLS,
        max_position_fraction=Decimal("0.02"),
        max_symbol_exposure_fraction=Decimal("0.10"),
        max_total_exposure_fraction=Decimal("0.20"),
        max_daily_drawdown_fraction=Decimal("0.02"),
        max_daily_drawdown_hard_fraction=Decimal("0.05"),
        max_symbol_drawdown_fraction=None,
        max_daily_trades=20,
        max_open_orders=3,
        ours=_EXPOSURE_OURS,
        step_fraction=Decimal("0.001"),
        slots=8,
    ),
    Desk(
        slug="production",
        name="Production $25,000",
        phase="4.4",
        capital_quote=Decimal(25_000),
        style=ExecutionStyle.MAKER,
        symbols=BAR_SYMBOLS,
        max_position_fraction=Decimal("0.015"),
        max_symbol_exposure_fraction=Decimal("0.30"),
        max_total_exposure_fraction=Decimal("0.60"),
        max_daily_drawdown_fraction=Decimal("0.015"),
        max_daily_drawdown_hard_fraction=Decimal("0.05"),
        max_symbol_drawdown_fraction=Decimal("0.01"),
        max_daily_trades=500,
        max_open_orders=140,
        ours=(*_EXPOSURE_OURS, "max_open_orders", "max_daily_trades"),
        step_fraction=Decimal("0.0005"),
        slots=20,
        conduct={
            "max_trade_loss_quote": Decimal(50),
            "max_slippage_loss_quote": Decimal(10),
            "order_timeout_ms": 7_000,
            "max_retries": 5,
            "health_every_s": 60,
            "metrics_every_s": 300,
            "review_every_h": 4,
            "alert_level": "INFO",
        },
    ),
)

DEMO_PEOPLE: Final = {
    "trader": "Trader",
    "trading_lead": "Trading Lead",
    "engineer": "Engineer",
    "cto": "CTO",
    "ceo": "CEO",
}


def load_demo(*, at: datetime) -> dict[str, str]:
    """Create what is missing of the demo and return the passwords of the people created just now.

    Nothing that exists is changed: a second call returns an empty mapping.
    """
    with transaction.atomic():
        _load_instruments()
        for desk in DEMO_DESKS:
            _load_desk(desk, at)
        return _load_people()


def _load_instruments() -> None:
    info: Mapping[str, Any] = json.loads((DATA / "exchange_info.json").read_text())
    rows = [_instrument(entry, info) for entry in info["symbols"] if entry["symbol"] in BAR_SYMBOLS]
    VenueInstrument.objects.bulk_create(rows, ignore_conflicts=True)


def _instrument(entry: Mapping[str, str], info: Mapping[str, Any]) -> VenueInstrument:
    return VenueInstrument(
        venue="binance",
        symbol=entry["symbol"],
        base=entry["baseAsset"],
        quote=entry["quoteAsset"],
        tick_size=Decimal(entry["tickSize"]),
        lot_size=Decimal(entry["stepSize"]),
        min_notional=MIN_NOTIONAL,
        min_quantity=Decimal(entry["minQty"]),
        max_quantity=Decimal(entry["maxQty"]),
        market_max_quantity=Decimal(entry["marketMaxQty"]),
        as_of=date.fromisoformat(info["recorded_at"][:10]),
        source=info["source"].split(",")[0],
    )


def _load_desk(desk: Desk, at: datetime) -> None:
    account, created = Account.objects.get_or_create(slug=desk.slug, defaults={"name": desk.name})
    if not created:
        return
    mandate = Mandate.objects.create(
        account=account,
        version=1,
        phase=desk.phase,
        capital_quote=desk.capital_quote,
        symbols=list(desk.symbols),
        execution_styles=[desk.style],
        max_position_fraction=desk.max_position_fraction,
        max_symbol_exposure_fraction=desk.max_symbol_exposure_fraction,
        max_total_exposure_fraction=desk.max_total_exposure_fraction,
        max_daily_drawdown_fraction=desk.max_daily_drawdown_fraction,
        max_daily_drawdown_hard_fraction=desk.max_daily_drawdown_hard_fraction,
        max_symbol_drawdown_fraction=desk.max_symbol_drawdown_fraction,
        max_daily_trades=desk.max_daily_trades,
        max_open_orders=desk.max_open_orders,
        ours=list(desk.ours),
        **desk.conduct,
        put_into_force_at=at,
        put_into_force_by=EVERYBODY,
    )
    listed = VenueInstrument.objects.filter(venue=account.venue, symbol__in=desk.symbols)
    ticks = dict(listed.values_list("symbol", "tick_size"))
    Grid.objects.bulk_create(_grid(account, desk.grid_on(symbol, ticks[symbol])) for symbol in desk.symbols)
    payload = {"phase": mandate.phase, "version": 1, "capital_quote": str(mandate.capital_quote)}
    audit.record(actor=EVERYBODY, action="mandate.in_force", subject=f"account:{desk.slug}", payload=payload, at=at)


def _grid(account: Account, grid: GridSettings) -> Grid:
    return Grid(
        account=account,
        symbol=grid.symbol,
        style=grid.style,
        spacing=grid.spacing,
        step_fraction=grid.step_fraction,
        slots=grid.slots,
        lot_quote=grid.lot_quote,
    )


def _load_people() -> dict[str, str]:
    created: dict[str, str] = {}
    for username, role in DEMO_PEOPLE.items():
        group, _ = Group.objects.get_or_create(name=role)
        if User.objects.filter(username=username).exists():
            continue
        password = secrets.token_urlsafe(9)
        person = User.objects.create_user(username, password=password, first_name=role)
        person.is_staff = username in {"engineer", "cto"}
        person.is_superuser = username == "engineer"
        person.save(update_fields=["is_staff", "is_superuser"])
        person.groups.add(group)
        created[username] = password
    return created
