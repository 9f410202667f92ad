"""Reports as they were made, what has to be seen to by a date, and what the desk was billed; nothing is changed."""

from django.conf import settings
from django.db import models

from riskops.domain.periods import Kind


class Report(models.Model):
    """What one account did in one closed period, stored once; rebuilt, it must have the same digest."""

    account = models.ForeignKey("trading.Account", models.PROTECT, related_name="reports")
    kind = models.CharField(max_length=8, choices=[(k.value, k.value) for k in Kind])
    period = models.CharField(max_length=12)  # "2026-11-21", "2026-W47", "2026-11"; of a phase the number of its run
    since = models.DateTimeField()
    until = models.DateTimeField()
    facts = models.JSONField()  # riskops.reporting
    digest = models.CharField(max_length=64)  # SHA-256 of the facts as canonical JSON
    maker = models.PositiveSmallIntegerField()  # version of what made it
    made_at = models.DateTimeField()

    class Meta:
        ordering = ["-until", "-id"]
        constraints = [models.UniqueConstraint(fields=["account", "kind", "period"], name="one_report_per_period")]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.kind} {self.period}"


class ComplianceItem(models.Model):
    """One thing to be seen to by a date; it is done when its newest tick says so."""

    account = models.ForeignKey("trading.Account", models.PROTECT, related_name="compliance_items")
    title = models.CharField(max_length=200)  # "Risk audit, 2026-11"
    due_on = models.DateField()
    opened_by = models.CharField(max_length=150)  # user name, or "phase 4.4a"
    opened_at = models.DateTimeField()

    class Meta:
        ordering = ["due_on", "id"]
        constraints = [models.UniqueConstraint(fields=["account", "title"], name="one_compliance_item_per_title")]

    def __str__(self) -> str:
        return f"{self.title} by {self.due_on}"


class ComplianceTick(models.Model):
    """One person says that an item is done, or takes that back; the newest row counts."""

    item = models.ForeignKey(ComplianceItem, models.PROTECT, related_name="ticks")
    done = models.BooleanField()
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    note = models.CharField(max_length=300)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{'☑' if self.done else '☐'} {self.item}"


class CostEntry(models.Model):
    """One bill as a person entered it; a wrong one is taken back by another with the opposite sign."""

    account = models.ForeignKey("trading.Account", models.PROTECT, related_name="costs")
    billed_on = models.DateField()
    what = models.CharField(max_length=100)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=5)  # "USD"
    entered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    entered_at = models.DateTimeField()

    class Meta:
        ordering = ["-billed_on", "-id"]
        constraints = [models.CheckConstraint(condition=~models.Q(amount=0), name="a_bill_is_not_nothing")]

    def __str__(self) -> str:
        return f"{self.what} {self.amount} {self.currency}"
