"""A grid that follows, re-centres, reinvests or ends at a bound, carried out over a tape and told as any other."""

from collections.abc import Iterator
from decimal import ROUND_UP, Decimal

import numpy as np

from trading.domain import campaign
from trading.domain.backtest_report import Ran
from trading.domain.backtest_run import CENT, assumed, base_lots, levels_of, log_of, terms_of
from trading.domain.backtest_settings import BacktestSettings, UnusableSettings, Wrong, spec_of
from trading.domain.campaign import ASSUMPTIONS, Campaign, Segment
from trading.domain.curves import Path
from trading.domain.dealing import money_of
from trading.domain.grid import UnableToBuild
from trading.domain.grids import GridSpec
from trading.domain.instruments import Instrument
from trading.domain.laying import lay, opening
from trading.domain.round_trips import FillLog, RoundTrips, paired
from trading.domain.tapes import Tape
from trading.domain.terms import Terms

KEYS_AN_EVENT = 3  # of `money_of`


def on_campaign(tape: Tape, settings: BacktestSettings, instrument: Instrument) -> Ran:
    """Run the grid of `settings`, of whatever kind, over the tape.

    Raises:
        UnusableSettings: no grid, one that cannot be laid, or cash that does not pay for its trades.
        UnableToRun: a number does not fit the kernel, or the start is never reached.
    """
    spec = spec_of(settings)
    try:
        terms = terms_of(settings, instrument, base_lots(settings, instrument, _needed(tape, spec, instrument)))
        done = campaign.run_campaign(tape, spec, instrument, terms)
    except UnableToBuild as error:
        raise UnusableSettings(Wrong("grid", str(error))) from error
    _check_cash(done, settings, instrument, terms)
    first = done.segments[0].first_event
    log, levels, trips, trip_levels = _told(done, spec, terms, first)
    outcome = done.outcome
    counted, earned = len(trips), int(trips.profit.sum())
    parked = (outcome.round_trips - counted, outcome.grid_profit - earned)
    turnover = int((np.abs(log.signed_lots) * log.ticks).sum())
    laid = {ticks for segment in done.segments[-1:] for ticks in segment.standing.laid.ladder.levels}
    return Ran(
        instrument=instrument,
        levels=tuple(sorted(laid | set(levels.tolist()) | set(trip_levels.tolist()))),
        path=_path(tape, done, terms, first),
        log=log,
        trips=trips,
        fill_levels=levels,
        trip_levels=trip_levels,
        scale=instrument.tick_size * instrument.lot_size / terms.scale,
        opening_fee=outcome.fees - int(log.fee.sum()),
        opening_turnover=(outcome.turnover - turnover) * terms.scale,
        ended=str(done.ended),
        assumptions=(*tape.assumptions, *ASSUMPTIONS, *assumed(settings), *_left_out(parked[0])),
        parked=parked,
        first_event=first,
        base_lots=terms.opening_lots,
        needs=max(terms.opening_cash * terms.scale - done.lowest_cash, 0),
        more={"ladders": len(done.segments), "deals": len(done.deals), "beyond_window": done.beyond_window},
    )


def _needed(tape: Tape, spec: GridSpec, instrument: Instrument) -> int:
    """Return the base a SHORT grid is given: what its slots sell at the first price, or at most at the lowest."""
    if spec.is_long:
        return 0
    if spec.atr_multiple is None and spec.start_at is None:
        price = int(tape.mark[0])
        return opening(spec, instrument, lay(spec, instrument, price), price).base_lots
    most = instrument.lots_down((spec.lot_quote or Decimal(0)) / instrument.price(int(tape.mark.min())))
    return spec.slots * int(most * (1 + abs(spec.skew_fraction)) + 1)


def _check_cash(done: Campaign, settings: BacktestSettings, instrument: Instrument, terms: Terms) -> None:
    if done.is_funded:
        return
    missing = -done.lowest_cash * instrument.tick_size * instrument.lot_size / terms.scale
    less = f"{settings.cash:f} {instrument.quote} is {missing.quantize(CENT, ROUND_UP)} less than its trades needed"
    raise UnusableSettings(Wrong("cash", f"{less}; use more, or a smaller lot."))


def _path(tape: Tape, done: Campaign, terms: Terms, first: int) -> Path:
    trades = money_of(terms, done.outcome.fills, list(done.deals))
    cash = terms.opening_cash * terms.scale - np.cumsum(np.concatenate([[0], trades.paid]))
    lots = terms.opening_lots + np.cumsum(np.concatenate([[0], trades.lots]))
    stop = done.outcome.ended_at + 1
    return Path(
        tape.at_ns[first:stop], tape.mark[first:stop], trades.key // KEYS_AN_EVENT - first, cash, lots, terms.scale,
        done.outcome.opening_equity,
    )  # fmt: skip


def _told(
    done: Campaign, spec: GridSpec, terms: Terms, first: int
) -> tuple[FillLog, np.ndarray, RoundTrips, np.ndarray]:
    """Return the fills of every ladder with their levels, and its round trips with the lower level of their slots."""
    logs, levels, trips, places = [], [], [], []
    for segment, before in zip(done.segments, _before(done), strict=True):
        ladder = np.array(segment.standing.laid.ladder.levels, dtype=np.int64)
        log = log_of(segment.fills, terms)
        found = paired(log, opens=1 if spec.is_long else -1, unit=terms.scale, basis=_basis(segment))
        logs.append(log)
        levels.append(levels_of(segment.standing.laid.ladder.levels, log))
        trips.append(RoundTrips(found.closed + before, found.slot, found.profit))
        places.append(ladder[found.slot])
    names = ("event", "slot", "signed_lots", "ticks", "fee")
    columns = [np.concatenate([getattr(log, name) for log in logs]) for name in names]
    whole = FillLog(columns[0] - first, *columns[1:])
    parts = [np.concatenate([getattr(one, name) for one in trips]) for name in ("closed", "slot", "profit")]
    return whole, np.concatenate(levels), RoundTrips(*parts), np.concatenate(places)


def _before(done: Campaign) -> Iterator[int]:
    """Yield how many fills lie before each segment."""
    count = 0
    for segment in done.segments:
        yield count
        count += len(segment.fills)


def _basis(segment: Segment) -> dict[int, int]:
    """Return what opened the slots that were open when the ladder was laid; what SHORT holds then was never sold."""
    standing = segment.standing
    return {
        slot: paid for slot, (is_open, paid) in enumerate(zip(standing.opened, standing.basis, strict=True)) if is_open
    }


def _left_out(parked: int) -> tuple[str, ...]:
    if not parked:
        return ()
    return (f"Win rate and profit factor leave out {parked} round trips that closed after their ladder was gone.",)
