"""A canary, and a request to make it the champion that waits for its signatures."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from django.db import connection
from django.utils.timezone import now

from riskops.models import PromotionRequest, PromotionSignature
from riskops.services import promotions
from tests.trading import models_at_hand as at_hand
from trading.models import Alert, ModelChange, ModelForecast, ModelHealth, ModelReplay, ModelVersion, TrainingRun

if TYPE_CHECKING:
    from django.contrib.auth.models import User

NEVER_DELETED: Final = (ModelChange, ModelReplay, PromotionSignature, PromotionRequest)
OF_PROMOTIONS: Final = frozenset(f"riskops:{name}" for name in (
    "promotion", "request-promotion", "roll-back-model", "sign-promotion", "decide-promotion", "withdraw-promotion",
))  # fmt: skip
UNASKED: Final = frozenset({"riskops:request-promotion", "riskops:roll-back-model"})


def clear_models() -> None:
    """Undo every model; what is append-only goes with the whole table."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(model._meta.db_table for model in NEVER_DELETED)}")
    for table in (ModelForecast, ModelHealth, ModelVersion, TrainingRun):
        table.objects.all().delete()
    Alert.objects.exclude(code="DRAWDOWN").delete()


def arrange_promotion(people: "Mapping[str, User]", route: str) -> PromotionRequest | None:
    """Put a canary where a right request for `route` finds it; return the promotion that somebody asked for."""
    clear_models()
    canary = at_hand.model(1, "CANARY", canary_symbol="BTCUSDT", why="\u202e <b>")
    if route in UNASKED:
        return None
    return promotions.request(version=canary, by=people["trader"], at=now())
