"""What stands around every page: desks, mode, phase, alerts, halts in force, the replay's mark."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Count, Q

from trading import live
from trading.domain.modes import Mode
from trading.live import Value, Values
from trading.models import Account, Alert, Mandate
from trading.selectors import desks as known_desks
from trading.selectors.halts import HaltEffect, HaltLine, effect, in_force
from trading.selectors.numbers import Cell, as_number, short
from trading.selectors.trail import Stamp, stamp

SPEEDS: Final = (1, 2, 5, 10, 20, 30, 60)  # times real time
DATASETS: Final = {"ticks": "ticks", "bars": "bars, not ticks"}


@dataclass(frozen=True, slots=True)
class AlertCount:
    """How many alerts wait for somebody; INFO is an event, never an alarm."""

    crit: int
    warn: int


@dataclass(frozen=True, slots=True)
class ReplayMark:
    """What the replay says of itself; every part is unknown until the market-data loop has spoken."""

    lap: Cell
    speed: Cell
    effective: Cell
    progress: Cell
    label: Cell
    state: Cell
    chosen_speed: int | None
    chosen_dataset: str


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything the frame of a page needs for one desk."""

    account: Account
    desks: tuple[Account, ...]
    mandate: Mandate | None
    capital: str
    alerts: AlertCount
    halts: tuple[HaltLine, ...]
    effect: HaltEffect
    replay: ReplayMark | None  # None: this is no replay
    engine: Cell
    values: Values  # last known value of every live key
    trail: Stamp  # of the audit trail

    def shows(self, account_id: int | None) -> bool:
        """Return whether the reader may see what belongs to an account; what belongs to none is everybody's."""
        return account_id is None or any(desk.pk == account_id for desk in self.desks)

    @property
    def mode_word(self) -> str:
        """What the page says first: "PAPER", "TESTNET", "LIVE · real money"."""
        if self.account.mode != Mode.LIVE:
            return self.account.mode
        return "LIVE · rehearsal" if settings.SIMULATOR_STANDS_IN else "LIVE · real money"

    @property
    def mode_meaning(self) -> str:
        """Where the orders of the desk go, in a sentence."""
        if self.account.mode == Mode.PAPER:
            return "No real money: orders go to the simulated exchange"
        if settings.SIMULATOR_STANDS_IN:
            return "A rehearsal: the simulated exchange stands in for the venue"
        test = self.account.mode == Mode.TESTNET
        return "The venue's test network: no real money" if test else "Real money: orders go to the venue"

    @property
    def halts_moving(self) -> bool:
        """True while a halt has not reached its last stage."""
        return any(line.moving for line in self.halts)

    @property
    def halts_here(self) -> list[HaltLine]:
        """The halts in force of this desk and of its symbols, the whole desk's first."""
        here = [line for line in self.halts if line.halt.account_id == self.account.pk]
        return sorted(here, key=lambda line: line.halt.symbol)

    @property
    def halted_here(self) -> bool:
        """True while this desk as a whole is halted."""
        return any(not line.halt.symbol for line in self.halts_here)


def frame(slug: str | None, at: datetime, reader: User) -> Frame | None:
    """Return the frame for the desk `slug` (the first one when `reader` does not see it), None when they see none."""
    everything = known_desks.visible_to(reader)
    account = known_desks.chosen(everything, slug)
    if account is None:
        return None
    values = live.last_values()
    mandate = known_desks.mandate_in_force(account)
    return Frame(
        account=account,
        desks=tuple(everything),
        mandate=mandate,
        capital=short(mandate.capital_quote) if mandate else "",
        alerts=alert_count(account, at),
        halts=tuple(line for line in in_force(at) if line.halt.account in everything),
        effect=effect(everything, values),
        replay=replay_mark(values),
        engine=Cell(live.desk(account.slug, "engine"), values.get(live.desk(account.slug, "engine")), "text"),
        values=values,
        trail=stamp(),
    )


def alert_count(account: Account, at: datetime) -> AlertCount:
    """Return how many alerts of this desk, or of the whole installation, wait: not acknowledged, not shelved."""
    rows = Alert.objects.filter(Q(account=account) | Q(account=None), acknowledged_at=None).aggregate(
        crit=Count("id", filter=Q(severity="CRIT") & ~Q(shelved_until__gt=at)),
        warn=Count("id", filter=Q(severity="WARN") & ~Q(shelved_until__gt=at)),
    )
    return AlertCount(crit=rows["crit"], warn=rows["warn"])


def replay_mark(values: Values) -> ReplayMark | None:
    """Return the replay's mark, or None where the feed is no replay."""
    if not any(key.startswith("replay.") for key in values):
        return None
    speed = as_number(values.get(live.replay("speed")))
    label = values.get(live.replay("label"))
    return ReplayMark(
        lap=_cell(values, live.replay("lap"), decimals=0),
        speed=_cell(values, live.replay("speed"), decimals=0),
        effective=_cell(values, live.replay("eff"), decimals=1),
        progress=_cell(values, live.replay("progress"), decimals=2),
        label=Cell(live.replay("label"), label, "text"),
        state=Cell(live.replay("state"), values.get(live.replay("state")), "text"),
        chosen_speed=None if speed is None else round(speed),
        chosen_dataset="bars" if str(label or "").startswith("bars") else "ticks",
    )


def _cell(values: Values, key: str, decimals: int) -> Cell:
    value: Value = values.get(key)
    return Cell(key, value, "number", decimals)
