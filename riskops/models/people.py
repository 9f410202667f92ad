"""What is remembered of people beside their name, password and roles."""

from django.conf import settings
from django.db import models


class Tries(models.Model):
    """Failures in a row at one door of the sign-in or the step-up; the door is a hash, for a name may be a password."""

    door = models.CharField(max_length=64, unique=True)
    failures = models.IntegerField(default=0)
    last_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.failures} at {self.door[:8]}"


class KnownAddress(models.Model):
    """A network address from which a person has signed in."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="known_addresses")
    address = models.CharField(max_length=45)
    last_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "address"], name="one_row_per_known_address")]

    def __str__(self) -> str:
        return f"{self.person} {self.address}"


class FailedSignIns(models.Model):
    """The failures of one minute, until the audit trail tells of them in one row."""

    minute = models.DateTimeField(unique=True)
    times = models.IntegerField(default=0)
    accounts = models.JSONField(default=list)  # the first few that exist
    unknown = models.IntegerField(default=0)  # tries with a name nobody has
    addresses = models.JSONField(default=list)  # the first few

    def __str__(self) -> str:
        return f"{self.times} at {self.minute:%H:%M}"


class Invitation(models.Model):
    """A link with which a new person sets the first password, once; only the hash of its secret is kept."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="invitations")
    digest = models.CharField(max_length=64, unique=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.person} until {self.expires_at:%Y-%m-%d %H:%M}"


class Notice(models.Model):
    """What a person must read on the next page they open."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notices")
    text = models.CharField(max_length=300)
    at = models.DateTimeField()
    told_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.text
