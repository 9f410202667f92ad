"""Leaving PAPER: asked for by one person, approved by another."""

from django.conf import settings
from django.db import models

from trading.domain.modes import Mode


class ArmRequest(models.Model):
    """One person's wish to arm an account, bound to what was shown; a second person approves it or it lapses."""

    class State(models.TextChoices):
        OPEN = "OPEN", "Open"
        APPROVED = "APPROVED", "Approved"
        WITHDRAWN = "WITHDRAWN", "Withdrawn"
        EXPIRED = "EXPIRED", "Expired"

    account = models.ForeignKey("trading.Account", models.PROTECT, related_name="arm_requests")  # the one to be armed
    mode = models.CharField(max_length=8, choices=[(m.value, m.value) for m in Mode])
    phase = models.CharField(max_length=8)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    shown = models.JSONField()
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account"], condition=models.Q(state="OPEN"), name="one_open_arm_request_per_account"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="APPROVED")
                | (models.Q(decided_by__isnull=False) & ~models.Q(decided_by=models.F("requested_by"))),
                name="arming_needs_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.mode} {self.state}"
