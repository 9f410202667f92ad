"""Plays a recording into the exchange: paced in laps with seams between them, or step by step in lockstep."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from trading.domain.market import BookTop, MarketEvent
from trading.simulator.exchange import Exchange
from trading.simulator.frames import Sleep
from trading.simulator.replay import Cursor, Recording

SLOWEST, FASTEST = 1.0, 60.0  # times real time
SEAM_PAUSE_S: Final = 1.0  # between BREAK and settlement, and between settlement and TRADING
BATCH: Final = 128  # events played before others may run
SHORTEST_WAIT_S: Final = 0.002
LONGEST_WAIT_S: Final = 0.05
BEHIND_NS: Final = 250_000_000  # wall time; further behind the replay slows down instead of catching up
STATUS_EVERY_NS: Final = 1_000_000_000
MEASURED_STATUSES: Final = 6  # effective speed is measured over the last five seconds
SECOND_NS: Final = 1_000_000_000


class SpeedError(ValueError):
    """The speed is outside what the replay can do."""


@dataclass(slots=True)
class _Anchor:
    """Where recorded time and our time meet; between anchors both run at a fixed ratio."""

    wall_ns: int
    recorded_ns: int
    speed: float

    def due_ns(self, wall_ns: int) -> int:
        """Return the recorded time that should be played by `wall_ns`."""
        return self.recorded_ns + int((wall_ns - self.wall_ns) * self.speed)


class Player:
    """Owns the replay of one exchange."""

    def __init__(
        self,
        exchange: Exchange,
        recording: Recording,
        *,
        speed: float = 1.0,
        seam_pause_s: float = SEAM_PAUSE_S,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._exchange = exchange
        self._recording = recording
        self._next_recording: Recording | None = None
        self._seam_pause_s = seam_pause_s
        self._monotonic_ns = monotonic_ns
        self._sleep = sleep
        self._cursor = Cursor(recording, epoch=exchange.epoch)
        self._position_ns = recording.first_ns  # recorded time of the last event played
        self._anchor = _Anchor(monotonic_ns(), recording.first_ns, check_speed(speed))
        self._measured: deque[tuple[int, int]] = deque(maxlen=MEASURED_STATUSES)
        self._status_at_ns = 0
        self._unpublished: MarketEvent | None = None
        self.paused = False
        self.state = "BREAK"
        self.events_played = 0
        exchange.speed = self._anchor.speed

    # --- control ------------------------------------------------------------------------------------------

    @property
    def speed(self) -> float:
        """Nominal speed, times real time."""
        return self._anchor.speed

    def set_speed(self, speed: float) -> None:
        """Play at `speed` from here on.

        Raises:
            SpeedError: it is outside 1..60.
        """
        self._anchor = _Anchor(self._monotonic_ns(), self._position_ns, check_speed(speed))
        self._exchange.speed = speed
        self._measured.clear()

    def pause(self, paused: bool) -> None:
        """Stop or resume the flow of events; orders still work at the last prices."""
        self.paused = paused
        self._restart_clock()

    def change_recording(self, recording: Recording) -> None:
        """Play `recording` after a seam, which starts at once."""
        self._next_recording = recording

    def status(self) -> dict[str, Any]:
        """Return what the replay says of itself; the fields of `ports.ReplayStatus` but for the seams, and `paused`."""
        span_ns = self._recording.last_ns - self._recording.first_ns
        played_ns = self._position_ns - self._recording.first_ns
        return {
            "lap": self._exchange.lap,
            "speed": self._anchor.speed,
            "effective_speed": round(self._effective_speed(), 3),
            "dataset": self._recording.name,
            "label": self._recording.label,
            "progress": round(played_ns / span_ns, 6) if span_ns else 1.0,
            "state": self.state,
            "paused": self.paused,
        }

    def _effective_speed(self) -> float:
        if self.state != "TRADING" or self.paused:
            return 0.0
        now_ns, recorded_ns = self._monotonic_ns(), self._recorded_now_ns()
        since_ns, from_ns = self._measured[0] if self._measured else (self._anchor.wall_ns, self._anchor.recorded_ns)
        if now_ns - since_ns < SECOND_NS // 2:
            return self._anchor.speed
        return (recorded_ns - from_ns) / (now_ns - since_ns)

    def _recorded_now_ns(self) -> int:
        """Return the recorded time played so far; a quiet stretch of the recording counts as it passes."""
        upcoming_ns = self._cursor.next_ns
        due_ns = self._anchor.due_ns(self._monotonic_ns())
        return due_ns if upcoming_ns is None else max(min(due_ns, upcoming_ns), self._position_ns)

    # --- paced --------------------------------------------------------------------------------------------

    async def run(self, *, resumed: bool = False) -> None:
        """Play laps for ever; `resumed` starts with the seam that ends the lap of an earlier run."""
        if resumed:
            await self._seam()
        else:
            self._start_lap()
        while True:
            await self._play_lap()
            await self._seam()

    def _start_lap(self) -> None:
        if self._next_recording is not None:
            self._recording, self._next_recording = self._next_recording, None
        self._cursor = Cursor(self._recording, epoch=self._exchange.epoch)
        self._position_ns = self._recording.first_ns
        self._restart_clock()
        self._exchange.open_market(self._recording.symbols)
        self.state = "TRADING"
        self._send_status()

    def _restart_clock(self) -> None:
        self._anchor = _Anchor(self._monotonic_ns(), self._position_ns, self._anchor.speed)
        self._measured.clear()

    async def _play_lap(self) -> None:
        while (upcoming_ns := self._cursor.next_ns) is not None and self._next_recording is None:
            now_ns = self._monotonic_ns()
            due_ns = self._anchor.due_ns(now_ns)
            self._housekeeping(now_ns)
            if self.paused:
                await self._sleep(LONGEST_WAIT_S)
            elif upcoming_ns > due_ns:
                wait_s = (upcoming_ns - due_ns) / self._anchor.speed / SECOND_NS
                await self._sleep(min(max(wait_s, SHORTEST_WAIT_S), LONGEST_WAIT_S))
            else:
                self._play_batch(due_ns)
                await self._let_others_run()

    def _play_batch(self, due_ns: int) -> None:
        stamp_ns = self._exchange.clock.now_ns()
        upcoming_ns = self._cursor.next_ns
        for _ in range(BATCH):
            if upcoming_ns is None or upcoming_ns > due_ns:
                break
            self._position_ns = upcoming_ns
            event = self._cursor.take(stamp_ns)
            if event is not None:
                self._exchange.match(event)
                self._exchange.publish(event)
                self.events_played += 1
            upcoming_ns = self._cursor.next_ns
        self._exchange.publish_depth(stamp_ns)
        self._exchange.streams.flush()
        if upcoming_ns is not None and due_ns - upcoming_ns > BEHIND_NS * self._anchor.speed:
            self._anchor = _Anchor(self._monotonic_ns(), upcoming_ns, self._anchor.speed)

    async def _let_others_run(self) -> None:
        if self._exchange.streams.congested:
            await self._exchange.streams.drain(self._sleep)
        else:
            await self._sleep(0)

    def _housekeeping(self, now_ns: int) -> None:
        self._exchange.publish_depth(self._exchange.clock.now_ns())
        if now_ns - self._status_at_ns >= STATUS_EVERY_NS:
            self._status_at_ns = now_ns
            self._measured.append((now_ns, self._recorded_now_ns()))
            self._send_status()
        self._exchange.streams.flush()

    def _send_status(self) -> None:
        message = {"e": "replayStatus", "E": self._exchange.now_ms(), **self.status()}
        self._exchange.streams.broadcast("replay", message)
        self._exchange.streams.flush()

    async def _seam(self) -> None:
        """End a lap: BREAK and expiry, settlement at the last bids, the next lap; equity does not change."""
        self.state = "BREAK"
        self._exchange.close_market()
        self._send_status()
        await self._sleep(self._seam_pause_s)
        self._exchange.settle()
        self._send_status()
        await self._sleep(self._seam_pause_s)
        self._start_lap()

    # --- lockstep -----------------------------------------------------------------------------------------

    def open_lockstep(self) -> None:
        """Open the market at the first event's time, before any event."""
        self._exchange.clock.advance(self._recording.first_ns)
        self._exchange.open_market(self._recording.symbols)
        self.state = "TRADING"

    def step(self, *, hold: bool = False) -> dict[str, Any]:
        """Match the next event; publish it at once, or at the next call if it filled somebody's order or on `hold`."""
        event = self._unpublished
        if event is not None:
            self._unpublished = None
            return self._publish(event)
        event = self._cursor.take()
        if event is None:
            return {"end": True, **self._progress()}
        self._position_ns = event.venue_at_ns
        self._exchange.clock.advance(event.venue_at_ns)
        self.events_played += 1
        if self._exchange.match(event) or hold:
            self._unpublished = event
            return {"end": False, "published": False, "event": _describe(event), **self._progress()}
        return self._publish(event)

    def _publish(self, event: MarketEvent) -> dict[str, Any]:
        self._exchange.publish(event)
        self._exchange.publish_depth(event.venue_at_ns)
        self._exchange.streams.flush()
        return {"end": False, "published": True, "event": _describe(event), **self._progress()}

    def _progress(self) -> dict[str, Any]:
        return {"at_ns": self._exchange.clock.now_ns(), "user_events_sent": dict(self._exchange.users.reports_sent)}


def check_speed(speed: float) -> float:
    """Return `speed` if the replay can do it.

    Raises:
        SpeedError: it is outside 1..60, or no number.
    """
    if not SLOWEST <= speed <= FASTEST:
        raise SpeedError(f"speed: {speed} is outside {SLOWEST:g}..{FASTEST:g} times real time.")
    return float(speed)


def _describe(event: MarketEvent) -> dict[str, Any]:
    if isinstance(event, BookTop):
        return {"symbol": event.symbol, "kind": "book", "id": event.update_id}
    return {"symbol": event.symbol, "kind": "trade", "id": event.trade_id}
