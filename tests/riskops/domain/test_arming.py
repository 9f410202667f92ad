"""Every precondition on each side of its edge, and whose word it takes to leave PAPER."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from riskops.domain.arming import (
    DrillFact,
    Facts,
    Finding,
    Go,
    KeyFact,
    State,
    blockers,
    build_of,
    is_expired,
    preconditions,
    why_not_arm,
    why_not_request,
)
from trading.domain.drills import Drill
from trading.domain.modes import ArmingRecord, Mode, why_not_trade
from trading.domain.people import Role
from trading.domain.restrictions import KeyPurpose

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = KeyFact(1, True, AT, (), "", 12.0)
KEYS = {purpose: replace(KEY, id=number) for number, purpose in enumerate(KeyPurpose)}
DRILLS = {drill: DrillFact("PASSED", AT - timedelta(days=1), "engineer") for drill in Drill}
READY = Facts(
    at=AT,
    mode=Mode.LIVE,
    phase="4.0",
    go=Go("4.0", "GO", AT - timedelta(days=2), False),
    testnet_fills=3,
    keys=KEYS,
    feasibility={"BTCUSDT": "", "ETHUSDT": ""},
    drills=DRILLS,
    paper_hours=Decimal(168),
    paper_accelerated=False,
    drift={"P&L": Decimal("0.15"), "Sharpe": Decimal("-0.15")},
    incidents=(),
    halts=(),
    audit_broken="",
    audit_at=AT,
    builds={"web@a:1": "1-1", "loops@a:2": "1-1", "watchdog": "1-1"},
)
LEAD, CTO = {Role.TRADING_LEAD.value}, {Role.CTO.value}


def one_key(**changes: Any) -> dict[KeyPurpose, KeyFact]:
    return {**KEYS, KeyPurpose.TRADE: replace(KEY, **changes)}


def without(what: Drill) -> dict[Drill, DrillFact]:
    return {drill: fact for drill, fact in DRILLS.items() if drill is not what}


def test_with_everything_in_place_nothing_blocks() -> None:
    assert blockers(preconditions(READY)) == []


def test_what_is_met_needs_no_remedy_and_all_else_names_one() -> None:
    for finding in (*preconditions(READY), *preconditions(Facts(AT, Mode.LIVE, "4.0"))):
        assert bool(finding.remedy) is (finding.state is not State.MET)
        assert finding.evidence


def test_of_nothing_known_nothing_is_met_but_what_is_known_to_be_absent() -> None:
    met = [f.name for f in preconditions(Facts(AT, Mode.LIVE, "4.0")) if f.state is State.MET]

    assert met == ["Venue of this console", "The market's own speed"]


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"go": None}, "Gate GO", State.NOT_MET),
        ({"go": Go("4.0", "HOLD", AT, False)}, "Gate GO", State.NOT_MET),
        ({"go": Go("4.0", "NO_GO", AT, False)}, "Gate GO", State.NOT_MET),
        ({"go": Go("4.0", "GO", AT, True)}, "Gate GO", State.NOT_MET),
        ({"testnet_fills": None}, "TESTNET first", State.NOT_MET),
        ({"testnet_fills": 0}, "TESTNET first", State.NOT_MET),
        ({"venue_refusal": "elsewhere"}, "Venue of this console", State.NOT_MET),
        ({"keys": {k: v for k, v in KEYS.items() if k != "trade"}}, "Key to trade", State.NOT_MET),
        ({"keys": one_key(is_readable=False)}, "Key to trade", State.NOT_MET),
        ({"keys": one_key(is_readable=None)}, "Key to trade", State.UNKNOWN),
        ({"keys": {}}, "What the trade key may do", State.UNKNOWN),
        ({"keys": one_key(checked_at=None)}, "What the trade key may do", State.UNKNOWN),
        ({"keys": one_key(checked_at=AT - timedelta(seconds=300))}, "What the trade key may do", State.MET),
        ({"keys": one_key(checked_at=AT - timedelta(seconds=301))}, "What the trade key may do", State.UNKNOWN),
        ({"keys": one_key(checked_at=AT + timedelta(seconds=301))}, "What the trade key may do", State.UNKNOWN),
        ({"keys": one_key(objections=None)}, "What the trade key may do", State.UNKNOWN),
        ({"keys": one_key(objections=("withdrawals are enabled",))}, "What the trade key may do", State.NOT_MET),
        ({"keys": {p: replace(KEY, skew_ms=499.9) for p in KeyPurpose}}, "Clock", State.MET),
        ({"keys": {p: replace(KEY, skew_ms=500.0) for p in KeyPurpose}}, "Clock", State.NOT_MET),
        ({"keys": {p: replace(KEY, skew_ms=-500.0) for p in KeyPurpose}}, "Clock", State.NOT_MET),
        ({"keys": {p: replace(KEY, skew_ms=float("nan")) for p in KeyPurpose}}, "Clock", State.NOT_MET),
        ({"keys": {p: replace(KEY, skew_ms=None) for p in KeyPurpose}}, "Clock", State.UNKNOWN),
        ({"keys": {p: replace(KEY, checked_at=AT - timedelta(minutes=6)) for p in KeyPurpose}}, "Clock", State.UNKNOWN),
        ({"feasibility": {}}, "Grids at the venue's filters", State.NOT_MET),
        ({"feasibility": {"BTCUSDT": "", "ETHUSDT": None}}, "Grids at the venue's filters", State.UNKNOWN),
        ({"feasibility": {"BTCUSDT": "too small", "ETHUSDT": None}}, "Grids at the venue's filters", State.NOT_MET),
        ({"drills": without(Drill.MANUAL)}, "Drill manual", State.NOT_MET),
        ({"drills": without(Drill.DRAWDOWN)}, "Drill drawdown", State.NOT_MET),
        ({"drills": without(Drill.SILENT_DATA)}, "Drill silent data", State.NOT_MET),
        ({"drills": without(Drill.VENUE_ERRORS)}, "Drill venue errors", State.NOT_MET),
        ({"drills": {**DRILLS, Drill.MANUAL: DrillFact("FAILED", AT, "cto")}}, "Drill manual", State.NOT_MET),
        ({"drills": {**DRILLS, Drill.MANUAL: DrillFact("RUNNING", AT, "cto")}}, "Drill manual", State.NOT_MET),
        ({"paper_hours": Decimal("167.99")}, "7 days of paper", State.NOT_MET),
        ({"paper_hours": None}, "7 days of paper", State.UNKNOWN),
        ({"paper_accelerated": None}, "7 days of paper", State.UNKNOWN),
        ({"paper_accelerated": True}, "7 days of paper", State.NOT_MET),
        ({"drift": {}}, "Drift of paper from backtest", State.UNKNOWN),
        ({"drift": {"P&L": None}}, "Drift of paper from backtest", State.UNKNOWN),
        ({"drift": {"P&L": Decimal("NaN")}}, "Drift of paper from backtest", State.UNKNOWN),
        ({"drift": {"P&L": Decimal("0.1501")}}, "Drift of paper from backtest", State.NOT_MET),
        ({"drift": {"P&L": Decimal("-0.1501")}}, "Drift of paper from backtest", State.NOT_MET),
        ({"incidents": None}, "No open incident", State.UNKNOWN),
        ({"incidents": ("incident #1 is open",)}, "No open incident", State.NOT_MET),
        ({"halts": None}, "No halt in force", State.UNKNOWN),
        ({"halts": ("Micro: by hand",)}, "No halt in force", State.NOT_MET),
        ({"audit_broken": None}, "Audit trail", State.UNKNOWN),
        ({"audit_at": None}, "Audit trail", State.UNKNOWN),
        ({"audit_at": AT - timedelta(hours=1, seconds=1)}, "Audit trail", State.UNKNOWN),
        ({"audit_broken": "breaks at #7"}, "Audit trail", State.NOT_MET),
        ({"builds": {}}, "Code and configuration", State.UNKNOWN),
        ({"builds": {"web@a:1": "1-1", "loops@a:2": "1-1"}}, "Code and configuration", State.UNKNOWN),
        ({"builds": {**READY.builds, "tasks@a:3": "2-1"}}, "Code and configuration", State.NOT_MET),
        ({"replay_speed": Decimal(1)}, "The market's own speed", State.MET),
        ({"replay_speed": Decimal(10)}, "The market's own speed", State.NOT_MET),
    ],
)
def test_each_precondition_blocks_by_itself(changes: dict[str, Any], name: str, state: State) -> None:
    found = {finding.name: finding for finding in preconditions(replace(READY, **changes))}

    assert found[name].state is state
    assert (name in blockers(list(found.values()))) is (state is not State.MET)


def test_testnet_asks_for_no_gate_no_days_and_no_answer_that_its_venue_does_not_give() -> None:
    names = [finding.name for finding in preconditions(replace(READY, mode=Mode.TESTNET))]

    assert not {"Gate GO", "TESTNET first", "7 days of paper", "Drift of paper from backtest"} & set(names)
    assert not [name for name in names if name.startswith("What the")]
    assert {"Key to trade", "Key to cancel", "Key to read", "Clock", "Drill manual", "Audit trail"} <= set(names)


def test_testnet_blocks_for_what_its_venue_says_is_wrong_with_a_key() -> None:
    facts = replace(READY, mode=Mode.TESTNET, keys=one_key(objections=("withdrawals are enabled",)))

    assert blockers(preconditions(facts)) == ["What the trade key may do"]


def test_a_rehearsal_says_so() -> None:
    (venue,) = [f for f in preconditions(replace(READY, stands_in=True)) if f.name == "Venue of this console"]

    assert "no real money moves" in venue.evidence


MET = [Finding("Clock", State.MET, "fine", "")]
OPEN = [Finding("Clock", State.UNKNOWN, "nobody knows", "ask")]
TWO_OPEN = [*OPEN, Finding("Audit trail", State.NOT_MET, "breaks at #7", "look")]
SECOND = "Arming needs a second person: whoever asked cannot approve it."
BOTH = "Of the two people one must be the Trading Lead and the other the CTO."
CHANGED = "What was shown has changed since it was asked for: withdraw it and ask again."


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, ""),
        ({"requester_roles": CTO, "approver_roles": LEAD}, ""),
        ({"requester_roles": LEAD | CTO, "approver_roles": CTO}, ""),
        ({"requester_roles": CTO, "approver_roles": LEAD | CTO}, ""),
        ({"same_person": True, "requester_roles": LEAD | CTO, "approver_roles": LEAD | CTO}, SECOND),
        ({"approver_roles": LEAD}, BOTH),
        ({"requester_roles": CTO}, BOTH),
        ({"requester_roles": {"Engineer"}}, BOTH),
        ({"approver_roles": set()}, BOTH),
        ({"findings": OPEN}, "1 of 1 preconditions do not hold any more: Clock."),
        ({"findings": [*MET, *TWO_OPEN]}, "2 of 3 preconditions do not hold any more: Clock, Audit trail."),
        ({"same_digest": False}, CHANGED),
        ({"typed": "live 4.0"}, "Type LIVE 4.0 to confirm."),
        ({"typed": ""}, "Type LIVE 4.0 to confirm."),
    ],
)
def test_arming_takes_a_trading_lead_and_a_cto(changes: dict[str, Any], refusal: str) -> None:
    right: dict[str, Any] = {
        "findings": MET, "same_person": False, "requester_roles": LEAD, "approver_roles": CTO, "same_digest": True,
        "typed": "LIVE 4.0", "word": "LIVE 4.0",
    }  # fmt: skip
    given = {**right, **changes}

    assert why_not_arm(given.pop("findings"), **given) == refusal


@pytest.mark.parametrize(
    ("roles", "findings", "typed", "refusal"),
    [
        (LEAD, MET, "LIVE 4.0", ""),
        (CTO, MET, "LIVE 4.0", ""),
        ({"Engineer"}, MET, "LIVE 4.0", "Only Trading Lead or CTO may ask for it."),
        (set(), MET, "LIVE 4.0", "Only Trading Lead or CTO may ask for it."),
        (LEAD, OPEN, "LIVE 4.0", "1 of 1 preconditions do not hold: Clock."),
        (LEAD, TWO_OPEN, "LIVE 4.0", "2 of 2 preconditions do not hold: Clock, Audit trail."),
        (LEAD, MET, "LIVE", "Type LIVE 4.0 to confirm."),
    ],
)
def test_asking_takes_one_of_both_and_every_precondition(
    roles: set[str], findings: list[Finding], typed: str, refusal: str
) -> None:
    assert why_not_request(findings, roles=roles, typed=typed, word="LIVE 4.0") == refusal


@pytest.mark.parametrize(("waited", "expired"), [(timedelta(hours=23, minutes=59), False), (timedelta(hours=24), True)])
def test_a_request_waits_a_day(waited: timedelta, expired: bool) -> None:
    assert is_expired(AT - waited, AT) is expired


@pytest.mark.parametrize(
    ("builds", "build"), [({}, ""), ({"a": "1"}, "1"), ({"a": "1", "b": "1"}, "1"), ({"a": "1", "b": "2"}, "")]
)
def test_a_build_is_the_one_that_everybody_runs(builds: dict[str, str], build: str) -> None:
    assert build_of(builds) == build


ARMED = ArmingRecord(True, "1-1", "lead + cto", AT)


@pytest.mark.parametrize(
    ("mode", "record", "build", "refusal"),
    [
        (Mode.PAPER, None, "1-1", ""),
        (Mode.LIVE, ARMED, "1-1", ""),
        (Mode.TESTNET, ARMED, "1-1", ""),
        (Mode.LIVE, None, "1-1", "LIVE was never armed"),
        (Mode.TESTNET, None, "1-1", "TESTNET was never armed"),
        (Mode.LIVE, replace(ARMED, is_armed=False, by="trader", why="odd"), "1-1", "disarmed by trader: odd"),
        (Mode.LIVE, ARMED, "1-2", "armed for code and configuration 1-1, this process runs 1-2"),
        (Mode.LIVE, replace(ARMED, build=""), "1-1", "this process runs 1-1"),
    ],
)
def test_an_order_leaves_only_armed_and_only_from_the_build_that_was_approved(
    mode: Mode, record: ArmingRecord | None, build: str, refusal: str
) -> None:
    said = why_not_trade(mode, record, build)

    assert (refusal in said) if refusal else said == ""


def test_each_precondition_shows_what_it_rests_on() -> None:
    shown = {finding.name: finding.evidence for finding in preconditions(READY)}

    sound = "no withdrawals, no transfers, bound to an address (asked the venue 0 s ago)"
    assert shown == {
        "Gate GO": "GO for 4.0 on 2026-11-19 12:00",
        "TESTNET first": "3 fills on TESTNET",
        "7 days of paper": "168.0 of 168 h in force",
        "Drift of paper from backtest": "P&L 15.0 %, Sharpe -15.0 %, limit 15 %",
        "Venue of this console": "prices and orders are LIVE's",
        "Key to trade": "kept, sealed",
        "Key to cancel": "kept, sealed",
        "Key to read": "kept, sealed",
        "What the trade key may do": sound,
        "What the cancel key may do": sound,
        "What the read key may do": sound,
        "Clock": "+12 ms from the venue's, limit 500 ms",
        "Grids at the venue's filters": "BTCUSDT, ETHUSDT fit",
        "Drill manual": "PASSED on 2026-11-20 12:00, by engineer",
        "Drill drawdown": "PASSED on 2026-11-20 12:00, by engineer",
        "Drill silent data": "PASSED on 2026-11-20 12:00, by engineer",
        "Drill venue errors": "PASSED on 2026-11-20 12:00, by engineer",
        "No open incident": "none",
        "No halt in force": "none",
        "Audit trail": "whole, verified 0 s ago",
        "Code and configuration": "1-1 in 3 processes",
        "The market's own speed": "no replay",
    }


PERMISSIONS = "Change the key's permissions at the venue, then check again."
CHANGE_GRID = "Change the grid, or its capital, until it fits."
WEEK_ON_PAPER = "Let the paper account trade at the market's own speed until 168 h are in force."
RESTART = "Restart every process of the console: ./console up."
PASS_GATE = "Pass the gate of the phase on paper, at the market's own speed."
ADD_KEY = "Add a trade key of its own under Settings, Venue keys."
TRIED = "Housekeeping tries it every minute: does it run?"
ASKED = "Housekeeping asks every minute: does it run?"
DRILL = "Run it on the page Risk, on the paper account."
CLOSE = "Close it with its review, on the page Incidents."
RESUME = "Two people resume it, on the page Risk."
VERIFY = "Run ./console verify_audit and find out what happened."
MEASURE = "Measure it; above 15 % find out why before any money moves."


@pytest.mark.parametrize(
    ("name", "changes", "evidence", "remedy"),
    [
        ("Gate GO", {"go": None}, "no run of 4.0 was decided on paper", PASS_GATE),
        ("Gate GO", {"go": Go("4.0", "HOLD", AT, False)}, "HOLD for 4.0 on 2026-11-21 12:00", PASS_GATE),
        (
            "Gate GO",
            {"go": Go("4.0", "GO", AT, True)},
            "GO for 4.0 on 2026-11-21 12:00, of an accelerated run: it counts on paper only",
            PASS_GATE,
        ),
        ("TESTNET first", {"testnet_fills": None}, "no TESTNET account", "Arm TESTNET and let it trade."),
        ("TESTNET first", {"testnet_fills": 0}, "0 fills on TESTNET", "Arm TESTNET and let it trade."),
        ("Venue of this console", {"venue_refusal": "elsewhere"}, "elsewhere", "docs/going-live.md says how."),
        ("Key to trade", {"keys": {}}, "none is kept", ADD_KEY),
        ("Key to trade", {"keys": one_key(is_readable=False)}, "cannot be opened", ADD_KEY),
        ("Key to trade", {"keys": one_key(is_readable=None)}, "not tried yet", TRIED),
        ("What the trade key may do", {"keys": {}}, "the venue was not asked", ASKED),
        ("What the trade key may do", {"keys": one_key(checked_at=None)}, "the venue was not asked", ASKED),
        (
            "What the trade key may do",
            {"keys": one_key(checked_at=AT - timedelta(minutes=9))},
            "asked the venue 9 min ago, limit 5 min",
            ASKED,
        ),
        (
            "What the trade key may do",
            {"keys": one_key(objections=None)},
            "asked the venue 0 s ago: no usable answer",
            PERMISSIONS,
        ),
        (
            "What the trade key may do",
            {"keys": one_key(objections=None, problem="HTTP 404")},
            "asked the venue 0 s ago: HTTP 404",
            PERMISSIONS,
        ),
        (
            "What the trade key may do",
            {"keys": one_key(objections=("a", "b"), checked_at=AT - timedelta(seconds=119))},
            "a; b (asked the venue 119 s ago)",
            PERMISSIONS,
        ),
        (
            "What the trade key may do",
            {"keys": one_key(objections=("a",), checked_at=AT - timedelta(seconds=120))},
            "a (asked the venue 2 min ago)",
            PERMISSIONS,
        ),
        ("Clock", {"keys": {}}, "not compared with the venue's", "It is compared when the keys are checked."),
        (
            "Clock",
            {"keys": {p: replace(KEY, checked_at=AT - timedelta(seconds=301)) for p in KeyPurpose}},
            "compared 5 min ago, limit 5 min",
            "Set this machine's clock (NTP).",
        ),
        (
            "Clock",
            {"keys": one_key(skew_ms=-700.0, checked_at=AT + timedelta(seconds=1))},
            "-700 ms from the venue's, limit 500 ms",
            "Set this machine's clock (NTP).",
        ),
        ("Grids at the venue's filters", {"feasibility": {}}, "no grid is enabled", CHANGE_GRID),
        (
            "Grids at the venue's filters",
            {"feasibility": {"A": "too small", "B": "", "C": "too fine", "D": None}},
            "A: too small; C: too fine",
            CHANGE_GRID,
        ),
        (
            "Grids at the venue's filters",
            {"feasibility": {"A": None, "B": "", "C": None}},
            "no price or filters of A, C",
            "Wait for market data.",
        ),
        ("Drill manual", {"drills": {}}, "never run", DRILL),
        (
            "Drill silent data",
            {"drills": {Drill.SILENT_DATA: DrillFact("FAILED", AT, "cto")}},
            "FAILED on 2026-11-21 12:00, by cto",
            DRILL,
        ),
        ("7 days of paper", {"paper_hours": None}, "not measured", WEEK_ON_PAPER),
        ("7 days of paper", {"paper_accelerated": None}, "not measured", WEEK_ON_PAPER),
        ("7 days of paper", {"paper_hours": Decimal(167)}, "167.0 of 168 h in force", WEEK_ON_PAPER),
        (
            "7 days of paper",
            {"paper_accelerated": True},
            "168.0 of 168 h in force, some of them a replay faster than time",
            WEEK_ON_PAPER,
        ),
        ("Drift of paper from backtest", {"drift": {}}, "not measured", MEASURE),
        ("Drift of paper from backtest", {"drift": {"P&L": None, "fees": Decimal(0)}}, "not measured", MEASURE),
        (
            "Drift of paper from backtest",
            {"drift": {"P&L": Decimal("0.2"), "fees": Decimal(0)}},
            "P&L 20.0 %, fees 0.0 %, limit 15 %",
            MEASURE,
        ),
        ("No open incident", {"incidents": ("a", "b")}, "a; b", CLOSE),
        ("No open incident", {"incidents": None}, "not known", CLOSE),
        ("No halt in force", {"halts": ("Micro: odd", "Small: by hand")}, "Micro: odd; Small: by hand", RESUME),
        ("No halt in force", {"halts": None}, "not known", RESUME),
        ("Audit trail", {"audit_broken": "breaks at #7"}, "breaks at #7", VERIFY),
        ("Audit trail", {"audit_broken": None}, "not verified", VERIFY),
        ("Audit trail", {"audit_at": None}, "not verified", VERIFY),
        (
            "Audit trail",
            {"audit_at": AT - timedelta(hours=2)},
            "verified 120 min ago, limit 1 h",
            "Reload the page: it is verified again.",
        ),
        (
            "Code and configuration",
            {"builds": {"web@a:1": "1-1"}},
            "nothing was heard of: loops, watchdog",
            RESTART,
        ),
        (
            "Code and configuration",
            {"builds": {**READY.builds, "tasks@a:3": "2-1"}},
            "different in different processes",
            RESTART,
        ),
        (
            "The market's own speed",
            {"replay_speed": Decimal(10)},
            "a replay, 10 s a second",
            "Set the replay to its own speed, 1 second a second.",
        ),
    ],
)
def test_what_blocks_says_why_and_what_to_do(name: str, changes: dict[str, Any], evidence: str, remedy: str) -> None:
    found = {finding.name: finding for finding in preconditions(replace(READY, **changes))}

    assert (found[name].evidence, found[name].remedy) == (evidence, remedy)


@pytest.mark.parametrize(
    ("changes", "name", "evidence"),
    [
        ({"testnet_fills": 1}, "TESTNET first", "1 fills on TESTNET"),
        (
            {"stands_in": True},
            "Venue of this console",
            "a rehearsal: the simulated exchange stands in for the venue, no real money moves",
        ),
        (
            {"keys": {p: replace(KEY, checked_at=AT - timedelta(minutes=5)) for p in KeyPurpose}},
            "Clock",
            "+12 ms from the venue's, limit 500 ms",
        ),
        ({"audit_at": AT - timedelta(hours=1)}, "Audit trail", "whole, verified 60 min ago"),
        ({"replay_speed": Decimal(1)}, "The market's own speed", "a replay, 1 s a second"),
    ],
    ids=["one fill", "a rehearsal", "a clock of five minutes", "a trail of an hour", "a replay at its own speed"],
)
def test_on_its_bound_a_precondition_still_holds(changes: dict[str, Any], name: str, evidence: str) -> None:
    found = {finding.name: finding for finding in preconditions(replace(READY, **changes))}

    assert found[name] == Finding(name, State.MET, evidence, "")


def test_the_clock_is_judged_by_its_newest_comparison() -> None:
    later = replace(KEY, checked_at=AT + timedelta(seconds=1))
    keys = {**KEYS, KeyPurpose.TRADE: replace(later, skew_ms=None), KeyPurpose.READ: replace(later, skew_ms=600.0)}

    found = {finding.name: finding for finding in preconditions(replace(READY, keys=keys))}

    assert found["Clock"].evidence == "+600 ms from the venue's, limit 500 ms"


def test_a_key_that_compared_nothing_does_not_hide_the_clock() -> None:
    nothing = one_key(skew_ms=None, checked_at=AT + timedelta(seconds=1))

    found = {finding.name: finding for finding in preconditions(replace(READY, keys=nothing))}

    assert found["Clock"].state is State.MET
