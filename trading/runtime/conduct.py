"""What an execution loop sees of itself, minute by minute: the part of the evidence that no row tells."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from trading.domain.desk import SymbolView, TraderView
from trading.domain.events import FeedLost, FeedRestored
from trading.domain.evidence import EMPTY, Equity, Facts, SymbolFacts
from trading.domain.limits import TradingState
from trading.ports import ReplayStatus

MINUTE_NS: Final = 60_000_000_000
_NOTHING: Final = SymbolFacts()
LONGEST_NS: Final = 15_000_000_000  # between two looks; in a longer gap nobody watched


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the market's time passes."""

    speed: float  # times real time; 0 while it stands still
    is_accelerated: bool = False
    is_closed: bool = False  # the market, between two laps: prices are not due

    @classmethod
    def of(cls, status: ReplayStatus | None) -> "Pace":
        """Return the pace of a replay; None is a real feed. Never more than was measured, and real time at real time.

        A replay at real time is a real day for a real day, whatever a measurement over seconds makes of it.
        """
        if status is None:
            return REAL
        measured = max(status.effective_speed, 0.0)
        speed = min(status.speed, measured) if status.speed > 1 or not measured else status.speed
        return cls(speed, status.speed > 1, status.state == "BREAK")


REAL: Final = Pace(1.0)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a desk."""

    at_ns: int
    view: TraderView
    is_clear: bool  # nothing is in the way of an order
    has_mandate: bool  # one is in force, and it is ours to carry out
    pace: Pace | None  # None: not known, and then it does not count

    @property
    def is_fed(self) -> bool:
        """True while every price is fresh, or not due, and nothing is in the way of an order."""
        is_closed = self.pace is not None and self.pace.is_closed
        return self.is_clear and (is_closed or all(symbol.is_fed for symbol in self.view.symbols))

    @property
    def is_in_force(self) -> bool:
        """True while the desk does what its mandate says."""
        return self.has_mandate and self.pace is not None and self.view.state is TradingState.ACTIVE


@dataclass(slots=True)
class Conduct:
    """Adds up looks to minutes. What lies between two looks holds only if it held at both."""

    _last: Look | None = None
    _agreed: bool = True  # the newest reading left nothing unexplained
    _minute: int = 0
    _facts: Facts = field(default_factory=Facts)
    _is_feed_lost: bool = False

    def read(self, agrees: bool) -> None:
        """Count a reading of the venue; out of sync is what two readings in a row leave unexplained.

        A balance may be read between two executions, and then the next reading explains it. A difference that stays for
        three seconds halts the account by itself.
        """
        self._facts = self._facts.then(Facts(readings=1, in_sync=int(agrees or self._agreed)))
        self._agreed = agrees

    def hear(self, event: FeedLost | FeedRestored) -> None:
        """Count a loss of market data; attempts that fail until it is back are the same one."""
        is_lost = isinstance(event, FeedLost)
        if is_lost and not self._is_feed_lost:
            self._facts = self._facts.then(Facts(feed_losses=1))
        self._is_feed_lost = is_lost

    def look(self, look: Look) -> tuple[int, Facts] | None:
        """Take the next look; return the minute that has ended with it: its begin (ns, UTC) and its facts.

        The first look only opens the first minute. One in which nobody watched is told with the next that has any.
        """
        minute, ended = look.at_ns // MINUTE_NS, None
        if minute != self._minute and self._facts.watched_ns:
            ended = (self._minute * MINUTE_NS, self._facts)
            self._facts = EMPTY
        if self._last is not None:
            self._facts = self._facts.then(_between(self._last, look))
        self._last, self._minute = look, minute
        return ended


def _between(before: Look, after: Look) -> Facts:
    passed_ns = after.at_ns - before.at_ns
    watched_ns = passed_ns if 0 < passed_ns <= LONGEST_NS else 0
    facts = Facts(
        watched_ns=watched_ns,
        detailed_ns=watched_ns,
        fed_ns=watched_ns * (before.is_fed and after.is_fed),
        symbols=_symbols(before.view, after.view),
    )
    if all(symbol.mark_ticks is not None for symbol in after.view.symbols if symbol.base):
        # Without a price a position counts at cost: that is no equity.
        equity = Equity.of(after.view.equity_quote, after.view.funding)
        facts = replace(facts, samples=1, equity=equity, daily_drawdown=after.view.daily_drawdown_fraction)
    if before.pace is None or after.pace is None or not (before.is_in_force and after.is_in_force):
        return facts
    speed = min(before.pace.speed, after.pace.speed)
    is_accelerated = before.pace.is_accelerated or after.pace.is_accelerated
    return replace(
        facts,
        in_force_ns=watched_ns,
        market_ns=int(watched_ns * Decimal(str(speed))),
        accelerated=is_accelerated and watched_ns > 0,
    )


def _symbols(before: TraderView, after: TraderView) -> Mapping[str, SymbolFacts]:
    """Return what each symbol lost today, and what was touched and filled of it since the look before."""
    known = {symbol.symbol: symbol for symbol in before.symbols}
    found = {symbol.symbol: _symbol(known[symbol.symbol], symbol) for symbol in after.symbols if symbol.symbol in known}
    return {symbol: facts for symbol, facts in found.items() if facts != _NOTHING}


def _symbol(before: SymbolView, after: SymbolView) -> SymbolFacts:
    return SymbolFacts(
        touched=after.touched_ever - before.touched_ever,
        touch_filled=after.touch_filled_ever - before.touch_filled_ever,
        drawdown=after.drawdown_fraction,
    )
