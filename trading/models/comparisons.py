"""What an account did on paper beside what its backtest does with the same market data."""

from decimal import Decimal

from django.db import models

from trading.domain.drift import Comparison, Conduct
from trading.models.accounts import MONEY, Account


class PaperComparison(models.Model):
    """One stretch of an account that began with everything in cash, held against its backtest.

    A stretch that still goes on is held again later, and its row replaced.
    """

    account = models.ForeignKey(Account, models.CASCADE, related_name="comparisons", db_index=False)
    since = models.DateTimeField()
    until = models.DateTimeField()
    is_over = models.BooleanField()  # False: the stretch goes on behind `until`
    events = models.BigIntegerField()  # of recorded market data
    capital_quote = models.DecimalField(**MONEY)
    paper_pnl_quote = models.DecimalField(**MONEY)
    backtest_pnl_quote = models.DecimalField(**MONEY)
    paper_drawdown = models.DecimalField(max_digits=20, decimal_places=12)  # fraction of the high before it
    backtest_drawdown = models.DecimalField(max_digits=20, decimal_places=12)
    paper_round_trips = models.PositiveIntegerField()
    backtest_round_trips = models.PositiveIntegerField()
    paper_wins = models.PositiveIntegerField()
    backtest_wins = models.PositiveIntegerField()
    returns = models.JSONField()  # of whole days: {"paper": [text], "backtest": [text]}
    # {"paper": n, "backtest": n fills the other lacks, "first": [the first of them], "fills_sha256": {of each side},
    # "orders_apart": n orders not filled alike, "orders": [the first of them]}; see trading/services/drift.py
    differences = models.JSONField()
    compared_at = models.DateTimeField()

    class Meta:
        ordering = ["account", "-since"]
        constraints = [models.UniqueConstraint(fields=["account", "since"], name="one_comparison_per_stretch")]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.since:%Y-%m-%d %H:%M:%S}"

    @property
    def comparison(self) -> Comparison:
        """Return both sides as the rule reads them."""
        return Comparison(
            self.capital_quote,
            round((self.until - self.since).total_seconds() * 1e9),
            self._side("paper"),
            self._side("backtest"),
        )

    def _side(self, name: str) -> Conduct:
        return Conduct(
            getattr(self, f"{name}_pnl_quote"),
            getattr(self, f"{name}_drawdown"),
            getattr(self, f"{name}_round_trips"),
            getattr(self, f"{name}_wins"),
            tuple(Decimal(one) for one in self.returns[name]),
        )
