"""The drills of one desk: what was fired last, by whom, and whether it held."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trading.domain.drills import Drill, Outcome, judge
from trading.models import Account, HaltDrill
from trading.selectors.numbers import in_words

TITLES: Final = {
    Drill.MANUAL: ("By hand", "a person presses HALT"),
    Drill.DRAWDOWN: ("Drawdown", "the day's loss is taken for its limit"),
    Drill.SILENT_DATA: ("Silent data", "market data is taken for silent for 60 s"),
    Drill.VENUE_ERRORS: ("Venue errors", "orders are taken for paused for errors again and again"),
}


@dataclass(frozen=True, slots=True)
class DrillLine:
    """One kind of drill and its newest run."""

    drill: str
    title: str
    meaning: str
    outcome: str  # "" never | RUNNING | PASSED | FAILED
    reason: str  # what failed
    at: datetime | None
    age: str  # "2 d"
    by: str
    times: str  # "latched after 0.8 s, proven clear after 0.2 s"


def lines(account: Account, at: datetime) -> list[DrillLine]:
    """Return one line per kind of drill, in the order of the roadmap."""
    newest: dict[str, HaltDrill] = {}
    for row in HaltDrill.objects.filter(account=account).select_related("halt").order_by("id"):
        newest[row.drill] = row
    return [_line(drill, newest.get(drill), at) for drill in Drill]


def _line(drill: Drill, row: HaltDrill | None, at: datetime) -> DrillLine:
    title, meaning = TITLES[drill]
    if row is None:
        return DrillLine(drill, title, meaning, "", "", None, "", "", "")
    latched, proven = (row.halt.latched_at, row.halt.proven_clear_at) if row.halt else (None, None)
    verdict = judge(asked_at=row.asked_at, latched_at=latched, proven_at=proven, at=at)
    times = f"latched after {(latched - row.asked_at).total_seconds():.2f} s" if latched else ""
    if latched and proven:
        times += f", proven clear {(proven - latched).total_seconds():.2f} s later"
    return DrillLine(
        drill, title, meaning, verdict.outcome, verdict.reason, row.asked_at, in_words(at - row.asked_at),
        row.asked_by, times,
    )  # fmt: skip


def passed(found: list[DrillLine]) -> int:
    """Return how many kinds passed the last time they were run."""
    return sum(line.outcome == Outcome.PASSED for line in found)
