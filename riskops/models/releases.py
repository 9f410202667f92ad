"""The tags of phases that succeeded."""

from django.db import models

from riskops.models.phases import StepRequest


class ReleaseTag(models.Model):
    """One GO as a tag; where a repository is configured it is created there, later and again until it is."""

    class State(models.TextChoices):
        RECORDED = "RECORDED", "Recorded"  # there is no repository
        PENDING = "PENDING", "Pending"
        CREATED = "CREATED", "Created"
        FAULT = "FAULT", "Fault"  # a tag of this name says something else

    request = models.OneToOneField(StepRequest, models.PROTECT, related_name="release_tag")
    name = models.CharField(max_length=100, unique=True)
    message = models.TextField()
    state = models.CharField(max_length=8, choices=State)
    commit = models.CharField(max_length=64, blank=True)  # that it points to
    why = models.CharField(max_length=300, blank=True)  # it is not created yet, or never will be
    attempts = models.PositiveIntegerField(default=0)
    recorded_at = models.DateTimeField()
    tried_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} {self.state}"
