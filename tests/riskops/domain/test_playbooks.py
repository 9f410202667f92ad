"""Playbooks are read strictly, and the roadmap's three are complete."""

from decimal import Decimal
from pathlib import Path

import pytest

from riskops.domain import playbooks
from riskops.domain.playbooks import IDS, Deed, Step, UnreadablePlaybook, conflicts, read
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


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (("factor = 0.5", "factor = 1.5"), "line 8: immediate.0: lot_size takes a factor above 0, at most 1, not 1.5"),
        (("factor = 0.5", ""), "lot_size needs a factor"),
        (('act = "lot_size"', 'act = "bigger"'), "act 'bigger' is not known"),
        (('act = "lot_size"\n', ""), "has a factor or is automatic, and no act"),
        (('act = "lot_size"', 'act = "halt"'), "halt takes no factor"),
        (("factor = 0.5", 'factor = 0.5\ncannot = "no"'), "says that the runtime cannot do it"),
        (("factor = 0.5", "factor = 0.5\nautomatic = 1"), "expected true or false"),
        (("factor = 0.5", "factor = nan"), "expected a number above 0"),
        (('id = "fees"', 'id = "fee"'), "the file is named fees"),
        (('severity = "WARN"', 'severity = "LOUD"'), "severity: is 'LOUD'"),
        (('investigate = ["Why?"]', "investigate = []"), "investigate: must hold at least one"),
        (('when = "Fees are high."', 'whenn = "Fees are high."'), "whenn: is not known here"),
        (('title = "Fees"', 'title = "Fees"\ntitle = "Fees"'), "write each name once"),
        (('investigate = ["Why?"]', 'investigate = ["Why?"]\nmetrics = ["luck"]'), "'luck' is not measured"),
        (("[[immediate]]", "[immediate]"), "line 8: immediate: must be tables, each under [[immediate]]"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(change: tuple[str, str], error: str) -> None:
    assert read(SHORT, name="fees").immediate == (Step("Smaller lots", "lot_size", Decimal("0.5")),)
    with pytest.raises(UnreadablePlaybook) as refused:
        read(SHORT.replace(*change), name="fees")
    assert error in str(refused.value)


def test_an_alert_opens_one_playbook() -> None:
    crit = SHIPPED["crit"]

    assert conflicts([crit, crit]) == ["crit_alerts opens both crit and crit."]


@pytest.mark.parametrize(("name", "known"), [("immediate.0", True), ("immediate.3", False), ("immediate.x", False),
                                             ("investigate.0", False), ("", False)])  # fmt: skip
def test_a_step_is_found_by_its_name(name: str, known: bool) -> None:
    assert (SHIPPED["latency"].step(name) is not None) is known


def test_a_halt_is_never_automatic() -> None:
    assert not [s for book in SHIPPED.values() for s in book.immediate if s.automatic and s.act in set(Deed)]
