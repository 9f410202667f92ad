"""The grid in hftbacktest: trades alone, no depth, the queue empty, orders woken by their own reports.

A resting sell fills only from a buyer that takes and the other way round, so the tape's side matters to it. An order
number that is used again for the same line loses orders under latency: every order gets a number of its own. Its
compiled backtester is driven in its favour: the market data goes to the venue alone, because the strategy reads none,
so it is woken only by its own fills.
"""

from typing import Any

import hftbacktest
import numpy as np
from hftbacktest import BUY_EVENT, EXCH_EVENT, LOCAL_EVENT, SELL_EVENT, TRADE_EVENT, BacktestAsset
from hftbacktest.types import event_dtype
from numba import njit

from benchmarks.peers.job import TICK, Grid, Result, Tape, main, opening_cash, ordered

TUNED = ("depth over the grid's range only", "no last trades kept", "feed to the venue alone, woken by its own fills")
LONGER_THAN_ANY_TAPE = 1 << 61
FED, ANSWERED, ENDED = 2, 3, 1
LIMIT = GTC = 0
WORKING, FILLED = 1, 3
SETTLED = 8  # orders at rest seen in a row: nothing has happened beyond them


def prepare(tape: Tape, grid: Grid) -> Any:
    """Return the tape as its events."""
    events = np.zeros(len(tape.ticks), event_dtype)
    events["ev"] = TRADE_EVENT | EXCH_EVENT | np.where(tape.side > 0, BUY_EVENT, SELL_EVENT)
    events["ev"][0] |= LOCAL_EVENT  # the strategy must be told once that there is a market
    events["exch_ts"] = events["local_ts"] = tape.at_ns
    events["px"], events["qty"] = tape.ticks * TICK, 1e6
    return events


def run(data: Any, tape: Tape, grid: Grid) -> Any:
    """Run the strategy; its time counts, the wrapping of the events does not."""
    asset = (
        BacktestAsset()
        .data([data])
        .linear_asset(1.0)
        .constant_order_latency(grid.submit_ns, grid.report_ns)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(grid.fee, grid.fee)
        .tick_size(TICK)
        .lot_size(1.0)
        .last_trades_capacity(0)
        .roi_lb(min(grid.levels) * TICK - 1)
        .roi_ub(max(grid.levels) * TICK + 1)
    )
    backtest = hftbacktest.ROIVectorMarketDepthBacktest([asset])
    room = np.empty((len(tape.ticks), 3), np.int64)
    state = _strategy(backtest, np.array(grid.levels), grid.lots, grid.empty, room)
    backtest.close()
    return room, state


def collect(raw: Any, tape: Tape, grid: Grid) -> Result:
    """Return fills, cash and inventory."""
    room, (count, balance, fee, position, rejected) = raw
    if rejected:
        raise SystemExit(f"hftbacktest: {rejected} orders were not taken")
    fills = room[:count].copy()
    fills[:, 0] = np.searchsorted(tape.at_ns, fills[:, 0])
    cash = opening_cash(grid, int(tape.ticks[0])) + balance - fee
    return Result(ordered(fills.tolist()), cash, grid.inventory + position)


@njit
def _strategy(hbt: Any, levels: Any, lots: int, empty: int, fills: Any) -> Any:
    """Keep one order a slot; `fills` takes the venue's time, the line and the side of each."""
    slots = len(levels) - 1
    side = np.empty(slots, np.int64)
    order = np.empty(slots, np.uint64)
    count, next_id, rejected, last = 0, 0, 0, min(empty, slots - 1)
    if hbt.wait_next_feed(False, LONGER_THAN_ANY_TAPE) != FED:
        return 0, 0.0, 0.0, 0.0, 1
    for i in range(slots):
        side[i] = 1 if i < empty else -1
        order[i] = next_id
        next_id += 1
        if side[i] > 0:
            rejected += hbt.submit_buy_order(0, order[i], levels[i] * TICK, lots, GTC, LIMIT, False) != 0
        else:
            rejected += hbt.submit_sell_order(0, order[i], levels[i + 1] * TICK, lots, GTC, LIMIT, False) != 0
    while True:
        woken = hbt.wait_next_feed(True, LONGER_THAN_ANY_TAPE)
        if woken == ENDED:
            break
        if woken != ANSWERED:
            continue
        orders = hbt.orders(0)
        done, middle = False, last
        for way in (-1, 1):
            i, quiet = middle if way < 0 else middle + 1, 0
            while 0 <= i < slots and quiet < SETTLED:
                kept = orders.get(order[i])
                if kept is not None and kept.status == FILLED:
                    fills[count, 0] = kept.exch_timestamp
                    fills[count, 1] = i if side[i] > 0 else i + 1
                    fills[count, 2] = side[i]
                    count += 1
                    side[i] = -side[i]
                    order[i] = next_id
                    next_id += 1
                    done, last = True, i
                    if side[i] > 0:
                        rejected += hbt.submit_buy_order(0, order[i], levels[i] * TICK, lots, GTC, LIMIT, False) != 0
                    else:
                        rejected += (
                            hbt.submit_sell_order(0, order[i], levels[i + 1] * TICK, lots, GTC, LIMIT, False) != 0
                        )
                elif kept is not None and kept.status == WORKING:
                    quiet += 1
                i += way
        if done:
            hbt.clear_inactive_orders(0)
    state = hbt.state_values(0)
    return count, state.balance, state.fee, state.position, rejected


if __name__ == "__main__":
    main(hftbacktest.__version__, prepare, run, collect, tuned=TUNED)
