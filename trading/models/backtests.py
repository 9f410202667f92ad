"""What was asked of the backtest lab and what came of it; belongs to no account."""

from django.db import models


class Backtest(models.Model):
    """One run of one grid over recorded data; with a `plan` a search, which runs many."""

    class State(models.TextChoices):
        WAITING = "WAITING", "Waiting"
        RUNNING = "RUNNING", "Running"
        DONE = "DONE", "Done"
        FAILED = "FAILED", "Failed"
        CANCELED = "CANCELED", "Cancelled"

    settings = models.JSONField()  # as `BacktestSettings.as_json`
    plan = models.JSONField(null=True)  # of a search: as `Plan.as_json`
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    progress = models.FloatField(default=0)  # fraction, 0 to 1
    cancel_asked = models.BooleanField(default=False)
    began_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)  # when whoever runs it last said so
    ended_at = models.DateTimeField(null=True)
    facts = models.JSONField(null=True)  # `backtest_report`, of a search `search_report`; once done
    curves = models.JSONField(null=True)
    why = models.CharField(max_length=500, blank=True)  # it failed

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "id"])]

    def __str__(self) -> str:
        return f"{'backtest' if self.plan is None else 'search'} {self.pk} {self.state}"


class GridCandidate(models.Model):
    """The settings of one trial, proposed for a grid of a paper account; its desk takes them up when it next starts."""

    account = models.ForeignKey("trading.Account", models.PROTECT, related_name="candidates")
    symbol = models.CharField(max_length=20)
    settings = models.JSONField()  # of the trial, as `BacktestSettings.as_json`
    search = models.BigIntegerField()  # number of the search, which is not kept for ever
    trial = models.PositiveIntegerField()
    found = models.JSONField()  # what spoke for it: scores, trials counted, deflated Sharpe ratio
    proposed_by = models.CharField(max_length=150)
    proposed_at = models.DateTimeField()
    taken_up_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)  # replaced by another, or withdrawn

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "symbol"],
                condition=models.Q(taken_up_at=None, dropped_at=None),
                name="one_candidate_per_grid",
            )
        ]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.symbol}, trial {self.trial} of search {self.search}"
