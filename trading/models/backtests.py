"""What was asked of the backtest lab and what came of it; belongs to no account."""

from django.db import models


class Backtest(models.Model):
    """One run of one grid over recorded data."""

    class State(models.TextChoices):
        WAITING = "WAITING", "Waiting"
        RUNNING = "RUNNING", "Running"
        DONE = "DONE", "Done"
        FAILED = "FAILED", "Failed"
        CANCELED = "CANCELED", "Cancelled"

    settings = models.JSONField()  # as `BacktestSettings.as_json`
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    progress = models.FloatField(default=0)  # fraction, 0 to 1
    cancel_asked = models.BooleanField(default=False)
    began_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)  # when whoever runs it last said so
    ended_at = models.DateTimeField(null=True)
    facts = models.JSONField(null=True)  # `backtest_report`, once done
    curves = models.JSONField(null=True)
    why = models.CharField(max_length=500, blank=True)  # it failed

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "id"])]

    def __str__(self) -> str:
        return f"backtest {self.pk} {self.state}"
