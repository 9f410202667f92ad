"""Which grids the desks ran, and since when."""

from django.db import models

from trading.domain.in_force import Cause, Ran, spec_of
from trading.models.accounts import Account


class GridInForce(models.Model):
    """One desk began to run one grid; written by its start, never changed."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="grids_in_force", db_index=False)
    symbol = models.CharField(max_length=20)
    words = models.JSONField()  # of the grid, `trading.domain.spelling`; {}: none is run any more
    edited_at = models.DateTimeField(null=True)  # as the grid said then
    cause = models.CharField(max_length=8, choices=[(one.value, one.value) for one in Cause])
    since = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "symbol", "-id"], name="newest_grid_in_force")]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.symbol} {self.cause} {self.since:%Y-%m-%d %H:%M:%S}"

    @property
    def ran(self) -> Ran:
        """Return it as the rule reads it."""
        return Ran(spec_of(self.words), self.edited_at)
