"""What one browser has not seen yet: at most one value per key, however slowly it reads."""

from collections.abc import Iterable

import orjson

from trading.live.keys import Value, Values


class Mailbox:
    """Conflates what happens for one browser and numbers its frames; holds no more than one value per key."""

    def __init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._events: set[str] = set()
        self._number = 0
        self._snapshot_due = True
        self._paused = False

    @property
    def paused(self) -> bool:
        """True while the tab is hidden: values are neither kept nor sent, events wait."""
        return self._paused

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to send now."""
        return self._paused or not (self._values or self._events or self._snapshot_due)

    def offer(self, values: Values) -> None:
        """Keep the newest value of each key until the next frame."""
        if not (self._paused or self._snapshot_due):
            self._values.update(values)

    def tell(self, events: Iterable[str]) -> None:
        """Keep the names of rare events until the next frame."""
        self._events.update(events)

    def skip_to_snapshot(self) -> None:
        """Forget what was missed: the next frame is a snapshot (a slow reader, a new start of the board)."""
        self._values.clear()
        self._snapshot_due = True

    def pause(self) -> None:
        """Send nothing until `resume`."""
        self._paused = True
        self._values.clear()

    def resume(self) -> None:
        """Start again with a snapshot."""
        self._paused = False
        self.skip_to_snapshot()

    def frames(self, latest: Values, at_ms: int) -> list[bytes]:
        """Empty the box into the frames to send now, in order: a snapshot or a delta, then the events."""
        if self._paused:
            return []
        frames: list[bytes] = []
        if self._snapshot_due:
            self._snapshot_due, self._number = False, 0
            frames.append(orjson.dumps({"snap": 1, "n": 0, "t": at_ms, "d": dict(latest)}))
        elif self._values:
            self._number += 1
            frames.append(orjson.dumps({"n": self._number, "t": at_ms, "d": self._values}))
        self._values = {}
        if self._events:
            frames.append(orjson.dumps({"ev": sorted(self._events)}))
            self._events.clear()
        return frames
