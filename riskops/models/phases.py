"""Phases: templates, their runs, the requests to step up, and the signatures."""

from django.conf import settings
from django.db import models

from riskops.domain.gates import Outcome
from riskops.domain.steps import Decision
from riskops.models.signing import GivenSignature, SignedRequest


class PhaseTemplate(models.Model):
    """One version of one phase as it was read; a version in use is never changed."""

    phase = models.CharField(max_length=8)  # "4.0"
    version = models.PositiveIntegerField()
    text = models.TextField()  # the file
    digest = models.CharField(max_length=64)
    loaded_at = models.DateTimeField()

    class Meta:
        ordering = ["phase", "-version"]
        constraints = [models.UniqueConstraint(fields=["phase", "version"], name="one_template_per_version")]

    def __str__(self) -> str:
        return f"{self.phase} v{self.version}"


class PhaseRun(models.Model):
    """One account under one phase, from its start until people decide."""

    account = models.ForeignKey("trading.Account", models.PROTECT, related_name="phase_runs")
    template = models.ForeignKey(PhaseTemplate, models.PROTECT, related_name="runs")
    mandate = models.OneToOneField("trading.Mandate", models.PROTECT, related_name="phase_run")
    started_by = models.CharField(max_length=150)
    started_at = models.DateTimeField()
    window_from = models.DateTimeField()  # evidence counts from here; a HOLD moves it
    window_snapshot = models.TextField(blank=True)  # what the database showed then: alerts stored since count as well
    window_transaction = models.BigIntegerField(default=0)  # that began the window
    extended = models.BooleanField(default=False)  # by a HOLD: the window takes the longer time of its phase
    outcome = models.CharField(
        max_length=8, choices=[(o.value, o.value) for o in Outcome], default=Outcome.RUNNING.value
    )
    judged_at = models.DateTimeField(null=True)
    is_retest = models.BooleanField(default=False)  # the run before failed: it begins with 48 h on paper
    accelerated = models.BooleanField(default=False)  # some of its time was a replay faster than time
    decision = models.CharField(
        max_length=8, choices=[(d.value, d.value) for d in Decision], default=Decision.PENDING.value
    )
    ended_at = models.DateTimeField(null=True)
    measured = models.JSONField(default=dict)  # metric -> value as text when it ended: the next phase's baseline

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account"], condition=models.Q(ended_at=None), name="one_open_run_per_account"
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at=None) | ~models.Q(decision="PENDING"), name="an_ended_run_is_decided"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account.slug} {self.template.phase} {self.decision}"


class StepRequest(SignedRequest):
    """One person asks for the step to the next phase; what was shown then is what gets signed."""

    run = models.ForeignKey(PhaseRun, models.PROTECT, related_name="requests")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["run"], condition=models.Q(state="OPEN"), name="one_open_request_per_run"),
            models.CheckConstraint(
                condition=~models.Q(state="DECIDED") | ~models.Q(decision="PENDING"), name="a_decided_request_says_what"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run} {self.state}"


class SignOff(GivenSignature):
    """One person's signature, in one role, under one request; written once, never changed."""

    request = models.ForeignKey(StepRequest, models.PROTECT, related_name="sign_offs")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["request", "role"], name="one_signature_per_role"),
            models.UniqueConstraint(fields=["request", "person"], name="one_role_per_person"),
        ]


class ChecklistTick(models.Model):
    """One person ticked or unticked one item; of an item the newest row counts, none is ever changed."""

    request = models.ForeignKey(StepRequest, models.PROTECT, related_name="ticks")
    item = models.CharField(max_length=200)
    done = models.BooleanField()
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    note = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{'☑' if self.done else '☐'} {self.item}"


class ChecklistAttachment(models.Model):
    """A file that a person attached to a tick; written once, never changed, only ever given as a download."""

    tick = models.OneToOneField(ChecklistTick, models.PROTECT, related_name="attachment")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=40)
    size = models.PositiveIntegerField()  # bytes
    sha256 = models.CharField(max_length=64)
    content = models.BinaryField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(size__gt=0, size__lte=1_000_000), name="attachment_is_small")
        ]

    def __str__(self) -> str:
        return self.name
