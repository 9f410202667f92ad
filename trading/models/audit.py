"""The audit chain: append-only, each row sealed with the hash of the one before."""

from django.db import models


class AuditEvent(models.Model):
    """One change of state; written in the transaction of the change, never updated, never deleted (trigger)."""

    sequence = models.BigIntegerField(unique=True)  # 1, 2, 3 ... without a gap
    at = models.DateTimeField()
    actor = models.CharField(max_length=310)  # user name, two of them, or "runtime:micro"
    action = models.CharField(max_length=40)  # "order.approved"
    subject = models.CharField(max_length=80, blank=True)  # "account:micro"
    payload = models.JSONField()
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["-sequence"]

    def __str__(self) -> str:
        return f"#{self.sequence} {self.action}"


class AuditHead(models.Model):
    """The last sequence and hash; one row, locked by every writer so that the chain never forks."""

    sequence = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"#{self.sequence}"
