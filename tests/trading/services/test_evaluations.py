"""A family opens the locked year once for good, and what was measured of a model stands with it and in the trail."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.trading.domain.test_offline_gate import ON_THE_LINE
from trading.domain.offline_gate import HoldoutSpent, Opening
from trading.models import AuditEvent, ModelChange, ModelVersion
from trading.services.evaluations import UnableToOpen, keep, open_locked_year, openings

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


ENOUGH = asdict(ON_THE_LINE)


def version(state: str = "REGISTERED", **card: Any) -> ModelVersion:
    return ModelVersion.objects.create(
        digest="a" * 64, name="lstm", stage=0, card=card, registered_by="cto", registered_at=NOW, state_since=NOW,
        state=state,
    )  # fmt: skip


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


def test_one_that_shows_enough_passes_the_offline_gate_by_the_rule() -> None:
    kept = keep(version=version(quick=False), evaluation={"evidence": ENOUGH}, by="quant", at=NOW)

    move, row = ModelChange.objects.get(), ModelVersion.objects.get()
    assert (kept.state, row.state, row.evaluation) == ("OFFLINE_PASS", "OFFLINE_PASS", {"evidence": ENOUGH})
    assert (move.before, move.after, move.by) == ("REGISTERED", "OFFLINE_PASS", "rule: offline gate")
    assert move.why == "15 of 15 criteria of the offline gate are met"
    actions = list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True))
    assert actions == ["model.evaluated", "model.moved"]


@pytest.mark.parametrize(
    ("state", "card", "evaluation"),
    [
        ("REGISTERED", {"quick": False}, {"evidence": ENOUGH | {"folds": 7}}),
        ("REGISTERED", {"quick": False}, {"evidence": ENOUGH | {"holdout_openings": None}}),
        ("REGISTERED", {"quick": False}, {}),
        ("REGISTERED", {"quick": True}, {"evidence": ENOUGH}),
        ("REGISTERED", {}, {"evidence": ENOUGH}),
        ("RETIRED", {"quick": False}, {"evidence": ENOUGH}),
        ("SHADOW", {"quick": False}, {"evidence": ENOUGH}),
    ],
)
def test_whatever_lacks_anything_stays_what_it_is(
    state: str, card: dict[str, Any], evaluation: dict[str, Any]
) -> None:  # fmt: skip
    kept = keep(version=version(state, **card), evaluation=evaluation, by="quant", at=NOW)

    assert (kept.state, kept.evaluation) == (state, evaluation)
    assert not ModelChange.objects.exists()


def test_the_locked_year_is_added_to_what_was_measured_before() -> None:
    model = version()
    keep(version=model, evaluation={"evidence": {"folds": 8}, "mse": 0.6}, by="quant", at=NOW)

    opened = {"opened": {"family": "f"}, "evidence": {"folds": 6, "holdout_openings": 1, "holdout_skill": 0.1}}
    found = keep(version=model, evaluation=opened, by="quant", at=NOW).evaluation

    assert found is not None
    assert found["evidence"] == {"folds": 8, "holdout_openings": 1, "holdout_skill": 0.1}
    assert (found["mse"], found["offline_pass"]) == (0.6, False)
