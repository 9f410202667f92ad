"""What went wrong, who works on it by which playbook, what was done, and what was learned."""

from typing import Final

from django.conf import settings
from django.db import models

from riskops.models.phases import PhaseRun
from trading.domain.events import Severity

SEVERITIES: Final = [(severity.value, severity.value) for severity in Severity]


class Incident(models.Model):
    """Opened by a missed criterion, an alert or a person; closed by a review."""

    account = models.ForeignKey("trading.Account", models.PROTECT, related_name="incidents")
    run = models.ForeignKey(PhaseRun, models.PROTECT, null=True, related_name="incidents")  # that it concerns
    playbook = models.CharField(max_length=30, default="crit")
    severity = models.CharField(
        max_length=4, choices=[(s.value, s.value) for s in Severity], default=Severity.CRIT.value
    )
    metric = models.CharField(max_length=40, blank=True)  # whose miss opened it
    alert = models.BigIntegerField(null=True)  # number of the alert that opened it
    what = models.CharField(max_length=300)
    failed_run = models.BooleanField(default=False)  # it ended the run
    opened_by = models.CharField(max_length=150, default="governance")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    began_at = models.DateTimeField(null=True)  # when the trouble began, as far as it is known
    opened_at = models.DateTimeField()  # and so detected
    recovered_at = models.DateTimeField(null=True)
    resolution = models.CharField(max_length=200, blank=True)
    retest_from = models.DateTimeField(null=True)  # hours in force on paper count from here
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    cause = models.TextField(blank=True)
    impact = models.TextField(blank=True)
    prevention = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "metric"],
                condition=models.Q(closed_at=None) & ~models.Q(metric=""),
                name="one_open_incident_per_criterion",
            ),
            models.UniqueConstraint(
                fields=["account", "playbook"],
                condition=models.Q(closed_at=None) & ~models.Q(alert=None),
                name="one_open_incident_of_alerts_per_playbook",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.what}"


class IncidentStep(models.Model):
    """One thing that was done in an incident; written once, never changed."""

    class Kind(models.TextChoices):
        DONE = "done", "Done"
        APPLIED = "applied", "Applied"
        UNDONE = "undone", "Undone"
        NOTE = "note", "Note"
        OWNER = "owner", "Owner"
        RESOLVED = "resolved", "Resolution"
        RECOVERED = "recovered", "Recovered"

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="steps")
    step = models.CharField(max_length=40, blank=True)  # of the playbook, "immediate.0"
    kind = models.CharField(max_length=9, choices=Kind)
    note = models.CharField(max_length=1_000, blank=True)
    override = models.BigIntegerField(null=True)  # number of the conduct override that it applied or undid
    by = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"#{self.incident_id} {self.kind} {self.step}"


class DeskReview(models.Model):
    """Somebody of the desk has looked at an account; the mandate says how often that must be."""

    account = models.ForeignKey("trading.Account", models.PROTECT, related_name="desk_reviews")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    note = models.CharField(max_length=1_000, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.account_id} {self.at:%Y-%m-%d %H:%M}"
