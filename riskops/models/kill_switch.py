"""Releasing a halt: asked for by one person, granted by another."""

from django.conf import settings
from django.db import models


class ResumeRequest(models.Model):
    """One person's wish to resume an account; open until a second person grants or somebody withdraws it."""

    class Outcome(models.TextChoices):
        OPEN = "OPEN", "Open"
        GRANTED = "GRANTED", "Granted"
        WITHDRAWN = "WITHDRAWN", "Withdrawn"

    account = models.ForeignKey("trading.Account", models.PROTECT, related_name="resume_requests")
    halt = models.ForeignKey("trading.Halt", models.PROTECT, related_name="resume_requests")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    requested_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.OPEN)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["halt"], condition=models.Q(outcome="OPEN"), name="one_open_resume_request_per_halt"
            ),
            models.CheckConstraint(
                condition=~models.Q(outcome="GRANTED") | ~models.Q(decided_by=models.F("requested_by")),
                name="resume_needs_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.outcome}"
