"""The alert rules: read strictly, complete, and with the numbers that the runtime really uses."""

import re
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskops.domain import routes
from riskops.domain.alert_rules import AlertRule, Ends, Rulebook, Step, UnreadableRules, read, span
from riskops.domain.alert_states import AlertState, Condition, state_of
from trading.domain import alarms, clerk, guard, halting, reconciler, watch
from trading.domain.events import Severity
from trading.domain.limits import Limits
from trading.runtime.risk import SKEW_HOLDS_FOR_S

ROOT: Final = Path(__file__).resolve().parents[3]
TEXT: Final = (ROOT / "riskops/alerts/rules.toml").read_text()
PLAYBOOKS: Final = frozenset(
    (
        *("data_disconnected", "venue_errors", "latency", "fill_rate", "stuck_order", "daily_drawdown", "crit"),
        *("position_mismatch", "flash_crash", "kill_switch_stuck", "slow_venue", "many_reconnects", "rejects"),
        *("trade_count", "fees", "process", "model_drift", "model_fallback", "model_rolled_back"),
    )
)
BOOK: Final = read(TEXT, playbooks=PLAYBOOKS)
SECOND_NS: Final = 1_000_000_000
NOW: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)

ONE: Final = """
[[steps]]
escalation = "critical"
channels = ["chat"]

[[rules]]
code = "SILENT"
severity = "CRIT"
watches = "the age of the data"
cause = "The line broke."
consequence = "The desk halts."
response = "Mend the line."
playbook = "crit"
escalation = "critical"
roles = ["Engineer"]
limit = 60
unit = "s"
clear_after_s = 60
"""

TWO_STEPS: Final = (
    """
[[steps]]
escalation = "late"
channels = ["SMS"]
after_s = 60
roles = ["CTO"]
"""
    + ONE
)
ROLES: Final = "Trader, Trading Lead, Engineer, CTO, CEO, Compliance, Auditor"
KNOWN_PLAYBOOKS: Final = (
    "crit, daily_drawdown, data_disconnected, fees, fill_rate, flash_crash, kill_switch_stuck, latency, "
    "many_reconnects, model_drift, model_fallback, model_rolled_back, "
    "position_mismatch, process, rejects, slow_venue, stuck_order, trade_count, venue_errors"
)
NO_LIMITS: Final = {"phase", "version", "symbols", "execution_styles"}
LIMITS: Final = ", ".join(sorted({one.name for one in fields(Limits)} - NO_LIMITS))
NO_LIMIT: Final = "SILENT needs a limit with its unit, or limit_of, or none of them."
TOLD_AT_ONCE: Final = "SILENT is CRIT: it neither waits (for_s) nor is it hushed; people are told at once."
NUMBER: Final = "expected a number above 0, at most 1000000000, of at most 9 decimals, without quotes."


def rule(code: str) -> AlertRule:
    return next(one for one in BOOK if one.code == code)


# --- the product's own rules --------------------------------------------------------------------------------------

RAISED: Final = re.compile(
    r"""(?:\balert\(\s*|\bNotice\(\s*|severity=)Severity\.(?P<severity>[A-Z]+),\s*(?:code=)?"(?P<code>[A-Z_]+)\""""
)
# Codes that reach the alert through a name: where they stand, and as what they are raised.
ELSEWHERE: Final = {
    "REVIEW_DUE": Severity.INFO,
    "SIGN_INS_FAILED": Severity.WARN,  # the first few are INFO
    "DAILY_DRAWDOWN": Severity.CRIT,
    "HARD_DRAWDOWN": Severity.CRIT,
    **{one.code: Severity.WARN for one in (alarms.REJECTS, alarms.FILL_RATE, alarms.FEES, alarms.VENUE_LATENCY)},
}


def raised() -> dict[str, Severity]:
    """Return every code that the sources raise, with its severity."""
    found = dict(ELSEWHERE)
    for app in ("trading", "riskops", "gridconsole"):
        for path in (ROOT / app).rglob("*.py"):
            for match in RAISED.finditer(path.read_text()):
                found[match["code"]] = Severity(match["severity"])
    return found


def test_every_code_that_is_raised_has_its_rule_and_every_rule_is_raised() -> None:
    assert {one.code: one.severity for one in BOOK} == raised()


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("MARKET_DATA_SILENT", watch.SILENT_DATA_HALT_NS / SECOND_NS),
        ("MARKET_DATA_SILENT", guard.SILENT_AFTER_NS / SECOND_NS),
        ("STUCK_ORDER", guard.STUCK_AFTER_NS / SECOND_NS),
        ("POSITION_MISMATCH", reconciler.MISMATCH_CONFIRMED_AFTER_NS / SECOND_NS),
        ("HALT_NOT_PROVEN", halting.PROOF_IS_LATE_AFTER_NS / SECOND_NS),
        ("LOOP_SILENT", watch.LOOP_SILENT_NS / SECOND_NS),
        ("BUILDS_DIFFER", watch.BUILDS_DIFFER_HALT_NS / SECOND_NS),
        ("CLOCK_SKEW", watch.MAX_SKEW_MS),
        ("MANY_RECONNECTS", watch.MANY_RECONNECTS_PER_DAY),
        ("REJECTS", alarms.REJECTS.limit_fraction),
        ("FILL_RATE", alarms.FILL_RATE.limit_fraction),
        ("FEES", alarms.FEES.limit_fraction),
        ("VENUE_LATENCY", alarms.VENUE_LATENCY.limit_ms),
        ("CLOCK_UNKNOWN", SKEW_HOLDS_FOR_S),
        ("ROUTE_FAILED", routes.ALERT_AT_ATTEMPT),
    ],
)
def test_the_number_of_a_rule_is_the_one_in_force(code: str, number: float) -> None:
    assert float(rule(code).limit or 0) == number


def test_windows_and_samples_are_those_in_force() -> None:
    measured = (alarms.REJECTS, alarms.FILL_RATE, alarms.FEES, alarms.VENUE_LATENCY)

    for one in measured:
        window = one.window.total_seconds() if one.window else 0
        assert (rule(one.code).window_s, rule(one.code).sample) == (window, alarms.SMALLEST_SAMPLE)
        assert timedelta(seconds=rule(one.code).for_s) == one.lasting
    assert rule("VENUE_ERRORS").window_s == clerk.ERRORS_WINDOW_NS / SECOND_NS
    assert rule("MANY_RECONNECTS").window_s == watch.DAY_NS / SECOND_NS


def test_what_the_runtime_says_is_over_is_known_to_be_said() -> None:
    told = {one.code for one in BOOK if one.ends is Ends.TOLD}
    measured = {alarms.REJECTS.code, alarms.FILL_RATE.code, alarms.FEES.code, alarms.VENUE_LATENCY.code}
    on_beat = {"AUDIT_NOT_ANCHORED", "AUDIT_CHAIN_BROKEN", "MODEL_DRIFT", "MODEL_FALLBACK"}

    assert told == watch.CODES | {*alarms.OVER_WITH_THE_HALT, *alarms.OVER_WITH_THE_PAUSE} | measured | on_beat


def test_a_crit_is_told_as_the_desk_decided() -> None:
    words = [step.words for step in BOOK.steps_of(rule("DAILY_DRAWDOWN"))]

    assert words == [
        "chat, webhook at once",
        "e-mail after 30 s",
        "SMS after 60 s",
        "CTO by chat, webhook, e-mail, SMS after 3 min",
    ]


def test_every_rule_of_the_desk_is_there() -> None:
    wanted = """CRIT_DAILY_DD CRIT_HARD_DD CRIT_WS_STALE CRIT_REST_ERRORS CRIT_STUCK_ORDER WARN_HIGH_LATENCY
    WARN_WS_RECONNECTS WARN_REJECT_RATE WARN_FILL_RATE WARN_HIGH_TRADE_COUNT WARN_HIGH_FEES"""

    assert {one.desk_id for one in BOOK if one.desk_id} == set(wanted.split())
    assert all(one.desk_id.startswith(one.severity) for one in BOOK if one.desk_id)


# --- read strictly ------------------------------------------------------------------------------------------------


def changed(old: str, new: str) -> str:
    assert old in ONE
    return ONE.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (
            changed('playbook = "crit"\n', ""),
            6,
            "SILENT has no playbook; nobody could answer this CRIT. Say it, or make it INFO.",
        ),
        (
            changed('"crit"', '"nothing"'),
            13,
            f"SILENT names 'nothing', which is no playbook; use one of {KNOWN_PLAYBOOKS}.",
        ),
        (changed('"CRIT"', '"CRTI"'), 8, "is 'CRTI'; use one of INFO, WARN, CRIT."),
        (
            changed('"CRIT"', '"INFO"'),
            10,
            "SILENT is INFO, an event that wants no answer; drop cause, or make it WARN or CRIT.",
        ),
        (changed('["Engineer"]', '["Cook"]'), 15, f"SILENT 'Cook' is not known; use {ROLES}."),
        (
            changed('["Engineer"]', "[]"),
            15,
            "SILENT has no roles; nobody could answer this CRIT. Say it, or make it INFO.",
        ),
        (changed('["chat"]', '["pigeon"]'), 4, "'pigeon' is not known; use chat, webhook, e-mail, SMS."),
        (changed('["chat"]', "[]"), 4, "is empty; name one of chat, webhook, e-mail, SMS."),
        (changed('["chat"]', '["chat"]\nroles = ["CTO", "Cook"]'), 5, f"'Cook' is not known; use {ROLES}."),
        (
            TWO_STEPS.replace('escalation = "critical"\nroles', 'escalation = "none"\nroles'),
            20,
            "SILENT names 'none', which has no steps; use critical, late.",
        ),
        (changed("limit = 60\n", ""), 6, NO_LIMIT),
        (changed('unit = "s"\n', ""), 16, NO_LIMIT),
        (changed('unit = "s"', 'limit_of = "max_open_orders"'), 16, NO_LIMIT),
        (changed('unit = "s"', 'unit = "s"\nlimit_of = "max_open_orders"'), 16, NO_LIMIT),
        (
            changed('limit = 60\nunit = "s"', 'limit_of = "max_luck"'),
            16,
            f"SILENT names 'max_luck', which no mandate limits; use one of {LIMITS}.",
        ),
        (
            changed('limit = 60\nunit = "s"', 'limit_of = "symbols"'),
            16,
            f"SILENT names 'symbols', which no mandate limits; use one of {LIMITS}.",
        ),
        (changed("limit = 60", "limit = nan"), 16, f"is NaN; {NUMBER}"),
        (changed("limit = 60", "limit = inf"), 16, f"is Infinity; {NUMBER}"),
        (changed("limit = 60", 'limit = "60"'), 16, f"is '60'; {NUMBER}"),
        (changed("limit = 60", "limit = true"), 16, f"is true; {NUMBER}"),
        (
            changed("clear_after_s = 60", "clear_after_s = 0"),
            18,
            "is 0; expected a whole number from 1 to 1000000000, without quotes.",
        ),
        (changed("limit = 60", "limit = 60\nfor_s = 5"), 8, TOLD_AT_ONCE),
        (changed("limit = 60", 'limit = 60\nhushed_when = "halted"'), 8, TOLD_AT_ONCE),
        (
            changed('"CRIT"', '"WARN"').replace("limit =", 'hushed_when = "asleep"\nlimit ='),
            16,
            "SILENT 'asleep' is not known; use halted, paused.",
        ),
        (changed("[[rules]]", "[rules]"), 6, "must be tables, each under [[rules]]."),
        (ONE + ONE[ONE.index("[[rules]]") :], 20, "SILENT stands twice; write one rule for each code."),
        ("", 0, "is missing; every template sets it."),
        ("[[rules]]\n" * 3, 0, "is missing; every template sets it."),
        ("x = " + "[\n" * 9_000, 0, "lists stand too deep within lists; a template needs one within none."),
        ("#" * 501, 1, "has 501 characters; break it into lines of at most 500."),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(UnreadableRules) as refused:
        read(text, playbooks=PLAYBOOKS)

    assert (line, reason) in [(defect.line, defect.reason) for defect in refused.value.defects], str(refused.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            changed("clear_after_s", "clear_after"),
            "line 18: rules.0.clear_after: is not known here; known are code, severity,",
        ),
        (changed('unit = "s"', 'unit = "s"\nunit = "s"'), "line 18: unit: is no valid TOML: "),
    ],
)
def test_a_line_that_does_not_belong_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UnreadableRules) as refused:
        read(text, playbooks=PLAYBOOKS)

    assert str(refused.value).startswith(f"alert rules, {reason}")


WHOLE: Final = "is 0; expected a whole number from 1 to 1000000000, without quotes."


@pytest.mark.parametrize(
    ("text", "defects"),
    [
        (
            changed('["chat"]', '["chat"]\nafter_s = 0').replace("clear_after_s = 60", "clear_after_s = 0"),
            [f"line 5: steps.0.after_s: {WHOLE}", f"line 19: rules.0.clear_after_s: {WHOLE}"],
        ),
        (
            changed('["chat"]', "[]").replace('playbook = "crit"', 'playbook = "no"'),
            [
                "line 4: steps.0.channels: is empty; name one of chat, webhook, e-mail, SMS.",
                "line 13: rules.0.playbook: SILENT names 'no', which is no playbook; use one of crit, fees.",
            ],
        ),
    ],
    ids=["two numbers", "two words"],
)
def test_everything_that_is_wrong_is_told_at_once_from_top_to_bottom(text: str, defects: list[str]) -> None:
    with pytest.raises(UnreadableRules) as refused:
        read(text, playbooks={"fees", "crit"})

    assert str(refused.value).split("\n") == [f"alert rules, {defect}" for defect in defects]


SILENT: Final = AlertRule(
    code="SILENT",
    severity=Severity.CRIT,
    watches="the age of the data",
    cause="The line broke.",
    consequence="The desk halts.",
    response="Mend the line.",
    playbook="crit",
    escalation="critical",
    roles=("Engineer",),
    limit=Decimal(60),
    unit="s",
    clear_after_s=60,
)
AS_WARN: Final = replace(SILENT, severity=Severity.WARN)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (ONE, SILENT),
        (changed('limit = 60\nunit = "s"\n', ""), replace(SILENT, limit=None, unit="")),
        (
            changed('limit = 60\nunit = "s"', 'limit_of = "max_open_orders"'),
            replace(SILENT, limit=None, unit="", limit_of="max_open_orders"),
        ),
        (
            changed('"CRIT"', '"WARN"').replace("limit =", 'hushed_when = "paused"\nfor_s = 5\nlimit ='),
            replace(AS_WARN, hushed_when="paused", for_s=5),
        ),
    ],
    ids=["a number", "no limit", "the mandate's", "a WARN that waits and is hushed"],
)
def test_what_is_whole_is_read_as_it_stands(text: str, rule: AlertRule) -> None:
    assert read(text, playbooks=PLAYBOOKS) == Rulebook((rule,), (Step("critical", ("chat",)),))


def test_an_event_stands_beside_an_alarm_and_wants_no_answer() -> None:
    event = '[[rules]]\ncode = "STARTED"\nseverity = "INFO"\nwatches = "the process"\n'

    assert read(ONE + event, playbooks=PLAYBOOKS).rules == (SILENT, AlertRule("STARTED", Severity.INFO, "the process"))


def test_the_steps_are_climbed_in_the_order_of_their_times() -> None:
    steps = read(TWO_STEPS, playbooks=PLAYBOOKS).steps

    assert steps == (Step("critical", ("chat",)), Step("late", ("SMS",), 60, ("CTO",)))


@given(st.data())
def test_whatever_is_written_is_read_or_refused_with_reasons(data: st.DataObject) -> None:
    values = st.sampled_from(['"x"', "1", "nan", "true", "[]", '["x"]', "{}", "[[1]]", "9" * 400, "1e999", '"\\u202e"'])
    lines = [line.partition(" = ")[0] for line in ONE.split("\n")]
    drawn = data.draw(st.lists(st.one_of(st.sampled_from(ONE.split("\n")), st.tuples(st.sampled_from(lines), values))))
    text = "\n".join(one if isinstance(one, str) else " = ".join(one) for one in drawn)

    with suppress(UnreadableRules):
        assert read(text, playbooks=PLAYBOOKS).rules


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(UnreadableRules):  # nothing short is a whole set of rules
        read(text, playbooks=PLAYBOOKS)


def test_without_any_playbook_no_alarm_loads() -> None:
    with pytest.raises(UnreadableRules, match="which is no playbook"):
        read(changed('"crit"', '"crit"'), playbooks=frozenset())
    with pytest.raises(UnreadableRules, match="has no playbook"):
        read(changed('playbook = "crit"\n', ""), playbooks=PLAYBOOKS)


def test_an_alert_that_no_rule_knows_is_answered_like_the_gravest() -> None:
    book = read(ONE, playbooks=PLAYBOOKS)

    unknown = book.rule("NEVER_HEARD_OF", "WARN")

    assert unknown == AlertRule(
        code="NEVER_HEARD_OF",
        severity=Severity.WARN,
        watches="an alert that no rule knows",
        cause="not known",
        consequence="not known",
        response="Look at the desk; write a rule for this code.",
        playbook="crit",
        escalation="critical",
        roles=("Trading Lead", "Engineer"),
        clear_after_s=3_600,
    )
    assert book.steps_of(unknown) == book.steps_of(book.rule("SILENT", "CRIT")) == book.steps
    assert book.rule("NEVER_HEARD_OF", "CRIT") == replace(unknown, severity=Severity.CRIT)


def test_an_event_that_no_rule_knows_wants_no_answer() -> None:
    unknown = read(ONE, playbooks=PLAYBOOKS).rule("NEVER_HEARD_OF", "INFO")

    assert unknown == AlertRule("NEVER_HEARD_OF", Severity.INFO, "an alert that no rule knows")
    assert not unknown.is_alarm


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 s"), (60, "60 s"), (90, "90 s"), (180, "3 min"), (3_600, "1 h"), (86_400, "24 h")],
)
def test_spans_read_as_people_say_them(seconds: int, words: str) -> None:
    assert span(seconds) == words


def test_numbers_read_as_people_say_them() -> None:
    numbers = {one.code: one.number for one in BOOK}

    assert numbers["REJECTS"] == "2 % in 1 h"
    assert numbers["NO_TRADE"] == "6 h"
    assert numbers["DAILY_DRAWDOWN"] == "max daily drawdown of the mandate"


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"limit": None, "unit": ""}, ""),
        ({}, "60 s"),
        ({"limit": Decimal(180), "window_s": 7_200}, "3 min in 2 h"),
        ({"limit": Decimal("250.0"), "unit": "ms"}, "250 ms"),
        ({"limit": Decimal("0.025"), "unit": "fraction", "window_s": 60}, "2.5 % in 60 s"),
        ({"limit": Decimal(20), "unit": "times", "window_s": 172_800}, "20 times in 2 d"),
        ({"limit": None, "unit": "", "limit_of": "max_open_orders"}, "max open orders of the mandate"),
    ],
)
def test_a_limit_reads_as_people_say_it(changes: dict[str, Any], number: str) -> None:
    assert replace(SILENT, **changes).number == number


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Step("critical", ("chat",)), "chat at once"),
        (Step("critical", ("chat", "SMS"), 300), "chat, SMS after 5 min"),
        (Step("critical", ("SMS",), 0, ("CTO", "CEO")), "CTO, CEO by SMS at once"),
    ],
)
def test_a_step_reads_as_people_say_it(step: Step, words: str) -> None:
    assert step.words == words


def test_a_rule_that_is_measured_is_never_green_without_data() -> None:
    measured: Rulebook = BOOK

    states = {one.code: state_of(Condition(), one, NOW) for one in measured if one.no_data_after_s}

    assert states == dict.fromkeys(("VENUE_LATENCY", "REJECTS", "FILL_RATE", "FEES"), AlertState.NO_DATA)
