"""A paper loop that nobody waits for, held against its backtest order by order.

The exchange plays recorded book tops from a process of its own, at real speed or faster; the loops trade them in
another, over sockets, with a journal on disk, and record what they receive, as in `up`. The backtests go over what was
recorded: the core without latency, which is what drift is taken of, and the kernel with the latency that was measured.
Prices and order of the tops are the recording's; the sizes are raised so that none binds, as in lockstep.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from benchmarks import figures, sandbox
from benchmarks.figures import Bound

SLUG: Final = "production"  # its orders rest, as the kernel's do
DEEP: Final = Decimal(1_000)  # base, displayed at each top
MS_NS: Final = 1_000_000
LISTED: Final = 20
RECORDED_S: Final = 650.0  # of the shipped ticks; a lap more would settle what is held
START_S: Final = 30.0  # of the recording, that pass before the loops trade
BOUNDS: Final = {
    "drift": Bound(at_most=0.15),  # the most that arming LIVE allows of each drift
    "orders": Bound(at_least=20),
    "ticks_lost": Bound(at_most=0),
    "unrecorded": Bound(at_most=0),  # what the backtests do not see they cannot do
    "loop_starts": Bound(at_most=1),
}


@dataclass(frozen=True, slots=True)
class Free:
    """What the loops did, received, and how long their orders took."""

    paper: Sequence[Any]  # Booked
    events: Sequence[Any]  # BookTop, as recorded
    wires: tuple[int, int] | None  # ns tick -> venue, and venue -> loop: half the round trip each; None: not measured
    played: int
    lost: int  # ticks
    starts: int  # of the loop that was started most often: a second one begins with what is stored
    seconds: float


def measure(seconds: float, speed: float) -> dict[str, Any]:
    """Let the desk trade for `seconds` at `speed` times real time, and tell in what its backtests are apart from it."""
    if seconds * speed > RECORDED_S - START_S:
        raise SystemExit(f"--seconds: {seconds:g} at {speed:g} times is more than is recorded; use fewer, or a speed.")
    with sandbox.database() as folder:
        ran = _run(folder, seconds, speed)
        return _told(ran, speed)


def _run(folder: Path, seconds: float, speed: float) -> Free:
    from benchmarks import stage

    tops = _deep_tops(folder / "tops.parquet")
    with stage.exchange(dataset=tops, speed=speed) as exchange:
        exchange.tell("/sim/pause", paused=True)
        with stage.loops() as loops:
            loops.wait_until_started()
            stage.wait_for("market data", lambda: exchange.status()["market_connections"] > 0)
            counted = stage.Counted(exchange, loops)
            sandbox.say(f"trading for {seconds:g} s at {speed:g} times real time ...")
            while counted.seconds() < seconds:
                time.sleep(min(1.0, max(seconds - counted.seconds(), 0.0)))
            played, lost, took, report = counted.finish()
    submit, ack = (_median_ns(report["segments"][SLUG][name]) for name in ("tick_submit", "submit_ack"))
    wires = None if submit is None or ack is None else (submit + ack // 2, ack - ack // 2)
    starts = max(report["starts"].values(), default=0)
    return Free(_paper(), _recorded(), wires, played, lost, starts, took)


def _median_ns(counts: Mapping[str, int]) -> int | None:
    from benchmarks import stage

    found = stage.durations(counts).percentile_ms(50)
    return None if found is None else round(found * MS_NS)


def _deep_tops(path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from trading.simulator.replay import DATASETS

    table = pq.read_table(DATASETS["ticks"])
    table = table.filter(pc.equal(table.column("kind"), "bbo"))
    for name in ("qty", "ask_qty"):
        place = table.schema.get_field_index(name)
        deep = pa.array([DEEP] * table.num_rows, table.schema.field(name).type)
        table = table.set_column(place, table.schema.field(name), deep)
    pq.write_table(table, path, compression="zstd")
    return path


def _paper() -> list[Any]:
    from trading.domain.drift import Booked, Deal
    from trading.domain.orders import Side
    from trading.models import Fill

    columns = ("symbol", "side", "slot", "price_ticks", "quantity_lots", "order__client_order_id", "at_ns")
    rows = Fill.objects.filter(account__slug=SLUG).order_by("id").values_list(*columns)
    return [
        Booked(Deal(symbol, Side(side), slot, ticks, lots), order, None, at_ns)
        for symbol, side, slot, ticks, lots, order, at_ns in rows
    ]


def _recorded() -> list[Any]:
    from trading.domain.market import BookTop
    from trading.services import recordings
    from trading.services.demo import TICK_SYMBOLS

    return [one for one in recordings.recorded(TICK_SYMBOLS, 0, 2**63 - 1) if isinstance(one, BookTop)]


# --- the backtests ----------------------------------------------------------------------------------------------------


def _core(desk: Any, events: Iterable[Any], speed: float) -> list[Any]:
    from trading.domain import backtest

    done = backtest.run(events, settings=desk.settings, limits=desk.limits, instruments=desk.instruments, speed=speed)
    return backtest.booked(done)


def _kernel(desk: Any, events: Sequence[Any], submit_ns: int, report_ns: int) -> list[Any]:
    """Return the fills of every grid of the desk, by time; each is an order of its own, for no size binds."""
    import numpy as np

    from benchmarks.parity import kernel_fills
    from trading.domain.drift import Booked

    found = []
    for chosen in desk.settings.grids:
        tops = [one for one in events if one.symbol == chosen.symbol]
        if not tops:
            continue
        columns = ((one.received_at_ns, one.bid_ticks, one.ask_ticks) for one in tops)
        at_ns, bid, ask = (np.array(column, dtype=np.int64) for column in zip(*columns, strict=True))
        fills = kernel_fills(chosen, desk, at_ns, bid, ask, submit_ns=submit_ns, report_ns=report_ns)
        found += [
            Booked(deal, f"{chosen.symbol} {number}", None, int(at_ns[event]))
            for number, (event, deal) in enumerate(fills)
        ]
    return sorted(found, key=lambda one: one.at_ns)


# --- what is told -----------------------------------------------------------------------------------------------------


def _told(ran: Free, speed: float) -> dict[str, Any]:
    from benchmarks.parity import desk_on
    from trading.services.demo import TICK_SYMBOLS

    desk = desk_on(SLUG, TICK_SYMBOLS)
    without = _apart(desk, ran, _core(desk, ran.events, speed))
    at_once = _apart(desk, ran, _kernel(desk, ran.events, 0, 0))
    late = None if ran.wires is None else _apart(desk, ran, _kernel(desk, ran.events, *ran.wires))
    return {
        "drift": late and late["drift"],
        "orders": len({one.order for one in ran.paper}),
        "ticks_lost": ran.lost,
        "loop_starts": ran.starts,
        "ticks": ran.played,
        "unrecorded": max(ran.played - len(ran.events), 0),
        "seconds": round(ran.seconds, 1),
        "speed": speed,
        "submit_report_ms": ran.wires and [round(one / MS_NS, 3) for one in ran.wires],
        "core_without_latency": without,
        "kernel_without_latency": at_once,
        "kernel_with_latency": late,
    }


def _apart(desk: Any, ran: Free, tested: Sequence[Any]) -> dict[str, Any]:
    """Return how far paper is from one backtest: as shares of the orders and of the profit, and order by order."""
    from trading.domain import drift

    apart = drift.order_by_order(ran.paper, tested)
    share = drift.of_orders(ran.paper, tested)
    kinds = Counter(drift.kind_of(one) for one in apart)
    late_ms = sorted((one.paper.at_ns - one.backtest.at_ns) / MS_NS for one in apart if one.paper and one.backtest)
    deals = [one for one in apart if drift.kind_of(one) is not drift.Kind.TIME]
    ours, theirs = (_earned(desk, ran.events, booked) for booked in (ran.paper, tested))
    least = desk.settings.opening_cash_quote * drift.SMALLEST_PNL_FRACTION
    return {
        "drift": None if share is None else round(float(share), 4),
        "drift_pnl": round(float(drift.apart(ours, theirs, least)), 4),
        "pnl": {"paper": f"{ours:.4f}", "backtest": f"{theirs:.4f}"},
        "orders": len({one.order for one in tested}),
        "apart": {str(kind): kinds[kind] for kind in drift.Kind},
        "paper_later_by_ms": {f"p{percent}": figures.percentile(late_ms, percent) for percent in (5, 50, 95)}
        if late_ms
        else None,
        "other_deals": [_words(one) for one in deals[:LISTED]],
    }


def _words(one: Any) -> list[Any]:
    from trading.domain import drift

    return [one.symbol, str(one.side), one.slot, str(drift.kind_of(one)), one.paper, one.backtest]


def _earned(desk: Any, events: Sequence[Any], booked: Iterable[Any]) -> Decimal:
    """Return what fills come to at the last best bids, maker fees taken."""
    bids: Mapping[str, int] = {one.symbol: one.bid_ticks for one in events}
    total = Decimal(0)
    for one in booked:
        instrument, deal = desk.instruments[one.deal.symbol], one.deal
        sign = 1 if deal.side == "BUY" else -1
        paid, worth = (instrument.notional(ticks, deal.lots) for ticks in (deal.price_ticks, bids[deal.symbol]))
        total += sign * (worth - paid) - desk.settings.fees.fee(paid, maker=True)
    return total
