"""What is watched: halts, alerts, reconciliations and samples."""

from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Func
from django.db.models.functions import Cast

from trading.domain.drills import Drill
from trading.domain.events import Severity
from trading.domain.scopes import Scope
from trading.models.accounts import MONEY, Account

THIS_TRANSACTION: Final = Cast(  # its number; it grows as long as the database lives
    Cast(Func(function="pg_current_xact_id"), models.TextField()), models.BigIntegerField()
)


class Halt(models.Model):
    """One press of the kill switch (or one rule that fired) at one account, from the latch to its release."""

    class Stage(models.TextChoices):
        LATCHED = "LATCHED", "Latched"
        STOPPED = "STOPPED", "Stopped"
        PROVEN_CLEAR = "PROVEN_CLEAR", "Proven clear"
        FLAT = "FLAT", "Flat"

    account = models.ForeignKey(Account, models.PROTECT, related_name="halts")
    symbol = models.CharField(max_length=20, blank=True)  # this symbol alone; "": the whole account
    requested_by = models.CharField(max_length=150)  # user name, "rule: daily drawdown", "command line"
    reason = models.CharField(max_length=300)
    flatten = models.BooleanField(default=False)
    stage = models.CharField(max_length=12, choices=Stage, default=Stage.LATCHED)
    orders_at_latch = models.PositiveIntegerField(default=0)
    canceled = models.PositiveIntegerField(default=0)
    remaining = models.PositiveIntegerField(null=True)  # null: not read back yet
    latched_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True)
    proven_clear_at = models.DateTimeField(null=True)
    flat_at = models.DateTimeField(null=True)
    released_at = models.DateTimeField(null=True)
    released_by = models.CharField(max_length=310, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "symbol"], condition=models.Q(released_at=None), name="one_latched_halt_per_scope"
            )
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.stage} {self.latched_at:%Y-%m-%d %H:%M:%S}"

    @property
    def scope(self) -> Scope:
        """What it stops."""
        return Scope(self.account.slug, self.symbol)

    @property
    def where(self) -> str:
        """What it stops, in words: "Production", "BTCUSDT at Production"."""
        return f"{self.symbol} at {self.account.name}" if self.symbol else self.account.name


class HaltDrill(models.Model):
    """A person had the kill switch fired on paper; what came of it follows from its halt."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="drills")
    drill = models.CharField(max_length=12, choices=[(d, d) for d in Drill])
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    halt = models.OneToOneField(Halt, models.PROTECT, null=True, related_name="drill")  # null: nothing was latched

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.drill} {self.asked_at:%Y-%m-%d %H:%M:%S}"


class Alert(models.Model):
    """Something an operator should know (INFO) or act on (WARN, CRIT)."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="alerts", null=True)
    severity = models.CharField(max_length=4, choices=[(s, s) for s in Severity])
    code = models.CharField(max_length=40)
    message = models.CharField(max_length=300)
    symbol = models.CharField(max_length=20, blank=True)
    raised_at = models.DateTimeField(null=True)  # of the first occurrence; unknown of what is older than this column
    at = models.DateTimeField()  # of the newest occurrence
    times = models.PositiveIntegerField(default=1)  # occurrences while nobody had acknowledged it
    in_minute = models.PositiveIntegerField(default=1)  # of them, in the minute of the newest
    most_in_minute = models.PositiveIntegerField(default=1)  # in the worst minute: three and more chatter
    cleared_at = models.DateTimeField(null=True)  # whoever raised it said that it is over
    shelved_until = models.DateTimeField(null=True)
    shelved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    shelved_why = models.CharField(max_length=300, blank=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    stored_in = models.BigIntegerField(db_default=THIS_TRANSACTION)  # that stored the newest occurrence

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["account", "acknowledged_at", "severity"]),
            models.Index(
                fields=["code", "at"],
                condition=models.Q(cleared_at=None) & ~models.Q(severity="INFO"),
                name="alarms_not_over",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.severity} {self.code}"


class RuleReading(models.Model):
    """What the newest look at one measured alert rule found; each look replaces the one before."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="rule_readings", db_index=False)
    code = models.CharField(max_length=40)
    is_broken = models.BooleanField(null=True)  # null: too little to say
    text = models.CharField(max_length=300)
    judged_at = models.DateTimeField()
    known_at = models.DateTimeField(null=True)  # when there was last enough to say
    broken_since = models.DateTimeField(null=True)

    class Meta:
        ordering = ["account", "code"]
        constraints = [models.UniqueConstraint(fields=["account", "code"], name="one_reading_per_rule")]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.code}"


class Reconciliation(models.Model):
    """One comparison of our books with the venue's; kept when dirty, sampled when clean."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="reconciliations")
    is_clean = models.BooleanField()
    discrepancies = models.JSONField(default=list)
    local_open = models.PositiveIntegerField()
    venue_open = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.account.slug} {'clean' if self.is_clean else 'dirty'}"


class VenueReading(models.Model):
    """What the newest reading of the venue showed, for people; each reading replaces the one before."""

    account = models.OneToOneField(Account, models.PROTECT, related_name="reading")
    is_clean = models.BooleanField()
    discrepancies = models.JSONField(default=list)
    local_open = models.PositiveIntegerField()
    venue_open = models.PositiveIntegerField()
    foreign = models.JSONField(default=list)  # open orders of others: id, symbol, side, price, quantity, filled as text
    balances = models.JSONField(default=dict)  # asset -> [ours, the venue's] as text
    dust = models.JSONField(default=dict)  # asset -> what is too small to sell, as text
    at = models.DateTimeField()

    class Meta:
        ordering = ["account"]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.at:%Y-%m-%d %H:%M:%S}"


class ForeignOrderDecision(models.Model):
    """What a person decided about one open order that is not ours; the execution loop cancels or adopts it."""

    class Choice(models.TextChoices):
        CANCEL = "CANCEL", "Cancel"
        ADOPT = "ADOPT", "Adopt"
        LEAVE = "LEAVE", "Leave it"

    class Outcome(models.TextChoices):
        ASKED = "ASKED", "Asked"  # the execution loop has not said yet what came of it
        CANCELED = "CANCELED", "Cancelled"
        ADOPTED = "ADOPTED", "Ours now"
        FAILED = "FAILED", "Not confirmed"
        LEFT = "LEFT", "Left alone"

    account = models.ForeignKey(Account, models.PROTECT, related_name="foreign_decisions")
    client_order_id = models.CharField(max_length=64)
    symbol = models.CharField(max_length=20)
    choice = models.CharField(max_length=6, choices=Choice)
    decided_by = models.CharField(max_length=150)
    decided_at = models.DateTimeField()
    outcome = models.CharField(max_length=8, choices=Outcome)
    detail = models.CharField(max_length=200, blank=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "outcome"])]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "client_order_id"],
                condition=models.Q(outcome="ASKED"),
                name="one_cancel_asked_per_foreign_order",
            )
        ]

    def __str__(self) -> str:
        return f"{self.choice} {self.client_order_id}"


class EquitySample(models.Model):
    """Equity of one account at one moment."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="equity_samples")
    equity_quote = models.DecimalField(**MONEY)
    pnl_day_quote = models.DecimalField(**MONEY)
    drawdown_fraction = models.FloatField()
    lap = models.PositiveIntegerField(default=0)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "-at"])]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.equity_quote}"


class LatencySample(models.Model):
    """One minute of one latency segment as a mergeable histogram."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="latency_samples")
    segment = models.CharField(max_length=20)  # tick_submit | submit_ack | ack_fill
    counts = models.JSONField()  # bucket index -> count (trading.domain.latency)
    samples = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "segment", "-at"])]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.segment}"


class ConductSample(models.Model):
    """One minute of one account as its execution loop saw it; kept for a week, in `HourFacts` for good."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="conduct_samples", db_index=False)
    at = models.DateTimeField()  # the begin of the minute
    facts = models.JSONField()  # trading.domain.evidence.Facts, without what orders and fills tell

    class Meta:
        ordering = ["-id"]
        constraints = [
            # Two loops that watched the same minute, one after the other, are not added up.
            models.UniqueConstraint(fields=["account", "at"], name="one_conduct_sample_per_minute")
        ]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.at:%Y-%m-%d %H:%M}"


class HourFacts(models.Model):
    """One closed hour of one account in numbers: its minutes, orders and fills, rolled up once and kept for good."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="hour_facts", db_index=False)
    hour = models.DateTimeField()  # its begin
    facts = models.JSONField()  # slices in order: [{"minute": 0, "facts": {...}}, ...], trading.domain.evidence
    unended = models.PositiveIntegerField()  # orders decided in it of which something was not known yet: look again
    fills_seen = models.BigIntegerField()  # id of the newest fill that was known: what is booked later is looked for

    class Meta:
        ordering = ["account", "-hour"]
        constraints = [models.UniqueConstraint(fields=["account", "hour"], name="one_row_per_hour")]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.hour:%Y-%m-%d %H:%M}"
