"""The times the glass was broken."""

from django.conf import settings
from django.db import models


class BreakGlass(models.Model):
    """One exception at one desk: asked for, granted by a second person, over by itself."""

    account = models.ForeignKey("trading.Account", models.PROTECT, related_name="broken_glass")
    reason = models.CharField(max_length=300)
    hours = models.PositiveSmallIntegerField()
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    granted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    granted_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()  # of the question until it is granted
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(granted_by=None) | ~models.Q(granted_by=models.F("asked_by")),
                name="glass_is_broken_by_two",
            ),
            models.CheckConstraint(condition=models.Q(hours__gte=1, hours__lte=4), name="glass_is_broken_for_hours"),
        ]

    def __str__(self) -> str:
        return f"{self.account.slug} until {self.expires_at:%Y-%m-%d %H:%M:%S}"
