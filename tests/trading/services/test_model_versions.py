"""Models move step by step, there is one champion, and a rollback needs nobody's word."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import DatabaseError, transaction
from pytest_django import Settings

from tests.trading import tiny_model
from tests.trading.model_cast import BEGIN, model, succeeded
from trading import live
from trading.domain.events import Severity
from trading.domain.model_states import Condition, ModelState
from trading.models import Alert, AuditEvent, ModelChange, ModelVersion
from trading.services import alerts, audit, model_registry, model_versions
from trading.services.model_versions import UnableToMove

pytestmark = pytest.mark.django_db
S = ModelState
LATER = BEGIN + timedelta(days=1)
WELL = Condition(psi=0.1, loss_drift=0.1, asked=200, silent_s=10)


def verified(digest: str) -> str:
    return ""


def state_of(version: ModelVersion) -> str:
    return ModelVersion.objects.get(pk=version.pk).state


def champion_after_another() -> tuple[ModelVersion, ModelVersion]:
    old, new = model(1, S.RETIRED), model(2, S.CHAMPION)
    succeeded(old)
    return old, new


def test_the_states_of_the_table_are_those_of_the_rule() -> None:
    assert set(ModelVersion.State.values) == set(S)


def test_a_move_leaves_a_row_and_an_audit_row() -> None:
    version = model(1, S.OFFLINE_PASS)

    model_versions.move(version, S.SHADOW, by="engineer", why="signed", at=LATER)

    row, change, sealed = ModelVersion.objects.get(), ModelChange.objects.get(), AuditEvent.objects.get()
    assert (row.state, row.why, row.state_since) == (S.SHADOW, "signed", LATER)
    assert (change.before, change.after, change.by, change.at) == (S.OFFLINE_PASS, S.SHADOW, "engineer", LATER)
    assert (sealed.actor, sealed.action, sealed.subject) == ("engineer", "model.moved", f"model:{row.digest[:12]}")
    assert audit.verify() is None


def test_the_loops_and_the_browsers_are_told_once_it_is_stored(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: "object"
) -> None:
    sent: list[object] = []
    monkeypatch.setattr(live, "send_command", sent.append)
    monkeypatch.setattr(live, "publish_events", lambda *names: sent.extend(names))
    version = model(1, S.OFFLINE_PASS)

    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]  # a fixture of pytest-django
        model_versions.move(version, S.SHADOW, by="engineer", why="signed", at=LATER)
        assert not sent

    assert sent == ["models", {"cmd": "models", "account": None}]


def test_no_step_is_skipped() -> None:
    with pytest.raises(UnableToMove, match=r"After registered comes .*, not champion\."):
        model_versions.move(model(1), S.CHAMPION, by="cto", why="now", at=LATER)
    assert not ModelChange.objects.exists()
    assert not AuditEvent.objects.exists()


def test_the_champion_retires_for_the_next_one() -> None:
    old, new = model(1, S.CHAMPION), model(2, S.CANARY, canary_symbol="BTCUSDT")

    model_versions.move(new, S.CHAMPION, by="cto", why="signed", at=LATER)

    assert (state_of(old), state_of(new)) == (S.RETIRED, S.CHAMPION)
    assert ModelVersion.objects.get(pk=new.pk).canary_symbol == ""
    assert ModelVersion.objects.get(pk=old.pk).why == f"net2 {new.digest[:8]} took its place"


def test_a_canary_touches_one_symbol_and_is_alone() -> None:
    first, second = model(1, S.SHADOW), model(2, S.SHADOW)
    with pytest.raises(UnableToMove, match="name it"):
        model_versions.move(first, S.CANARY, by="lead", why="signed", at=LATER)

    model_versions.move(first, S.CANARY, by="lead", why="signed", at=LATER, canary_symbol="BTCUSDT")

    assert ModelVersion.objects.get(pk=first.pk).canary_symbol == "BTCUSDT"
    with pytest.raises(UnableToMove, match="is the canary: decide on it first"):
        model_versions.move(second, S.CANARY, by="lead", why="signed", at=LATER, canary_symbol="BTCUSDT")


def test_the_machine_passes_what_it_measured_and_never_a_quick_model() -> None:
    quick, unknown, full = model(1, card={"quick": True}), model(2, card={}), model(3)

    for one in (quick, unknown):
        with pytest.raises(UnableToMove, match="plumbing only"):
            model_versions.pass_offline(one, passed=True, why="PASS", at=LATER)
    assert model_versions.pass_offline(full, passed=False, why="STAY", at=LATER) is None
    assert state_of(full) == S.REGISTERED
    model_versions.pass_offline(full, passed=True, why="PASS", at=LATER)
    assert state_of(full) == S.OFFLINE_PASS


def test_what_was_moved_is_never_changed() -> None:
    model_versions.move(model(1, S.OFFLINE_PASS), S.SHADOW, by="engineer", why="signed", at=LATER)

    for forge in (lambda: ModelChange.objects.update(by="nobody"), lambda: ModelChange.objects.all().delete()):
        with pytest.raises(DatabaseError, match="append"), transaction.atomic():
            forge()


# --- rollback -----------------------------------------------------------------------------------------------------


def test_the_champion_before_comes_back_where_its_files_verify() -> None:
    old, new = champion_after_another()

    in_force = model_versions.roll_back(new, by="trader", why="odd", at=LATER, verify=verified)

    assert in_force == old
    assert (state_of(old), state_of(new)) == (S.CHAMPION, S.ROLLED_BACK)
    told = Alert.objects.get(code="MODEL_ROLLED_BACK")
    assert told.severity == Severity.WARN
    assert told.message.endswith(f"odd; net1 {old.digest[:8]} is the champion.")
    moves = AuditEvent.objects.order_by("sequence").values_list("payload__after", flat=True)
    assert list(moves) == [S.ROLLED_BACK, S.CHAMPION]


def test_without_sound_files_the_rule_grid_trades() -> None:
    old, new = champion_after_another()

    assert model_versions.roll_back(new, by="trader", why="odd", at=LATER, verify=lambda _: "tampered") is None
    assert (state_of(old), state_of(new)) == (S.RETIRED, S.ROLLED_BACK)
    assert Alert.objects.get().message.endswith("the rule grid trades alone.")


def test_after_a_crit_nothing_comes_back_by_itself() -> None:
    old, new = champion_after_another()
    alerts.raise_alert(account=None, severity=Severity.CRIT, code="GHOST_ORDER", message="gc-1", at=BEGIN)

    assert model_versions.roll_back(new, by="rule", why="odd", at=LATER, verify=verified) is None
    assert state_of(old) == S.RETIRED


def test_a_champion_that_was_rolled_back_itself_does_not_come_back() -> None:
    old, new = champion_after_another()
    model_versions.roll_back(new, by="lead", why="odd", at=LATER, verify=verified)

    assert model_versions.roll_back(old, by="lead", why="odd too", at=LATER, verify=verified) is None
    assert not ModelVersion.objects.filter(state=S.CHAMPION).exists()


def test_a_canary_goes_and_the_champion_stays() -> None:
    champion, canary = model(1, S.CHAMPION), model(2, S.CANARY, canary_symbol="BTCUSDT")

    assert model_versions.roll_back(canary, by="lead", why="odd", at=LATER) == champion
    assert (state_of(champion), state_of(canary)) == (S.CHAMPION, S.ROLLED_BACK)


def test_what_nobody_trades_on_cannot_be_rolled_back() -> None:
    with pytest.raises(UnableToMove, match="nobody trades on it"):
        model_versions.roll_back(model(1, S.SHADOW), by="lead", why="odd", at=LATER)


def test_drift_takes_a_champion_back_and_only_tells_of_a_shadow() -> None:
    champion, shadow = model(1, S.CHAMPION), model(2, S.SHADOW)
    drifted = Condition(psi=0.4, silent_s=10)

    assert model_versions.heed(shadow, drifted, at=LATER) == ""
    assert model_versions.heed(champion, drifted, at=LATER) == "a feature has drifted: PSI 0.40, limit 0.25"

    assert (state_of(champion), state_of(shadow)) == (S.ROLLED_BACK, S.SHADOW)
    assert set(Alert.objects.values_list("code", flat=True)) == {"MODEL_DRIFT", "MODEL_ROLLED_BACK"}
    assert ModelChange.objects.get().by == "rule: model watch"


def test_a_model_that_does_well_is_left_alone() -> None:
    champion = model(1, S.CHAMPION)

    assert model_versions.heed(champion, WELL, at=LATER) == ""
    assert state_of(champion) == S.CHAMPION
    assert not Alert.objects.exists()


def test_of_a_model_that_is_not_heard_people_are_told_once_until_it_is_over() -> None:
    champion, late = model(1, S.CHAMPION), Condition(psi=0.1, silent_s=10, faults=("BTCUSDT: late",))

    model_versions.heed(champion, late, at=LATER)
    Alert.objects.update(acknowledged_at=LATER)
    model_versions.heed(champion, late, at=LATER)

    told = Alert.objects.get()
    assert (told.code, told.severity) == ("MODEL_FALLBACK", Severity.WARN)
    assert "BTCUSDT: late" in told.message
    model_versions.heed(champion, WELL, at=LATER)
    assert Alert.objects.get().cleared_at == LATER
    model_versions.heed(champion, late, at=LATER)
    assert Alert.objects.count() == 2


def test_an_alarm_that_nobody_can_measure_any_more_stands() -> None:
    shadow = model(1, S.SHADOW)
    model_versions.heed(shadow, Condition(psi=0.4, silent_s=10), at=LATER)

    model_versions.heed(shadow, Condition(silent_s=10), at=LATER)
    assert Alert.objects.get().cleared_at is None
    model_versions.heed(shadow, Condition(psi=0.2, silent_s=10), at=LATER)

    assert Alert.objects.get().cleared_at == LATER


def test_what_was_told_of_a_model_ends_when_it_no_longer_runs() -> None:
    gone, shadow = model(1, S.CHAMPION), model(2, S.SHADOW)
    for one in (gone, shadow):
        model_versions.heed(one, Condition(psi=0.4, silent_s=10), at=LATER)

    model_versions.forget_others([shadow], at=LATER)

    ended = Alert.objects.filter(code="MODEL_DRIFT", cleared_at=LATER).values_list("symbol", flat=True)
    assert list(ended) == [gone.digest[:12]]


def test_a_champion_comes_back_with_whole_files_and_not_with_tampered_ones(settings: Settings, tmp_path: Path) -> None:
    settings.ARTIFACTS_DIR = tmp_path
    old = model_registry.register(tiny_model.files(), by="cto", at=BEGIN)
    ModelVersion.objects.update(state=S.RETIRED)
    succeeded(old)

    assert model_versions.why_unusable(old.digest) == ""
    (tmp_path / "models" / old.digest / "model.onnx").write_bytes(b"another net")
    assert model_versions.why_unusable(old.digest)

    assert model_versions.roll_back(model(2, S.CHAMPION), by="lead", why="odd", at=LATER) is None
    assert state_of(old) == S.RETIRED
