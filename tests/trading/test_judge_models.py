"""The task that looks at every model every minute, without governance: what drifts is back at the rule by itself."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from tests.trading.model_cast import health, model
from trading import tasks
from trading.domain.model_states import ModelState
from trading.models import Alert, AuditEvent, ModelVersion

pytestmark = pytest.mark.django_db
S = ModelState


def states() -> dict[str, str]:
    return dict(ModelVersion.objects.values_list("name", "state"))


def told() -> set[str]:
    return set(Alert.objects.filter(cleared_at=None).values_list("code", flat=True))


def test_a_champion_whose_features_drift_is_back_at_the_rule_within_a_look() -> None:
    champion, shadow = model(1, S.CHAMPION, at=now()), model(2, S.SHADOW, at=now())
    health(champion, now(), psi=0.9)
    health(shadow, now(), psi=0.1)

    tasks.judge_models()

    assert states() == {"net1": S.ROLLED_BACK, "net2": S.SHADOW}
    assert AuditEvent.objects.get().actor == "rule: model watch"
    assert told() == {"MODEL_DRIFT", "MODEL_ROLLED_BACK"}
    tasks.judge_models()
    assert told() == {"MODEL_ROLLED_BACK"}  # it no longer runs, and so no longer drifts


def test_one_that_does_well_stays_and_nobody_is_told() -> None:
    health(model(1, S.CHAMPION, at=now()), now())

    tasks.judge_models()

    assert states() == {"net1": S.CHAMPION}
    assert told() == set()


def test_of_a_canary_that_says_nothing_people_are_told() -> None:
    canary = model(1, S.CANARY, at=now(), canary_symbol="BTCUSDT")
    health(canary, now() - timedelta(minutes=11))

    tasks.judge_models()

    assert states() == {"net1": S.CANARY}
    assert told() == {"MODEL_FALLBACK"}
