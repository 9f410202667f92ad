"""What the model loop asks of this installation about models: who serves, their files, bars, grids, rows."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final

from trading.domain import advice
from trading.domain.bars import SECOND_NS, Bars
from trading.domain.fees import DEMO_FEES
from trading.domain.instruments import Instrument
from trading.domain.learned import ModelFault
from trading.domain.limits import ExecutionStyle
from trading.domain.model_roster import Member
from trading.models import Account
from trading.ports import Clock, Predictor
from trading.runtime.learned import Parts, Steps
from trading.runtime.threads import DatabaseThread
from trading.selectors import mark_outs, recovery
from trading.services import model_serving
from trading.services.journal import moment
from trading.services.recordings import UnableToRead

log = logging.getLogger(__name__)

WARM_S: Final = 8 * 86_400  # features look back a week; what is older changes nothing

Listed = Callable[[], Awaitable[Mapping[str, Instrument]]]


def parts(*, rows: DatabaseThread, loads: DatabaseThread, listed: Listed, clock: Clock) -> Parts:
    """Return what `LearnedForecasts` asks; `loads` may take its time, `rows` must not wait for it."""
    return Parts(
        roster=partial(rows.run, model_serving.roster),
        load=lambda member: loads.run(_load, member, moment(clock.now_ns())),
        steps=partial(_steps, listed),
        warm=lambda symbol, bar_s: loads.run(recorded_bars, symbol, bar_s, clock.now_ns()),
        grids=lambda: rows.run(grid_facts, moment(clock.now_ns())),
        store=lambda batch: rows.run(model_serving.store, batch, at=moment(clock.now_ns())),
    )


def recorded_bars(symbol: str, bar_s: int, now_ns: int) -> Bars | None:
    """Return the recorded bars of the last week; None where nothing is recorded, or it cannot be read."""
    from trading.services import recorded_bars as recorded  # the file format is loaded only where it is read

    try:
        return recorded.bars(symbol, bar_s, now_ns - WARM_S * SECOND_NS, now_ns)
    except UnableToRead as error:
        log.warning("%s: models begin without recorded bars: %s", symbol, error)
        return None


def grid_facts(at: datetime) -> dict[str, advice.Facts]:
    """Return what an advice must know of the grids on each symbol; of several grids on one, what asks for more care."""
    found: dict[str, list[advice.Facts]] = {}
    for account in Account.objects.all():
        instruments = recovery.stored_instruments(account.venue)
        for chosen in recovery.grid_settings(account):
            taker = chosen.style is ExecutionStyle.TAKER
            fee = DEMO_FEES.taker_fraction if taker else DEMO_FEES.maker_fraction
            fraction = mark_outs.recent(account, chosen.symbol, at).mark_out.fraction
            mark_out = None if fraction is None else float(fraction)
            smallest = _smallest(chosen.lot_quote, instruments.get(chosen.symbol))
            facts = advice.Facts(0, float(fee), chosen.slots, mark_out, smallest_size_fraction=smallest)
            found.setdefault(chosen.symbol, []).append(facts)
    return {symbol: _careful(several) for symbol, several in found.items()}


def _careful(several: Sequence[advice.Facts]) -> advice.Facts:
    """An advice is of a symbol: the highest costs count, and the largest of the smallest orders.

    Where nobody measured a mark-out the advice itself assumes one; where some did, no desk counts for less than that.
    """
    measured = [facts.mark_out_fraction for facts in several if facts.mark_out_fraction is not None]
    assumed = [advice.ASSUMED_MARK_OUT] if 0 < len(measured) < len(several) else []
    return advice.Facts(
        0,
        max(f.fee_fraction for f in several),
        max(f.slots for f in several),
        max((*measured, *assumed), key=abs, default=None),
        smallest_size_fraction=max(f.smallest_size_fraction for f in several),
    )


def _smallest(lot_quote: Decimal | None, instrument: Instrument | None) -> float:
    """Return the share of a lot that the venue takes; where either is not known the whole lot, so that none is cut."""
    if instrument is None or lot_quote is None:
        return 1.0
    return float(min(instrument.min_notional / lot_quote, Decimal(1)))


def _load(member: Member, at: datetime) -> Predictor | ModelFault:
    return model_serving.load(member, at=at)


async def _steps(listed: Listed) -> Steps:
    found = await listed()
    return {symbol: (float(one.tick_size), float(one.lot_size)) for symbol, one in found.items()}
