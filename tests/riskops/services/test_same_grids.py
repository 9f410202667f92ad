"""A grid that was edited in the middle of a run: everything before still counts, and a GO waits for the new one."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from riskops.domain.gates import Outcome
from riskops.domain.steps import Decision
from riskops.models import PhaseRun, StepRequest
from riskops.services import phases
from riskops.services.phases import UnableToStep
from riskops.standing import stand
from tests.riskops import cast
from trading.models import Grid, GridInForce

pytestmark = pytest.mark.django_db
MINUTES = 48  # of the cast's market: 48 h


@pytest.fixture
def run() -> PhaseRun:
    """A run whose desk took the mandate's lots up in the first second."""
    account = cast.desk()
    Grid.objects.update(lot_quote=5)
    cast.start_desk(account, cast.BEGIN - cast.MINUTE)
    run = phases.start_run(account=account, phase_id="4.0", by="lead", at=cast.BEGIN)
    cast.start_desk(account, cast.BEGIN + timedelta(seconds=1))
    return run


def outcome(run: PhaseRun, minute: int) -> Outcome:
    return stand(run, cast.BEGIN + minute * cast.MINUTE).verdict.outcome


def test_a_run_without_a_change_needs_not_one_hour_more(run: PhaseRun) -> None:
    cast.live_through(run.account, MINUTES)

    assert [outcome(run, minute) for minute in (MINUTES - 1, MINUTES)] == [Outcome.RUNNING, Outcome.PASS]


def test_a_mandate_changes_no_grid_of_its_own_run(run: PhaseRun) -> None:
    cast.live_through(run.account, MINUTES)

    assert [row.cause for row in GridInForce.objects.order_by("id")] == ["start", "start", "mandate", "mandate"]
    assert stand(run, cast.BEGIN + MINUTES * cast.MINUTE).verdict.same_grids is None
    assert outcome(run, MINUTES) is Outcome.PASS


def test_an_edit_that_is_saved_and_not_in_force_keeps_the_gate_running(run: PhaseRun) -> None:
    at = cast.live_through(run.account, 3 * MINUTES)
    assert stand(run, at).verdict.outcome is Outcome.PASS

    cast.edit_grid(run.account, at)

    assert stand(run, at).verdict.outcome is Outcome.RUNNING
    assert stand(run, at).verdict.window.is_complete


def test_the_hours_count_from_the_start_with_the_new_grid_and_nothing_is_dropped(run: PhaseRun) -> None:
    cast.live_through(run.account, 10 + 5 + MINUTES)
    cast.edit_grid(run.account, cast.BEGIN + 10 * cast.MINUTE)
    cast.start_desk(run.account, cast.BEGIN + 15 * cast.MINUTE)

    assert outcome(run, MINUTES) is Outcome.RUNNING
    assert outcome(run, 14 + MINUTES) is Outcome.RUNNING
    assert outcome(run, 15 + MINUTES) is Outcome.PASS
    standing = stand(run, cast.BEGIN + (15 + MINUTES) * cast.MINUTE)
    assert standing.verdict.window.hours_in_force == 15 + MINUTES
    fill_rate = standing.shown["findings"][1]["measured"]
    assert fill_rate["samples"] == 20 * (15 + MINUTES)


def test_edited_back_is_another_change(run: PhaseRun) -> None:
    cast.live_through(run.account, 2 * MINUTES)
    for minute, step in ((10, "0.002"), (30, "0.001")):
        cast.edit_grid(run.account, cast.BEGIN + minute * cast.MINUTE, step=step)
        cast.start_desk(run.account, cast.BEGIN + minute * cast.MINUTE)

    assert outcome(run, 29 + MINUTES) is Outcome.RUNNING
    assert outcome(run, 30 + MINUTES) is Outcome.PASS


def test_a_change_that_nobody_answers_for_is_one(run: PhaseRun) -> None:
    at = cast.live_through(run.account, MINUTES)
    Grid.objects.filter(symbol="ETHUSDT").update(slots=9)

    assert stand(run, at).verdict.outcome is Outcome.RUNNING
    cast.start_desk(run.account, at)
    assert stand(run, at).verdict.outcome is Outcome.RUNNING
    assert GridInForce.objects.first().cause == "unknown"  # type: ignore[union-attr]


def test_an_edit_from_before_starts_were_kept_counts_from_the_first_that_is() -> None:
    account = cast.desk()
    Grid.objects.update(edited_at=cast.BEGIN - timedelta(days=1))
    run = phases.start_run(account=account, phase_id="4.0", by="lead", at=cast.BEGIN)
    cast.live_through(account, 10 + MINUTES)

    assert outcome(run, MINUTES) is Outcome.RUNNING
    cast.start_desk(account, cast.BEGIN + 10 * cast.MINUTE)
    assert outcome(run, 9 + MINUTES) is Outcome.RUNNING
    assert outcome(run, 10 + MINUTES) is Outcome.PASS


def test_an_edit_before_the_run_is_none_of_it() -> None:
    account = cast.desk()
    cast.edit_grid(account, cast.BEGIN - cast.MINUTE)
    cast.start_desk(account, cast.BEGIN - cast.MINUTE)
    run = phases.start_run(account=account, phase_id="4.0", by="lead", at=cast.BEGIN)
    at = cast.live_through(account, MINUTES)

    assert stand(run, at).verdict.outcome is Outcome.PASS


def test_an_edit_voids_what_is_asked_and_holds_a_go_back(run: PhaseRun) -> None:
    at = cast.live_through(run.account, MINUTES)
    phases.judge(run=run, at=at)
    request = cast.signed_request(run, at)
    cast.edit_grid(run.account, at)

    with pytest.raises(UnableToStep, match="not in force yet"):
        cast.decide(request, Decision.GO, at)
    phases.judge(run=run, at=at)

    request.refresh_from_db()
    assert (request.state, request.why_void) == (
        StepRequest.State.VOID, "The machine no longer says PASS, but RUNNING."
    )  # fmt: skip


def test_a_hold_makes_no_edit_forgotten(run: PhaseRun) -> None:
    cast.live_through(run.account, 20 + 2 * MINUTES)
    request = cast.ask(run, cast.BEGIN + 10 * cast.MINUTE)
    cast.decide(request, Decision.HOLD, cast.BEGIN + 10 * cast.MINUTE, notes="we want to see more")
    run.refresh_from_db()
    cast.edit_grid(run.account, cast.BEGIN + 20 * cast.MINUTE)
    cast.start_desk(run.account, cast.BEGIN + 20 * cast.MINUTE)

    assert outcome(run, 10 + MINUTES) is Outcome.RUNNING
    assert outcome(run, 20 + MINUTES) is Outcome.PASS


def test_what_is_signed_says_it_and_gives_it_again(run: PhaseRun) -> None:
    at = cast.live_through(run.account, 20)
    cast.edit_grid(run.account, cast.BEGIN + 5 * cast.MINUTE)
    cast.start_desk(run.account, cast.BEGIN + 8 * cast.MINUTE)

    standing = stand(run, at)
    shown = standing.shown["same_grids"]

    assert (shown["symbol"], shown["hours"], shown["min_hours"], shown["is_complete"]) == (
        "BTCUSDT",
        "12.00",
        48,
        False,
    )
    assert (shown["samples"], shown["since"]) == (12 * 12, (cast.BEGIN + 8 * cast.MINUTE).isoformat())
    with connection.cursor() as cursor:
        cursor.execute(shown["query"])
        hours, changes = cursor.fetchone()
    assert hours == 12
    assert (changes[0]["symbol"], changes[0]["cause"]) == ("BTCUSDT", "edit")


def test_it_costs_no_query_more(run: PhaseRun) -> None:
    at = cast.live_through(run.account, 20)
    with CaptureQueriesContext(connection) as before:
        stand(run, at)
    for minute in (5, 8, 11):
        cast.edit_grid(run.account, cast.BEGIN + minute * cast.MINUTE, step=f"0.00{minute}"[:6])
        cast.start_desk(run.account, cast.BEGIN + minute * cast.MINUTE)

    with CaptureQueriesContext(connection) as after:
        stand(run, at)

    assert len(after) == len(before)
