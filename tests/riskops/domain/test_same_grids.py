"""A gate asks for the whole time with the grids that trade now: an edit in the middle of a run mixes two of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from riskops.domain import phases
from riskops.domain.gates import Evidence, Outcome, Verdict, judge
from riskops.domain.matrix import Answer, People, matrix
from riskops.domain.phases import Criterion, OnMiss
from riskops.domain.steps import Decision, why_not_decide
from trading.domain.evidence import Measurement
from trading.domain.in_force import Changed, GridsInForce
from trading.domain.measuring import Over

ROADMAP = Path(phases.__file__).parents[1] / "roadmap"
AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CRIT = Criterion("crit_alerts", OnMiss.HALT, at_most=Decimal(0))
PHASE = replace(phases.read((ROADMAP / "4.0.toml").read_text(encoding="utf-8"), name="4.0"), criteria=(CRIT,))


def verdict_of(hours_of_run: str, grids: GridsInForce | None, crits: int = 0, *, is_extended: bool = False) -> Verdict:
    measured = Measurement("crit_alerts", Decimal(crits), crits, Decimal(1), AT, AT, "", "")
    evidence: Evidence = {("crit_alerts", Over.RUN): [measured]}
    return judge(PHASE, evidence, {}, Decimal(hours_of_run), is_extended=is_extended, grids=grids)


def since(hours: str | None) -> GridsInForce:
    in_force_at = None if hours is None else AT + timedelta(minutes=1)
    counted = None if hours is None else Decimal(hours)
    return GridsInForce(Changed("BTCUSDT", AT, in_force_at), counted, 1, in_force_at, AT, "SELECT 1")


@pytest.mark.parametrize(
    ("of_run", "grids", "crits", "expected"),
    [
        ("48", None, 0, Outcome.PASS),
        ("47.9", None, 0, Outcome.RUNNING),
        ("60", since("48"), 0, Outcome.PASS),
        ("60", since("47.99"), 0, Outcome.RUNNING),
        ("60", since("0"), 0, Outcome.RUNNING),
        ("60", since(None), 0, Outcome.RUNNING),
        ("60", since("NaN"), 0, Outcome.RUNNING),
        ("47.9", since("48"), 0, Outcome.RUNNING),
        ("60", since("12.5"), 1, Outcome.FAIL),
        ("60", since(None), 1, Outcome.FAIL),
    ],
    ids=[
        "no change", "no change, too early", "long enough since", "a little too short", "just now", "not in force",
        "no number", "the run is too short", "a miss fails at once", "a miss fails, whatever waits",
    ],
)  # fmt: skip
def test_a_pass_needs_the_whole_time_with_the_grids_that_trade_now(
    of_run: str, grids: GridsInForce | None, crits: int, expected: Outcome
) -> None:
    assert verdict_of(of_run, grids, crits).outcome is expected


def test_a_longer_window_asks_for_no_more_time_with_the_same_grids() -> None:
    assert verdict_of("48", since("48"), is_extended=True).outcome is Outcome.PASS


def test_people_are_told_what_is_missing() -> None:
    waits, counts = verdict_of("60", since(None)), verdict_of("60", since("12.59"))

    assert waits.missing == (
        "48 h with the grids that trade now: "
        "the change of grid BTCUSDT saved on 2026-11-21 12:00 UTC is not in force yet",
    )
    assert counts.missing == (
        "48 h with the grids that trade now: 12.5 h since grid BTCUSDT was changed on 2026-11-21 12:00 UTC, "
        "in force since 2026-11-21 12:01 UTC",
    )
    assert verdict_of("60", since("48")).missing == ()
    assert len(verdict_of("1", since("1")).missing) == 2


def test_neither_a_go_nor_the_matrix_passes_over_it() -> None:
    verdict = verdict_of("60", since("12.5"))

    refusal = why_not_decide(Decision.GO, verdict=verdict, needed=(), given=(), requester=1, digest="", notes="")
    asked = matrix(verdict, {}, {}, People((), (), 0))

    assert refusal == f"The machine says RUNNING: {verdict.missing[0]}."
    assert (asked.rows[0].answer, asked.rows[0].reason) == (Answer.WAIT, verdict.missing[0])
