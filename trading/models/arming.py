"""Armed or disarmed: what the runtime asks before an order of a TESTNET or LIVE account may leave."""

from collections.abc import Sequence

from django.db import models
from django.db.models import QuerySet

from trading.domain.modes import Mode
from trading.models.accounts import Account


class Arming(models.Model):
    """One word about one account, by two people (armed) or by one (disarmed); the newest counts, none is changed."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="armings")
    is_armed = models.BooleanField()
    build = models.CharField(max_length=40, blank=True)  # code and configuration that were approved
    phase = models.CharField(max_length=8, blank=True)
    digest = models.CharField(max_length=64, blank=True)  # of what the two people were shown
    by = models.CharField(max_length=310)
    why = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.account.slug} {'armed' if self.is_armed else 'disarmed'} {self.at:%Y-%m-%d %H:%M:%S}"


def with_something_to_stop(accounts: "QuerySet[Account]", modes: Sequence[Mode]) -> "QuerySet[Account]":
    """Return those of `accounts` that may have orders here: of these modes, and paper or armed at some time."""
    armed = models.Exists(Arming.objects.filter(account=models.OuterRef("pk")))
    return accounts.filter(models.Q(mode=Mode.PAPER) | armed, mode__in=modes)
