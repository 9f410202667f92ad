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


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, ""),
        ({"requester_roles": CTO, "approver_roles": LEAD}, ""),
        ({"requester_roles": LEAD | CTO, "approver_roles": CTO}, ""),
        ({"requester_roles": CTO, "approver_roles": LEAD | CTO}, ""),
        ({"same_person": True, "requester_roles": LEAD | CTO, "approver_roles": LEAD | CTO}, "second person"),
        ({"approver_roles": LEAD}, "one must be the Trading Lead and the other the CTO"),
        ({"requester_roles": CTO}, "one must be the Trading Lead and the other the CTO"),
        ({"requester_roles": {"Engineer"}}, "one must be the Trading Lead and the other the CTO"),
        ({"approver_roles": set()}, "one must be the Trading Lead and the other the CTO"),
        ({"findings": OPEN}, "1 of 1 preconditions do not hold any more: Clock"),
        ({"same_digest": False}, "has changed since it was asked for"),
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

    said = why_not_arm(given.pop("findings"), **given)

    assert (refusal in said) if refusal else said == ""


@pytest.mark.parametrize(
    ("roles", "findings", "typed", "refusal"),
    [
        (LEAD, MET, "LIVE 4.0", ""),
        (CTO, MET, "LIVE 4.0", ""),
        ({"Engineer"}, MET, "LIVE 4.0", "Only Trading Lead or CTO may ask for it."),
        (set(), MET, "LIVE 4.0", "Only Trading Lead or CTO may ask for it."),
        (LEAD, OPEN, "LIVE 4.0", "1 of 1 preconditions do not hold: Clock."),
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


@pytest.mark.parametrize(
    ("changes", "name", "evidence"),
    [
        ({"go": None}, "Gate GO", "no run of 4.0 was decided on paper"),
        ({"go": Go("4.0", "GO", AT, True)}, "Gate GO", "of an accelerated run: it counts on paper only"),
        ({"testnet_fills": None}, "TESTNET first", "no TESTNET account"),
        ({"venue_refusal": "elsewhere"}, "Venue of this console", "elsewhere"),
        ({"keys": {}}, "Key to trade", "none is kept"),
        ({"keys": one_key(is_readable=False)}, "Key to trade", "cannot be opened"),
        ({"keys": one_key(is_readable=None)}, "Key to trade", "not tried yet"),
        ({"keys": {}}, "What the trade key may do", "the venue was not asked"),
        (
            {"keys": one_key(checked_at=AT - timedelta(minutes=9))},
            "What the trade key may do",
            "9 min ago, limit 5 min",
        ),
        ({"keys": one_key(checked_at=AT - timedelta(seconds=119))}, "What the trade key may do", "119 s ago"),
        ({"keys": one_key(checked_at=AT - timedelta(seconds=120))}, "What the trade key may do", "2 min ago"),
        ({"keys": one_key(objections=None)}, "What the trade key may do", "no usable answer"),
        ({"keys": one_key(objections=None, problem="HTTP 404")}, "What the trade key may do", "HTTP 404"),
        ({"keys": one_key(objections=("a", "b"))}, "What the trade key may do", "a; b (asked"),
        ({"keys": {}}, "Clock", "not compared with the venue's"),
        ({"keys": one_key(skew_ms=-700.0, checked_at=AT + timedelta(seconds=1))}, "Clock", "-700 ms"),
        ({"feasibility": {}}, "Grids at the venue's filters", "no grid is enabled"),
        ({"feasibility": {"A": "too small", "B": ""}}, "Grids at the venue's filters", "A: too small"),
        ({"feasibility": {"A": None, "B": ""}}, "Grids at the venue's filters", "no price or filters of A"),
        ({"drills": {}}, "Drill manual", "never run"),
        ({"paper_hours": None}, "7 days of paper", "not measured"),
        ({"paper_accelerated": True}, "7 days of paper", "some of them a replay faster than time"),
        ({"incidents": ("a", "b")}, "No open incident", "a; b"),
        ({"incidents": None}, "No open incident", "not known"),
        ({"halts": ("Micro: odd",)}, "No halt in force", "Micro: odd"),
        ({"halts": None}, "No halt in force", "not known"),
        ({"audit_broken": "breaks at #7"}, "Audit trail", "breaks at #7"),
        ({"audit_broken": None}, "Audit trail", "not verified"),
        ({"audit_at": AT - timedelta(hours=2)}, "Audit trail", "verified 120 min ago, limit 1 h"),
        ({"builds": {"web@a:1": "1-1"}}, "Code and configuration", "nothing was heard of: loops, watchdog"),
        (
            {"builds": {**READY.builds, "tasks@a:3": "2-1"}},
            "Code and configuration",
            "different in different processes",
        ),
        ({"replay_speed": Decimal(10)}, "The market's own speed", "a replay, 10 s a second"),
    ],
)
def test_what_blocks_says_why(changes: dict[str, Any], name: str, evidence: str) -> None:
    shown = {finding.name: finding.evidence for finding in preconditions(replace(READY, **changes))}

    assert evidence in shown[name]
