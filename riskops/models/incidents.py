"""What went wrong, who works on it, and what was learned."""

from django.conf import settings
from django.db import models

from riskops.models.phases import PhaseRun


class Incident(models.Model):
    """Opened by a criterion that was missed; closed by a review."""

    account = models.ForeignKey("trading.Account", models.PROTECT, related_name="incidents")
    run = models.ForeignKey(PhaseRun, models.PROTECT, related_name="incidents")
    metric = models.CharField(max_length=40)  # whose miss opened it
    what = models.CharField(max_length=300)
    failed_run = models.BooleanField()  # it ended the run: the clocks run
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    cause = models.TextField(blank=True)
    impact = models.TextField(blank=True)
    prevention = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "metric"], condition=models.Q(closed_at=None), name="one_open_incident_per_criterion"
            )
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.what}"
