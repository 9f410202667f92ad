"""What was measured of a model: its forecasts by the hour, and how it does now."""

from datetime import timedelta

import pytest

from tests.trading.model_cast import BEGIN, HOUR, forecasts, health, model
from trading.domain.events import Severity
from trading.domain.model_scores import Measure
from trading.domain.model_states import ModelState
from trading.models import ModelForecast
from trading.selectors import model_evidence
from trading.services import alerts, model_versions

pytestmark = pytest.mark.django_db
S, M = ModelState, Measure
WEEK_H = 168


def test_a_model_that_beats_the_rule_says_so_by_the_hour() -> None:
    shadow = model(1, S.SHADOW)
    end = forecasts(shadow, WEEK_H, error=0.1, rule=0.3, step=4)

    found = model_evidence.shadow(shadow, BEGIN, end)

    assert found[M.DAYS].value == 7
    assert (found[M.HOURS].value, found[M.HOURS].samples) == (WEEK_H, WEEK_H)
    skill, coverage = found[M.SKILL], found[M.COVERAGE]
    assert skill.value is not None
    assert skill.value > 2
    assert skill.detail.endswith("against the rule, 168 hours")
    assert coverage.value == pytest.approx(0.8, abs=0.01)
    assert found[M.FALLBACK].value == 0
    assert found[M.CRITS].value == 0


def test_one_that_is_worse_has_a_t_below_zero() -> None:
    shadow = model(1, S.SHADOW)
    end = forecasts(shadow, WEEK_H, error=0.4, rule=0.3, step=2)

    value = model_evidence.shadow(shadow, BEGIN, end)[M.SKILL].value

    assert value is not None
    assert value < -2


def test_with_a_champion_in_force_it_is_the_one_to_beat() -> None:
    shadow, champion = model(1, S.SHADOW), model(2, S.CHAMPION)
    end = forecasts(shadow, WEEK_H, error=0.1, step=2)
    unknown = model_evidence.shadow(shadow, BEGIN, end)[M.SKILL]
    forecasts(champion, WEEK_H, error=0.05, step=2)

    against = model_evidence.shadow(shadow, BEGIN, end)[M.SKILL]

    assert (unknown.value, unknown.detail) == (None, "too few hours scored beside net2")
    assert against.value is not None
    assert against.value < 0
    assert "against net2" in against.detail


def test_every_bar_that_the_rule_answered_counts_but_while_warming_or_halted() -> None:
    shadow = model(1, S.SHADOW)
    end = forecasts(shadow, 10, fault_every=12)
    ModelForecast.objects.filter(at__lt=BEGIN + 3 * HOUR, fault="late").update(fault="warming")

    found = model_evidence.shadow(shadow, BEGIN, end)[M.FALLBACK]

    assert found.samples == 117
    assert found.value == pytest.approx(7 / 117)


def test_features_are_known_once_a_replay_was_held_against_them() -> None:
    shadow = model(1, S.SHADOW)
    at = BEGIN + timedelta(days=1)
    assert model_evidence.shadow(shadow, BEGIN, at)[M.FEATURES].value is None

    for since, equal in ((BEGIN - HOUR, 0), (BEGIN, 300), (BEGIN + HOUR, 299)):
        model_versions.record_replay(shadow, since=since, until=at, compared=300, equal=equal, at=at)

    found = model_evidence.shadow(shadow, BEGIN, at)[M.FEATURES]
    assert (found.value, found.samples) == (599 / 600, 600)


def test_nothing_is_known_of_a_model_that_said_nothing() -> None:
    found = model_evidence.shadow(model(1, S.SHADOW), BEGIN, BEGIN)

    assert {name for name, one in found.items() if one.value is None} == {M.SKILL, M.COVERAGE, M.FALLBACK, M.FEATURES}
    assert found[M.HOURS].value == found[M.DAYS].value == 0


def test_the_offline_gate_is_known_by_its_move() -> None:
    version = model(1)
    assert model_evidence.offline(version)[M.OFFLINE].value is None

    model_versions.pass_offline(version, passed=True, why="PASS of 8 folds", at=BEGIN)

    assert model_evidence.offline(version)[M.OFFLINE].detail == "PASS of 8 folds"
    assert model_evidence.offline(version)[M.FULL].value == 1
    assert model_evidence.offline(model(2, card={"quick": True}))[M.FULL].value == 0
    assert model_evidence.offline(model(3, card={}))[M.FULL].value is None


def test_of_a_canary_that_no_desk_trades_nothing_is_known_of_conduct() -> None:
    found = model_evidence.canary(model(1, S.CANARY, canary_symbol="BTCUSDT"), BEGIN, BEGIN + timedelta(days=7))

    kinds = (M.FILL_RATE, M.LATENCY, M.DRAWDOWN, M.MARK_OUT, M.PNL)
    assert {found[kind].value for kind in kinds} == {None}
    assert found[M.PNL].detail == "no desk runs a grid on this symbol"


def test_how_a_model_does_now() -> None:
    champion = model(1, S.CHAMPION)
    end = forecasts(champion, WEEK_H, error=0.4, rule=0.3, step=12, fault_every=6)
    health(champion, end, psi=0.31, loss_drift=0.5, fault="late")
    alerts.raise_alert(account=None, severity=Severity.CRIT, code="GHOST_ORDER", message="gc-1", at=end)

    seen = model_evidence.condition(champion, end + timedelta(seconds=30))

    assert (seen.psi, seen.loss_drift, seen.silent_s, seen.bar_s) == (0.31, 0.5, 30, 300)
    assert (seen.faults, seen.crits) == (("BTCUSDT: late",), ("GHOST_ORDER",))
    assert seen.fell_back / seen.asked == pytest.approx(1 / 6, abs=0.01)
    assert seen.asked == pytest.approx(288, abs=1)
    assert seen.t_rule is not None
    assert seen.t_rule < -2


def test_of_a_model_that_never_spoke_nothing_is_known() -> None:
    seen = model_evidence.condition(model(1, S.CHAMPION), BEGIN)

    assert (seen.psi, seen.loss_drift, seen.silent_s, seen.t_rule, seen.asked) == (None, None, None, None, 0)
