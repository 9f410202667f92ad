"""The roadmap is read strictly: its own numbers, or an error that says what to correct."""

import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from riskops.domain import phases, strict
from riskops.domain.phases import OnMiss, UnreadablePhase, read, steps_up
from riskops.domain.strict import digest_of
from trading.domain.measuring import Over
from trading.domain.people import Role

FILES = Path(phases.__file__).parents[1] / "roadmap"
ORDER = ["4.0", "4.1", "4.2", "4.3", "4.4a", "4.4b", "4.4c", "5"]
TEXTS = {name: (FILES / f"{name}.toml").read_text(encoding="utf-8") for name in ORDER}
SHIPPED = {name: read(text, name=name) for name, text in TEXTS.items()}
DESK = (Role.TRADING_LEAD, Role.ENGINEER, Role.CTO)
TWO = ("BTCUSDT", "ETHUSDT")
FOUR = (*TWO, "BNBUSDT", "ADAUSDT")
SEVEN = (*FOUR, "XRPUSDT", "SOLUSDT", "LINKUSDT")
LOOSER: dict[str, str] = {  # than 4.4a; each may only get tighter
    "max_position_fraction": "0.016",
    "max_daily_drawdown_fraction": "0.016",
    "max_daily_drawdown_hard_fraction": "0.051",
    "max_symbol_drawdown_fraction": "0.011",
    "max_trade_loss_quote": "51",
    "max_slippage_loss_quote": "11",
}

MICRO = """\
# Phase 4.0 as a template may be written; the lines of the tables below count from here.
id = "4.0"
version = 1
name = "Micro"
capital_quote = 300
leverage = 1
symbols = ["BTCUSDT", "ETHUSDT"]
signers = ["Trading Lead", "Engineer", "CTO"]
ours = [
    "limits.max_symbol_exposure_fraction",
    "limits.max_total_exposure_fraction",
    "monitoring.health_every_s",
    "monitoring.metrics_every_s",
    "monitoring.position_sync_every_s",
    "monitoring.review_every_h",
]
goals = [
    "Validate the core system: REST, WebSocket, risk, execution",
    "Test the kill switch",
    "No CRIT alerts",
    "Fill rate of at least 85 %",
    "Latency p95 of at most 2 s",
]

[limits]
max_position_fraction = 0.02
max_symbol_exposure_fraction = 0.10
max_total_exposure_fraction = 0.20
max_daily_drawdown_fraction = 0.02
max_daily_drawdown_hard_fraction = 0.05
max_daily_trades = 20
max_open_orders = 3

[executor]
order_types = ["MARKET"]
timeout_ms = 5000
max_retries = 3

[monitoring]
alert_level = "CRIT"
health_every_s = 300
metrics_every_s = 3600
position_sync_every_s = 5
review_every_h = 6

[duration]
min_hours = 48

[stay]
label = "STAY"
extend_hours = 48

[[criteria]]
metric = "crit_alerts"
at_most = 0
on_miss = "HALT"

[[criteria]]
metric = "fill_rate"
at_least = 0.85
on_miss = "HALT"

[[criteria]]
metric = "latency_p95_ms"
at_most = 2000
on_miss = "INVESTIGATE"

[[criteria]]
metric = "feed_uptime"
at_least = 0.99
on_miss = "INVESTIGATE"

[[criteria]]
metric = "position_sync"
at_least = 1
on_miss = "HALT"

[[criteria]]
metric = "daily_drawdown"
below = 0.02
on_miss = "AUTO_HALT"
"""
READ = read(MICRO, name="4.0")


def refusal(text: str, name: str = "4.0") -> str:
    with pytest.raises(UnreadablePhase) as caught:
        read(text, name=name)
    return str(caught.value)


def changed(old: str, new: str, text: str = MICRO) -> str:
    assert old in text
    return text.replace(old, new, 1)


def line_of(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.split("\n"), start=1) if line.startswith(start))


def numbers_of(value: object, prefix: str = "") -> Iterator[str]:
    """The dotted names of everything a template sets, criteria apart."""
    for one in fields(value):  # type: ignore[arg-type]  # called with dataclasses only
        inner = getattr(value, one.name)
        if is_dataclass(inner):
            yield from numbers_of(inner, f"{prefix}{one.name}.")
        elif inner is not None:
            yield f"{prefix}{one.name}"


# --- the roadmap's numbers ---------------------------------------------------------------------------------


def test_every_file_of_the_roadmap_is_known() -> None:
    assert sorted(path.stem for path in FILES.iterdir()) == sorted(ORDER)
    assert [phase.id for phase in SHIPPED.values()] == ORDER
    assert [phase.version for phase in SHIPPED.values()] == [1, *[2] * 7]
    assert {phase.leverage for phase in SHIPPED.values()} == {1}


@pytest.mark.parametrize(
    ("name", "capital", "symbols", "signers"),
    [
        ("4.0", 300, TWO, DESK),
        ("4.1", 600, TWO, DESK),
        ("4.2", 1500, (*TWO, "BNBUSDT"), DESK),
        ("4.3", 5000, FOUR, (*DESK, Role.CEO)),
        ("4.4a", 10000, SEVEN, (*DESK, Role.CEO)),
        ("4.4b", 20000, SEVEN, (*DESK, Role.CEO)),
        ("4.4c", 50000, SEVEN, (*DESK, Role.CEO, Role.COMPLIANCE)),
        ("5", 100000, SEVEN, (*DESK, Role.CEO, Role.COMPLIANCE)),
    ],
)
def test_capital_symbols_and_signers_are_the_roadmaps(
    name: str, capital: int, symbols: tuple[str, ...], signers: tuple[str, ...]
) -> None:
    phase = SHIPPED[name]

    assert phase.capital_quote == capital
    assert (phase.symbols, phase.signers) == (symbols, tuple(map(str, signers)))


@pytest.mark.parametrize(
    ("name", "position", "symbol", "total", "daily", "hard", "symbol_drawdown", "trades", "orders", "loss", "slippage"),
    [
        ("4.0", "0.02", "0.1", "0.2", "0.02", "0.05", None, 20, 3, None, None),
        ("4.1", "0.02", "0.1", "0.2", "0.02", "0.05", None, 30, 6, None, None),
        ("4.2", "0.02", "0.1", "0.3", "0.02", "0.05", "0.01", 40, 12, None, None),
        ("4.3", "0.02", "0.1", "0.4", "0.02", "0.05", "0.01", 50, 20, None, None),
        ("4.4a", "0.015", "0.3", "0.6", "0.015", "0.05", "0.01", 500, 140, 50, 10),
        ("4.4b", "0.015", "0.3", "0.6", "0.015", "0.05", "0.01", 500, 140, 50, 10),
        ("4.4c", "0.015", "0.3", "0.6", "0.015", "0.05", "0.01", 500, 140, 50, 10),
        ("5", "0.01", "0.3", "0.6", "0.01", "0.03", "0.01", 2000, 400, 50, 10),
    ],
)
def test_limits_are_the_roadmaps(  # one column for each limit
    name: str,
    position: str,
    symbol: str,
    total: str,
    daily: str,
    hard: str,
    symbol_drawdown: str | None,
    trades: int,
    orders: int,
    loss: int | None,
    slippage: int | None,
) -> None:
    texts = (position, symbol, total, daily, hard, trades, orders, symbol_drawdown, loss, slippage)
    limits = SHIPPED[name].limits

    assert [getattr(limits, one.name) for one in fields(limits)] == [
        None if text is None else Decimal(text) for text in texts
    ]


@pytest.mark.parametrize(
    ("name", "executor", "monitoring", "hours", "stay"),
    [
        ("4.0", (("MARKET",), 5000, 3), ("CRIT", 300, 3600, 5, 6), 48, ("STAY", 48)),
        ("4.1", (("MARKET",), 5000, 3), ("CRIT", 300, 3600, 5, 6), 72, ("ADJUST", 168)),
        ("4.2", (("MARKET",), 5000, 3), ("WARN", 300, 3600, 5, 6), 168, ("EXTEND", 336)),
        ("4.3", (("MARKET",), 5000, 3), ("WARN", 60, 600, 5, 4), 336, ("HOLD", 672)),
        ("4.4a", (("MARKET", "LIMIT"), 7000, 5), ("INFO", 60, 300, 5, 4), 168, ("HOLD", 672)),
        ("4.4b", (("MARKET", "LIMIT"), 7000, 5), ("INFO", 60, 300, 5, 4), 168, ("HOLD", 672)),
        ("4.4c", (("MARKET", "LIMIT"), 7000, 5), ("INFO", 60, 300, 5, 4), 672, ("HOLD", 672)),
        ("5", (("MARKET", "LIMIT"), 7000, 5), ("INFO", 60, 300, 5, 4), 672, ("HOLD", 672)),
    ],
)
def test_orders_cadence_and_durations_are_the_roadmaps(
    name: str, executor: tuple[object, ...], monitoring: tuple[object, ...], hours: int, stay: tuple[object, ...]
) -> None:
    phase = SHIPPED[name]
    found = [tuple(getattr(part, one.name) for one in fields(part)) for part in (phase.executor, phase.monitoring)]

    assert found == [executor, monitoring]
    assert phase.duration.min_hours == hours
    assert (phase.stay.label, phase.stay.extend_hours) == stay


COMMON = (
    ("crit_alerts", "at_most", "0", "HALT"),
    ("feed_uptime", "at_least", "0.99", "INVESTIGATE"),
    ("position_sync", "at_least", "1", "HALT"),
)
FILLED = ("fill_rate", "at_least", "0.85", "HALT")
EACH_FILLED = ("fill_rate_each_symbol", "at_least", "0.85", "HALT")
NO_WORSE = (("latency_p95_ms", "of_previous", "1.5", "STAY"), ("warn_alerts_per_day", "of_previous", "1", "STAY"))
EARNS = ("pnl_per_day_quote", "above", "0", "STAY")
GROWN = (
    ("sharpe", "above", "2", "STAY"),
    ("profit_factor", "above", "1.8", "STAY"),
    ("monthly_drawdown", "at_most", "0.05", "STAY"),
)


def latency(milliseconds: str) -> tuple[str, str, str, str]:
    return ("latency_p95_ms", "at_most", milliseconds, "INVESTIGATE")


def drawdown(fraction: str) -> tuple[str, str, str, str]:
    return ("daily_drawdown", "below", fraction, "AUTO_HALT")


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("4.0", [*COMMON, FILLED, latency("2000"), drawdown("0.02")]),
        (
            "4.1",
            [
                *(*COMMON, FILLED, latency("2000"), drawdown("0.02"), *NO_WORSE),
                *(("fill_rate", "at_least", "0.85", "STAY"), ("warn_alerts_per_day", "at_most", "1", "STAY")),
            ],
        ),
        ("4.2", [*COMMON, EACH_FILLED, latency("2500"), drawdown("0.02"), *NO_WORSE, EARNS]),
        (
            "4.3",
            [
                *(*COMMON, EACH_FILLED, latency("2500"), drawdown("0.02"), *NO_WORSE, EARNS),
                ("pnl_quote", "above", "0", "STAY"),
            ],
        ),
        ("4.4a", [*COMMON, EACH_FILLED, latency("2500"), drawdown("0.015"), *NO_WORSE, EARNS]),
        ("4.4b", [*COMMON, EACH_FILLED, latency("2500"), drawdown("0.015"), *NO_WORSE, EARNS]),
        ("4.4c", [*COMMON, EACH_FILLED, latency("2500"), drawdown("0.015"), *NO_WORSE, EARNS, *GROWN]),
        ("5", [*COMMON, EACH_FILLED, latency("2500"), drawdown("0.01"), *GROWN]),
    ],
)
def test_what_a_step_needs_is_the_roadmaps(name: str, needed: list[tuple[str, str, str, str]]) -> None:
    found = {(c.metric, *c.bound, c.on_miss.value) for c in SHIPPED[name].criteria if c.on_miss is not OnMiss.ADVISE}

    assert found == {(metric, kind, Decimal(bound), on_miss) for metric, kind, bound, on_miss in needed}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("4.0", {}),
        ("4.1", {}),
        ("4.2", {"fills_per_minute": "15"}),
        (
            "4.3",
            {
                "sharpe": "1",
                "win_rate": "0.5",
                "profit_factor": "1.2",
                "high_water_drawdown": "0.02",
                "monthly_return": "0.05",
            },
        ),
        *(
            (
                name,
                {
                    "sharpe": "1.5",
                    "win_rate": "0.55",
                    "profit_factor": "1.5",
                    "high_water_drawdown": "0.015",
                    "monthly_return": "0.1",
                },
            )
            for name in ("4.4a", "4.4b")
        ),
        ("4.4c", {"win_rate": "0.55", "high_water_drawdown": "0.015", "monthly_return": "0.1"}),
        ("5", {}),
    ],
)
def test_what_a_step_is_only_advised_by_is_the_roadmaps(name: str, shown: dict[str, str]) -> None:
    found = {c.metric: c.bound[1] for c in SHIPPED[name].criteria if c.on_miss is OnMiss.ADVISE}

    assert found == {metric: Decimal(bound) for metric, bound in shown.items()}


@pytest.mark.parametrize(
    ("name", "over", "metrics"),
    [
        ("4.1", Over.EACH_OF_3_DAYS, {"fill_rate", "warn_alerts_per_day"}),
        *((name, Over.LAST_3_DAYS, {"pnl_per_day_quote"}) for name in ORDER[2:7]),
        ("4.0", Over.EACH_OF_3_DAYS, set()),
        ("5", Over.LAST_3_DAYS, set()),
    ],
)
def test_three_days_are_asked_for_where_the_roadmap_does(name: str, over: Over, metrics: set[str]) -> None:
    assert {criterion.metric for criterion in SHIPPED[name].criteria if criterion.over is over} == metrics


EXPOSURE = {"limits.max_symbol_exposure_fraction", "limits.max_total_exposure_fraction"}
COUNTS = {"limits.max_open_orders", "limits.max_daily_trades"}
CADENCE = {f"monitoring.{part}_every_s" for part in ("health", "metrics", "position_sync")} | {
    "monitoring.review_every_h"
}
ORDERS = {"executor.order_types", "executor.timeout_ms", "executor.max_retries"}
STAYS = {"stay.label", "stay.extend_hours"}
LOSSES = {f"limits.max_{kind}" for kind in ("symbol_drawdown_fraction", "trade_loss_quote", "slippage_loss_quote")}
LEVEL, RETRIES, OPEN = {"monitoring.alert_level"}, {"executor.max_retries"}, {"limits.max_open_orders"}
PRODUCTION = EXPOSURE | COUNTS | LEVEL | STAYS


@pytest.mark.parametrize(
    ("name", "unset"),
    [
        ("4.0", EXPOSURE | CADENCE | STAYS),
        ("4.1", EXPOSURE | CADENCE | OPEN | RETRIES | LEVEL),
        ("4.2", EXPOSURE | OPEN | RETRIES | LEVEL | {"monitoring.position_sync_every_s"}),
        ("4.3", EXPOSURE | OPEN | LEVEL | ORDERS),
        ("4.4a", PRODUCTION),
        ("4.4b", PRODUCTION),
        ("4.4c", PRODUCTION | {"duration.min_hours"}),
        ("5", PRODUCTION | CADENCE | LOSSES | ORDERS | {"duration.min_hours", "signers", "symbols"}),
    ],
)
def test_what_the_roadmap_leaves_unset_is_marked_as_ours(name: str, unset: set[str]) -> None:
    phase = SHIPPED[name]

    assert unset <= set(phase.ours)
    assert set(phase.ours) <= set(numbers_of(phase))
    assert len(set(phase.ours)) == len(phase.ours)


def test_everything_listed_is_to_be_ticked() -> None:
    phase = replace(READ, checklist=("Team notified",), infrastructure=("A server",), compliance=("Risk audit",))

    assert phase.to_tick == ("Team notified", "A server", "Risk audit")


# --- the chain ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), list(pairwise(ORDER)))
def test_each_phase_may_follow_the_one_before(before: str, after: str) -> None:
    assert steps_up(SHIPPED[before], SHIPPED[after]) == []


@pytest.mark.parametrize(("limit", "looser"), list(LOOSER.items()))
def test_a_looser_limit_cannot_follow(limit: str, looser: str) -> None:
    before, after = SHIPPED["4.4a"], SHIPPED["4.4b"]
    change: dict[str, Any] = {limit: Decimal(looser)}
    after = replace(after, limits=replace(after.limits, **change))

    assert steps_up(before, after) == [
        f"limits.{limit} {looser} is looser than {getattr(before.limits, limit)} of 4.4a"
    ]


@pytest.mark.parametrize("limit", list(LOOSER)[3:])
def test_a_limit_that_is_gone_is_a_looser_one(limit: str) -> None:
    before, after = SHIPPED["4.4a"], SHIPPED["4.4b"]
    change: dict[str, Any] = {limit: None}
    after = replace(after, limits=replace(after.limits, **change))

    assert steps_up(before, after) == [f"limits.{limit} None is looser than {getattr(before.limits, limit)} of 4.4a"]


@pytest.mark.parametrize("capital", ["300", "299.99"])
def test_capital_must_rise(capital: str) -> None:
    after = replace(SHIPPED["4.1"], capital_quote=Decimal(capital))

    assert steps_up(SHIPPED["4.0"], after) == [f"capital {capital} is not above 300 of 4.0"]


def test_a_signer_cannot_be_lost() -> None:
    after = replace(SHIPPED["4.4b"], signers=(Role.TRADING_LEAD, Role.CTO))

    assert steps_up(SHIPPED["4.4a"], after) == ["signers of 4.4a are missing: CEO, Engineer"]


def test_everything_a_chain_breaks_is_reported() -> None:
    assert len(steps_up(SHIPPED["5"], SHIPPED["4.0"])) == 8


# --- what is refused ---------------------------------------------------------------------------------------

NUMBER = "expected a number above 0, at most 1000000000, of at most 9 decimals, without quotes."
BOUND = "expected a number from 0, at most 1000000000, of at most 9 decimals, without quotes."
WHOLE = "expected a whole number from 1 to 1000000000, without quotes."
TEXT = "expected a text in quotes of 1 to 200 visible characters."
TEXTS_LIST = 'expected a list of texts, as ["a", "b"].'
ONCE = "must name at least one, and each once."


@pytest.mark.parametrize(
    ("old", "new", "line", "where", "reason"),
    [
        ("capital_quote = 300", "capital_quote = nan", 5, "capital_quote", f"is NaN; {NUMBER}"),
        ("capital_quote = 300", "capital_quote = inf", 5, "capital_quote", f"is Infinity; {NUMBER}"),
        ("capital_quote = 300", 'capital_quote = "300"', 5, "capital_quote", f"is '300'; {NUMBER}"),
        ("capital_quote = 300", "capital_quote = true", 5, "capital_quote", f"is true; {NUMBER}"),
        ("capital_quote = 300", "capital_quote = 0", 5, "capital_quote", f"is 0; {NUMBER}"),
        ("capital_quote = 300", "capital_quote = -300", 5, "capital_quote", f"is -300; {NUMBER}"),
        ("capital_quote = 300", "capital_quote = 1000000001", 5, "capital_quote", f"is 1000000001; {NUMBER}"),
        ("capital_quote = 300", "capital_quote = 1e-999999999", 5, "capital_quote", f"is 1E-999999999; {NUMBER}"),
        ("capital_quote = 300", "capital_quote = 1e99999999999999999999", 5, "capital_quote", f"is NaN; {NUMBER}"),
        ("capital_quote = 300", f"capital_quote = {'9' * 80}", 5, "capital_quote", f"is {'9' * 60}...; {NUMBER}"),
        ("capital_quote = 300", "capital_quote = 1979-05-27", 5, "capital_quote", f"is 1979-05-27; {NUMBER}"),
        ("capital_quote = 300", "capital_quote = 12:30:45", 5, "capital_quote", f"is 12:30:45; {NUMBER}"),
        ("capital_quote = 300", "capital_quote = {}", 5, "capital_quote", f"is a table; {NUMBER}"),
        (
            "fraction = 0.02",
            "fraction = 0.0200000001",
            26,
            "limits.max_position_fraction",
            f"is 0.0200000001; {NUMBER}",
        ),
        ("version = 1", "version = 1.0", 3, "version", f"is 1.0; {WHOLE}"),
        ("version = 1", "version = true", 3, "version", f"is true; {WHOLE}"),
        ("min_hours = 48", "min_hours = 0", 47, "duration.min_hours", f"is 0; {WHOLE}"),
        ("min_hours = 48", "min_hours = -48", 47, "duration.min_hours", f"is -48; {WHOLE}"),
        ("max_open_orders = 3", "max_open_orders = 3.5", 32, "limits.max_open_orders", f"is 3.5; {WHOLE}"),
        ("timeout_ms = 5000", "timeout_ms = 1e3", 36, "executor.timeout_ms", f"is 1E+3; {WHOLE}"),
        ('"Micro"', '""', 4, "name", f"is ''; {TEXT}"),
        ('"Micro"', '" Micro"', 4, "name", f"is ' Micro'; {TEXT}"),
        ('"Micro"', f'"{"M" * 201}"', 4, "name", f"is '{'M' * 59}...; {TEXT}"),
        ('"Micro"', "4", 4, "name", f"is 4; {TEXT}"),
        ('"Micro"', '"Mi\tcro"', 4, "name", f"is 'Mi\\tcro'; {TEXT}"),
        ('"Micro"', '"Micro\ud800"', 4, "name", f"is 'Micro\\ud800'; {TEXT}"),
        ('"Micro"', '"Mic\u202ero"', 4, "name", f"is 'Mic\\u202ero'; {TEXT}"),
        ('["MARKET"]', '"MARKET | LIMIT"', 35, "executor.order_types", f"is 'MARKET | LIMIT'; {TEXTS_LIST}"),
        ('["MARKET"]', '["MARKET | LIMIT"]', 35, "executor.order_types", "'MARKET | LIMIT'; use"),
        ('["MARKET"]', "[]", 35, "executor.order_types", ONCE),
        ('["MARKET"]', '["MARKET", "MARKET"]', 35, "executor.order_types", ONCE),
        ('["MARKET"]', '["MARKET", 4]', 35, "executor.order_types", f"is 4; {TEXT}"),
        ('["BTCUSDT", "ETHUSDT"]', "[]", 7, "symbols", ONCE),
        ('"ETHUSDT"]', '"BTCUSDT"]', 7, "symbols", ONCE),
        ('"ETHUSDT"]', '"ETH/USDT"]', 7, "symbols", "'ETH/USDT' is no symbol of a venue, such as BTCUSDT."),
        ('"ETHUSDT"]', '"ethusdt"]', 7, "symbols", "'ethusdt' is no symbol of a venue, such as BTCUSDT."),
        ('"ETHUSDT"]', '"ÉTHUSDT"]', 7, "symbols", "'ÉTHUSDT' is no symbol of a venue, such as BTCUSDT."),
        ('"Engineer"', '"Intern"', 8, "signers", "'Intern' is no role; use Trader, Trading Lead, Engineer"),
        ('"Engineer"', '"CTO"', 8, "signers", ONCE),
        ("leverage = 1", "leverage = 2", 6, "leverage", "is 2; spot trades with 1."),
        ('id = "4.0"', 'id = "4.1"', 2, "id", "is 4.1, the file is named 4.0."),
        ('"CRIT"', '"CRTI"', 40, "monitoring.alert_level", "is 'CRTI'; use INFO, WARN, CRIT."),
        (
            "hard_fraction = 0.05",
            "hard_fraction = 5",
            30,
            "limits.max_daily_drawdown_hard_fraction",
            "is 5; a fraction of",
        ),
        (
            "hard_fraction = 0.05",
            "hard_fraction = 0.01",
            29,
            "limits.max_daily_drawdown_fraction",
            "is 0.02, above max_daily_drawdown_hard_fraction 0.01.",
        ),
        (
            "max_daily_trades",
            "max_symbol_drawdown_fraction = 0.03\nmax_daily_trades",
            31,
            "limits.max_symbol_drawdown_fraction",
            "is 0.03, above max_daily_drawdown_fraction 0.02.",
        ),
        (
            "position_fraction = 0.02",
            "position_fraction = 0.11",
            26,
            "limits.max_position_fraction",
            "is 0.11, above max_symbol_exposure_fraction 0.10.",
        ),
        (
            "symbol_exposure_fraction = 0.10",
            "symbol_exposure_fraction = 0.21",
            27,
            "limits.max_symbol_exposure_fraction",
            "is 0.21, above max_total_exposure_fraction 0.20.",
        ),
        (
            "max_position_fraction =",
            "max_postion_fraction =",
            26,
            "limits.max_postion_fraction",
            "is not known here; known",
        ),
        (
            "[limits]",
            "limits.max_leverage = 3\n[limit]",
            25,
            "limits.max_leverage",
            "is not known here; known are max_",
        ),
        ("leverage = 1", "leverage = 1\nmargin = 1", 7, "margin", "is not known here; known are id, version"),
        ("leverage = 1", 'leverage = 1\ndigest = "0"', 7, "digest", "is not known here; known are id, version"),
        ("[stay]", "[stays]", 49, "stays", "is not known here; known are id, version"),
    ],
)
def test_a_bad_value_is_refused_by_its_line_its_name_and_what_to_do(
    old: str, new: str, line: int, where: str, reason: str
) -> None:
    assert f"4.0, line {line}: {where}: {reason}" in refusal(changed(old, new))


@pytest.mark.parametrize(
    ("old", "new", "line", "where", "reason"),
    [
        ("at_most = 0", "at_most = -0.1", 1, "criteria.0.at_most", f"is -0.1; {BOUND}"),
        ("at_most = 0", "at_most = nan", 1, "criteria.0.at_most", f"is NaN; {BOUND}"),
        ("at_most = 0", "at_most = 0\nabove = 1", -1, "criteria.0", "needs exactly one of at_least, at_most, above"),
        ("at_most = 0\n", "", -1, "criteria.0", "needs exactly one of at_least, at_most, above, below, of_previous."),
        ('"crit_alerts"', '"crit_alarms"', 0, "criteria.0.metric", "'crit_alarms' is not measured; use one of crit_"),
        ('"crit_alerts"', '"SOLUDT"', 0, "criteria.0.metric", "'SOLUDT' is not measured; use one of crit_alerts"),
        ("at_most = 0", "atmost = 0", 1, "criteria.0.atmost", "is not known here; known are metric, on_miss"),
        ('"HALT"', '"PANIC"', 2, "criteria.0.on_miss", "is 'PANIC'; use one of ADVISE, STAY, INVESTIGATE, HALT"),
        ('"HALT"', "1", 2, "criteria.0.on_miss", "is 1; use one of ADVISE, STAY, INVESTIGATE, HALT, AUTO_HALT."),
        ('"HALT"', '"HALT"\nover = "week"', 3, "criteria.0.over", "is 'week'; use one of run, last 3 days, each of"),
        ('on_miss = "HALT"\n', "", -1, "criteria.0.on_miss", "is missing; every template sets it."),
        ("at_most = 0", "at_most = [0]", 1, "criteria.0.at_most", f"is a list; {BOUND}"),
    ],
)
def test_a_bad_criterion_is_refused_by_its_line_its_name_and_what_to_do(
    old: str, new: str, line: int, where: str, reason: str
) -> None:
    number = line_of(MICRO, 'metric = "crit_alerts"')
    text = MICRO[: MICRO.index("[[criteria]]")] + changed(old, new, MICRO[MICRO.index("[[criteria]]") :])

    assert f"4.0, line {number + line}: {where}: {reason}" in refusal(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MICRO + MICRO[MICRO.rindex("[[criteria]]") :], f"criteria: {ONCE}"),
        (changed("[limits]", "criteria = []\n[limits]", MICRO[: MICRO.index("[[criteria]]")]), f"criteria: {ONCE}"),
        (MICRO[: MICRO.index("[[criteria]]")], "4.0, criteria: is missing; every template sets it."),
        (
            changed("[limits]", "criteria = 3\n[limits]", MICRO[: MICRO.index("[[criteria]]")]),
            "line 25: criteria: must be tables, each under [[criteria]].",
        ),
        (
            changed("[limits]", "criteria = [3]\n[limits]", MICRO[: MICRO.index("[[criteria]]")]),
            "line 25: criteria.0: must be a table, under [[criteria]].",
        ),
        (
            changed("[stay]", "[[stay]]"),
            "stay: must be a table, under [stay].",
        ),
        (changed("goals = [", "aims = ["), "4.0, goals: is missing; every template sets it."),
        (changed("leverage = 1", '"" = 1'), "4.0, '': is not known here"),
        (changed("leverage", '"\ud800"'), "line 6: '\\ud800': is not known here"),
        (changed("[limits]", "[limits] # here\nmax_size = 1"), "line 26: limits.max_size: is not known here"),
        (changed("[limits]", "[[[limits]"), "line 25: is no valid TOML: Invalid initial character for a key part"),
        ("", "4.0, id: is missing; every template sets it."),
    ],
)
def test_a_bad_shape_is_refused(text: str, expected: str) -> None:
    assert expected in refusal(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            changed("capital_quote = 300", "capital_quote = 300\ncapital_quote = 30000"),
            "4.0, line 6: capital_quote: is no valid TOML: Cannot overwrite a value (at line 6, column 22); "
            "write each name once.",
        ),
        (changed("[stay]", "[limits]"), "line 49: is no valid TOML: Cannot declare ('limits',) twice"),
        (changed("[stay]", "[stay]\n[stay]"), "write each name once."),
        (changed('["MARKET"]', "MARKET | LIMIT"), "line 35: order_types: is no valid TOML: Invalid value"),
        (changed("capital_quote = 300", "capital_quote: 300"), "line 5: is no valid TOML: Expected '=' after a key"),
        (changed("capital_quote = 300", "capital_quote = 017"), "line 5: capital_quote: is no valid TOML"),
        (changed("capital_quote = 300", "capital_quote = NO"), "line 5: capital_quote: is no valid TOML"),
        (changed("capital_quote = 300", "capital_quote = !!python/object"), "line 5: capital_quote: is no valid TOML"),
        ("\ufeff" + MICRO, "line 1: is no valid TOML: Invalid statement (at line 1, column 1); save the file as UTF-8"),
        (
            MICRO + "goals = [",
            "line 82: goals: is no valid TOML: Invalid value (at end of document); correct this line.",
        ),
        ("\ud800\n" + MICRO, "line 1: is no valid TOML: Invalid statement"),
        (MICRO + "\ud800 = 1", "line 82: \\ud800: is no valid TOML"),
        (MICRO.replace("\n", "\r"), "line 1: has"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(text: str, expected: str) -> None:
    assert expected in refusal(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MICRO + "#" * 64_000, "characters; shorten it to at most 64000."),
        (MICRO + "\n" + "#" * 501, "characters; break it into lines of at most 500."),
        (changed("300", "9" * 5000), "4.0, line 5: has 5016 characters; break it into lines of at most 500."),
        (changed("300", "0x" + "f" * 5000), "4.0, line 5: has 5018 characters; break it into lines of at most 500."),
        (changed("id", "id" + ".a" * 5000), "4.0, line 2: has"),
        (changed("300", "[" * 240 + "]" * 240), f"line 5: capital_quote: is a list; {NUMBER}"),
        (changed("300", "[\n" * 500 + "]\n" * 500), "4.0, lists stand too deep within lists"),
        (changed("id", "a" + ".a" * 240), "line 2: a: is not known here"),
    ],
)
def test_what_is_too_large_or_too_deep_is_refused(text: str, expected: str) -> None:
    assert expected in refusal(text)


def test_a_file_of_the_largest_size_is_read() -> None:
    line = "#" * 499 + "\n"
    padding = MICRO + line * ((strict.LARGEST_FILE - len(MICRO)) // len(line))

    assert read(padding + "#" * (strict.LARGEST_FILE - len(padding)), name="4.0") == READ


def test_limits_at_top_level_are_refused_by_name() -> None:
    errors = refusal(changed("[limits]\n", "")).split("\n")

    assert errors[0] == "4.0, limits: is missing; every template sets it."
    assert [error.split(": ")[1] for error in errors[1:]] == [
        "max_position_fraction",
        "max_symbol_exposure_fraction",
        "max_total_exposure_fraction",
        "max_daily_drawdown_fraction",
        "max_daily_drawdown_hard_fraction",
        "max_daily_trades",
        "max_open_orders",
    ]


def test_limits_under_another_name_are_refused() -> None:
    found = refusal(changed("[limits]", "[risk_manager]"))

    assert "line 25: risk_manager: is not known here; known are id, version" in found
    assert "4.0, limits: is missing; every template sets it." in found


def test_every_ill_formed_value_of_a_file_is_reported_in_order() -> None:
    text = changed("capital_quote = 300", 'capital_quote = "300"')
    text = changed("max_open_orders = 3", "max_open_order = 3", text)
    text = changed("at_least = 1\n", "at_least = -1\n", text)

    assert [error.split(": ")[1] for error in refusal(text).split("\n")] == [
        "capital_quote",
        "limits.max_open_orders",
        "limits.max_open_order",
        "criteria.4.at_least",
    ]


def test_every_unsound_value_of_a_file_is_reported_in_order() -> None:
    text = changed("leverage = 1", "leverage = 2", changed('"CTO"]', '"Boss"]'))
    text = changed("hard_fraction = 0.05", "hard_fraction = 0.01", changed('"fill_rate"', '"rate"', text))

    assert [error.split(": ")[1] for error in refusal(text, "4.9").split("\n")] == [
        "id",
        "leverage",
        "signers",
        "limits.max_daily_drawdown_fraction",
        "criteria.1.metric",
    ]


def test_a_refusal_holds_each_defect_on_its_own() -> None:
    with pytest.raises(UnreadablePhase) as caught:
        read(changed("leverage = 1", "leverage = 2"), name="4.0")

    assert [(one.line, one.where, one.reason) for one in caught.value.defects] == [
        (6, "leverage", "is 2; spot trades with 1.")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('limits = { max_open_orders = 0 }\nid = "4.0"', "line 1: limits.max_open_orders: is 0"),
        ('id = "4.0"\nlimits.max_open_orders = 0', "line 2: limits.max_open_orders: is 0"),
        ('criteria = [\n{ metric = "x", on_miss = 1 }]', "line 1: criteria.0.on_miss: is 1"),
        ("# a\u2028b\n[ \"limits\" ]\n'max_open_orders' = 0", "line 3: limits.max_open_orders: is 0"),
    ],
    ids=["inline table", "dotted name", "inline list", "quoted names"],
)
def test_the_line_is_found_in_every_way_to_write_it(text: str, expected: str) -> None:
    assert expected in refusal(text)


# --- the digest --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        MICRO.replace("\n", "\r\n"),
        MICRO.replace(" = ", "\t=\t\t"),
        MICRO + "# a note\n\n\n",
        changed("[limits]", "\t[limits] # as the roadmap has them"),
        changed("version = 1\n", "", changed("leverage = 1\n", "leverage = 1\nversion = 1\n")),
        changed("= 0.02", "= 2e-2"),
        changed("= 0.10", "= 0.1000"),
        changed("= 5000", "= 5_000"),
        changed(
            '[stay]\nlabel = "STAY"\nextend_hours = 48\n', "", 'stay = { extend_hours = 48, label = "STAY" }\n' + MICRO
        ),
    ],
    ids=["CRLF", "tabs", "comment", "indent", "order", "exponent", "zeros", "underscore", "inline"],
)
def test_the_digest_is_of_the_contents_not_of_the_layout(text: str) -> None:
    phase = read(text, name="4.0")

    assert phase == READ
    assert phase.digest == READ.digest


def test_every_shipped_template_has_a_digest_of_its_own() -> None:
    assert len({phase.digest for phase in SHIPPED.values()}) == len(ORDER)
    assert all(len(phase.digest) == 64 for phase in SHIPPED.values())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version = 1", "version = 2"),
        ("= 0.02", "= 0.020000001"),
        ('"Test the kill switch"', '"Test the kill switches"'),
        ('["BTCUSDT", "ETHUSDT"]', '["ETHUSDT", "BTCUSDT"]'),
        ("at_least = 0.99", "above = 0.99"),
        ("at_most = 0\n", 'at_most = 0\nsays = "none"\n'),
    ],
)
def test_the_digest_changes_with_what_is_written(old: str, new: str) -> None:
    assert read(changed(old, new), name="4.0").digest != READ.digest


def test_a_digest_is_made_only_of_what_a_template_may_hold() -> None:
    with pytest.raises(TypeError, match="has no place in a template"):
        digest_of({"since": object()})


Node = dict[str, Any] | list[Any]


def leaves_of(node: Node) -> Iterator[tuple[Node, Any]]:
    """Every place of a leaf: what holds it, and its key there."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list):
            yield from leaves_of(value)
        else:
            yield node, key


@hypothesis_settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(ORDER),
    choice=st.integers(0, 1000),
    new=st.text(max_size=8) | st.integers() | st.decimals(0, 10**9, places=9),
)
def test_no_value_of_a_template_can_change_without_its_digest(name: str, choice: int, new: str | int | Decimal) -> None:
    contents = tomllib.loads(TEXTS[name], parse_float=Decimal)
    leaves = list(leaves_of(contents))
    node, key = leaves[choice % len(leaves)]
    old: object = node[key]
    node[key] = new

    is_number = isinstance(old, int | Decimal) and isinstance(new, int | Decimal)  # 60 and 60.0 are one value
    is_same = (is_number or type(old) is type(new)) and old == new
    assert (digest_of(contents) == SHIPPED[name].digest) is is_same


# --- whatever is written -----------------------------------------------------------------------------------


def is_read_or_refused(text: str) -> None:
    try:
        found = read(text, name="4.0").digest
    except UnreadablePhase as error:
        found = str(error)

    assert found.encode()  # can be shown and stored


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.text(st.characters(codec=None, categories=None), max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    is_read_or_refused(text)


HARD = st.sampled_from(
    [
        "",
        "0",
        "-1",
        "nan",
        "1e999999999999999999",
        "1e-99999999",
        "0x" + "f" * 400,
        "9" * 490,
        "true",
        '"\ud800"',
        '"""',
    ],
)
NASTY = HARD | st.sampled_from(
    ["[[[", "]", "{", "}", "=", "\n", "\r", "\0", "\ufeff", "[[criteria]]", "[a.b]", "a.b = 1"]
)


@hypothesis_settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(ORDER),
    at=st.integers(0, 5000),
    length=st.integers(0, 40),
    new=NASTY | st.text(st.characters(codec=None, categories=None), max_size=20),
)
def test_any_cut_in_a_template_is_read_or_refused(name: str, at: int, length: int, new: str) -> None:
    text = TEXTS[name]
    place = at % len(text)

    is_read_or_refused(text[:place] + new + text[place + length :])


@hypothesis_settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 1000), new=HARD | st.text(max_size=10) | st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{1,12})?"))
def test_any_value_of_a_template_is_read_or_refused(at: int, new: str) -> None:
    lines = MICRO.split("\n")
    set_lines = [number for number, line in enumerate(lines) if "=" in line]
    number = set_lines[at % len(set_lines)]
    lines[number] = f"{lines[number].partition('=')[0]}= {new}"

    is_read_or_refused("\n".join(lines))


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 80), max_size=30), st.randoms(use_true_random=False))
def test_lines_may_be_lost_doubled_or_mixed(chosen: list[int], random: Any) -> None:
    lines = MICRO.split("\n")
    lines += [lines[number] for number in chosen if number < len(lines)]
    random.shuffle(lines)

    is_read_or_refused("\n".join(lines))


# --- what the evidence ticks ------------------------------------------------------------------------------------------

AUTOMATIC = '\n[[automatic]]\nitem = "Fills well"\nmetric = "fill_rate"\n'


def test_an_automatic_item_names_what_the_phase_before_is_judged_on() -> None:
    before, text = SHIPPED["4.0"], TEXTS["4.1"]

    after = read(text + AUTOMATIC, name="4.1")

    assert after.automatic[-1].metric == "fill_rate"
    assert steps_up(before, after) == []
    other = read(text + AUTOMATIC.replace('"fill_rate"', '"sharpe"'), name="4.1")
    assert steps_up(before, other) == ["automatic item on sharpe, which 4.0 does not judge"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ('\n[[automatic]]\nitem = "x"\nmetric = "fil_rate"\n', "automatic.6.metric: 'fil_rate' is not measured"),
        ('\n[[automatic]]\nitem = "x"\n', "automatic.6.metric: is missing"),
        ('\n[[automatic]]\nitem = "x"\nmetric = "sharpe"\nover = "run"\n', "automatic.6.over: is not known here"),
        ('\n[[automatic]]\nitem = "Team notified"\nmetric = "sharpe"\n', "names 'Team notified' twice"),
        ('\n[[automatic]]\nitem = ""\nmetric = "sharpe"\n', "automatic.6.item: is ''"),
    ],
)
def test_an_automatic_item_is_read_as_strictly_as_everything_else(wrong: str, reason: str) -> None:
    with pytest.raises(UnreadablePhase) as refused:
        read(TEXTS["4.1"] + wrong, name="4.1")

    assert reason in str(refused.value)
