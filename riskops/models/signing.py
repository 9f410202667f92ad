"""What every request has that people sign, and every signature."""

from django.conf import settings
from django.db import models

from riskops.domain.steps import Decision
from trading.domain.people import Role


class SignedRequest(models.Model):
    """One person asks; what was shown then is what gets signed."""

    class State(models.TextChoices):
        OPEN = "OPEN", "Open"
        DECIDED = "DECIDED", "Decided"
        VOID = "VOID", "Void"
        EXPIRED = "EXPIRED", "Expired"

    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    shown = models.JSONField()  # findings and changes, as signed
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    why_void = models.CharField(max_length=300, blank=True)
    decision = models.CharField(
        max_length=8, choices=[(d.value, d.value) for d in Decision], default=Decision.PENDING.value
    )
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True)
    decided_at = models.DateTimeField(null=True)
    notes = models.TextField(blank=True)

    class Meta:
        abstract = True


class GivenSignature(models.Model):
    """One person's signature, in one role; written once, never changed. `request` is what it stands under."""

    role = models.CharField(max_length=20, choices=[(r.value, r.value) for r in Role])
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    approves = models.BooleanField()
    note = models.CharField(max_length=300, blank=True)
    digest = models.CharField(max_length=64)
    signed_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.role} {'signs' if self.approves else 'rejects'}"
