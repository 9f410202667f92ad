"""The watchdog's rule: when to cancel for whom, from two files and a clock."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trading.domain.scopes import Scope

BEAT_LIMIT_MS: Final = 3_000
LATCH_GRACE_MS: Final = 1_000  # the execution loop cancels first and counts; the watchdog makes sure


@dataclass(frozen=True, slots=True)
class Duty:
    """What the watchdog has to cancel of one account, and why."""

    reason: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """What the watchdog sees at one moment."""

    now_ms: int
    beat_ms: int | None  # newest heartbeat of the risk loop; None: no readable file
    latched: frozenset[str]  # scopes, as text


@dataclass(slots=True)
class Vigil:
    """Remembers just enough to tell a console that died from one that was never there."""

    is_armed: bool = False  # a fresh heartbeat was seen; without one there is nothing to miss
    latched_since_ms: int | None = None

    def duties(self, sight: Sight, accounts: Mapping[str, Sequence[str]]) -> dict[str, Duty]:
        """Return account -> what must be cancelled now; `accounts` says which symbols each trades."""
        missed, latched = self._missed_beat(sight), self._latched(sight)
        found: dict[str, Duty] = {}
        for account, symbols in accounts.items():
            stopped = {symbol for scope in latched if scope.concerns(account) for symbol in _stopped(scope, symbols)}
            if missed:
                stopped.update(symbols)
            if stopped:
                reason = "the heartbeat of the risk loop stopped" if missed else "the halt latch is set"
                found[account] = Duty(reason, tuple(sorted(stopped)))
        return found

    def _missed_beat(self, sight: Sight) -> bool:
        is_fresh = sight.beat_ms is not None and sight.now_ms - sight.beat_ms <= BEAT_LIMIT_MS
        self.is_armed = self.is_armed or is_fresh
        return self.is_armed and not is_fresh

    def _latched(self, sight: Sight) -> list[Scope]:
        if not sight.latched:
            self.latched_since_ms = None
            return []
        if self.latched_since_ms is None:
            self.latched_since_ms = sight.now_ms
        if sight.now_ms - self.latched_since_ms < LATCH_GRACE_MS:
            return []
        return [Scope.of_latch(text) for text in sight.latched]


def _stopped(scope: Scope, symbols: Sequence[str]) -> Sequence[str]:
    return [scope.symbol] if scope.symbol in symbols else [] if scope.symbol else symbols


def read_beat(path: Path) -> int | None:
    """Return the heartbeat in ms since 1970; None when there is no readable one."""
    try:
        text = path.read_text().strip()
    except (OSError, ValueError):
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def read_accounts(path: Path) -> dict[str, list[str]]:
    """Return account -> symbols as the loops left them; empty before their first start."""
    try:
        found = json.loads(path.read_text())
        return {str(slug): [str(symbol) for symbol in symbols] for slug, symbols in found.items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}
