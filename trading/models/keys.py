"""Keys of a venue: written once, sealed, never shown again; and what the venue last said of each."""

from django.db import models

from trading.domain.restrictions import KeyPurpose
from trading.models.accounts import Account


class VenueKey(models.Model):
    """One key of one account for one purpose; the name and the secret are sealed (trading.adapters.sealing)."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="venue_keys")
    purpose = models.CharField(max_length=6, choices=[(p.value, p.value) for p in KeyPurpose])
    label = models.CharField(max_length=60)
    sealed_key = models.TextField()
    sealed_secret = models.TextField()
    fingerprint = models.CharField(max_length=64)  # keyed: the same key for two purposes is seen without opening one
    last_four = models.CharField(max_length=4)  # of the key, never of the secret
    added_by = models.CharField(max_length=150)
    added_at = models.DateTimeField()
    revoked_by = models.CharField(max_length=150, blank=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["account", "purpose", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "purpose"],
                condition=models.Q(revoked_at=None),
                name="one_key_in_use_per_purpose",
            ),
            models.UniqueConstraint(
                fields=["fingerprint"], condition=models.Q(revoked_at=None), name="one_purpose_per_key_in_use"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.label} …{self.last_four}"


class KeyCheck(models.Model):
    """The venue's newest answer about one key; each answer replaces the one before."""

    key = models.OneToOneField(VenueKey, models.CASCADE, related_name="answer")
    at = models.DateTimeField()
    opened = models.BooleanField(default=False)  # the sealed text could be opened
    objections = models.JSONField(null=True)  # what makes it unfit; null: the venue gave no usable answer
    problem = models.CharField(max_length=200, blank=True)  # why there is none
    skew_ms = models.FloatField(null=True)  # the venue's clock minus ours

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return f"{self.key} {self.at:%Y-%m-%d %H:%M:%S}"
