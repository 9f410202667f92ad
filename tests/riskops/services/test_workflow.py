"""Whatever is done in whatever order: no GO by one person, no phase skipped, no capital unapproved."""

import os
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from django.db import transaction
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pytest_django import Settings

from riskops.domain.incidents import Review
from riskops.domain.steps import ROADMAP, Decision
from riskops.models import Incident, PhaseRun, StepRequest
from riskops.services import phases
from riskops.services.incidents import UnableToClose, close
from riskops.services.phases import UnableToStep
from riskops.standing import checklist_of, newest, template_of
from tests.riskops import cast
from trading.domain.events import Severity
from trading.models import Account, Alert, Grid, GridInForce, Halt, Mandate
from trading.services import alerts

STEPS: Final = int(os.environ.get("GRIDCONSOLE_WORKFLOW_STEPS", "5000"))
STEPS_EACH: Final = 50
PEOPLE: Final = tuple(cast.ROLES)
QUICK: Final = 480 * cast.SECOND_NS * 60  # of the market in a minute: 8 h
CASTS: Final = (
    ("lead", "engineer", "cto"),
    ("lead", "engineer", "cto", "ceo"),
    ("lead", "engineer"),
    ("cto",),
    ("trader", "lead", "cto"),
    ("engineer", "lead", "cto", "ceo"),
)
anybody = st.sampled_from(PEOPLE)
signers = st.sampled_from(("lead", "engineer", "cto", "ceo"))


class Workflow(RuleBasedStateMachine):
    """People ask, sign, tick, decide and withdraw; the market goes on, sometimes badly."""

    taken = 0
    went = 0
    went_after_an_edit = 0

    @initialize()
    def begin(self) -> None:
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.account = cast.desk()
        self.at = cast.BEGIN
        self.changed_at: datetime | None = None
        self.went_to = 0
        self.look()

    def teardown(self) -> None:
        if hasattr(self, "undo"):
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

    def look(self) -> None:
        """Read once what the preconditions of the next step ask for."""
        self.run_ = PhaseRun.objects.select_related("template", "account").filter(ended_at=None).first()
        self.request = StepRequest.objects.select_related("run__template", "run__account").filter(state="OPEN").first()

    def count(self) -> None:
        Workflow.taken += 1
        self.at += timedelta(seconds=1)

    @rule(by=anybody, phase=st.sampled_from(ROADMAP))
    def start(self, by: str, phase: str) -> None:
        self.count()
        with suppress(UnableToStep):
            phases.begin(account=self.account, phase_id=phase, by=cast.person(by), at=self.at)

    @rule(by=signers)
    def start_what_may_start(self, by: str) -> None:
        self.count()
        with suppress(UnableToStep):
            phases.begin(
                account=self.account, phase_id=phases.what_may_start(self.account), by=cast.person(by), at=self.at
            )

    @rule(minutes=st.integers(1, 24), good=st.integers(0, 19))
    def live(self, minutes: int, good: int) -> None:
        self.count()
        since = self.at.replace(second=0, microsecond=0) + cast.MINUTE
        run = self.run_
        if run is not None and run.window_from < since:
            seen = self.account.conduct_samples.filter(at__gte=run.window_from)
            if not seen.exists():  # the harness's: the window begins with a whole minute
                PhaseRun.objects.filter(pk=run.pk).update(window_from=since)
        bad = {} if good else {"in_sync": 11}
        equity = cast.good_minute(f"{300 + (since - cast.BEGIN).total_seconds() / 1_000:.2f}").equity
        self.at = cast.live_through(self.account, minutes, since, market_ns=QUICK, equity=equity, **bad)

    @precondition(lambda self: self.run_)
    @rule(
        names=st.sampled_from(CASTS), ticked=st.integers(0, 5), minutes=st.sampled_from((0, 5, 12, 24, 24)),
        edits=st.sampled_from((False, False, False, True)), starts=st.booleans(),
    )  # fmt: skip
    def try_to_step_up(self, names: tuple[str, ...], ticked: int, minutes: int, edits: bool, starts: bool) -> None:
        """Let the desk live well for a while, everybody of one cast sign in turn, and the last one decide.

        Sometimes somebody edits a grid when it has lived long enough.
        """
        self.count()
        run = self.run_
        assert run
        if minutes:  # the harness's: a window that begins anew, as after a HOLD
            since = self.at.replace(second=0, microsecond=0) + cast.MINUTE
            PhaseRun.objects.filter(pk=run.pk).update(window_from=since)
            self.start_the_desk()
            run.window_from, self.at = since, cast.live_through(self.account, minutes, since, market_ns=QUICK)
        if edits:
            self.edit_a_grid("BTCUSDT", "0.004", starts)
        phases.judge(run=run, at=self.at)
        with suppress(UnableToStep):
            request = self.request or cast.ask(run, self.at, names[0])
            for name in names:
                with suppress(UnableToStep):
                    cast.sign(request, name, self.at)
            if ticked:
                cast.tick_everything(request, self.at)
            cast.decide(request, Decision.GO, self.at, by=names[-1])

    @rule(
        symbol=st.sampled_from(("BTCUSDT", "ETHUSDT")), step=st.sampled_from(("0.002", "0.003")), starts=st.booleans()
    )
    def edit_a_grid(self, symbol: str, step: str, starts: bool) -> None:
        self.count()
        if Grid.objects.filter(account=self.account, symbol=symbol).exists():
            cast.edit_grid(self.account, self.at, symbol, step)
            self.changed_at = self.at
        if starts:
            self.start_the_desk()

    @rule()
    def start_the_desk(self) -> None:
        Workflow.taken += 1
        if self.is_waiting():
            self.changed_at = self.at
        cast.start_desk(self.account, self.at)

    def is_waiting(self) -> bool:
        """Return whether some grid is another one than the desk runs, by what a person did."""
        for grid in Grid.objects.filter(account=self.account):
            ran = GridInForce.objects.filter(account=self.account, symbol=grid.symbol).first()
            if grid.edited_at != (ran.edited_at if ran else None):
                return True
        return False

    @rule(severity=st.sampled_from([Severity.CRIT, Severity.WARN, *[Severity.INFO] * 6]))
    def alert(self, severity: Severity) -> None:
        self.count()
        alerts.raise_alert(account=self.account, severity=severity, code="TEST", message="told", at=self.at)

    @precondition(lambda self: self.run_)
    @rule()
    def judge(self) -> None:
        self.count()
        run = self.run_
        assert run
        phases.judge(run=run, at=self.at)

    @precondition(lambda self: self.run_)
    @rule(by=anybody)
    def ask(self, by: str) -> None:
        self.count()
        run = self.run_
        assert run
        with suppress(UnableToStep):
            cast.ask(run, self.at, by)

    @precondition(lambda self: self.request)
    @rule(by=anybody, role=st.sampled_from(tuple(cast.ROLES.values())), approves=st.booleans(), right=st.booleans())
    def sign(self, by: str, role: str, approves: bool, right: bool) -> None:
        self.count()
        request = self.request
        assert request
        digest = request.digest if right else "0" * 64
        with suppress(UnableToStep):
            phases.sign(
                request_id=request.pk, by=cast.person(by), role=role, approves=approves, note="a good reason",
                digest=digest, at=self.at,
            )  # fmt: skip

    @precondition(lambda self: self.request)
    @rule(names=st.lists(signers, min_size=1, max_size=5))
    def sign_as_oneself(self, names: list[str]) -> None:
        self.count()
        request = self.request
        assert request
        for name in names:
            with suppress(UnableToStep):
                cast.sign(request, name, self.at)

    @precondition(lambda self: self.request)
    @rule(done=st.booleans())
    def tick(self, done: bool) -> None:
        self.count()
        request = self.request
        assert request
        with suppress(UnableToStep):
            if done:
                cast.tick_everything(request, self.at)
            else:
                item = checklist_of(request)[0]
                phases.tick(request_id=request.pk, by=cast.person("cto"), item=item, done=False, note="", at=self.at)

    @precondition(lambda self: self.request)
    @rule(by=anybody, decision=st.sampled_from([Decision.GO, Decision.GO, Decision.GO, Decision.HOLD, Decision.NO_GO]))
    def decide(self, by: str, decision: Decision) -> None:
        self.count()
        request = self.request
        assert request
        with suppress(UnableToStep):
            cast.decide(request, decision, self.at, by=by, notes="a good reason")

    @precondition(lambda self: self.request)
    @rule(by=anybody)
    def withdraw(self, by: str) -> None:
        self.count()
        request = self.request
        assert request
        with suppress(UnableToStep):
            phases.withdraw(request_id=request.pk, by=cast.person(by), at=self.at)

    @rule(by=anybody)
    def close_incidents(self, by: str) -> None:
        self.count()
        learned = Review("somebody tried it", "none beyond the test", "nothing to prevent")
        for incident in Incident.objects.filter(closed_at=None):
            with suppress(UnableToClose):
                close(incident_id=incident.pk, by=cast.person(by), review=learned, at=self.at)

    @rule()
    def resume(self) -> None:
        self.count()
        Halt.objects.filter(released_at=None).update(released_at=self.at)
        Account.objects.update(state="ACTIVE")

    @rule(hours=st.integers(1, 80))
    def wait(self, hours: int) -> None:
        self.count()
        self.at += timedelta(hours=hours)

    @invariant()
    def no_phase_is_skipped(self) -> None:
        self.look()
        runs = [
            (run.template.phase, run.decision) for run in PhaseRun.objects.select_related("template").order_by("id")
        ]
        for (before, decision), (after, _) in pairwise(runs):
            expected = ROADMAP[ROADMAP.index(before) + 1] if decision == "GO" else before
            assert after == expected
        assert not runs or runs[0][0] == ROADMAP[0]

    @invariant()
    def capital_is_what_was_approved(self) -> None:
        run = PhaseRun.objects.select_related("template").first()
        mandate = Mandate.objects.order_by("-version").first()
        assert (run is None) == (mandate is None)
        if run is not None and mandate is not None:
            phase = newest(run.template.phase)
            assert phase is not None
            assert mandate.capital_quote == phase.capital_quote
            lot = phase.capital_quote * phase.limits.max_position_fraction
            assert set(Grid.objects.values_list("lot_quote", flat=True)) == {Decimal(lot)}

    @invariant()
    def every_go_has_its_people_and_its_evidence(self) -> None:
        for request in StepRequest.objects.filter(decision="GO").select_related("run"):
            signed = list(request.sign_offs.all())
            needed = template_of(request.run).signers
            Workflow.went += 1
            assert {one.role for one in signed} == set(needed)
            assert len({one.person_id for one in signed}) == len(needed)
            assert all(one.approves and one.digest == request.digest for one in signed)
            crits = Alert.objects.filter(
                severity=Severity.CRIT, at__gte=request.run.window_from, at__lt=request.decided_at
            )
            assert not crits.exists()

    @invariant()
    def no_go_on_grids_that_traded_for_less_than_the_phase_asks(self) -> None:
        decided = StepRequest.objects.filter(decision="GO", pk__gt=self.went_to).select_related("run__template")
        for request in decided.order_by("pk"):
            run, self.went_to = request.run, request.pk
            if self.changed_at is None or self.changed_at <= run.started_at:
                continue
            lived = self.account.conduct_samples.filter(at__gte=self.changed_at, at__lt=request.decided_at)
            market_ns = sum(facts["market_ns"] for facts in lived.values_list("facts", flat=True))
            assert market_ns >= template_of(run).duration.min_hours * 3_600 * cast.SECOND_NS
            Workflow.went_after_an_edit += 1


@pytest.mark.timeout(900 if STEPS <= 5_000 else 0)  # a minute on a processor of its own; here seven share them
@pytest.mark.django_db
def test_whatever_happens_capital_moves_only_as_approved(settings: Settings, tmp_path: Path) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"
    Workflow.taken = Workflow.went = Workflow.went_after_an_edit = 0

    run_state_machine_as_test(Workflow, settings=_settings(STEPS))

    assert Workflow.taken > STEPS // 2
    assert Workflow.went > 0  # the way up was found, so the promises were tried
    assert Workflow.went_after_an_edit > 0 or STEPS < 5_000


def _settings(steps: int) -> hypothesis_settings:
    return hypothesis_settings(
        max_examples=steps // STEPS_EACH,
        stateful_step_count=STEPS_EACH,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
