"""When the world is not fit to trade in: silence, venue errors, a wrong clock, stopped loops, a stuck halt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trading.domain.events import Severity

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS

# Source: the desk's alert rules (mission, decisions.md).
SILENT_DATA_HALT_NS: Final = 60 * SECOND_NS
VENUE_ERRORS_PER_MINUTE: Final = 2
MAX_SKEW_MS: Final = 500.0
# Ours:
LOOP_SILENT_NS: Final = 10 * SECOND_NS
LOOP_GONE_HALT_NS: Final = 60 * SECOND_NS
PROOF_LIMIT_NS: Final = 20 * SECOND_NS  # recvWindow + the venue's own time-out + two readings
MANY_RECONNECTS_PER_DAY: Final = 4
DAY_NS: Final = 86_400 * SECOND_NS

VENUE_ERRORS: Final = "venue errors"
CLOCK: Final = "clock"


@dataclass(frozen=True, slots=True)
class Signs:
    """What the risk loop has seen by now; times are UTC ns, None is "never since the watch began"."""

    now_ns: int
    began_ns: int
    market_at_ns: int | None
    market_lost_at_ns: tuple[int, ...]  # when the feed broke
    venue_errors_at_ns: Mapping[str, tuple[int, ...]]  # account -> times
    skew_ms: float | None
    beats_at_ns: Mapping[str, int]  # loop -> newest heartbeat; loops never seen are absent
    unproven_since_ns: Mapping[str, int]  # account -> when a halt was latched that is not proven clear yet


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
    account: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows from the signs."""

    halts: tuple[HaltAll, ...] = ()
    holds: Mapping[tuple[str, str], str] = field(
        default_factory=dict
    )  # (account or "", cause) -> reason: no new orders
    notices: tuple[Notice, ...] = ()


def judge(signs: Signs) -> Judgement:
    """Return everything that follows from `signs`; the same signs give the same judgement."""
    halts, warnings = _silence(signs)
    loop_halts, loop_warnings = _loops(signs)
    holds, hold_warnings = _holds(signs)
    return Judgement(
        halts=(*halts, *loop_halts),
        holds=holds,
        notices=(*warnings, *loop_warnings, *hold_warnings, *_unproven(signs), *_reconnects(signs)),
    )


def _silence(signs: Signs) -> tuple[list[HaltAll], list[Notice]]:
    silent_ns = signs.now_ns - (signs.market_at_ns or signs.began_ns)
    if silent_ns <= SILENT_DATA_HALT_NS:
        return [], []
    text = f"market data silent for {silent_ns // SECOND_NS} s, limit {SILENT_DATA_HALT_NS // SECOND_NS} s"
    return [HaltAll("market data silent for more than 60 s")], [Notice(Severity.CRIT, "MARKET_DATA_SILENT", text)]


def _loops(signs: Signs) -> tuple[list[HaltAll], list[Notice]]:
    halts: list[HaltAll] = []
    warnings: list[Notice] = []
    for loop, beat_ns in sorted(signs.beats_at_ns.items()):
        silent_ns = signs.now_ns - beat_ns
        if silent_ns > LOOP_SILENT_NS:
            warnings.append(Notice(Severity.CRIT, "LOOP_SILENT", f"the {loop} loop has given no sign of life for 10 s"))
        if silent_ns > LOOP_GONE_HALT_NS and loop in {"execution", "market_data"}:
            halts.append(HaltAll(f"the {loop} loop has given no sign of life for 60 s"))
    return halts, warnings


def _holds(signs: Signs) -> tuple[dict[tuple[str, str], str], list[Notice]]:
    holds: dict[tuple[str, str], str] = {}
    warnings: list[Notice] = []
    for account, times in signs.venue_errors_at_ns.items():
        recent = sum(signs.now_ns - at_ns < MINUTE_NS for at_ns in times)
        if recent >= VENUE_ERRORS_PER_MINUTE:
            reason = f"{recent} venue errors within a minute"
            holds[account, VENUE_ERRORS] = reason
            warnings.append(
                Notice(Severity.CRIT, "VENUE_ERRORS", "2 or more venue errors within a minute: orders pause", account)
            )
    # Written so that a skew that is not a number holds, too.
    if signs.skew_ms is not None and not abs(signs.skew_ms) < MAX_SKEW_MS:
        holds["", CLOCK] = f"our clock and the venue's differ by {signs.skew_ms:.0f} ms"
        warnings.append(Notice(Severity.CRIT, "CLOCK_SKEW", "clock differs from the venue's by 500 ms or more"))
    return holds, warnings


def _unproven(signs: Signs) -> list[Notice]:
    return [
        Notice(Severity.CRIT, "HALT_NOT_PROVEN", "the halt is not proven clear after 20 s", account)
        for account, since_ns in signs.unproven_since_ns.items()
        if signs.now_ns - since_ns > PROOF_LIMIT_NS
    ]


def _reconnects(signs: Signs) -> list[Notice]:
    today = sum(signs.now_ns - at_ns < DAY_NS for at_ns in signs.market_lost_at_ns)
    if today <= MANY_RECONNECTS_PER_DAY:
        return []
    return [Notice(Severity.WARN, "MANY_RECONNECTS", "market data was lost more than 4 times within a day")]
