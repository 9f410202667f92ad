"""The words of the live wire: which value has which key."""

from collections.abc import Collection, Mapping
from typing import Final, Literal

Value = float | int | str | None | list[float]  # unknown is None, never 0
Values = Mapping[str, Value]

CHANNEL: Final = "gc:live"  # pub/sub: {"d": {key: value}}, {"ev": [name, ...]} or {"sessions": 1}
LAST: Final = "gc:live:last"  # hash: key -> JSON value, so that a new web process starts with a snapshot
COMMANDS: Final = "gc:commands"  # pub/sub to the loops, a CRIT to governance; hints only, the rows are the truth
HEARTBEAT: Final = "gc:heartbeat:{loop}"  # ms since 1970, written by each loop
METRICS: Final = "gc:metrics:{loop}"  # hash: gauge -> number; gone when the loop is silent
HISTORY: Final = "gc:live:hist:{symbol}"  # list of JSON [t_ms, price], oldest first
HISTORY_LENGTH: Final = 1_200  # entries per symbol
SILENT: Final = "sys.silent"  # which loops have stopped saying that they live; set by the hub itself

EventName = Literal["alerts", "orders", "halt", "reconcile", "desk", "gate", "models"]

MarketField = Literal[
    "px",  # last price, quote
    "bid",
    "ask",
    "t",  # ms since 1970 of the last exchange data
]
ReplayField = Literal[
    "lap",
    "speed",  # asked for, times real time
    "eff",  # measured over the last seconds
    "progress",  # 0..1 of the lap
    "label",  # "ticks" | "bars, not ticks"
    "dataset",
    "state",  # "TRADING" | "BREAK"
]
FeedField = Literal[
    "state",  # "live" | "stale" | "lost"
    "age_ms",
    "rate",  # messages per second
]
DeskField = Literal[
    "state",  # ACTIVE | REDUCING | HALTED
    "halt.stage",  # "" | LATCHED | STOPPED | PROVEN_CLEAR | FLAT
    "engine",  # Running | Starting | Stopped
    "equity",
    "equity_open",  # at the start of the trading day
    "cash",
    "pnl_day",
    "grid_profit_day",
    "fees_day",
    "dd",  # percent of day-start equity, >= 0
    "hwdd",  # percent under the high-water mark, >= 0
    "fill_rate",  # percent
    "fill_den",  # its denominator
    "lat_p50",  # submit -> ack, ms
    "lat_p95",
    "lat_p99",
    "t2s_p50",  # tick -> submit, ms
    "t2s_p99",
    "open_orders",
    "orders_min",
    "trades_day",
    "reconcile.clean",  # 1 | 0
    "reconcile.at",  # ms since 1970
    "reconcile.local",
    "reconcile.venue",
    "uptime",  # percent of the run in which the feed was live
]
GridField = Literal[
    "pos",  # base
    "pos_quote",
    "pnl",  # of the day, quote
    "dd",  # percent, >= 0
    "grid_profit",  # of the day, quote
    "floating",  # unrealized, quote
    "fills",  # of the day
    "fr",  # fill rate, percent
    "slots",
    "held",  # levels that hold a lot
    "working",  # resting orders
    "state",  # Running | Paused | Halted | Waiting | Idle
    "why",
    "vol",  # EWMA volatility, percent per hour
    "regime",
    "floor",  # spacing floor, percent
    "advice",  # what a model asks, until when, and why; or that none does
    "range_lo",
    "range_hi",
    "fill",  # [t_ms, price, +1 | -1, quantity] of the newest execution
]
GaugeName = Literal[
    "ticks_per_second",
    "feed_age_ms",
    "feed_reconnects",  # since the loop started
    "recorded_events",  # stored since the loop started
    "recorder_lost_events",
    "model_asks_lost",  # since the loop started, as the next two
    "model_rows_lost",
    "model_errors",
    "open_orders",
    "equity_quote",
    "halted",  # 1 | 0
    "tick_submit_p50_ms",  # since the loop started, as "tick_submit_p99_ms"
    "tick_submit_p99_ms",
]

# What every browser is told of every desk: the halt dialog and the desk switch speak of all of them.
EVERY_DESK: Final = frozenset({"state", "halt.stage", "open_orders", "equity", "cash"})


def market(symbol: str, field: MarketField) -> str:
    """Return the key of one market value, common to all desks."""
    return f"m.{symbol}.{field}"


def replay(field: ReplayField) -> str:
    """Return the key of what the replay says of itself."""
    return f"replay.{field}"


def feed(field: FeedField) -> str:
    """Return the key of one value of the market-data feed."""
    return f"feed.{field}"


def desk(slug: str, field: DeskField) -> str:
    """Return the key of one value of one desk."""
    return f"d.{slug}.{field}"


def grid(slug: str, symbol: str, field: GridField) -> str:
    """Return the key of one value of one grid of one desk."""
    return f"d.{slug}.{symbol}.{field}"


def gauge(name: GaugeName, slug: str = "") -> str:
    """Return the name of a number for machines; `slug` where every desk has its own."""
    return f"{name}:{slug}" if slug else name


def concerns(key: str, slug: str, seen: Collection[str] | None = None) -> bool:
    """Return whether a browser that looks at the desk `slug` needs `key`; `seen`: its person sees only these desks."""
    if not key.startswith("d."):
        return True
    owner, _, field = key[2:].partition(".")
    return owner == slug or (field in EVERY_DESK and (seen is None or owner in seen))
