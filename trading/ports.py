"""What the runtime needs from the world, and what each failure means for what is safe to do next."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trading.domain.events import Effect, Event, SeamReached, VenueOrder
from trading.domain.flows import Flow
from trading.domain.instruments import Instrument
from trading.domain.learned import Named
from trading.domain.market import BookTop, Trade
from trading.domain.model_card import Card
from trading.domain.orders import Fill, Order


class VenueError(Exception):
    """A request to the venue did not do what was asked; the subclass says what is safe to do next."""


class Throttled(VenueError):
    """Not accepted: wait `retry_after_ms`, then decide anew."""

    def __init__(self, message: str, retry_after_ms: int) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class Refused(VenueError):
    """Understood and denied, definitive: do not retry. `code` is the venue's own, e.g. "-2010"."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class NotFound(Refused):
    """The venue does not know the order: proof only after recvWindow + the venue's own time-out."""


class KeyRevoked(Refused):
    """The venue no longer accepts our key: halt, this is no rate limit."""


class FateUnknown(VenueError):
    """The request may have been executed: reconcile before sending more."""


class Withheld(VenueError):
    """We did not let the request leave: the venue never saw it."""


class FeedBroken(VenueError):
    """The market or user stream ended, fell silent or sent what we cannot read: reconnect and resync."""


class NoKey(Exception):
    """There is no usable key; the message names account and purpose, and never a part of a key."""


class NotArmed(Exception):
    """No order of this account may leave; the message says what people must do first."""


# (account, "trade" | "cancel" | "read") -> name and secret of the key; raises NoKey.
Keys = Callable[[str, str], tuple[str, str]]

Leave = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The venue's answer to a submitted order; `fills` are executions the answer already carries."""

    order: VenueOrder
    fills: tuple[Fill, ...]
    at_ns: int  # venue time


@dataclass(frozen=True, slots=True)
class UserEvents:
    """A batch of account events, in the venue's order; `seen` counts execution reports since connect."""

    events: tuple[Event, ...]
    seen: int


@dataclass(frozen=True, slots=True)
class ReplayStatus:
    """What a replayed feed says of itself."""

    lap: int
    speed: float  # nominal, times real time
    effective_speed: float  # measured over the last seconds
    dataset: str  # file stem
    label: str  # "ticks" or "bars, not ticks"
    progress: float  # 0..1 of the lap
    state: str  # "TRADING" | "BREAK"
    seams: tuple[SeamReached, ...]  # recent ones, oldest first


class Venue(Protocol):
    """The account's door to one exchange. Every method may raise the `VenueError`s above and nothing else."""

    async def instruments(self, symbols: Sequence[str]) -> dict[str, Instrument]:
        """Return the filters of `symbols`; a symbol the venue does not know is absent."""
        ...

    async def submit(self, order: Order, *, leave: "Leave | None" = None) -> Acknowledgement:
        """Send one order, once. Raises Throttled, Refused, KeyRevoked, FateUnknown.

        `leave` is awaited when everything else is prepared, before the first byte goes out: what it raises (Withheld)
        is raised, and nothing was sent.
        """
        ...

    async def cancel(self, symbol: str, client_order_id: str) -> VenueOrder:
        """Cancel one order. Raises NotFound when the venue has no such open order."""
        ...

    async def cancel_all(self, symbol: str) -> list[VenueOrder]:
        """Cancel every open order on `symbol`, ours and others'; return them as they ended; [] when none was open."""
        ...

    async def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        """Return the venue's own list of open orders, ours and others'."""
        ...

    async def order(self, symbol: str, client_order_id: str) -> VenueOrder:
        """Return one order by our id. Raises NotFound."""
        ...

    async def fills_since(self, symbol: str, trade_id: int) -> list[Fill]:
        """Return our executions with a trade id above `trade_id`, oldest first, complete."""
        ...

    async def balances(self) -> dict[str, Decimal]:
        """Return asset -> free + locked; absent assets are zero at the venue."""
        ...

    async def clock_skew_ms(self) -> float:
        """Return venue clock minus ours, in ms, corrected for half the round trip."""
        ...

    def user_events(self) -> AsyncIterator[UserEvents]:
        """Yield account events until the stream breaks. Raises FeedBroken; reconnect, then reconcile."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class Transfers(Protocol):
    """Money to and from an account whose money is play money; there is no such door to real money.

    Both methods may raise the `VenueError`s above and nothing else.
    """

    async def move(self, flow_id: str, amount_quote: Decimal) -> None:
        """Have `amount_quote` paid in, or where it is below zero out, at most what is free; under one id once."""
        ...

    async def made(self) -> list[Flow]:
        """Return every transfer the venue has made for the account, oldest first."""
        ...


class MarketFeed(Protocol):
    """Public market data of one venue."""

    def events(self, symbols: Sequence[str]) -> AsyncIterator[Sequence[BookTop | Trade | Event]]:
        """Yield batches of `BookTop`, `Trade` and, for a replay, `SeamReached`, in arrival order. Raises FeedBroken."""
        ...

    async def replay_status(self) -> ReplayStatus | None:
        """Return what the replay says of itself; None where the venue is no replay."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class Recorder(Protocol):
    """Keeps what the desks decided on. No tick waits for it, and it raises nothing: what it cannot keep, it counts."""

    def keep(self, events: Sequence[BookTop | Trade]) -> None:
        """Take accepted events in the order they were received; nobody changes `events` afterwards."""
        ...

    def mark(self, reason: str, at_ns: int) -> None:
        """From here on prices or numbers do not continue what came before: a seam, a gap, a new connection."""
        ...

    def gauges(self) -> Mapping[str, float]:
        """Return how many events are stored and lost since the start."""
        ...

    async def close(self) -> None:
        """Store what is not stored yet, for as long as a stop may take."""
        ...


class Clock(Protocol):
    """Time; the only way the runtime learns it."""

    def now_ns(self) -> int:
        """Return nanoseconds since 1970 UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class NotLeader(Exception):
    """The lease is held by another process or was taken over: stop writing at once."""


class Lease(Protocol):
    """The right to be the one writer; `fence` rises with every owner and never comes back."""

    fence: int

    @property
    def is_held(self) -> bool:
        """True while nobody else can hold it; asked right before an order leaves."""
        ...

    async def renew(self) -> bool:
        """Keep the lease; False when it is lost for good."""
        ...

    async def release(self) -> None:
        """Give the lease back if it is still ours."""
        ...


class Leases(Protocol):
    """Where leases come from."""

    async def acquire(self, name: str, *, ttl_ms: int = 3_000) -> Lease | None:
        """Return the lease, or None while somebody else holds it."""
        ...


class Journal(Protocol):
    """The durable record of one account. A commit is one transaction: rows, audit row and fence check, or nothing."""

    async def commit(self, effects: Sequence[Effect], *, at_ns: int) -> frozenset[str]:
        """Store every `Persist` effect of a turn and return the client order ids of refused intents.

        An intent is refused where the durable halt latch is set: it is stored as DENIED ("halt latched"), must not be
        submitted, and is fed back to the core as `OrderRefused`. All else of the turn is stored.

        Raises:
            NotLeader: the fence was passed; nothing was stored.
        """
        ...

    async def check(self) -> None:
        """Ask whether a turn could be stored; whatever is raised, the loop must start anew from stored state."""
        ...


class EventBus(Protocol):
    """Carries facts between loops: in process when they share one, Valkey when they do not."""

    async def publish(self, topic: str, payload: bytes | object) -> None:
        """Send `payload` to every subscriber of `topic`."""
        ...

    def subscribe(self, *topics: str) -> AsyncIterator[tuple[str, object]]:
        """Yield (topic, payload) from now on."""
        ...


class ArtifactError(Exception):
    """The store of artefacts did not do what was asked; the message is fit for the operator."""


class ArtifactMissing(ArtifactError):
    """There is no artefact of this name."""


class ArtifactExists(ArtifactError):
    """An artefact of this name exists with another content: nothing is ever overwritten."""


class ArtifactUnreachable(ArtifactError):
    """The store cannot be asked; what it holds is not known."""


class ArtifactStore(Protocol):
    """Where models and archives lie: names to bytes, written once. Names are plain words joined by "/"."""

    def put(self, name: str, content: bytes) -> None:
        """Store `content`; the same content again is no error. Raises ArtifactExists, ArtifactUnreachable."""
        ...

    def get(self, name: str, *, at_most: int) -> bytes:
        """Return the content, of at most so many bytes. Raises ArtifactMissing, ArtifactUnreachable, ArtifactError."""
        ...

    def list(self, prefix: str) -> Sequence[str]:
        """Return every name below `prefix`, sorted. Raises ArtifactUnreachable."""
        ...

    def head(self, name: str) -> int | None:
        """Return the size in bytes, None where there is none. Raises ArtifactUnreachable."""
        ...


class Predictor(Protocol):
    """One loaded model. It keeps no state: whoever asks keeps it."""

    card: Card

    def predict(self, x: NDArray[np.float32], known: NDArray[np.float32]) -> Named:
        """Return the outputs for windows x (S, T, F), known (S, T). Raises ModelFault and nothing else."""
        ...

    def step(
        self, x: NDArray[np.float32], known: NDArray[np.float32], state: NDArray[np.float32] | None
    ) -> tuple[Named, NDArray[np.float32]]:
        """Return the outputs after one more bar, x (S, F), known (S,), and the state; None begins one. As `predict`."""
        ...
