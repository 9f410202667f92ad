"""Playbooks are read strictly, and the roadmap's three are complete."""

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from riskops.domain import playbooks
from riskops.domain.playbooks import IDS, Deadline, Deed, Playbook, Remedy, Step, UnreadablePlaybook, conflicts, read
from riskops.domain.strict import digest_of
from trading.domain.throttle import Act

FILES = Path(playbooks.__file__).parents[1] / "playbooks"
SHIPPED = {path.stem: read(path.read_text(encoding="utf-8"), name=path.stem) for path in FILES.glob("*.toml")}
SHORT = """\
id = "fees"
version = 1
title = "Fees"
severity = "WARN"
when = "Fees are high."
timeline = "Today."
investigate = ["Why?"]
[[immediate]]
text = "Smaller lots"
act = "lot_size"
factor = 0.5
[[resolution]]
cause = "Step"
text = "Widen it"
"""
NO_ACT = "has a factor or is automatic, and no act."


def acts(name: str) -> list[tuple[str, Decimal | None]]:
    return [(step.act, step.factor) for step in SHIPPED[name].immediate]


def test_every_playbook_has_its_file_and_nothing_opens_two() -> None:
    assert set(SHIPPED) == set(IDS)
    assert conflicts(SHIPPED.values()) == []


def test_latency_is_the_roadmaps() -> None:
    latency = SHIPPED["latency"]

    assert acts("latency") == [
        (Act.ORDERS_PER_MINUTE, Decimal("0.5")), (Act.DECISION_INTERVAL, Decimal(2)), ("", None)
    ]  # fmt: skip
    assert [step.automatic for step in latency.immediate] == [True, False, False]
    assert "no batch" in latency.immediate[2].cannot
    assert [remedy.cause for remedy in latency.resolution] == ["ISP", "API", "Code"]
    assert [deadline.hours for deadline in latency.deadlines] == [24]


def test_fill_rate_is_the_roadmaps() -> None:
    assert [act for act, _ in acts("fill_rate")] == [Act.ORDER_TIMEOUT, Act.MARKET_ONLY, Act.LOT_SIZE]
    assert [remedy.cause for remedy in SHIPPED["fill_rate"].resolution] == ["Liquidity", "Timing", "Size"]
    assert SHIPPED["fill_rate"].retest_hours == 48


def test_crit_is_the_roadmaps_with_its_clocks() -> None:
    crit = SHIPPED["crit"]

    assert [(deadline.name, deadline.hours) for deadline in crit.deadlines] == [
        ("root cause", 4), ("fix", 8), ("re-test", 16)
    ]  # fmt: skip
    assert crit.retest_hours == 48
    assert len(crit.immediate) == len(crit.investigate) == 3


KNOWN_IDS = (
    "crit, data_disconnected, venue_errors, latency, fill_rate, stuck_order, daily_drawdown, position_mismatch, "
    "flash_crash, kill_switch_stuck, slow_venue, many_reconnects, rejects, trade_count, fees, process, "
    "model_drift, model_fallback, model_rolled_back"
)
ACTS = "orders_per_minute, decision_interval, order_timeout, lot_size, market_only, pause, halt"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            ("factor = 0.5", "factor = 1.5"),
            "line 8: immediate.0: lot_size takes a factor above 0, at most 1, not 1.5: an override may only tighten.",
        ),
        (("factor = 0.5", ""), "line 8: immediate.0: lot_size needs a factor."),
        (
            ('act = "lot_size"', 'act = "bigger"'),
            f"line 8: immediate.0: act 'bigger' is not known; use one of {ACTS}.",
        ),
        (('act = "lot_size"\n', ""), f"line 8: immediate.0: {NO_ACT}"),
        (('act = "lot_size"\nfactor = 0.5', "automatic = true"), f"line 8: immediate.0: {NO_ACT}"),
        (('act = "lot_size"', 'act = "halt"'), "line 8: immediate.0: halt takes no factor and is never automatic."),
        (
            ('act = "lot_size"\nfactor = 0.5', 'act = "pause"\nautomatic = true'),
            "line 8: immediate.0: pause takes no factor and is never automatic.",
        ),
        (
            ("factor = 0.5", 'factor = 0.5\ncannot = "no"'),
            "line 8: immediate.0: has an act and says that the runtime cannot do it; keep one.",
        ),
        (
            ("factor = 0.5", "factor = 0.5\nautomatic = 1"),
            "line 12: immediate.0.automatic: is 1; expected true or false.",
        ),
        (
            ("factor = 0.5", "factor = nan"),
            "line 11: immediate.0.factor: is NaN; expected a number above 0, at most 1000000000, of at most 9 "
            "decimals, without quotes.",
        ),
        (('id = "fees"', 'id = "rejects"'), "line 1: id: is rejects, the file is named fees."),
        (
            ('severity = "WARN"', 'severity = "LOUD"'),
            "line 4: severity: is 'LOUD'; use INFO, WARN, CRIT.",
        ),
        (('investigate = ["Why?"]', "investigate = []"), "line 7: investigate: must hold at least one."),
        (("[[immediate]]", "[immediate]"), "line 8: immediate: must be tables, each under [[immediate]]."),
        (("[[resolution]]", "[resolution]"), "line 12: resolution: must be tables, each under [[resolution]]."),
        (
            ("[[resolution]]", "[[deadlines]]\nname = 5\nhours = 1\n[[resolution]]"),
            "line 13: deadlines.0.name: is 5; expected a text in quotes of 1 to 200 visible characters.",
        ),
        (
            ("[[resolution]]", '[[immediate]]\ntext = "Again"\nact = "lot_size"\nfactor = 1\n[[resolution]]'),
            "line 8: immediate: names an override twice; multiply the factors.",
        ),
        (
            ("[[resolution]]", '[[deadlines]]\nname = "fix"\nhours = 1\n' * 2 + "[[resolution]]"),
            "line 12: deadlines: names a deadline twice.",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(change: tuple[str, str], error: str) -> None:
    assert read(SHORT, name="fees").immediate == (Step("Smaller lots", "lot_size", Decimal("0.5")),)
    with pytest.raises(UnreadablePlaybook) as refused:
        read(SHORT.replace(*change), name="fees")
    assert str(refused.value) == f"fees, {error}"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('digest = "ab"', "line 1: digest: is not known here; known are id, version, "),
        ('whenn = "x"', "line 1: whenn: is not known here; known are id, version, "),
        ('title = "Fees"', "write each name once."),
        (
            'metrics = ["luck"]',
            "line 1: metrics: 'luck' is not measured; use one of crit_alerts, warn_alerts_per_day, ",
        ),
    ],
)
def test_a_line_that_does_not_belong_is_refused(line: str, error: str) -> None:
    with pytest.raises(UnreadablePlaybook) as refused:
        read(f"{line}\n{SHORT}", name="fees")
    assert error in str(refused.value)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(UnreadablePlaybook) as refused:
        read(SHORT.replace('"fees"', '"fee"').replace('"WARN"', '"LOUD"'), name="fees")

    assert str(refused.value).split("\n") == [
        "fees, line 1: id: is fee, the file is named fees.",
        f"fees, line 1: id: is not known; use one of {KNOWN_IDS}.",
        "fees, line 4: severity: is 'LOUD'; use INFO, WARN, CRIT.",
    ]


LONG = (
    'alerts = ["FEES"]\nmetrics = ["fill_rate"]\nretest_hours = 48\n'
    + SHORT
    + """\
[[immediate]]
text = "Stop buying"
act = "pause"
[[immediate]]
text = "Call the venue"
cannot = "nobody can dial"
[[immediate]]
text = "Look"
[[deadlines]]
name = "fix"
hours = 8
[[deadlines]]
name = "re-test"
hours = 16
"""
)


def test_what_is_whole_is_read_as_it_stands() -> None:
    assert read(LONG, name="fees") == Playbook(
        id="fees",
        version=1,
        title="Fees",
        severity="WARN",
        when="Fees are high.",
        timeline="Today.",
        immediate=(
            Step("Smaller lots", "lot_size", Decimal("0.5")),
            Step("Stop buying", "pause"),
            Step("Call the venue", cannot="nobody can dial"),
            Step("Look"),
        ),
        investigate=("Why?",),
        resolution=(Remedy("Step", "Widen it"),),
        deadlines=(Deadline("fix", 8), Deadline("re-test", 16)),
        retest_hours=48,
        alerts=("FEES",),
        metrics=("fill_rate",),
    )


def test_every_step_has_a_name_to_be_ticked_by() -> None:
    assert read(LONG, name="fees").step_names == (
        *("immediate.0", "immediate.1", "immediate.2", "immediate.3"),
        "investigate.0",
    )


def test_the_digest_is_that_of_what_it_says_and_of_nothing_else() -> None:
    digest = read(SHORT, name="fees").digest

    assert digest == digest_of(tomllib.loads(SHORT, parse_float=Decimal))
    assert read(f"# a comment\n{SHORT.replace('0.5', '0.50')}", name="fees").digest == digest
    assert read(SHORT.replace("0.5", "0.4"), name="fees").digest != digest


def test_an_alert_opens_one_playbook() -> None:
    crit = SHIPPED["crit"]

    assert conflicts([crit, crit]) == ["crit_alerts opens both crit and crit."]


@pytest.mark.parametrize(("name", "known"), [("immediate.0", True), ("immediate.3", False), ("immediate.x", False),
                                             ("investigate.0", False), ("", False)])  # fmt: skip
def test_a_step_is_found_by_its_name(name: str, known: bool) -> None:
    assert (SHIPPED["latency"].step(name) is not None) is known


def test_a_halt_is_never_automatic() -> None:
    assert not [s for book in SHIPPED.values() for s in book.immediate if s.automatic and s.act in set(Deed)]
