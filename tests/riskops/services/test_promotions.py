"""Models are promoted by the people who sign for them, on evidence that was stored, and never beside a step."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError, transaction

from riskops.domain.gates import Outcome, State
from riskops.domain.promotions import open_words
from riskops.domain.steps import Decision
from riskops.models import PhaseRun, PromotionRequest, PromotionSignature, StepRequest
from riskops.promoting import stand, window_from
from riskops.services import phases, promotions
from riskops.services.phases import UnableToStep
from riskops.services.promotions import UnableToPromote
from riskops.standing import stand as stand_of_run
from tests.riskops import cast
from tests.riskops.model_evidence import WEEK_H, forecast_well, trade_well
from tests.trading.model_cast import BEGIN, model
from trading.domain.model_states import ModelState
from trading.models import Account, Alert, AuditEvent, Mandate, ModelChange, ModelVersion
from trading.services import audit, model_versions

pytestmark = pytest.mark.django_db
S = ModelState
WEEK = timedelta(days=7)
REASON = "a reason long enough"


def offline(number: int = 1) -> ModelVersion:
    """Return a model that the machine has passed."""
    version = model(number)
    return model_versions.pass_offline(version, passed=True, why="PASS", at=BEGIN) or version


def ask(version: ModelVersion, at: datetime, by: str = "engineer", symbol: str = "BTCUSDT") -> PromotionRequest:
    return promotions.request(version=version, by=cast.person(by), canary_symbol=symbol, at=at)


def sign(asked: PromotionRequest, name: str, at: datetime, *, approves: bool = True, note: str = "") -> None:
    promotions.sign(
        request_id=asked.pk, by=cast.person(name), role=cast.ROLES[name], approves=approves, note=note,
        digest=asked.digest, at=at,
    )  # fmt: skip


def decide(
    asked: PromotionRequest, at: datetime, decision: Decision = Decision.GO, *, by: str = "engineer", notes: str = ""
) -> PromotionRequest:
    return promotions.decide(
        request_id=asked.pk, by=cast.person(by), decision=decision, notes=notes, digest=asked.digest, at=at
    )


def promoted(version: ModelVersion, at: datetime, *who: str) -> ModelVersion:
    """Have `version` promoted by everybody who signs, asked for by the trader."""
    asked = ask(version, at, by="trader")
    for name in who:
        sign(asked, name, at)
    decide(asked, at)
    return ModelVersion.objects.get(pk=version.pk)


@pytest.fixture
def canary() -> ModelVersion:
    """A canary on BTCUSDT since two weeks after the beginning, at a desk that traded well all the time."""
    account = cast.desk()
    phases.start_run(account=account, phase_id="4.0", by="lead", at=BEGIN)
    shadow = promoted(offline(), BEGIN, "engineer")
    at = forecast_well(shadow, BEGIN)
    made = promoted(shadow, at, "engineer", "lead")
    trade_well(account, BEGIN)
    forecast_well(made, at)
    return made


def test_a_model_goes_all_the_way_on_evidence_and_signatures(canary: ModelVersion) -> None:
    assert (canary.state, canary.canary_symbol, canary.state_since) == (S.CANARY, "BTCUSDT", BEGIN + WEEK)

    standing = stand(canary, BEGIN + 2 * WEEK)
    assert standing is not None
    assert open_words(standing.findings) == ""
    champion = promoted(canary, BEGIN + 2 * WEEK, "engineer", "lead", "cto")

    assert champion.state == S.CHAMPION
    moves = ModelChange.objects.order_by("id").values_list("after", flat=True)
    assert list(moves) == [S.OFFLINE_PASS, S.SHADOW, S.CANARY, S.CHAMPION]
    told = AuditEvent.objects.filter(action__startswith="promotion.").values_list("action", flat=True)
    assert sorted(told) == ["promotion.decided"] * 3 + ["promotion.requested"] * 3 + ["promotion.signed"] * 6
    assert audit.verify() is None


def test_from_25_000_the_ceo_signs_as_well(canary: ModelVersion) -> None:
    Mandate.objects.update(capital_quote=25_000)

    with pytest.raises(UnableToPromote, match=r"Signatures are missing: CEO\."):
        promoted(canary, BEGIN + 2 * WEEK, "engineer", "lead", "cto")
    sign(PromotionRequest.objects.get(state="OPEN"), "ceo", BEGIN + 2 * WEEK)
    decide(PromotionRequest.objects.get(state="OPEN"), BEGIN + 2 * WEEK)

    assert ModelVersion.objects.get(pk=canary.pk).state == S.CHAMPION


def test_an_hour_too_early_nobody_promotes_it(canary: ModelVersion) -> None:
    asked = ask(canary, BEGIN + 2 * WEEK - timedelta(hours=1))
    for name in ("engineer", "lead", "cto"):
        sign(asked, name, asked.requested_at)

    with pytest.raises(UnableToPromote, match="The evidence does not carry it: days in this state: not met"):
        decide(asked, asked.requested_at)
    assert ModelVersion.objects.get(pk=canary.pk).state == S.CANARY
    assert not AuditEvent.objects.filter(action="promotion.decided", payload__to=S.CHAMPION).exists()


def test_without_evidence_a_shadow_stays_one() -> None:
    shadow = promoted(offline(), BEGIN, "engineer")

    standing = stand(shadow, BEGIN + WEEK)

    assert standing is not None
    states = {one.criterion.measure.name: one.state for one in standing.findings}
    unknown = {"SKILL", "COVERAGE", "FALLBACK", "FEATURES"}
    assert {name for name, state in states.items() if state is State.NO_DATA} == unknown
    assert states["HOURS"] is State.NOT_MET


def test_a_quick_model_is_never_promoted() -> None:
    quick = model(1, S.OFFLINE_PASS, card={"quick": True})
    asked = ask(quick, BEGIN, by="trader")
    sign(asked, "engineer", BEGIN)

    with pytest.raises(UnableToPromote, match=r"offline gate: no data .*; full training: not met"):
        decide(asked, BEGIN)


# --- who ----------------------------------------------------------------------------------------------------------


def test_whoever_asked_cannot_be_its_only_signer() -> None:
    asked = ask(offline(), BEGIN, by="engineer")
    sign(asked, "engineer", BEGIN)

    with pytest.raises(UnableToPromote, match="Whoever asked for the promotion cannot be its only signer"):
        decide(asked, BEGIN)


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        (lambda asked: ask(asked.version, BEGIN), "A request is open already"),
        (lambda asked: ask(offline(2), BEGIN, by="ceo"), "may ask for a promotion"),
        (lambda asked: ask(model(3), BEGIN), "net3 is registered: nobody promotes it from there"),
        (lambda asked: sign(asked, "lead", BEGIN), "Trading Lead does not sign this promotion; it needs Engineer"),
        (lambda asked: decide(asked, BEGIN, by="cto"), "Only Engineer decides this promotion"),
        (lambda asked: decide(asked, BEGIN), "Signatures are missing: Engineer"),
        (lambda asked: decide(asked, BEGIN, Decision.HOLD), "Say why"),
        (lambda asked: decide(asked, BEGIN + timedelta(hours=72)), "older than 72 h and has expired"),
        (lambda asked: promotions.withdraw(request_id=asked.pk, by=cast.person("ceo"), at=BEGIN), "Only who asked"),
        (lambda asked: promotions.withdraw(request_id=0, by=cast.person("ceo"), at=BEGIN), "closed already"),
    ],
)
def test_what_is_refused_changes_nothing(deed: Callable[[PromotionRequest], object], words: str) -> None:
    asked = ask(offline(), BEGIN, by="trader")
    before = PromotionRequest.objects.values().get(), PromotionSignature.objects.count()

    with pytest.raises(UnableToPromote, match=words):
        deed(asked)

    assert (PromotionRequest.objects.values().get(), PromotionSignature.objects.count()) == before


def test_a_signature_binds_what_was_shown() -> None:
    asked = ask(offline(), BEGIN, by="trader")
    asked.digest = "f" * 64

    for deed in (lambda: sign(asked, "engineer", BEGIN), lambda: decide(asked, BEGIN)):
        with pytest.raises(UnableToPromote, match="What you were shown has changed"):
            deed()


def test_a_canary_names_its_symbol() -> None:
    shadow = promoted(offline(), BEGIN, "engineer")

    cast.desk()

    for symbol, words in (("", "A canary touches one symbol: name it"), ("SOLUSDT", "No desk runs a grid on SOLUSDT")):
        with pytest.raises(UnableToPromote, match=words):
            ask(shadow, BEGIN, symbol=symbol)
    assert ask(shadow, BEGIN, symbol="ETHUSDT").shown["canary_symbol"] == "ETHUSDT"


def test_signatures_are_never_changed() -> None:
    sign(ask(offline(), BEGIN, by="trader"), "engineer", BEGIN)

    for forge in (
        lambda: PromotionSignature.objects.update(approves=False),
        lambda: PromotionSignature.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError, match="append"), transaction.atomic():
            forge()


# --- other ends ---------------------------------------------------------------------------------------------------


def test_hold_begins_the_window_anew(canary: ModelVersion) -> None:
    at = BEGIN + 2 * WEEK

    decide(ask(canary, at), at, Decision.HOLD, notes=REASON)

    assert window_from(canary) == at
    assert ModelVersion.objects.get(pk=canary.pk).state == S.CANARY
    standing = stand(canary, at + timedelta(hours=1))
    assert standing is not None
    assert "days in this state: not met" in open_words(standing.findings)


def test_no_go_takes_a_canary_back_and_retires_a_shadow(canary: ModelVersion) -> None:
    decide(ask(canary, BEGIN + WEEK), BEGIN + WEEK, Decision.NO_GO, notes=REASON)
    shadow = promoted(offline(2), BEGIN, "engineer")
    decide(ask(shadow, BEGIN), BEGIN, Decision.NO_GO, notes=REASON)

    states = ModelVersion.objects.order_by("id").values_list("state", flat=True)
    assert list(states) == [S.ROLLED_BACK, S.RETIRED]
    assert Alert.objects.filter(code="MODEL_ROLLED_BACK").count() == 1


def test_what_was_taken_back_begins_in_the_shadow_again(canary: ModelVersion) -> None:
    promotions.roll_back(version=canary, by=cast.person("trader"), why="", at=BEGIN + WEEK)

    again = promoted(canary, BEGIN + WEEK, "engineer")

    assert (again.state, again.canary_symbol) == (S.SHADOW, "")


def test_a_request_whose_model_was_rolled_back_is_void(canary: ModelVersion) -> None:
    asked = ask(canary, BEGIN + WEEK)

    promotions.roll_back(version=canary, by=cast.person("trader"), why="odd", at=BEGIN + WEEK)

    asked.refresh_from_db()
    assert (asked.state, asked.why_void) == ("VOID", "The model is rolled back by now: ask again.")
    with pytest.raises(UnableToPromote, match="closed already: The model is rolled back"):
        sign(asked, "engineer", BEGIN + WEEK)


def test_what_waits_too_long_expires_and_makes_room() -> None:
    version = offline()
    asked = ask(version, BEGIN)
    promotions.tend(at=BEGIN + timedelta(hours=71, minutes=59))
    assert PromotionRequest.objects.get().state == "OPEN"

    promotions.tend(at=BEGIN + timedelta(hours=72))

    asked.refresh_from_db()
    assert (asked.state, asked.why_void) == ("EXPIRED", "not decided within 72 h")
    assert AuditEvent.objects.filter(action="promotion.expired", actor="governance").count() == 1
    assert ask(version, BEGIN + timedelta(hours=73)).state == "OPEN"


def test_withdrawn_with_its_signatures() -> None:
    asked = ask(offline(), BEGIN, by="trader")
    sign(asked, "engineer", BEGIN)

    promotions.withdraw(request_id=asked.pk, by=cast.person("trader"), at=BEGIN)

    assert PromotionRequest.objects.get().why_void == "withdrawn by trader"


# --- never in the same window ---------------------------------------------------------------------------------------


def step_asked(canary: ModelVersion) -> StepRequest:
    run = PhaseRun.objects.get()
    return phases.request_step(run=run, by=cast.person("lead"), at=BEGIN + 2 * WEEK)


def test_while_a_step_is_asked_for_no_model_changes_what_trades(canary: ModelVersion) -> None:
    step = step_asked(canary)

    with pytest.raises(UnableToPromote, match=r"A step of capital is asked for at Micro \$300"):
        promoted(canary, BEGIN + 2 * WEEK, "engineer", "lead", "cto")

    phases.withdraw(request_id=step.pk, by=cast.person("lead"), at=BEGIN + 2 * WEEK)
    decide(PromotionRequest.objects.get(state="OPEN"), BEGIN + 2 * WEEK)
    assert ModelVersion.objects.get(pk=canary.pk).state == S.CHAMPION


def test_a_shadow_changes_nothing_that_trades_and_waits_for_no_step(canary: ModelVersion) -> None:
    step_asked(canary)

    assert promoted(offline(2), BEGIN + 2 * WEEK, "engineer").state == S.SHADOW


def test_while_a_promotion_is_asked_for_no_capital_rises() -> None:
    run, at = cast.passed_run()
    request = cast.signed_request(run, at)
    asked = ask(model(1, S.SHADOW), at)

    with pytest.raises(UnableToStep, match="The promotion of net1 00000001 to canary is asked for"):
        cast.decide(request, Decision.GO, at)
    assert PhaseRun.objects.filter(ended_at=None).get() == run

    promotions.withdraw(request_id=asked.pk, by=cast.person("engineer"), at=at)
    cast.decide(request, Decision.GO, at)
    assert PhaseRun.objects.get(ended_at=None).template.phase == "4.1"


def test_a_promotion_to_the_shadow_keeps_no_capital_back() -> None:
    run, at = cast.passed_run()
    request = cast.signed_request(run, at)
    ask(model(1, S.OFFLINE_PASS), at)

    cast.decide(request, Decision.GO, at)

    assert PhaseRun.objects.get(ended_at=None).template.phase == "4.1"


@pytest.mark.parametrize(("move", "outcome"), [(S.CHAMPION, Outcome.RUNNING), (S.SHADOW, Outcome.PASS)])
def test_another_champion_begins_the_clock_of_the_phase_anew(move: ModelState, outcome: Outcome) -> None:
    run, at = cast.passed_run()
    before = S.CANARY if move is S.CHAMPION else S.OFFLINE_PASS
    model_versions.move(model(1, before, canary_symbol="BTCUSDT"), move, by="cto", why="signed", at=at)

    assert stand_of_run(run, at).verdict.outcome is outcome


def test_hours_count_from_the_change_of_the_model_and_nothing_is_dropped() -> None:
    run, at = cast.passed_run()
    model_versions.move(model(1, S.CANARY), S.CHAMPION, by="cto", why="signed", at=at)
    end = cast.live_through(run.account, 48, since=at)

    early, late = stand_of_run(run, end - cast.MINUTE).verdict, stand_of_run(run, end).verdict

    assert (early.outcome, late.outcome) == (Outcome.RUNNING, Outcome.PASS)
    assert early.missing == (
        "48 h with the grids that trade now: 47.0 h since model net1 00000001 changed, "
        f"in force since {at:%Y-%m-%d %H:%M} UTC",
    )
    assert late.window.hours_in_force == 49 + 48


def test_what_a_model_did_before_the_run_asks_for_nothing() -> None:
    model_versions.move(model(1, S.CANARY), S.CHAMPION, by="cto", why="signed", at=cast.BEGIN - cast.MINUTE)
    run, at = cast.passed_run()

    assert stand_of_run(run, at).verdict.same_grids is None
    assert stand_of_run(run, at).verdict.outcome is Outcome.PASS
    assert Account.objects.count() == 1
    assert WEEK_H == 7 * 24
