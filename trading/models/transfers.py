"""Money that moves to or from a venue: asked for when capital in force changes, booked once the venue has made it."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.db import models

from trading.domain.halting import CLEAN_READING_MAX_AGE_S
from trading.domain.reconciliation import announced, differing
from trading.models.accounts import MONEY, Account, Mandate, TradingDay
from trading.models.watch import VenueReading


class CapitalTransfer(models.Model):
    """A deposit (above zero) or withdrawal (below) that the capital in force asks for."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="transfers")
    mandate = models.ForeignKey(Mandate, models.PROTECT, related_name="transfers")  # whose capital it pays for
    flow_id = models.CharField(max_length=40, unique=True)  # a venue that is asked twice under it makes it once
    amount_quote = models.DecimalField(**MONEY)
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    confirmed_by = models.CharField(max_length=150, blank=True)  # beyond paper: who says that money was moved,
    confirmed_quote = models.DecimalField(**MONEY, null=True)  # and how much of it, with the sign of what is asked for
    confirmed_at = models.DateTimeField(null=True)
    is_void = models.BooleanField(default=False)  # another amount is asked for, or nothing more comes; beyond paper

    class Meta:
        ordering = ["-id"]
        constraints = [models.CheckConstraint(condition=~models.Q(amount_quote=0), name="transfers_move_something")]

    def __str__(self) -> str:
        return f"{self.flow_id} {self.amount_quote}"


class CashFlow(models.Model):
    """What the venue made of a transfer, as the books took it; written once, never changed."""

    transfer = models.OneToOneField(CapitalTransfer, models.PROTECT, related_name="booked")
    account = models.ForeignKey(Account, models.PROTECT, related_name="flows")
    amount_quote = models.DecimalField(**MONEY)  # of what is paid out never more than was free, and then it may be 0
    made_at = models.DateTimeField()  # venue time
    booked_at = models.DateTimeField()
    equity_before_quote = models.DecimalField(**MONEY)
    paid_in_quote = models.DecimalField(**MONEY)  # since the account began, this one included
    scale = models.DecimalField(**MONEY)  # equity / equity as without any transfer, after this one
    high_water_quote = models.DecimalField(**MONEY)  # highest equity by then, as without any transfer
    lap = models.PositiveIntegerField()
    day_opened_at = models.DateTimeField()  # of the trading day it belongs to

    class Meta:
        ordering = ["id"]
        constraints = [models.CheckConstraint(condition=models.Q(scale__gt=0), name="scale_is_above_zero")]

    def __str__(self) -> str:
        return f"{self.transfer.flow_id} {self.amount_quote}"


def asked_for(account: Account) -> models.QuerySet[CapitalTransfer]:
    """Return the transfers of `account` that are neither booked nor void, oldest first."""
    return CapitalTransfer.objects.filter(account=account, booked=None, is_void=False).order_by("id")


def first_cash(account: Account) -> Decimal:
    """Return what the account was funded with before any transfer: with what it began to run, or its first capital.

    Raises:
        DoesNotExist: it has no mandate.
    """
    begun = TradingDay.objects.filter(account=account, reason="start").order_by("id").first()
    if begun is not None:
        return begun.opening_cash_quote
    return Mandate.objects.filter(account=account).earliest("version").capital_quote


def shown(transfer: CapitalTransfer, at: datetime) -> Decimal | None:
    """Return what of `transfer` the newest reading of the venue may show beyond the books; None is not known."""
    reading = VenueReading.objects.filter(account=transfer.account).first()
    if reading is None or at - reading.at > timedelta(seconds=CLEAN_READING_MAX_AGE_S):
        return None
    balances = {asset: (Decimal(ours), Decimal(venue)) for asset, (ours, venue) in reading.balances.items()}
    return announced(differing(balances), transfer.account.quote, transfer.amount_quote)
