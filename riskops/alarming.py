"""Alarms as they stand: the rulebook read once, and every alert with its rule and its state.

Services and selectors both need it and may not know each other, so it has a floor of its own below them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from riskops.domain.alert_rules import AlertRule, Hush, Rulebook, read
from riskops.domain.alert_states import AlertState, Condition, state_of
from trading.selectors import alerts

if TYPE_CHECKING:
    from trading.models import Alert, RuleReading

RULES: Final = Path(__file__).parent / "alerts" / "rules.toml"
PLAYBOOKS: Final = Path(__file__).parent / "playbooks"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alert at one moment."""

    row: "Alert"
    rule: AlertRule
    state: AlertState


@lru_cache(maxsize=1)
def rulebook() -> Rulebook:
    """Return the rules, read once in each process; a playbook is what has a file.

    Raises:
        riskops.domain.alert_rules.UnreadableRules: with every defect of the file.
    """
    return read(RULES.read_text(), playbooks=frozenset(path.stem for path in PLAYBOOKS.glob("*.toml")))


def stand(rows: "Iterable[Alert]", at: datetime) -> list[Alarm]:
    """Return every alert of `rows` with its rule and its state; two queries, however many."""
    hushes, readings, book = alerts.hushes(), alerts.readings(), rulebook()
    found = []
    for row in rows:
        rule = book.rule(row.code, row.severity)
        is_hushed = _is_hushed(row, rule, hushes)
        condition = Condition(
            raised_at=row.raised_at or row.at,
            seen_at=row.at,
            over_at=row.cleared_at,
            is_acknowledged=row.acknowledged_at is not None,
            shelved_until=row.shelved_until,
            is_hushed=is_hushed,
            known_at=_known_at(readings.get((row.account_id, row.code))),
        )
        found.append(Alarm(row, rule, state_of(condition, rule, at)))
    return found


def _is_hushed(row: "Alert", rule: AlertRule, hushes: alerts.Hushes) -> bool:
    if rule.hushed_when == Hush.HALTED:
        return row.account_id in hushes.halted
    return rule.hushed_when == Hush.PAUSED and (row.account_id, row.symbol) in hushes.paused


def _known_at(reading: "RuleReading | None") -> datetime | None:
    return reading.known_at if reading else None
