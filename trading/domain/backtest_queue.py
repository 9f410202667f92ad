"""A plain grid carried out in the queues of a recorded book, in parts, and told as any other."""

from typing import Final

import numpy as np

from trading.domain import kernel, queueing
from trading.domain.backtest_report import Ran
from trading.domain.backtest_run import assumed, levels_of, log_of, opened, spent_at_most
from trading.domain.backtest_settings import NO_QUEUE, BacktestSettings, Mode, UnusableSettings, Wrong
from trading.domain.curves import path_of
from trading.domain.depth import Flow, tops_of
from trading.domain.instruments import Instrument
from trading.domain.queueing import ASSUMPTIONS, QueueModel
from trading.domain.queues import Queue, QueueChoice
from trading.domain.round_trips import FillLog, RoundTrips, paired, whole_orders
from trading.domain.stepping import BASIS

MOVED_BY: Final = {
    Queue.RISK_AVERSE: "risk-averse: nothing but trades moves an order up, and no more is ahead of it than rests there",
    Queue.LOG: "log: of a decrease that trades do not explain, the part ln(1 + behind) / (ln(1 + ahead) + "
    "ln(1 + behind)) came from behind an order",
    Queue.POWER: "power: of a decrease that trades do not explain, the part behind^p / (ahead^p + behind^p) came from "
    "behind an order",
}
VALUED: Final = (
    "Inventory is valued at the best bid. A part of an order is a fill; an order takes at least 1 ns to the venue."
)


def on_queue(flow: Flow, settings: BacktestSettings, instrument: Instrument) -> Ran:
    """Run the grid of `settings` over a book and its trades, laid around the first best bid.

    Raises:
        UnusableSettings: no queue is named, the grid cannot be laid, or its cash does not pay for it.
        UnableToRun: a number does not fit.
        UnreadableTape: the book never has both sides, or is too wide.
    """
    if settings.queue is None:
        raise UnusableSettings(Wrong("queue", NO_QUEUE))
    first, tape = tops_of(flow)
    ladder, terms, state = opened(tape, settings, instrument)
    outcome = queueing.run(flow, ladder, terms, _model(settings.queue, instrument))
    log = _from(first, log_of(outcome.fills, terms))
    neutral = settings.mode is Mode.NEUTRAL
    basis = {slot: int(state.slots[BASIS, slot]) for slot, holds in enumerate(state.held) if holds and neutral}
    trips = _trips(log, ladder, opens=-1 if settings.mode is Mode.SHORT else 1, unit=terms.scale, basis=basis)
    return Ran(
        instrument=instrument,
        levels=ladder.levels,
        path=path_of(
            tape.at_ns, tape.mark, index=log.event, signed_lots=log.signed_lots, ticks=log.ticks, fees=log.fee,
            held=(state.cash, state.lots), unit=terms.scale, opening=outcome.opening_equity,
        ),
        log=log,
        trips=trips,
        fill_levels=levels_of(ladder.levels, log),
        trip_levels=np.array(ladder.levels, dtype=np.int64)[trips.slot],
        scale=instrument.tick_size * instrument.lot_size / terms.scale,
        opening_fee=outcome.fees - int(log.fee.sum()),
        opening_turnover=(state.lots if neutral else 0) * int(tape.down[0]) * terms.scale,
        ended=kernel.Ended.TAPE,
        assumptions=(*ASSUMPTIONS, *_told(settings.queue), *assumed(settings)),
        more={"refused": outcome.refused},
        base_lots=terms.opening_lots,
        needs=spent_at_most(ladder, state, terms),
    )  # fmt: skip


def _model(choice: QueueChoice, instrument: Instrument) -> QueueModel:
    return QueueModel(choice.queue, float(choice.power), float(instrument.lot_size))


def _told(choice: QueueChoice) -> tuple[str, ...]:
    power = f", p = {choice.power:f}" if choice.queue is Queue.POWER else ""
    return (f"Queue, {MOVED_BY[choice.queue]}{power}.", VALUED)


def _from(first: int, log: FillLog) -> FillLog:
    """Return `log` with its events counted from `first`, where the book was whole."""
    return FillLog(log.event - first, log.slot, log.signed_lots, log.ticks, log.fee)


def _trips(log: FillLog, ladder: kernel.Ladder, *, opens: int, unit: int, basis: dict[int, int]) -> RoundTrips:
    whole, last = whole_orders(log, np.array(ladder.lots, dtype=np.int64))
    found = paired(whole, opens=opens, unit=unit, basis=basis)
    return RoundTrips(last[found.closed], found.slot, found.profit)
