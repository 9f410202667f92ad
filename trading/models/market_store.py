"""The catalogue of stored market history: what was imported or recorded, and which files hold it."""

from typing import Any, Final

from django.db import models

STEP: Final[dict[str, Any]] = {"max_digits": 38, "decimal_places": 18}


class MarketImport(models.Model):
    """One file that was taken into the store, whole."""

    file_name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64, db_index=True)
    size = models.BigIntegerField()  # bytes
    kind = models.CharField(max_length=10)
    venue = models.CharField(max_length=32)
    symbol = models.CharField(max_length=20)
    interval_s = models.PositiveIntegerField(default=0)
    rows = models.BigIntegerField()
    left_out = models.BigIntegerField(default=0)  # not traded on the market, left out on request
    hole_count = models.PositiveIntegerField(default=0)
    first_at_ns = models.BigIntegerField()
    last_at_ns = models.BigIntegerField()
    by = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.file_name


class MarketPart(models.Model):
    """One stored file: one day of one series, or one flush of the recorder."""

    class Source(models.TextChoices):
        FILE = "file", "imported"
        RECORDER = "recorder", "recorded"

    source = models.CharField(max_length=10, choices=Source.choices)
    imported = models.ForeignKey(MarketImport, models.PROTECT, null=True, related_name="parts")
    kind = models.CharField(max_length=10)  # "tape": trades and tops of several symbols, not sorted into days yet
    venue = models.CharField(max_length=32)
    symbol = models.CharField(max_length=20, blank=True)
    interval_s = models.PositiveIntegerField(default=0)
    day = models.DateField()
    path = models.CharField(max_length=255, unique=True)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()  # bytes
    rows = models.BigIntegerField()
    first_at_ns = models.BigIntegerField()
    last_at_ns = models.BigIntegerField()
    first_id = models.BigIntegerField(default=0)
    last_id = models.BigIntegerField(default=0)
    tick_size = models.DecimalField(**STEP, default=0)
    lot_size = models.DecimalField(**STEP, default=0)
    steps_from = models.CharField(max_length=12, blank=True)  # "instrument" | "data"
    holes = models.JSONField(default=list)  # [[from ns, until ns, missing rows or 0], ...]
    hole_count = models.PositiveIntegerField(default=0)
    lost = models.BigIntegerField(default=0)  # events the recorder had no room for
    stored_at = models.DateTimeField()
    checked_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=300, blank=True)  # what the last check found

    class Meta:
        ordering = ["kind", "venue", "symbol", "interval_s", "day", "first_at_ns"]
        indexes = [models.Index(fields=["venue", "symbol", "first_at_ns"], name="market_part_span")]

    def __str__(self) -> str:
        return self.path
