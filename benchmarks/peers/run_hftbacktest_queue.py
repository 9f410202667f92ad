"""The grid in hftbacktest on a book and its trades: post-only orders, its own queue models, whole orders or parts.

The strategy is ours word for word: a filled order is answered by the opposite one, a refused one is sent again once the
price has left its level. It sees the book without delay, so it is woken for every change; when no order waits to be
sent again it looks at nothing.
"""

from typing import Any

import hftbacktest
import numpy as np
from hftbacktest import BUY_EVENT, DEPTH_EVENT, EXCH_EVENT, LOCAL_EVENT, SELL_EVENT, TRADE_EVENT, BacktestAsset
from hftbacktest.types import event_dtype
from numba import njit

from benchmarks.peers.job import TICK, Grid, Result, Tape, first_at, joined, main, opening_cash

TUNED = ("depth over the trades' range only", "no last trades kept", "looks at the book only while an order waits")
LONGER_THAN_ANY_TAPE = 1 << 61
FED, ANSWERED, ENDED = 2, 3, 1
LIMIT, GTX = 0, 1
EXPIRED, FILLED = 2, 3
SEEN_EVENTS = (DEPTH_EVENT | BUY_EVENT, DEPTH_EVENT | SELL_EVENT, TRADE_EVENT | BUY_EVENT, TRADE_EVENT | SELL_EVENT)


def prepare(tape: Tape, grid: Grid) -> Any:
    """Return the tape as its events; trades are no news to the strategy."""
    events = np.zeros(len(tape.ticks), event_dtype)
    heard = np.where(tape.kind < 2, LOCAL_EVENT, 0)
    events["ev"] = np.array(SEEN_EVENTS, np.uint64)[tape.kind] | np.uint64(EXCH_EVENT) | heard.astype(np.uint64)
    events["exch_ts"] = events["local_ts"] = tape.at_ns
    events["px"], events["qty"] = np.round(tape.ticks * TICK, 2), tape.lots
    return events


def run(data: Any, tape: Tape, grid: Grid) -> Any:
    """Run the strategy; its time counts, the wrapping of the events does not."""
    traded = tape.ticks[tape.kind >= 2]
    asset = (
        BacktestAsset()
        .data([data])
        .linear_asset(1.0)
        .constant_order_latency(grid.submit_ns, grid.report_ns)
        .trading_value_fee_model(grid.fee, grid.fee)
        .tick_size(TICK)
        .lot_size(1.0)
        .last_trades_capacity(0)
        .roi_lb(min(*grid.levels, int(traded.min())) * TICK - 1)
        .roi_ub(max(*grid.levels, int(traded.max())) * TICK + 1)
    )
    models = {
        "risk-averse": asset.risk_adverse_queue_model,
        "log": asset.log_prob_queue_model,
        "power": lambda: asset.power_prob_queue_model(grid.power),
    }
    models[grid.queue]()
    asset = asset.partial_fill_exchange() if grid.partial else asset.no_partial_fill_exchange()
    backtest = hftbacktest.ROIVectorMarketDepthBacktest([asset])
    room = np.empty((len(tape.ticks), 4), np.int64)
    state = _strategy(backtest, np.array(grid.levels), grid.lots, grid.empty, room)
    backtest.close()
    return room, state


def collect(raw: Any, tape: Tape, grid: Grid) -> Result:
    """Return fills, and cash and inventory as they follow from them.

    Its own account says the same of whole orders. Of parts it leaves one out where two of an order are reported at one
    time, so there it is not asked.
    """
    room, (count, balance, fee, position, ended) = raw
    if ended != ENDED:
        raise SystemExit(f"hftbacktest ended with code {ended} after {count} fills")
    fills = room[:count].copy()
    signed = fills[:, 2] * fills[:, 3]
    value = np.array(grid.levels)[fills[:, 1]] * TICK
    paid = float((signed * value).sum()) + grid.fee * float((fills[:, 3] * value).sum())
    if not grid.partial and (position != signed.sum() or abs(paid - (fee - balance)) > 1e-3):
        raise SystemExit("hftbacktest: its account is not the sum of its fills")
    fills[:, 0] = first_at(tape, fills[:, 0])
    return Result(joined(fills), opening_cash(grid, grid.opening_ticks) - paid, grid.inventory + int(signed.sum()))


@njit
def _strategy(hbt: Any, levels: Any, lots: int, empty: int, fills: Any) -> Any:
    """Keep one order a slot; `fills` takes the venue's time, the line, the side and the lots of each."""
    slots = len(levels) - 1
    side = np.empty(slots, np.int64)
    order = np.zeros(slots, np.uint64)
    left = np.zeros(slots)
    count, next_id, waiting, began = 0, 1, 0, False
    while True:
        woken = hbt.wait_next_feed(True, LONGER_THAN_ANY_TAPE)
        if woken not in (FED, ANSWERED):
            break
        if not began:
            began = True
            for i in range(slots):
                side[i] = 1 if i < empty else -1
                order[i], left[i] = next_id, lots
                next_id += 1
                _send(hbt, order[i], side[i], levels[i] if side[i] > 0 else levels[i + 1], lots)
            continue
        if woken == ANSWERED:
            orders = hbt.orders(0)
            done = False
            for i in range(slots):
                if order[i] == 0:
                    continue
                kept = orders.get(order[i])
                if kept is None:
                    continue
                if kept.status == EXPIRED:
                    order[i] = 0
                    waiting += 1
                    done = True
                elif kept.leaves_qty < left[i]:
                    fills[count, 0] = kept.exch_timestamp
                    fills[count, 1] = i if side[i] > 0 else i + 1
                    fills[count, 2] = side[i]
                    fills[count, 3] = round(left[i] - kept.leaves_qty)
                    count += 1
                    left[i] = kept.leaves_qty
                    if kept.status == FILLED:
                        side[i] = -side[i]
                        order[i], left[i] = next_id, lots
                        next_id += 1
                        done = True
                        _send(hbt, order[i], side[i], levels[i] if side[i] > 0 else levels[i + 1], lots)
            if done:
                hbt.clear_inactive_orders(0)
        if waiting:  # news and answers of one time wake it once
            depth = hbt.depth(0)
            bid, ask = depth.best_bid_tick, depth.best_ask_tick
            for i in range(slots):
                if order[i] == 0 and (ask > levels[i] if side[i] > 0 else bid < levels[i + 1]):
                    order[i], left[i] = next_id, lots
                    next_id += 1
                    waiting -= 1
                    _send(hbt, order[i], side[i], levels[i] if side[i] > 0 else levels[i + 1], lots)
    state = hbt.state_values(0)
    return count, state.balance, state.fee, state.position, woken


@njit
def _send(hbt: Any, number: int, side: int, ticks: int, lots: int) -> None:
    if side > 0:
        hbt.submit_buy_order(0, number, ticks * TICK, lots, GTX, LIMIT, False)
    else:
        hbt.submit_sell_order(0, number, ticks * TICK, lots, GTX, LIMIT, False)


if __name__ == "__main__":
    main(hftbacktest.__version__, prepare, run, collect, tuned=TUNED)
