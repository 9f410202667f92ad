"""A gate closes on what is not known: only what was measured, for long enough, opens it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from riskops.domain import phases
from riskops.domain.gates import (
    LEAST_COVERAGE,
    Evidence,
    Finding,
    Outcome,
    State,
    Verdict,
    Window,
    judge,
    why_not_automatic,
)
from riskops.domain.phases import Criterion, OnMiss, Phase
from trading.domain.evidence import METRICS, Measurement
from trading.domain.measuring import Over

ROADMAP = Path(phases.__file__).parents[1] / "roadmap"
MICRO = phases.read((ROADMAP / "4.0.toml").read_text(encoding="utf-8"), name="4.0")
HOURS = MICRO.duration.min_hours
COMPLETE, RUNNING = Decimal(HOURS), Decimal("47.99")
SINCE = datetime(2025, 3, 1, tzinfo=UTC)
NO_BASELINE: Mapping[str, Decimal] = {}
FILLED = Criterion("fill_rate", OnMiss.HALT, at_least=Decimal("0.85"))
EACH_FILLED = replace(FILLED, metric="fill_rate_each_symbol")
THREE_DAYS = replace(FILLED, on_miss=OnMiss.STAY, over=Over.EACH_OF_3_DAYS)
NO_SLOWER = Criterion("latency_p95_ms", OnMiss.STAY, of_previous=Decimal("1.5"))


def measured(
    value: str | None,
    metric: str = "fill_rate",
    *,
    samples: int = 20,
    coverage: str = "1",
    each: tuple[tuple[str, Decimal | None], ...] = (),
) -> Measurement:
    number = None if value is None else Decimal(value)
    until = SINCE + timedelta(days=2)
    return Measurement(metric, number, samples, Decimal(coverage), SINCE, until, "412 of 430 lots", "", each)


def finding_of(
    criterion: Criterion,
    *measurements: Measurement,
    baseline: Mapping[str, Decimal] = NO_BASELINE,
    hours: Decimal = COMPLETE,
) -> Finding:
    phase = replace(MICRO, criteria=(criterion,))
    return judge(phase, {(criterion.metric, criterion.over): measurements}, baseline, hours).findings[0]


def outcome_of(*missed: OnMiss, hours: Decimal = COMPLETE, value: str | None = "0.84") -> Outcome:
    """The outcome where one criterion is met and each of `missed` stands at `value`."""
    crit = Criterion("crit_alerts", OnMiss.HALT, at_most=Decimal(0))
    rest = tuple(replace(FILLED, on_miss=on_miss) for on_miss in missed)
    evidence: Evidence = {
        ("crit_alerts", Over.RUN): [measured("0", "crit_alerts", samples=0)],
        ("fill_rate", Over.RUN): [measured(value)],
    }
    return judge(replace(MICRO, criteria=(crit, *rest)), evidence, NO_BASELINE, hours).outcome


@pytest.mark.parametrize("hours", [RUNNING, COMPLETE])
def test_what_was_not_measured_is_not_known(hours: Decimal) -> None:
    finding = finding_of(FILLED, hours=hours)

    assert (finding.state, finding.measured, finding.reason) == (State.NO_DATA, None, "nothing was measured")
    assert finding.is_open


def test_a_value_that_could_not_be_computed_is_not_known() -> None:
    finding = finding_of(FILLED, measured(None))

    assert (finding.state, finding.reason) == (State.NO_DATA, "nothing was measured")


@pytest.mark.parametrize(
    ("samples", "hours", "expected"),
    [
        (19, RUNNING, State.IN_PROGRESS),
        (19, COMPLETE, State.NO_DATA),
        (0, COMPLETE, State.NO_DATA),
        (20, RUNNING, State.MET),
        (20, COMPLETE, State.MET),
    ],
)
def test_too_few_samples_say_nothing(samples: int, hours: Decimal, expected: State) -> None:
    finding = finding_of(FILLED, measured("1", samples=samples), hours=hours)

    assert finding.state is expected
    assert finding.reason == (f"{samples} orders, at least 20 are needed" if samples < 20 else "")


def test_too_few_samples_are_no_miss_either() -> None:
    assert finding_of(FILLED, measured("0", samples=19)).state is State.NO_DATA


@pytest.mark.parametrize(
    ("coverage", "expected", "shown"),
    [
        ("0.95", State.MET, ""),
        ("1", State.MET, ""),
        ("0.9499", State.NO_DATA, "watched for 94.9 % of the time, at least 95 % is needed"),
        ("0", State.NO_DATA, "watched for 0.0 % of the time, at least 95 % is needed"),
        ("NaN", State.NO_DATA, "what was measured is no number"),
        ("Infinity", State.NO_DATA, "what was measured is no number"),
    ],
)
def test_a_window_must_have_been_watched(coverage: str, expected: State, shown: str) -> None:
    finding = finding_of(FILLED, measured("0.9", coverage=coverage))

    assert (finding.state, finding.reason) == (expected, shown)


def test_a_miss_is_a_miss_however_little_was_watched() -> None:
    assert finding_of(FILLED, measured("0.5", coverage="0.1")).state is State.NOT_MET


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_not_known(value: str) -> None:
    of_symbol = finding_of(EACH_FILLED, measured("1", EACH_FILLED.metric, each=(("BTCUSDT", Decimal(value)),)))

    assert finding_of(FILLED, measured(value)).state is State.NO_DATA
    assert of_symbol.state is State.NO_DATA
    assert of_symbol.reason == "what was measured is no number"


@pytest.mark.parametrize(
    ("kind", "sign", "met", "missed"),
    [
        ("at_least", "≥", ("0.85", "0.8501", "1"), ("0.8499", "0")),
        ("at_most", "≤", ("0.85", "0.8499", "-1"), ("0.8501", "1")),
        ("above", ">", ("0.8501", "1"), ("0.85", "0.8499")),
        ("below", "<", ("0.8499", "-1"), ("0.85", "0.8501")),
    ],
)
def test_each_bound_has_two_sides(kind: str, sign: str, met: tuple[str, ...], missed: tuple[str, ...]) -> None:
    bound: dict[str, Decimal | None] = {"at_least": None, kind: Decimal("0.85")}
    criterion = replace(FILLED, **bound)  # type: ignore[arg-type]  # the names are those of bounds
    states = {value: finding_of(criterion, measured(value)).state for value in (*met, *missed)}

    assert states == dict.fromkeys(met, State.MET) | dict.fromkeys(missed, State.NOT_MET)
    assert (finding_of(criterion).sign, finding_of(criterion).bound) == (sign, Decimal("0.85"))


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("1000", "1500", State.MET),
        ("1000", "1500.1", State.NOT_MET),
        ("0", "0", State.MET),
        ("0", "0.1", State.NOT_MET),
    ],
)
def test_a_phase_is_compared_with_the_one_before(before: str, now: str, expected: State) -> None:
    finding = finding_of(NO_SLOWER, measured(now, "latency_p95_ms"), baseline={"latency_p95_ms": Decimal(before)})

    assert (finding.state, finding.sign, finding.bound) == (expected, "≤", Decimal(before) * Decimal("1.5"))


@pytest.mark.parametrize(
    "baseline", [{}, {"fill_rate": "1"}, {"latency_p95_ms": "NaN"}, {"latency_p95_ms": "Infinity"}]
)
def test_without_a_phase_before_nothing_can_be_compared(baseline: dict[str, str]) -> None:
    known = {metric: Decimal(value) for metric, value in baseline.items()}
    now = measured("1", "latency_p95_ms")

    finding = finding_of(NO_SLOWER, now, baseline=known)

    assert (finding.state, finding.sign, finding.bound, finding.measured) == (State.NO_DATA, "≤", None, now)
    assert finding.reason == "the phase before left no measurement to compare with"
    assert finding_of(NO_SLOWER, baseline=known).measured is None


@pytest.mark.parametrize(
    ("bitcoin", "ether", "expected", "reason"),
    [
        ("0.85", "0.9", State.MET, ""),
        ("0.84", "0.99", State.NOT_MET, ""),
        ("0.99", None, State.NO_DATA, "nothing was measured on ETHUSDT"),
        (None, None, State.NO_DATA, "nothing was measured on BTCUSDT, ETHUSDT"),
        ("0.84", None, State.NOT_MET, ""),
    ],
)
def test_each_symbol_counts(bitcoin: str | None, ether: str | None, expected: State, reason: str) -> None:
    each = tuple(
        (symbol, None if value is None else Decimal(value))
        for symbol, value in (("BTCUSDT", bitcoin), ("ETHUSDT", ether))
    )

    finding = finding_of(EACH_FILLED, measured("0.95", EACH_FILLED.metric, each=each))

    assert (finding.state, finding.reason) == (expected, reason)


@pytest.mark.parametrize(
    ("days", "hours", "expected", "reason"),
    [
        ([], RUNNING, State.IN_PROGRESS, "0 of 3 days measured"),
        ([], COMPLETE, State.NO_DATA, "0 of 3 days measured"),
        (["0.9", "0.9"], RUNNING, State.IN_PROGRESS, "2 of 3 days measured"),
        (["0.9", "0.9"], COMPLETE, State.NO_DATA, "2 of 3 days measured"),
        (["0.9", None], COMPLETE, State.NO_DATA, "2 of 3 days measured"),
        (["0.9", "0.84"], RUNNING, State.NOT_MET, ""),
        (["0.9", "0.85", "0.9"], RUNNING, State.MET, ""),
        (["0.9", "0.84", "0.9"], COMPLETE, State.NOT_MET, ""),
        (["0.84", None, "0.9"], COMPLETE, State.NOT_MET, ""),
        (["0.9", None, "0.9"], COMPLETE, State.NO_DATA, "nothing was measured"),
    ],
)
def test_the_worst_of_three_days_counts(days: list[str | None], hours: Decimal, expected: State, reason: str) -> None:
    finding = finding_of(THREE_DAYS, *(measured(value) for value in days), hours=hours)

    assert (finding.state, finding.reason) == (expected, reason)


@pytest.mark.parametrize(
    ("days", "shown"),
    [
        (["0.9", "0.84", "0.95"], "0.84"),
        (["0.9", "0.95", "0.92"], "0.92"),
        (["0.8", None], "0.8"),
        (["0.9", "0.95"], "0.95"),
    ],
)
def test_the_day_that_decides_is_shown(days: list[str | None], shown: str) -> None:
    finding = finding_of(THREE_DAYS, *(measured(value) for value in days))

    assert finding.measured == measured(shown)


def test_a_day_with_few_orders_is_graver_than_a_good_one_and_milder_than_a_bad_one() -> None:
    few, good, bad = measured("0.9", samples=3), measured("0.9"), measured("0.5")

    assert finding_of(THREE_DAYS, good, few, good).measured == few
    assert finding_of(THREE_DAYS, bad, few, good).measured == bad


@pytest.mark.parametrize(
    ("missed", "running", "complete"),
    [
        ((), Outcome.RUNNING, Outcome.PASS),
        ((OnMiss.ADVISE,), Outcome.RUNNING, Outcome.PASS),
        ((OnMiss.STAY,), Outcome.RUNNING, Outcome.STAY),
        ((OnMiss.INVESTIGATE,), Outcome.RUNNING, Outcome.STAY),
        ((OnMiss.HALT,), Outcome.FAIL, Outcome.FAIL),
        ((OnMiss.AUTO_HALT,), Outcome.FAIL, Outcome.FAIL),
        ((OnMiss.STAY, OnMiss.HALT), Outcome.FAIL, Outcome.FAIL),
        ((OnMiss.ADVISE, OnMiss.STAY), Outcome.RUNNING, Outcome.STAY),
    ],
)
def test_the_gravest_miss_decides(missed: tuple[OnMiss, ...], running: Outcome, complete: Outcome) -> None:
    assert outcome_of(*missed, hours=RUNNING) is running
    assert outcome_of(*missed, hours=COMPLETE) is complete


@pytest.mark.parametrize("on_miss", [OnMiss.STAY, OnMiss.INVESTIGATE, OnMiss.HALT, OnMiss.AUTO_HALT])
def test_what_is_needed_and_not_known_stays_and_never_passes(on_miss: OnMiss) -> None:
    assert outcome_of(on_miss, value=None) is Outcome.STAY
    assert outcome_of(on_miss, value=None, hours=RUNNING) is Outcome.RUNNING


def test_what_is_only_advised_may_be_unknown() -> None:
    assert outcome_of(OnMiss.ADVISE, value=None) is Outcome.PASS


@pytest.mark.parametrize(
    ("hours", "expected", "left"),
    [
        ("0", Outcome.RUNNING, "48"),
        ("47.99", Outcome.RUNNING, "0.01"),
        ("48", Outcome.PASS, "0"),
        ("90", Outcome.PASS, "0"),
    ],
)
def test_a_run_passes_only_once_its_time_is_over(hours: str, expected: Outcome, left: str) -> None:
    evidence: Evidence = {("fill_rate", Over.RUN): [measured("0.9")]}

    verdict = judge(replace(MICRO, criteria=(FILLED,)), evidence, NO_BASELINE, Decimal(hours))

    assert (verdict.outcome, verdict.window.hours_left) == (expected, Decimal(left))


@pytest.mark.parametrize(
    ("is_extended", "hours_before", "hours", "expected", "left"),
    [
        (False, 0, "71.9", Outcome.RUNNING, "0.1"),
        (False, 0, "72", Outcome.PASS, "0"),
        (True, 0, "167.9", Outcome.RUNNING, "0.1"),
        (True, 0, "168", Outcome.PASS, "0"),
        (False, 48, "119.9", Outcome.RUNNING, "0.1"),
        (False, 48, "120", Outcome.PASS, "0"),
        (True, 48, "215.9", Outcome.RUNNING, "0.1"),
        (True, 48, "216", Outcome.PASS, "0"),
    ],
)
def test_a_hold_and_a_retest_make_the_window_longer(
    is_extended: bool, hours_before: int, hours: str, expected: Outcome, left: str
) -> None:
    evidence: Evidence = {("fill_rate", Over.RUN): [measured("0.9")]}
    phase = replace(MICRO, criteria=(FILLED,), duration=phases.Duration(72), stay=phases.Stay("ADJUST", 168))

    verdict = judge(phase, evidence, NO_BASELINE, Decimal(hours), hours_before, is_extended=is_extended)

    assert (verdict.outcome, verdict.window.hours_left) == (expected, Decimal(left))


def test_a_window_is_not_extended_unless_a_hold_did_it() -> None:
    phase = replace(MICRO, duration=phases.Duration(72), stay=phases.Stay("ADJUST", 168))

    assert judge(phase, {}, NO_BASELINE, Decimal(0)).window == Window(Decimal(0), 72)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([State.MET], ""),
        ([State.MET, State.MET], ""),
        ([State.MET, State.IN_PROGRESS], "in progress"),
        ([State.NO_DATA, State.IN_PROGRESS, State.MET], "no data"),
        ([State.NOT_MET, State.NO_DATA, State.IN_PROGRESS], "not met"),
        ([], "no data"),
    ],
)
def test_an_item_is_ticked_only_by_criteria_that_are_all_met(states: list[State], expected: str) -> None:
    on_fills = [Finding(FILLED, state, "≥", Decimal("0.85"), None) for state in states]
    other = Criterion("feed_uptime", OnMiss.STAY, at_least=Decimal("0.99"))
    on_others = [Finding(other, state, "≥", Decimal("0.99"), None) for state in (State.MET, State.NOT_MET)]
    verdict = Verdict(Outcome.STAY, (*on_fills, *on_others), Window(COMPLETE, HOURS))

    assert why_not_automatic(verdict, "fill_rate") == expected


def test_a_verdict_says_what_is_open_and_what_calls_for_an_incident() -> None:
    missed = [replace(FILLED, on_miss=on_miss) for on_miss in OnMiss]
    unknown = Criterion("feed_uptime", OnMiss.INVESTIGATE, at_least=Decimal("0.99"))
    phase = replace(MICRO, criteria=(*missed, unknown))

    verdict = judge(phase, {("fill_rate", Over.RUN): [measured("0.5")]}, NO_BASELINE, COMPLETE)

    assert [finding.criterion for finding in verdict.open] == [*missed[1:], unknown]
    assert [finding.criterion for finding in verdict.to_investigate] == [missed[2]]
    assert [finding.is_needed for finding in verdict.findings] == [False, True, True, True, True, True]


def test_the_window_a_criterion_asks_for_is_the_one_that_counts() -> None:
    evidence: Evidence = {
        ("fill_rate", Over.RUN): [measured("0.9")],
        ("fill_rate", Over.EACH_OF_3_DAYS): [measured("0.9"), measured("0.5"), measured("0.9")],
    }

    verdict = judge(replace(MICRO, criteria=(FILLED, THREE_DAYS)), evidence, NO_BASELINE, COMPLETE)

    assert [finding.state for finding in verdict.findings] == [State.MET, State.NOT_MET]


# --- whatever was measured ---------------------------------------------------------------------------------

NUMBERS = st.sampled_from([Decimal(text) for text in ("0", "1", "2", "3", "4", "-1", "0.5", "5", "9")])
VALUES = NUMBERS | NUMBERS | NUMBERS | st.sampled_from([None, Decimal("NaN"), Decimal("-Infinity")])
BOUNDS = ("at_least", "at_most", "above", "below", "of_previous")
BASELINE = {metric: Decimal(2) for metric in METRICS if metric != "sharpe"}
SIZES = st.sampled_from([3, 1, 0])
HOURS_IN_FORCE = st.sampled_from([COMPLETE, COMPLETE, COMPLETE, RUNNING, Decimal(0)])


@st.composite
def criteria(draw: st.DrawFn) -> Criterion:
    bound = {draw(st.sampled_from(BOUNDS)): draw(NUMBERS.filter(lambda number: number >= 0))}
    names = st.sampled_from(["fill_rate", "latency_p95_ms", "fill_rate_each_symbol", "crit_alerts", "sharpe"])
    over = draw(st.sampled_from(Over))
    return Criterion(draw(names), draw(st.sampled_from(OnMiss)), over=over, **bound)  # type: ignore[arg-type]  # names of bounds


@st.composite
def measurements(draw: st.DrawFn, metric: str) -> Measurement:
    each = draw(st.sampled_from([(), (), (("BTCUSDT", draw(VALUES)),)]))
    samples, coverage = draw(st.sampled_from([20, 19])), draw(st.sampled_from(["1", "0.95", "1", "0.94"]))
    return replace(measured(None, metric, samples=samples, coverage=coverage), value=draw(VALUES), each=each)


@st.composite
def runs(draw: st.DrawFn) -> tuple[Phase, dict[tuple[str, Over], Sequence[Measurement]], Decimal]:
    phase = replace(MICRO, criteria=tuple(draw(st.lists(criteria(), min_size=1, max_size=2, unique=True))))
    keys = {(criterion.metric, criterion.over) for criterion in phase.criteria}
    evidence = {key: draw(st.lists(measurements(key[0]), min_size=draw(SIZES), max_size=3)) for key in sorted(keys)}
    return phase, dict(evidence), draw(HOURS_IN_FORCE)


def is_believed(one: Measurement) -> bool:
    values = [one.value, *(value for _, value in one.each)]
    is_known = all(value is not None and value.is_finite() for value in values)
    return is_known and one.samples >= METRICS[one.metric].fewest and one.coverage >= LEAST_COVERAGE


def holds(criterion: Criterion, value: Decimal) -> bool:
    kind, bound = criterion.bound
    if kind == "of_previous":
        return value <= bound * BASELINE[criterion.metric]
    return {"at_least": value >= bound, "at_most": value <= bound, "above": value > bound, "below": value < bound}[kind]


@hypothesis_settings(max_examples=200, deadline=None)
@given(runs())
def test_a_pass_was_measured_in_full(run: tuple[Phase, Evidence, Decimal]) -> None:
    phase, evidence, hours = run
    verdict = judge(phase, evidence, BASELINE, hours)

    if verdict.outcome is Outcome.PASS:
        assert hours >= HOURS
        for criterion in (finding.criterion for finding in verdict.findings if finding.is_needed):
            found = evidence[criterion.metric, criterion.over]
            assert len(found) >= (3 if criterion.over is Over.EACH_OF_3_DAYS else 1)
            assert all(is_believed(one) and holds(criterion, one.value or Decimal(0)) for one in found)
            assert all(holds(criterion, value or Decimal(0)) for one in found for _, value in one.each)


@hypothesis_settings(max_examples=200, deadline=None)
@given(runs(), st.data())
def test_removing_a_measurement_never_opens_the_gate(run: tuple[Phase, Evidence, Decimal], data: st.DataObject) -> None:
    """A proven miss that is removed is no longer proven, so FAIL may become STAY; nothing becomes PASS."""
    phase, evidence, hours = run
    key = data.draw(st.sampled_from(sorted(evidence)))
    less = {**evidence, key: []}

    if judge(phase, evidence, BASELINE, hours).outcome is not Outcome.PASS:
        assert judge(phase, less, BASELINE, hours).outcome is not Outcome.PASS


GRAVITY = [Outcome.PASS, Outcome.RUNNING, Outcome.STAY, Outcome.FAIL]


def worse(one: Measurement, kind: str, by: Decimal) -> Measurement:
    """The same with every number further on the wrong side of its bound."""
    step = -by if kind in {"at_least", "above"} else by
    each = tuple((symbol, None if value is None else value + step) for symbol, value in one.each)
    return replace(one, value=None if one.value is None else one.value + step, each=each)


@hypothesis_settings(max_examples=200, deadline=None)
@given(runs(), st.decimals(0, 20, places=2), st.sampled_from(["0", "0.94", "0.95", "1"]))
def test_a_worse_or_less_watched_measurement_never_improves_the_outcome(
    run: tuple[Phase, Evidence, Decimal], by: Decimal, coverage: str
) -> None:
    """One criterion for each measurement: what is worse for "at least" may be better for "at most"."""
    phase, evidence, hours = run
    kinds = {(criterion.metric, criterion.over): criterion for criterion in phase.criteria}
    phase = replace(phase, criteria=tuple(kinds.values()))
    after = {
        key: [
            replace(worse(one, kinds[key].bound[0], by), coverage=min(one.coverage, Decimal(coverage))) for one in found
        ]
        for key, found in evidence.items()
    }
    outcomes = [judge(phase, some, BASELINE, hours).outcome for some in (evidence, after)]

    assert GRAVITY.index(outcomes[1]) >= GRAVITY.index(outcomes[0])


@hypothesis_settings(max_examples=200, deadline=None)
@given(runs())
def test_what_is_only_advised_never_changes_the_outcome(run: tuple[Phase, Evidence, Decimal]) -> None:
    phase, evidence, hours = run
    needed = tuple(criterion for criterion in phase.criteria if criterion.on_miss is not OnMiss.ADVISE)

    without = judge(replace(phase, criteria=needed), evidence, BASELINE, hours)

    assert judge(phase, evidence, BASELINE, hours).outcome is without.outcome


@hypothesis_settings(max_examples=200, deadline=None)
@given(runs())
def test_a_run_that_is_not_over_runs_or_fails(run: tuple[Phase, Evidence, Decimal]) -> None:
    phase, evidence, _ = run

    assert judge(phase, evidence, BASELINE, RUNNING).outcome in {Outcome.RUNNING, Outcome.FAIL}
    assert judge(phase, evidence, BASELINE, COMPLETE).outcome is not Outcome.RUNNING
