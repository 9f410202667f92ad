"""Requests to promote a model, and the signatures under them."""

from django.db import models

from riskops.models.signing import GivenSignature, SignedRequest
from trading.domain.model_states import ModelState

_STATES = [(state.value, state.words) for state in ModelState]


class PromotionRequest(SignedRequest):
    """One person asks for the promotion of one model."""

    version = models.ForeignKey("trading.ModelVersion", models.PROTECT, related_name="promotion_requests")
    before = models.CharField(max_length=12, choices=_STATES)
    after = models.CharField(max_length=12, choices=_STATES)
    canary_symbol = models.CharField(max_length=20, blank=True)  # the one symbol it may touch as a canary

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["version"], condition=models.Q(state="OPEN"), name="one_open_promotion_per_model"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="DECIDED") | ~models.Q(decision="PENDING"),
                name="a_decided_promotion_says_what",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} -> {self.after} {self.state}"


class PromotionSignature(GivenSignature):
    """One person's signature under one promotion."""

    request = models.ForeignKey(PromotionRequest, models.PROTECT, related_name="sign_offs")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["request", "role"], name="one_promotion_signature_per_role"),
            models.UniqueConstraint(fields=["request", "person"], name="one_promotion_role_per_person"),
        ]
