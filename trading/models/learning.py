"""What is remembered of learning: trainings, model versions, what they forecast, and how far they were promoted."""

from django.db import models


class TrainingRun(models.Model):
    """One training that somebody asked for; every one counts as a trial, whatever came of it."""

    class State(models.TextChoices):
        WAITING = "WAITING", "Waiting"
        RUNNING = "RUNNING", "Running"
        DONE = "DONE", "Done"
        FAILED = "FAILED", "Failed"
        CANCELED = "CANCELED", "Cancelled"

    stage = models.PositiveSmallIntegerField()
    settings = models.JSONField()  # what was asked: data, symbols, quick, seeds
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    progress = models.FloatField(default=0)  # fraction, 0 to 1
    doing = models.CharField(max_length=100, blank=True)  # in words
    cancel_asked = models.BooleanField(default=False)
    began_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)  # when whoever carries it out last said so
    ended_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)  # how often it was begun, from its last checkpoint
    trials = models.PositiveIntegerField(default=1)  # nets that were fitted; a search fits many
    curves = models.JSONField(null=True)  # learning curves
    why = models.CharField(max_length=500, blank=True)  # it failed

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "id"])]

    def __str__(self) -> str:
        return f"training {self.pk} of stage {self.stage}, {self.state}"


class ModelVersion(models.Model):
    """One model in the store of models; its files never change, how far it was promoted does."""

    class State(models.TextChoices):
        REGISTERED = "REGISTERED", "Registered"
        OFFLINE_PASS = "OFFLINE_PASS", "Offline pass"
        SHADOW = "SHADOW", "Shadow"
        CANARY = "CANARY", "Canary"
        CHAMPION = "CHAMPION", "Champion"
        RETIRED = "RETIRED", "Retired"
        ROLLED_BACK = "ROLLED_BACK", "Rolled back"
        REFUSED = "REFUSED", "Refused"  # its files are not what they say

    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of its SHA256SUMS
    name = models.CharField(max_length=40)
    stage = models.PositiveSmallIntegerField()
    card = models.JSONField()  # as `Card.as_json`
    evaluation = models.JSONField(null=True)  # as evaluation.json; None: never evaluated
    training = models.ForeignKey(TrainingRun, models.SET_NULL, null=True, related_name="versions")
    state = models.CharField(max_length=12, choices=State, default=State.REGISTERED)
    why = models.CharField(max_length=500, blank=True)  # it is in this state
    canary_symbol = models.CharField(max_length=20, blank=True)  # the one symbol a canary may touch
    registered_by = models.CharField(max_length=150)
    registered_at = models.DateTimeField()
    state_since = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="CHAMPION"), name="one_champion"),
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="CANARY"), name="one_canary"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.digest[:8]} {self.state}"


class ModelChange(models.Model):
    """A model moved from one state to another; written once, never changed."""

    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="changes")
    before = models.CharField(max_length=12, choices=ModelVersion.State)
    after = models.CharField(max_length=12, choices=ModelVersion.State)
    by = models.CharField(max_length=150)  # a person, or the rule that did it
    why = models.CharField(max_length=500)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.version.name}: {self.before} -> {self.after}"


class ModelForecast(models.Model):
    """What a model that runs said after one bar, beside the rule's word, and what came of it once it is known."""

    version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="forecasts")
    symbol = models.CharField(max_length=20)
    at = models.DateTimeField()  # close of the last bar it saw
    log_rv = models.FloatField(null=True)  # over the first horizon; None: it fell back
    low = models.FloatField(null=True)  # 10 % quantile
    high = models.FloatField(null=True)  # 90 % quantile
    trend = models.FloatField(null=True)
    rule_log_rv = models.FloatField(null=True)  # what the rule said of the same
    fault = models.CharField(max_length=20, blank=True)  # of `Fault`; empty: none
    took_us = models.PositiveIntegerField()  # features, net and checks
    features_sha256 = models.CharField(max_length=64)  # of what it read, so that a replay can be held against it
    realized = models.FloatField(null=True)  # log_rv as it came; None: not known yet

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["version", "symbol", "at"], name="one_forecast_a_bar")]
        indexes = [models.Index(fields=["version", "at"])]

    def __str__(self) -> str:
        return f"{self.version_id} {self.symbol} {self.at:%Y-%m-%d %H:%M}"


class ModelHealth(models.Model):
    """How a model that runs is doing on one symbol; one row each, the newest reading."""

    version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="health")
    symbol = models.CharField(max_length=20)
    fault = models.CharField(max_length=20, blank=True)  # of `Fault`; empty: the model is heard
    reason = models.CharField(max_length=300, blank=True)
    since = models.DateTimeField()  # of this fault, or of being heard
    bars = models.PositiveIntegerField(default=0)  # asked, ever
    fallbacks = models.PositiveIntegerField(default=0)  # of these, how often the rule was used
    psi = models.FloatField(null=True)  # the highest of its features; None: too few bars
    loss_drift = models.FloatField(null=True)  # Page-Hinkley, over its threshold; 1 is an alarm
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["version", "symbol"]
        constraints = [models.UniqueConstraint(fields=["version", "symbol"], name="one_health_a_symbol")]

    def __str__(self) -> str:
        return f"{self.version_id} {self.symbol}: {self.fault or 'heard'}"


class ModelReplay(models.Model):
    """What a model read live, held against a replay of the recorded market; written once, never changed."""

    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="replays")
    since = models.DateTimeField()
    until = models.DateTimeField()
    compared = models.PositiveIntegerField()  # forecasts whose market was recorded
    equal = models.PositiveIntegerField()  # of these, how many read bit for bit the same
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(equal__lte=models.F("compared")), name="no_more_equal_than_compared"
            )
        ]

    def __str__(self) -> str:
        return f"{self.version_id}: {self.equal} of {self.compared} equal"
