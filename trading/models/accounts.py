"""Accounts, what they may do (mandate), what they run (grids), and their trading days."""

from typing import Any

from django.db import models

from trading.domain.desk import Chosen
from trading.domain.grid import GridSettings, Spacing
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle, Limits, TradingState
from trading.domain.spelling import read
from trading.domain.throttle import Act

MONEY: dict[str, Any] = {"max_digits": 28, "decimal_places": 12}
FRACTION: dict[str, Any] = {"max_digits": 8, "decimal_places": 6}


class Account(models.Model):
    """One account at one venue; the unit of money, of the execution lease and of the halt latch."""

    class Mode(models.TextChoices):
        PAPER = "PAPER", "Paper"
        TESTNET = "TESTNET", "Testnet"
        LIVE = "LIVE", "Live, real money"

    slug = models.SlugField(max_length=12, unique=True)  # part of every client_order_id
    name = models.CharField(max_length=60)
    venue = models.CharField(max_length=20, default="binance")
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.PAPER)
    quote = models.CharField(max_length=10, default="USDT")
    state = models.CharField(
        max_length=8, choices=[(s, s) for s in TradingState], default=TradingState.ACTIVE
    )  # written by services.halts only; the journal refuses intents unless ACTIVE
    proven_by = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="beyond_paper"
    )  # the paper account whose evidence a TESTNET or LIVE account rests on; its books are its own
    fence = models.BigIntegerField(default=0)  # highest fencing number seen; older writers are refused
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["proven_by", "mode"], name="one_account_per_mode"),
        ]

    def __str__(self) -> str:
        return self.name


class VenueInstrument(models.Model):
    """The venue's filters of one symbol, with the day they were recorded."""

    venue = models.CharField(max_length=20)
    symbol = models.CharField(max_length=20)
    base = models.CharField(max_length=10)
    quote = models.CharField(max_length=10)
    tick_size = models.DecimalField(**MONEY)
    lot_size = models.DecimalField(**MONEY)
    min_notional = models.DecimalField(**MONEY)
    min_quantity = models.DecimalField(**MONEY, default=0)
    max_quantity = models.DecimalField(**MONEY, default=9000)
    market_max_quantity = models.DecimalField(**MONEY, default=9000)
    trading = models.BooleanField(default=True)
    as_of = models.DateField()  # filters carry a date (decisions.md 19)
    source = models.CharField(max_length=120)

    class Meta:
        ordering = ["venue", "symbol"]
        constraints = [models.UniqueConstraint(fields=["venue", "symbol"], name="one_instrument_per_symbol")]

    def __str__(self) -> str:
        return self.symbol

    @property
    def instrument(self) -> Instrument:
        """Return its steps and filters, as the runtime reads them."""
        return Instrument(
            symbol=self.symbol,
            base=self.base,
            quote=self.quote,
            tick_size=self.tick_size.normalize(),
            lot_size=self.lot_size.normalize(),
            min_notional=self.min_notional,
            min_quantity=self.min_quantity,
            max_quantity=self.max_quantity,
            market_max_quantity=self.market_max_quantity,
            trading=self.trading,
        )


class Mandate(models.Model):
    """Capital, symbols and limits of one account; a new version replaces, nothing is edited."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="mandates")
    version = models.PositiveIntegerField()
    phase = models.CharField(max_length=8)  # "4.0"
    capital_quote = models.DecimalField(**MONEY)
    symbols = models.JSONField()
    execution_styles = models.JSONField()
    max_position_fraction = models.DecimalField(**FRACTION)
    max_symbol_exposure_fraction = models.DecimalField(**FRACTION)
    max_total_exposure_fraction = models.DecimalField(**FRACTION)
    max_daily_drawdown_fraction = models.DecimalField(**FRACTION)
    max_daily_drawdown_hard_fraction = models.DecimalField(**FRACTION)
    max_symbol_drawdown_fraction = models.DecimalField(**FRACTION, null=True, blank=True)
    max_daily_trades = models.PositiveIntegerField()
    max_open_orders = models.PositiveIntegerField()
    max_trade_loss_quote = models.DecimalField(**MONEY, null=True, blank=True)
    max_slippage_loss_quote = models.DecimalField(**MONEY, null=True, blank=True)
    order_timeout_ms = models.PositiveIntegerField(default=5_000)
    max_retries = models.PositiveIntegerField(default=3)
    position_sync_every_s = models.PositiveIntegerField(default=5)
    health_every_s = models.PositiveIntegerField(default=300)
    metrics_every_s = models.PositiveIntegerField(default=3_600)
    review_every_h = models.PositiveIntegerField(default=6)  # people look at least so often
    alert_level = models.CharField(max_length=4, default="CRIT")  # from which on people are told, wherever they are
    ours = models.JSONField(default=list)  # names of the limits that the roadmap leaves unset
    put_into_force_at = models.DateTimeField()
    put_into_force_by = models.CharField(max_length=150)

    class Meta:
        ordering = ["account", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["account", "version"], name="one_mandate_per_version"),
            models.CheckConstraint(condition=models.Q(capital_quote__gt=0), name="capital_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.phase} v{self.version}"

    @property
    def limits(self) -> Limits:
        """The numbers as the core reads them."""
        return Limits(
            phase=self.phase,
            version=self.version,
            capital_quote=self.capital_quote,
            symbols=frozenset(self.symbols),
            execution_styles=frozenset(ExecutionStyle(style) for style in self.execution_styles),
            max_position_fraction=self.max_position_fraction,
            max_symbol_exposure_fraction=self.max_symbol_exposure_fraction,
            max_total_exposure_fraction=self.max_total_exposure_fraction,
            max_daily_drawdown_fraction=self.max_daily_drawdown_fraction,
            max_daily_drawdown_hard_fraction=self.max_daily_drawdown_hard_fraction,
            max_symbol_drawdown_fraction=self.max_symbol_drawdown_fraction,
            max_daily_trades=self.max_daily_trades,
            max_open_orders=self.max_open_orders,
            max_trade_loss_quote=self.max_trade_loss_quote,
            max_slippage_loss_quote=self.max_slippage_loss_quote,
            order_timeout_ms=self.order_timeout_ms,
            max_retries=self.max_retries,
            position_sync_every_s=self.position_sync_every_s,
            health_every_s=self.health_every_s,
            metrics_every_s=self.metrics_every_s,
        )


class ConductOverride(models.Model):
    """What a playbook takes from one account for a while; nothing of it is changed but that it is undone, once."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="overrides")
    act = models.CharField(max_length=20, choices=[(act, act) for act in Act])
    factor = models.DecimalField(max_digits=8, decimal_places=4)
    limit = models.PositiveIntegerField(null=True)  # orders_per_minute: what the factor came to
    by = models.CharField(max_length=150)
    reason = models.CharField(max_length=200)
    incident = models.BigIntegerField(null=True)  # of governance, which this floor does not know
    applied_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)
    undone_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "act", "incident"],
                condition=models.Q(undone_at=None),
                name="one_override_of_a_kind_per_incident",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.act} x {self.factor}"


class Grid(models.Model):
    """One grid of one account on one symbol, as configured; what it holds follows from its orders."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="grids")
    symbol = models.CharField(max_length=20)
    style = models.CharField(max_length=5, choices=[(s, s) for s in ExecutionStyle])
    spacing = models.CharField(max_length=10, choices=[("geometric", "Geometric"), ("arithmetic", "Arithmetic")])
    step_fraction = models.DecimalField(**FRACTION)
    slots = models.PositiveSmallIntegerField()
    lot_quote = models.DecimalField(**MONEY)
    enabled = models.BooleanField(default=True)
    paused_reason = models.CharField(max_length=200, blank=True)  # paused by rule or by a person; survives restarts
    levels_ticks = models.JSONField(default=list)  # the ladder in force, set by the runtime when it centres
    levels_lap = models.PositiveIntegerField(default=0)  # the lap it was centred in
    spec = models.JSONField(default=dict)  # what `GridSpec` says beyond the columns; {}: the ladder stays where it is
    footing = models.JSONField(null=True)  # where a ladder that moves stands, set by the runtime
    edited_at = models.DateTimeField(null=True)  # by a person, or a candidate was taken up; `services.grids`

    class Meta:
        ordering = ["account", "symbol"]
        constraints = [models.UniqueConstraint(fields=["account", "symbol"], name="one_grid_per_symbol")]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.symbol}"

    @property
    def chosen(self) -> Chosen:
        """Return what a person chose, as the runtime reads it.

        Raises:
            UnsoundGrid: the stored specification is none.
        """
        if self.spec:
            return read({**self.spec, **self.columns})
        return GridSettings(
            symbol=self.symbol,
            style=ExecutionStyle(self.style),
            step_fraction=self.step_fraction,
            slots=self.slots,
            lot_quote=self.lot_quote,
            spacing=Spacing(self.spacing),
        )

    @property
    def columns(self) -> dict[str, str | int]:
        """Return what of a specification has a column of its own, in its words."""
        lot = f"{self.lot_quote.normalize():f}"
        return {
            "symbol": self.symbol,
            "style": self.style,
            "spacing": self.spacing,
            "slots": self.slots,
            "lot_quote": lot,
        }


class TradingDay(models.Model):
    """A trading day of one account: one UTC day, or one lap of a replay; opening equity anchors the drawdown."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="days")
    lap = models.PositiveIntegerField(default=0)  # 0: not a replay
    reason = models.CharField(max_length=20)  # start | seam | midnight UTC
    opening_equity_quote = models.DecimalField(**MONEY)
    opening_cash_quote = models.DecimalField(**MONEY)
    opened_at = models.DateTimeField()

    class Meta:
        ordering = ["account", "-id"]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.opened_at:%Y-%m-%d %H:%M:%S}"
