"""The page of a model's promotion: what was measured, who signs, and one click back."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import now

from riskops.models import PromotionRequest
from riskops.services import phases, promotions
from tests.riskops.proofs import give_authenticator, proof, text_of
from tests.trading.models_at_hand import model
from trading.models import Account, AuditEvent, ModelVersion

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]


def path(version: ModelVersion, rest: str = "") -> str:
    return f"/models/{version.digest}/promotion/{rest}"


def asked(version: ModelVersion, by: str = "trader", symbol: str = "BTCUSDT") -> PromotionRequest:
    person = User.objects.get(username=by)
    return promotions.request(version=version, by=person, canary_symbol=symbol, at=now())


def test_each_criterion_stands_beside_its_bound_and_says_why_not_yet(as_person: AsPerson) -> None:
    reader = as_person("trader")
    text = text_of(reader.get(path(model(1, "SHADOW"))))

    assert "Evidence for canary 1 of 7 met" in text
    for words in (
        "Days in this state ≥ 7 d",
        "Loss against the one in force t ≥ 2 unknown ? no data Too few hours scored beside the rule",
        "≥ 100 % unknown ? no data No replay of the recorded market",
        "CRIT alerts ≤ 0 0 ✓ met None of any account",
        "Engineer, Trading Lead sign, each a different person",
        "In force: the rule grid , there is no champion",
        "○ Champion Engineer, Trading Lead, CTO, CEO",
    ):
        assert words in text


def test_a_page_that_is_open_loads_anew_only_what_a_move_changes(as_person: AsPerson) -> None:
    version = model(1, "SHADOW")
    reader = as_person("trader")
    assert 'hx-trigger="gc:models from:body' in reader.get(path(version)).content.decode()

    part = reader.get(path(version), headers={"HX-Request": "true"}).content.decode()

    assert part.lstrip().startswith('<div id="promotion" data-keeps')
    assert "Evidence for canary" in part
    assert "<html" not in part


def test_a_registered_model_says_what_it_waits_for(as_person: AsPerson) -> None:
    text = text_of(as_person("trader").get(path(model(1))))

    assert "A quick training never passes" in text
    assert "Ask for" not in text
    assert "Roll back" not in text


def test_asked_signed_and_decided_in_forms_without_a_script(as_person: AsPerson) -> None:
    version = model(1, "OFFLINE_PASS")
    trader, engineer = as_person("trader"), as_person("engineer")

    answer = trader.post(path(version, "request/"), {"symbol": ""}, follow=True)
    assert "Asked. Each signer signs on this page" in text_of(answer)
    waiting = PromotionRequest.objects.get()
    device = give_authenticator("engineer")
    engineer.force_login(User.objects.get(username="engineer"))
    form = {"role": "Engineer", "word": "sign", "note": "", "digest": waiting.digest} | proof(device)
    assert "Signed as Engineer." in text_of(engineer.post(path(version, f"{waiting.pk}/sign/"), form, follow=True))

    form = {"decision": "HOLD", "notes": "let us wait a week", "digest": waiting.digest} | proof(device)
    answer = engineer.post(path(version, f"{waiting.pk}/decide/"), form, follow=True)

    assert "HOLD is recorded." in text_of(answer)
    assert "trader asked for shadow: HOLD by engineer — let us wait a week" in text_of(answer)


def test_what_keeps_go_back_is_said_and_refused_with_422(as_person: AsPerson) -> None:
    version = model(1, "SHADOW")
    engineer = as_person("engineer")
    waiting = asked(version)
    device = give_authenticator("engineer")
    engineer.force_login(User.objects.get(username="engineer"))
    form = {"decision": "GO", "notes": "", "digest": waiting.digest} | proof(device)

    answer = engineer.post(path(version, f"{waiting.pk}/decide/"), form)

    assert answer.status_code == 422
    assert "Nothing was changed. The evidence does not carry it: days in this state: not met" in text_of(answer)
    assert "GO waits. The evidence does not carry it" in text_of(answer)
    assert AuditEvent.objects.latest("sequence").action == "refused"


def test_without_the_second_factor_nobody_signs(as_person: AsPerson) -> None:
    version, engineer = model(1, "OFFLINE_PASS"), as_person("engineer")
    waiting = asked(version)
    form = {"role": "Engineer", "word": "sign", "note": "", "digest": waiting.digest, "password": "x", "code": "000000"}

    answer = engineer.post(path(version, f"{waiting.pk}/sign/"), form)

    assert answer.status_code == 422
    assert not waiting.sign_offs.exists()


def test_one_person_rolls_back_alone_with_one_click(as_person: AsPerson) -> None:
    champion, trader = model(1, "CHAMPION"), as_person("trader")
    assert "Roll back lstm" in text_of(trader.get(path(champion)))

    answer = trader.post(path(champion, "roll-back/"), {"why": ""}, follow=True)

    assert "lstm is rolled back. The rule grid trades alone." in text_of(answer)
    assert ModelVersion.objects.get().state == "ROLLED_BACK"
    assert "Ask for shadow" in text_of(answer)


def test_a_canary_is_asked_for_on_a_symbol_that_a_desk_runs(as_person: AsPerson) -> None:
    version, trader = model(1, "SHADOW"), as_person("trader")
    page = trader.get(path(version)).content.decode()
    assert "<option>BTCUSDT</option>" in page

    answer = trader.post(path(version, "request/"), {"symbol": "NIXUSDT"})

    assert answer.status_code == 422
    assert "No desk runs a grid on NIXUSDT" in text_of(answer)


def test_an_open_step_is_said_on_top(as_person: AsPerson) -> None:
    version, trader = model(1, "CANARY", canary_symbol="BTCUSDT"), as_person("trader")
    phases.load_roadmap(at=now())
    run = phases.start_run(account=Account.objects.get(slug="micro"), phase_id="4.0", by="lead", at=now())
    phases.request_step(run=run, by=User.objects.get(username="trader"), at=now())

    assert "A step of capital is asked for at" in text_of(trader.get(path(version)))


def test_a_request_of_another_model_does_not_exist_here(as_person: AsPerson) -> None:
    trader = as_person("trader")
    waiting, other = asked(model(1, "OFFLINE_PASS")), model(2, "OFFLINE_PASS")

    assert trader.post(path(other, f"{waiting.pk}/withdraw/")).status_code == 404
    assert PromotionRequest.objects.get().state == "OPEN"


@pytest.mark.parametrize("digest", ["0" * 64, "f" * 63, "nix"])
def test_what_is_no_model_has_no_page(as_person: AsPerson, digest: str) -> None:
    assert as_person("trader").get(f"/models/{digest}/promotion/").status_code == 404
