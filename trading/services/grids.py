"""Pause and resume one symbol of one account; change its grid while it runs."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final

from django.db import transaction

from trading import live
from trading.domain.admitting import Running, admit, fingerprint
from trading.domain.alarms import OVER_WITH_THE_PAUSE
from trading.domain.carrying import Touch
from trading.domain.fees import DEMO_FEES
from trading.domain.grid import GridSettings
from trading.domain.grids import Chosen, GridSpec, Problem, UnsoundGrid, plain, settings_of
from trading.domain.instruments import Instrument
from trading.domain.limits import Limits
from trading.domain.spelling import spell
from trading.models import Account, Grid, Mandate, VenueInstrument, running
from trading.services import alerts, audit
from trading.services.locks import lock_account

STEP_UNIT: Final = Decimal("0.000001")  # of the column that lists show


class UnableToPause(Exception):
    """Nothing was changed; the message is fit for the operator."""


class UnableToEdit(Exception):
    """Nothing was changed; each problem names its field ("" for none), the reason, and what to do."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(f"{field}: {text}" if field else text for field, text in problems))
        self.problems = problems


def edit(
    *, account: Account, symbol: str, words: Mapping[str, object], seen: str, touch: Touch | None, by: str, at: datetime
) -> Grid:
    """Put another grid on `symbol` in force; the loop takes it up within a second and carries over what is open.

    `seen` is the fingerprint of the grid that was shown, `touch` what the market shows now.

    Raises:
        UnableToEdit: another grid is in force by now, or the mandate, the venue or its own costs refuse this one.
    """
    with transaction.atomic():
        lock_account(account.pk)
        grid = Grid.objects.select_for_update().filter(account=account, symbol=symbol, enabled=True).first()
        listed = VenueInstrument.objects.filter(venue=account.venue, symbol=symbol).first()
        mandate = Mandate.objects.filter(account=account).order_by("-version").first()
        if grid is None or listed is None or mandate is None:
            raise UnableToEdit(Problem("", f"{account.name} runs no grid on {symbol} that could be edited"))
        if touch is None:
            raise UnableToEdit(Problem("", f"{symbol} has no price now; wait for one, then confirm again"))
        if fingerprint(grid.chosen) != seen:
            raise UnableToEdit(Problem("", "the grid was changed meanwhile; look at it again, then confirm"))
        spec = _admitted({**words, "symbol": symbol}, listed.instrument, mandate.limits, touch, running(grid))
        old = running(grid).spec
        if spec == old:
            return grid
        write(grid, spec, at)
        payload = {"before": spell(old), "after": spell(spec)}
        audit.record(actor=by, action="grid.edited", subject=f"grid:{account.slug}:{symbol}", payload=payload, at=at)
        transaction.on_commit(partial(live.send_command, {"cmd": "grid", "account": account.slug, "symbol": symbol}))
        transaction.on_commit(partial(live.publish_events, "desk"))
    return grid


def _admitted(
    words: Mapping[str, object], instrument: Instrument, limits: Limits, touch: Touch, now_running: Running
) -> GridSpec:
    try:
        return admit(words, instrument, limits, DEMO_FEES, touch, now_running).spec
    except UnsoundGrid as error:
        raise UnableToEdit(*error.problems) from error


def write(grid: Grid, chosen: Chosen, at: datetime) -> None:
    """Put `chosen` into the locked row of a grid; what stands at the venue is left to its loop."""
    settings, spec = (chosen, None) if isinstance(chosen, GridSettings) else (settings_of(chosen), chosen)
    grid.style, grid.spacing, grid.slots = settings.style, settings.spacing, settings.slots
    grid.lot_quote, grid.step_fraction = settings.lot_quote, settings.step_fraction.quantize(STEP_UNIT)
    words = {} if spec is None else spell(spec)
    grid.spec = {name: word for name, word in words.items() if name not in grid.columns}
    grid.edited_at = at
    changed = ("style", "spacing", "slots", "lot_quote", "step_fraction", "spec", "edited_at")
    grid.save(update_fields=changed)


def words_of(grid: Grid) -> dict[str, str | int | bool]:
    """Return what was chosen of a grid in its words, for the audit trail."""
    chosen = grid.chosen
    return spell(plain(chosen) if isinstance(chosen, GridSettings) else chosen)


def pause(*, account: Account, symbol: str, by: str, reason: str, at: datetime) -> Grid:
    """Stop new buys on `symbol` and cancel its working orders; stays paused over restarts.

    Raises:
        UnableToPause: the account runs no grid on `symbol`.
    """
    return _set(account, symbol, paused_reason=reason or "paused by a person", command="pause", by=by, at=at)


def unpause(*, account: Account, symbol: str, by: str, at: datetime) -> Grid:
    """Let `symbol` trade again.

    Raises:
        UnableToPause: the account runs no grid on `symbol`.
    """
    return _set(account, symbol, paused_reason="", command="unpause", by=by, at=at)


def _set(account: Account, symbol: str, *, paused_reason: str, command: str, by: str, at: datetime) -> Grid:
    with transaction.atomic():
        lock_account(account.pk)
        grid = Grid.objects.select_for_update().filter(account=account, symbol=symbol).first()
        if grid is None:
            raise UnableToPause(f"{account.name} runs no grid on {symbol}.")
        if grid.paused_reason == paused_reason:
            return grid
        grid.paused_reason = paused_reason
        grid.save(update_fields=["paused_reason"])
        subject, payload = f"grid:{account.slug}:{symbol}", {"reason": paused_reason}
        audit.record(actor=by, action=f"symbol.{command}d", subject=subject, payload=payload, at=at)
        if not paused_reason:
            alerts.clear_alerts(codes=OVER_WITH_THE_PAUSE, account=account, symbol=symbol, at=at)
        message = {"cmd": command, "account": account.slug, "symbol": symbol, "reason": paused_reason}
        transaction.on_commit(partial(live.send_command, message))
        transaction.on_commit(partial(live.publish_events, "desk"))
    return grid
