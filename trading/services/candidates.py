"""Candidates: a trial of a search becomes what the grid of a paper account is next. Never of any other account."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.db import transaction

from trading import live
from trading.domain.backtest_settings import BacktestSettings, UnusableSettings, read
from trading.domain.candidates import as_chosen, why_not_granted, why_not_live
from trading.models import Account, Grid, GridCandidate, Mandate
from trading.services import audit, grids

FOUND: Final = ("counts", "deflated", "out_of_sample", "trials_sha256")  # what of a search is kept beside a candidate
OPEN: Final[Mapping[str, None]] = {"taken_up_at": None, "dropped_at": None}


class UnableToAdopt(Exception):
    """Nothing was changed; the message is fit for the operator."""


def adopt(
    *, account: Account, settings: BacktestSettings, search: int, trial: int, found: Mapping[str, Any], by: str,
    at: datetime,
) -> GridCandidate:  # fmt: skip
    """Propose the grid of `settings` for `account`, in place of what was proposed before.

    The desk takes it up when it next starts and holds nothing of the symbol; until then nothing that runs changes.

    Raises:
        UnableToAdopt: no paper account, no grid on the symbol, beyond the mandate, or the live core cannot run it.
    """
    with transaction.atomic():
        account = Account.objects.select_for_update().get(pk=account.pk)
        _check(account, settings)
        if settings.lower is None and settings.atr_multiple is None:  # a default that changes changes no candidate
            settings = replace(settings, step=settings.step_fraction)
        _drop(account, settings.symbol, at)
        made = GridCandidate.objects.create(
            account=account, symbol=settings.symbol, settings=settings.as_json(), search=search, trial=trial,
            found={name: found.get(name) for name in FOUND}, proposed_by=by, proposed_at=at,
        )  # fmt: skip
        payload = {"search": search, "trial": trial, "settings": made.settings, "found": made.found}
        _record("candidate.adopted", made, by, at, payload)
    return made


def withdraw(*, account: Account, symbol: str, by: str, at: datetime) -> None:
    """Take back what is proposed for the grid of `account` on `symbol`.

    Raises:
        UnableToAdopt: nothing is proposed.
    """
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)
        dropped = _drop(account, symbol, at)
        if dropped is None:
            raise UnableToAdopt(f"Nothing is proposed for {symbol} of {account.name}.")
        _record("candidate.withdrawn", dropped, by, at, {"search": dropped.search, "trial": dropped.trial})


def anything_waits(account: Account) -> bool:
    """Return whether something is proposed for a grid of `account`."""
    return GridCandidate.objects.filter(account=account, **OPEN).exists()


def take_up(*, account: Account, busy: Collection[str], at: datetime) -> list[str]:
    """Give the grids of `account` what is proposed for them, but for symbols in `busy`; return those that changed.

    For whoever is about to start the desk, and for nobody else: a desk that runs reads its grids once.
    """
    taken = list[str]()
    with transaction.atomic():
        account = Account.objects.select_for_update().get(pk=account.pk)
        waiting = GridCandidate.objects.select_for_update().filter(account=account, **OPEN).exclude(symbol__in=busy)
        for candidate in waiting:
            try:
                settings = read({name: value for name, value in candidate.settings.items() if value is not None})
                _check(account, settings)
            except (UnusableSettings, UnableToAdopt):
                continue  # what held when it was proposed no longer does: it waits, and keeps no desk from starting
            _put(candidate, settings, at)
            taken.append(candidate.symbol)
    return taken


def _put(candidate: GridCandidate, settings: BacktestSettings, at: datetime) -> None:
    grid = Grid.objects.select_for_update().get(account=candidate.account, symbol=candidate.symbol)
    before = grids.words_of(grid)
    grids.write(grid, as_chosen(settings), at)
    grid.levels_ticks, grid.footing = [], None  # nothing is held: the desk lays it around the price it finds
    grid.save(update_fields=["levels_ticks", "footing"])
    candidate.taken_up_at = at
    candidate.save(update_fields=["taken_up_at"])
    after = grids.words_of(grid)
    payload = {"before": before, "after": after, "search": candidate.search, "trial": candidate.trial}
    _record("candidate.taken_up", candidate, "housekeeping", at, payload)


def _check(account: Account, settings: BacktestSettings) -> None:
    if account.mode != Account.Mode.PAPER:
        text = "candidates go to a paper account, whose evidence comes before any other"
        raise UnableToAdopt(f"{account.name} is {account.get_mode_display()}; {text}.")
    if reasons := why_not_live(settings):
        raise UnableToAdopt(" ".join(reasons))
    if not Grid.objects.filter(account=account, symbol=settings.symbol).exists():
        raise UnableToAdopt(f"{account.name} runs no grid on {settings.symbol}; its mandate grants a symbol first.")
    mandate = Mandate.objects.filter(account=account).order_by("-version").first()
    if mandate is None:
        raise UnableToAdopt(f"{account.name} has no mandate in force.")
    if why := why_not_granted(as_chosen(settings), mandate.limits):
        raise UnableToAdopt(why)


def _drop(account: Account, symbol: str, at: datetime) -> GridCandidate | None:
    before = GridCandidate.objects.filter(account=account, symbol=symbol, **OPEN).first()
    if before is not None:
        before.dropped_at = at
        before.save(update_fields=["dropped_at"])
    return before


def _record(action: str, of: GridCandidate, by: str, at: datetime, payload: Mapping[str, Any]) -> None:
    subject = f"grid:{of.account.slug}:{of.symbol}"
    audit.record(actor=by, action=action, subject=subject, payload=dict(payload), at=at)
    transaction.on_commit(partial(live.publish_events, "desk"))
