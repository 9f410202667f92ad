"""Two people, or a person and the machine, at one model at the same instant: there is never a second champion."""

from collections.abc import Callable
from threading import Barrier, Thread

import pytest
from django.db import connection

from riskops.domain.steps import Decision
from riskops.models import PromotionRequest
from riskops.services import promotions
from riskops.services.promotions import UnableToPromote
from tests.riskops import cast
from tests.riskops.domain.test_promotions import GOOD
from tests.trading.model_cast import BEGIN, model, succeeded
from trading.domain.model_states import Condition, ModelState
from trading.models import ModelChange, ModelVersion
from trading.selectors import model_evidence
from trading.services import audit, model_versions

pytestmark = pytest.mark.django_db(transaction=True)
S = ModelState
ROUNDS = 6
Deed = Callable[[], object]


@pytest.fixture(autouse=True)
def good_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only people hold a model back here."""
    monkeypatch.setattr(model_evidence, "canary", lambda *_: GOOD[S.CHAMPION])


def at_once(*deeds: Deed) -> list[str]:
    """Do every deed at the same instant, each on a connection of its own; return what each came to."""
    barrier, answers = Barrier(len(deeds)), [""] * len(deeds)

    def alone(place: int, deed: Deed) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(10)
            answers[place] = str(deed() or "nothing")
        except UnableToPromote as refused:
            answers[place] = f"refused: {refused}"
        except BaseException as error:  # a deadlock, a broken constraint: what nobody may see
            answers[place] = f"broken: {error!r}"
        finally:
            connection.close()

    threads = [Thread(target=alone, args=each) for each in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not [answer for answer in answers if answer.startswith("broken") or not answer]
    return answers


def signed_canary(number: int) -> PromotionRequest:
    canary = model(number, S.CANARY, canary_symbol="BTCUSDT")
    asked = promotions.request(version=canary, by=cast.person("trader"), at=BEGIN)
    for name in ("engineer", "lead", "cto"):
        promotions.sign(
            request_id=asked.pk, by=cast.person(name), role=cast.ROLES[name], approves=True, note="",
            digest=asked.digest, at=BEGIN,
        )  # fmt: skip
    return asked


def go(asked: PromotionRequest, by: str) -> Deed:
    person = cast.person(by)
    return lambda: promotions.decide(
        request_id=asked.pk, by=person, decision=Decision.GO, notes="", digest=asked.digest, at=BEGIN
    )


def drifted(version: ModelVersion) -> Deed:
    seen = Condition(psi=1.0, silent_s=1)
    return lambda: model_versions.heed(version, seen, at=BEGIN, verify=lambda _: "")


def states() -> dict[str, str]:
    return dict(ModelVersion.objects.values_list("name", "state"))


def test_of_two_who_decide_one_does() -> None:
    for number in range(1, ROUNDS + 1):
        asked = signed_canary(number)

        answers = at_once(go(asked, "lead"), go(asked, "engineer"))

        assert sorted(answer.startswith("refused: This request is closed already") for answer in answers) == [
            False,
            True,
        ]
        assert list(states().values()).count(S.CHAMPION) == 1
    assert ModelChange.objects.filter(after=S.CHAMPION).count() == ROUNDS
    assert audit.verify() is None


def test_a_rollback_that_brings_a_champion_back_and_a_go_never_make_two() -> None:
    old, champion = model(101, S.RETIRED), model(102, S.CHAMPION)
    succeeded(old)
    asked = signed_canary(103)

    at_once(go(asked, "lead"), drifted(champion))

    assert states()["net103"] == S.CHAMPION
    assert list(states().values()).count(S.CHAMPION) == 1
    assert audit.verify() is None


def test_a_canary_is_promoted_or_taken_back() -> None:
    for number in range(1, ROUNDS + 1):
        asked = signed_canary(number)
        canary = asked.version

        answers = at_once(go(asked, "lead"), drifted(canary))

        came = states()[f"net{number}"]
        assert came == S.ROLLED_BACK
        went = ModelChange.objects.filter(version=canary, after=S.CHAMPION).exists()
        assert went is not answers[0].startswith("refused: The model is rolled back by now")
    assert audit.verify() is None
