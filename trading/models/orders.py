"""Orders, executions, settlements, written by the journal only; and what the price did after an execution."""

from django.db import models

from trading.domain.orders import OrderStatus, OrderType, Purpose, Side
from trading.models.accounts import MONEY, Account


class Order(models.Model):
    """One order from the intent to its end; DENIED ones are kept with their reason."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="orders", db_index=False)  # leads other indexes
    client_order_id = models.CharField(max_length=36, unique=True)
    venue_order_id = models.CharField(max_length=40, blank=True)
    symbol = models.CharField(max_length=20)
    side = models.CharField(max_length=4, choices=[(s, s) for s in Side])
    type = models.CharField(max_length=11, choices=[(t, t) for t in OrderType])
    purpose = models.CharField(max_length=8, choices=[(p, p) for p in Purpose])
    slot = models.SmallIntegerField(null=True)
    price = models.DecimalField(**MONEY, null=True)  # quote; null for MARKET
    quantity = models.DecimalField(**MONEY)  # base
    filled = models.DecimalField(**MONEY, default=0)  # base
    price_ticks = models.BigIntegerField(null=True)
    quantity_lots = models.BigIntegerField()
    filled_lots = models.BigIntegerField(default=0)
    reference_ticks = models.BigIntegerField()
    status = models.CharField(max_length=16, choices=[(s, s) for s in OrderStatus])
    reason = models.CharField(max_length=200, blank=True)
    lap = models.PositiveIntegerField(default=0)
    decided_at = models.DateTimeField()
    decided_at_ns = models.BigIntegerField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["account", "status"]),
            models.Index(fields=["account", "-decided_at"]),
            models.Index(fields=["account", "lap"]),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(filled_lots__lte=models.F("quantity_lots")), name="never_filled_beyond_quantity"
            )
        ]

    def __str__(self) -> str:
        return self.client_order_id


class Fill(models.Model):
    """One execution, applied exactly once."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="fills", db_index=False)
    order = models.ForeignKey(Order, models.PROTECT, related_name="fills")
    trade_id = models.BigIntegerField()
    symbol = models.CharField(max_length=20)
    side = models.CharField(max_length=4, choices=[(s, s) for s in Side])
    slot = models.SmallIntegerField(null=True)
    price = models.DecimalField(**MONEY)
    quantity = models.DecimalField(**MONEY)
    price_ticks = models.BigIntegerField()
    quantity_lots = models.BigIntegerField()
    fee = models.DecimalField(**MONEY)
    fee_asset = models.CharField(max_length=10)
    maker = models.BooleanField()
    realized_quote = models.DecimalField(**MONEY)
    grid_profit_quote = models.DecimalField(**MONEY, null=True)
    lap = models.PositiveIntegerField(default=0)
    at = models.DateTimeField()
    at_ns = models.BigIntegerField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "-at"]), models.Index(fields=["account", "symbol", "-at"])]
        constraints = [
            models.UniqueConstraint(fields=["account", "symbol", "trade_id"], name="one_fill_per_trade"),
            models.CheckConstraint(condition=models.Q(quantity_lots__gt=0), name="fill_quantity_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.trade_id}"


class FillMark(models.Model):
    """What the recorded market was worth when a fill was made, and ten seconds on; see trading/domain/mark_outs.py."""

    fill = models.OneToOneField(Fill, models.PROTECT, related_name="marks")
    mark = models.DecimalField(**MONEY)  # best bid, quote
    later = models.DecimalField(**MONEY)
    measured_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.fill_id}: {self.mark} -> {self.later}"


class Settlement(models.Model):
    """A position settled at the seam of a replay: equity unchanged, no fill, no P&L."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="settlements")
    symbol = models.CharField(max_length=20)
    quantity_base = models.DecimalField(**MONEY)
    price = models.DecimalField(**MONEY)
    lap = models.PositiveIntegerField()  # the lap that ended
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["account", "symbol", "lap"], name="one_settlement_per_seam")]

    def __str__(self) -> str:
        return f"{self.symbol} lap {self.lap}"
