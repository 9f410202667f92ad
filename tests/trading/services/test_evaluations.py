"""A family opens the locked year once for good, and what was measured of a model stands with it and in the trail."""

from datetime import UTC, datetime

import pytest

from trading.domain.offline_gate import HoldoutSpent, Opening
from trading.models import AuditEvent, ModelVersion
from trading.services.evaluations import UnableToOpen, keep, open_locked_year, openings

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def version() -> ModelVersion:
    return ModelVersion.objects.create(
        digest="a" * 64, name="lstm", stage=0, card={}, registered_by="cto", registered_at=NOW, state_since=NOW
    )


def test_a_family_opens_the_locked_year_once_and_the_trail_says_who() -> None:
    opening = open_locked_year(family="volatility-1", model="pointwise", by="quant", at=NOW)

    assert openings() == (opening,)
    assert opening == Opening("volatility-1", "pointwise", "2026-11-22T12:00:00+00:00", "quant")
    with pytest.raises(HoldoutSpent, match="volatility-1: the locked year was opened on 2026-11-22"):
        open_locked_year(family="volatility-1", model="tcn", by="cto", at=NOW)
    assert AuditEvent.objects.filter(action="model.holdout_opened").count() == 1


def test_another_family_has_its_own_look() -> None:
    for family in ("volatility-1", "volatility-2"):
        open_locked_year(family=family, model="pointwise", by="quant", at=NOW)

    assert [each.family for each in openings()] == ["volatility-1", "volatility-2"]


@pytest.mark.parametrize(("family", "model"), [("", "m"), ("f", ""), ("f" * 41, "m"), ("f\n", "m")])
def test_a_family_without_a_plain_name_opens_nothing(family: str, model: str) -> None:
    with pytest.raises(UnableToOpen, match="is no name of 1 to 40 letters"):
        open_locked_year(family=family, model=model, by="quant", at=NOW)

    assert openings() == ()


def test_an_evaluation_stays_with_its_model() -> None:
    model = version()

    keep(version=model, evaluation={"evidence": {"folds": 8}, "data": "spot"}, by="quant", at=NOW)

    model.refresh_from_db()
    assert model.evaluation == {"evidence": {"folds": 8}, "data": "spot"}
    event = AuditEvent.objects.get(action="model.evaluated")
    assert (event.actor, event.payload["evidence"]) == ("quant", {"folds": 8})
