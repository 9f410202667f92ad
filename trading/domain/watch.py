"""When the world is not fit to trade in: silence, a clock that is off, loops that stopped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import Final

from trading.domain.events import Severity

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS

# Source: the desk's alert rules (mission, decisions.md).
SILENT_DATA_HALT_NS: Final = 60 * SECOND_NS
MAX_SKEW_MS: Final = 500.0
MANY_RECONNECTS_PER_DAY: Final = 4
# Ours:
LOOP_SILENT_NS: Final = 10 * SECOND_NS
LOOP_GONE_HALT_NS: Final = 60 * SECOND_NS
MONEY_LOOPS: Final = frozenset({"execution", "market_data"})  # without them nobody minds the orders

BUILDS_DIFFER_HALT_NS: Final = 10 * SECOND_NS  # a restart of every process takes less

CLOCK: Final = "clock"
BUILD: Final = "build"

# Every code this module gives notice of; each is over once it is given no more.
CODES: Final = frozenset(
    {"MARKET_DATA_SILENT", "LOOP_SILENT", "BUILDS_DIFFER", "CLOCK_UNKNOWN", "CLOCK_SKEW", "MANY_RECONNECTS"}
)


@dataclass(frozen=True, slots=True)
class Signs:
    """What the risk loop has seen by now; times are UTC ns, None is "never since the watch began"."""

    now_ns: int
    began_ns: int
    market_at_ns: int | None
    market_lost_at_ns: tuple[int, ...]  # when the feed broke
    skew_ms: float | None
    beats_at_ns: Mapping[str, int]  # loop -> newest heartbeat; loops never seen are absent
    builds: Mapping[str, str] = field(default_factory=dict)  # process that lives -> its code and configuration
    builds_differ_since_ns: int | None = None


@dataclass(frozen=True, slots=True)
class HaltAll:
    """Latch every account."""

    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Tell the operators, once for as long as the sign lasts."""

    severity: Severity
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows from the signs."""

    halts: tuple[HaltAll, ...] = ()
    holds: Mapping[str, str] = field(default_factory=dict)  # cause -> why no new order may leave
    notices: tuple[Notice, ...] = ()


def judge(signs: Signs) -> Judgement:
    """Return everything that follows from `signs`; the same signs give the same judgement."""
    halts, notices = _silence(signs)
    loop_halts, loop_notices = _loops(signs)
    holds, hold_notices = _holds(signs)
    build_halts, build_holds, build_notices = _builds(signs)
    return Judgement(
        halts=(*halts, *loop_halts, *build_halts),
        holds=holds | build_holds,
        notices=(*notices, *loop_notices, *hold_notices, *build_notices, *_reconnects(signs)),
    )


def _silence(signs: Signs) -> tuple[list[HaltAll], list[Notice]]:
    since_ns = signs.began_ns if signs.market_at_ns is None else signs.market_at_ns
    if signs.now_ns - since_ns <= SILENT_DATA_HALT_NS:
        return [], []
    text = "market data silent for more than 60 s"
    return [HaltAll(text)], [Notice(Severity.CRIT, "MARKET_DATA_SILENT", text)]


def _loops(signs: Signs) -> tuple[list[HaltAll], list[Notice]]:
    halts: list[HaltAll] = []
    notices: list[Notice] = []
    for loop, beat_ns in sorted(signs.beats_at_ns.items()):
        silent_ns = signs.now_ns - beat_ns
        if silent_ns > LOOP_SILENT_NS:
            notices.append(Notice(Severity.CRIT, "LOOP_SILENT", f"the {loop} loop has given no sign of life for 10 s"))
        if silent_ns > LOOP_GONE_HALT_NS and loop in MONEY_LOOPS:
            halts.append(HaltAll(f"the {loop} loop has given no sign of life for 60 s"))
    return halts, notices


def _builds(signs: Signs) -> tuple[list[HaltAll], dict[str, str], list[Notice]]:
    """Two versions at once decide by different rules: nothing leaves, and if it lasts, everything stops."""
    if not differ(signs.builds):
        return [], {}, []
    text = "code or configuration differs between processes: restart all of them"
    since_ns = signs.now_ns if signs.builds_differ_since_ns is None else signs.builds_differ_since_ns
    halts = [HaltAll(text)] if signs.now_ns - since_ns > BUILDS_DIFFER_HALT_NS else []
    told = "; ".join(f"{build} {', '.join(names)}" for build, names in _by_build(signs.builds))
    return halts, {BUILD: text}, [Notice(Severity.CRIT, "BUILDS_DIFFER", f"{text} ({told})")]


def differ(builds: Mapping[str, str]) -> bool:
    """Return whether not every process runs the same code with the same configuration."""
    return len(set(builds.values())) > 1


def _by_build(builds: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    return [
        (build, sorted({name.partition("@")[0] for name, each in builds.items() if each == build}))
        for build in sorted(set(builds.values()))
    ]


def _holds(signs: Signs) -> tuple[dict[str, str], list[Notice]]:
    if signs.skew_ms is None:
        return {CLOCK: "our clock was not compared with the venue's yet"}, []
    if abs(signs.skew_ms) < MAX_SKEW_MS:
        return {}, []
    if isnan(signs.skew_ms):
        text = "the venue's clock could not be read for a minute: no order leaves"
        return {CLOCK: "the venue's clock is not known"}, [Notice(Severity.CRIT, "CLOCK_UNKNOWN", text)]
    text = "our clock and the venue's differ by 500 ms or more: no order leaves"
    return {CLOCK: f"clock skew {signs.skew_ms:.0f} ms"}, [Notice(Severity.CRIT, "CLOCK_SKEW", text)]


def _reconnects(signs: Signs) -> list[Notice]:
    today = sum(signs.now_ns - at_ns < DAY_NS for at_ns in signs.market_lost_at_ns)
    if today <= MANY_RECONNECTS_PER_DAY:
        return []
    return [Notice(Severity.WARN, "MANY_RECONNECTS", "market data was lost more than 4 times within a day")]
