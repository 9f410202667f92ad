"""Whether an account may trade beyond PAPER, and what speaks for it: keys, builds, feasibility, fills, halts."""

import time
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from django.conf import settings

from trading import live
from trading.domain import grid as ladders
from trading.domain.admitting import unmeasured
from trading.domain.desk import Chosen
from trading.domain.fees import DEMO_FEES
from trading.domain.in_force import granted_lot
from trading.domain.instruments import Instrument
from trading.domain.laying import lay
from trading.domain.limits import Limits
from trading.domain.modes import ArmingRecord, Mode, why_not_trade
from trading.domain.moving import refusal
from trading.domain.preview import plan_of
from trading.live import builds
from trading.live.installation import why_not_here
from trading.models import Account, Arming, Fill, Halt, VenueKey
from trading.selectors import recovery
from trading.selectors.numbers import as_number

MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One key as it may be shown: nothing of it but its last four characters."""

    id: int
    account: str
    purpose: str
    label: str
    last_four: str
    added_by: str
    added_at: datetime
    revoked_by: str
    revoked_at: datetime | None
    checked_at: datetime | None
    opened: bool | None
    objections: tuple[str, ...] | None
    problem: str
    skew_ms: float | None


def newest(account: Account) -> ArmingRecord | None:
    """Return the newest word about `account`, None where nobody ever armed it."""
    row = Arming.objects.filter(account=account).first()
    return ArmingRecord(row.is_armed, row.build, row.by, row.at, row.why) if row else None


def why_not(account: Account, build: str) -> str:
    """Return why no order of `account` may leave a process that runs `build`, or an empty text."""
    mode = Mode(account.mode)
    refusal = why_not_here(mode)
    if refusal or mode is Mode.PAPER:
        return refusal
    return why_not_trade(mode, newest(account), build)


def beyond(paper: Account, mode: Mode) -> Account | None:
    """Return the account of `paper` that trades in `mode`, None where none was prepared."""
    return Account.objects.filter(proven_by=paper, mode=mode).first()


def all_beyond(paper: Account) -> list[Account]:
    """Return the accounts of `paper` beyond PAPER."""
    return list(Account.objects.filter(proven_by=paper).order_by("id"))


def paper_of(account: Account) -> Account:
    """Return the paper account whose evidence `account` rests on; a paper account rests on its own."""
    return account.proven_by or account


def key_lines(account: Account | None = None, *, revoked: bool = False) -> list[KeyLine]:
    """Return the keys in use (or also those revoked) of one account or of all."""
    rows = VenueKey.objects.select_related("account", "answer")
    rows = rows if account is None else rows.filter(account=account)
    return [_key_line(row) for row in (rows if revoked else rows.filter(revoked_at=None))]


def processes() -> dict[str, str]:
    """Return process -> build of everybody who spoke lately."""
    return builds.heard(Path(settings.DATA_DIR) / "watchdog.json", time.time_ns() // MS)


def fills_of(account: Account) -> int:
    """Return how many executions `account` has."""
    return Fill.objects.filter(account=account).count()


def halts_of(account: Account) -> list[str]:
    """Return the halts in force of `account` and its symbols, in words."""
    return [f"{row.where}: {row.reason}" for row in Halt.objects.filter(account=account, released_at=None)]


def replay_speed() -> Decimal | None:
    """Return how fast the replay says it is, None where no replay speaks."""
    speed = as_number(live.last_values().get(live.replay("speed")))
    return None if speed is None else Decimal(str(speed))


def feasibility(account: Account, limits: Limits) -> dict[str, str | None]:
    """Return symbol -> why its grid does not fit `limits` and the venue's filters: "" it does, None not known."""
    instruments, values = recovery.stored_instruments(account.venue), live.last_values()
    found: dict[str, str | None] = {}
    for grid in recovery.grid_settings(account):
        price, instrument = as_number(values.get(live.market(grid.symbol, "px"))), instruments.get(grid.symbol)
        if grid.symbol not in limits.symbols:
            continue  # not traded in this phase
        sized = replace(grid, lot_quote=granted_lot(limits))
        found[grid.symbol] = None if price is None or instrument is None else _fits(sized, instrument, price, limits)
    return found


def _fits(grid: Chosen, instrument: Instrument, price: float, limits: Limits) -> str:
    ticks = round(Decimal(str(price)) / instrument.tick_size)
    try:
        if isinstance(grid, ladders.GridSettings):
            plan = ladders.build(grid, instrument, ticks)
        else:
            if grid.atr_multiple is not None:  # nobody knows its ladder before it is measured
                refused = unmeasured(grid, instrument, limits)
                return "" if refused is None else refused.reason
            plan = plan_of(grid, instrument, lay(grid, instrument, ticks))
            if (refused := refusal(grid, limits)) is not None:
                return refused.reason
    except ladders.UnableToBuild as error:
        return str(error)
    verdict = ladders.feasibility(plan, instrument, limits, DEMO_FEES)
    return verdict.reason if isinstance(verdict, ladders.Infeasible) else ""


def _key_line(row: VenueKey) -> KeyLine:
    answer = getattr(row, "answer", None)
    return KeyLine(
        id=row.pk,
        account=row.account.slug,
        purpose=row.purpose,
        label=row.label,
        last_four=row.last_four,
        added_by=row.added_by,
        added_at=row.added_at,
        revoked_by=row.revoked_by,
        revoked_at=row.revoked_at,
        checked_at=answer.at if answer else None,
        opened=answer.opened if answer else None,
        objections=tuple(answer.objections) if answer and answer.objections is not None else None,
        problem=answer.problem if answer else "",
        skew_ms=answer.skew_ms if answer else None,
    )
