"""Whatever people do with models in whatever order: none is promoted without its signatures, and one is champion."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from riskops.domain.promotions import SIGNERS
from riskops.domain.steps import Decision
from riskops.models import PromotionRequest
from riskops.services import promotions
from riskops.services.promotions import UnableToPromote
from tests.riskops import cast
from tests.riskops.domain.test_promotions import GOOD
from tests.trading.model_cast import BEGIN, model
from trading.domain.model_states import LIVE, Condition, ModelState
from trading.models import ModelChange, ModelVersion
from trading.selectors import model_evidence
from trading.services import model_versions

S = ModelState
anybody = st.sampled_from(tuple(cast.ROLES))
models = st.sampled_from((1, 2, 3))


class Promotions(RuleBasedStateMachine):
    """People ask, sign, decide, withdraw and roll back; the evidence is good, so that only they hold a model back."""

    went = 0

    @initialize()
    def begin(self) -> None:
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.at: datetime = BEGIN
        cast.desk()
        self.models = {number: model(number, S.OFFLINE_PASS) for number in (1, 2, 3)}

    def teardown(self) -> None:
        if hasattr(self, "undo"):
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

    def asked(self, number: int) -> PromotionRequest | None:
        self.at += timedelta(seconds=1)
        return PromotionRequest.objects.filter(version=self.models[number], state="OPEN").first()

    @rule(number=models, by=anybody)
    def ask(self, number: int, by: str) -> None:
        self.at += timedelta(minutes=1)
        with suppress(UnableToPromote):
            promotions.request(
                version=self.models[number], by=cast.person(by), canary_symbol="BTCUSDT", at=self.at
            )  # fmt: skip

    @rule(number=models, by=anybody, role=st.sampled_from(("Engineer", "Trading Lead", "CTO")), yes=st.booleans())
    def sign(self, number: int, by: str, role: str, yes: bool) -> None:
        if (asked := self.asked(number)) is not None:
            with suppress(UnableToPromote):
                promotions.sign(
                    request_id=asked.pk, by=cast.person(by), role=role, approves=yes, note="a reason of mine",
                    digest=asked.digest, at=self.at,
                )  # fmt: skip

    @rule(number=models, by=st.sampled_from(("engineer", "trader")), left_out=st.sampled_from(("", "engineer", "cto")))
    def all_but_one_sign(self, number: int, by: str, left_out: str) -> None:
        self.ask(number, by)
        for name in sorted({"engineer", "lead", "cto"} - {left_out}):
            self.sign(number, name, cast.ROLES[name], True)
        self.decide(number, "engineer", Decision.GO)

    @rule(number=models, by=anybody, decision=st.sampled_from(Decision))
    def decide(self, number: int, by: str, decision: Decision) -> None:
        if (asked := self.asked(number)) is None:
            return
        with suppress(UnableToPromote):
            promotions.decide(
                request_id=asked.pk, by=cast.person(by), decision=decision, notes="a reason of mine",
                digest=asked.digest, at=self.at,
            )  # fmt: skip
            Promotions.went += decision is Decision.GO

    @rule(number=models, by=anybody)
    def withdraw(self, number: int, by: str) -> None:
        if (asked := self.asked(number)) is not None:
            with suppress(UnableToPromote):
                promotions.withdraw(request_id=asked.pk, by=cast.person(by), at=self.at)

    @rule(number=models)
    def drift(self, number: int) -> None:
        version = ModelVersion.objects.get(pk=self.models[number].pk)
        model_versions.heed(version, Condition(psi=0.3, silent_s=1), at=self.at, verify=lambda _: "")

    @rule()
    def wait(self) -> None:
        self.at += timedelta(hours=30)
        promotions.tend(at=self.at)

    @invariant()
    def one_champion_and_one_canary(self) -> None:
        states = list(ModelVersion.objects.values_list("state", flat=True))
        assert all(states.count(live) <= 1 for live in LIVE)

    @invariant()
    def everything_that_went_up_was_signed_for(self) -> None:
        ups = [one for one in ModelChange.objects.all() if one.after in SIGNERS and one.by != "rule: model watch"]
        gone = PromotionRequest.objects.filter(decision=Decision.GO)
        assert len(ups) == len(gone)
        for asked in gone:
            given = list(asked.sign_offs.filter(approves=True))
            assert {one.role for one in given} >= set(SIGNERS[ModelState(asked.after)])
            assert len({one.person_id for one in given}) == len(given)
            assert {one.person_id for one in given} != {asked.requested_by_id}
            assert not asked.sign_offs.filter(approves=False).exists()


STEPS: Final = settings(
    max_examples=12, stateful_step_count=40, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.mark.django_db
def test_nothing_is_promoted_without_its_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, state in (("offline", S.SHADOW), ("shadow", S.CANARY), ("canary", S.CHAMPION)):
        monkeypatch.setattr(model_evidence, name, lambda *_, readings=GOOD[state]: readings)

    run_state_machine_as_test(Promotions, settings=STEPS)

    assert Promotions.went > 10
