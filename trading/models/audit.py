"""The audit chain: append-only, each row sealed with the hash of the one before."""

from typing import Final

from django.db import models

# What the execution loops write, a thousand rows for each of anything else: search has no index over them, for every
# index costs each order's commit.
TURNS: Final = ("orders.approved", "orders.changed")
ADVICE_CHANGED: Final = "advice.changed"  # a turn in which another advice was heeded, or none any more
OTHER_THAN_TURNS: Final = ~models.Q(action__in=TURNS)


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
        indexes = [
            models.Index(fields=[field, "sequence"], name=f"audit_by_{field}", condition=OTHER_THAN_TURNS)
            for field in ("actor", "action", "subject", "at")
        ]

    def __str__(self) -> str:
        return f"#{self.sequence} {self.action}"


class AuditHead(models.Model):
    """The last sequence and hash; one row, locked by every writer so that the chain never forks."""

    sequence = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"#{self.sequence}"


class AuditVerification(models.Model):
    """What one walk over the whole chain and its anchors found."""

    at = models.DateTimeField()
    sequence = models.BigIntegerField()  # up to here it is true; of a break, the row where it stops
    reason = models.CharField(max_length=300, blank=True)  # empty: whole
    anchors = models.IntegerField()  # lines of the file that were held against it
    anchored = models.BigIntegerField(null=True)  # the row that the newest anchor holds

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"#{self.sequence} {self.reason or 'whole'}"
