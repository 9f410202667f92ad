"""Where alerts are told, and every message on its way there."""

from django.conf import settings
from django.db import models

from riskops.domain.alert_rules import Channel
from trading.domain.events import Severity

ALARMS = [(severity.value, severity.value) for severity in (Severity.WARN, Severity.CRIT)]


class NotificationRoute(models.Model):
    """One place outside the console where alerts are told; its address is sealed and never shown again."""

    name = models.CharField(max_length=40)
    channel = models.CharField(max_length=8, choices=[(channel.value, channel.value) for channel in Channel])
    address = models.TextField()  # sealed: trading.adapters.sealing
    shown = models.CharField(max_length=60)  # what of the address may be seen
    roles = models.JSONField(default=list)  # of the people it reaches
    minimum = models.CharField(max_length=4, choices=ALARMS)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(removed_at=None), name="one_route_in_use_per_name"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.channel})"


class Delivery(models.Model):
    """One message for one route: written before anything is sent, so that no crash can lose it."""

    class State(models.TextChoices):
        DUE = "DUE", "Waits"
        SENDING = "SENDING", "On its way"
        SENT = "SENT", "Taken by the service"
        STOPPED = "STOPPED", "Not needed any more"
        FAILED = "FAILED", "Given up"

    route = models.ForeignKey(NotificationRoute, models.PROTECT, related_name="deliveries")
    alert = models.ForeignKey("trading.Alert", models.PROTECT, null=True, related_name="deliveries")  # null: a test
    step = models.CharField(max_length=60)  # of the escalation: "critical+30"
    title = models.CharField(max_length=200)
    body = models.TextField()
    state = models.CharField(max_length=8, choices=State, default=State.DUE)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()  # next attempt
    claimed_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)  # of the newest attempt
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "due_at"])]
        constraints = [
            models.UniqueConstraint(fields=["alert", "step", "route"], name="one_delivery_per_alert_step_and_route")
        ]

    def __str__(self) -> str:
        return f"{self.title} to {self.route.name}: {self.state}"
