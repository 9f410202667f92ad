"""Pause and resume one symbol of one account."""

from datetime import datetime
from functools import partial

from django.db import transaction

from trading import live
from trading.domain.alarms import OVER_WITH_THE_PAUSE
from trading.models import Account, Grid
from trading.services import alerts, audit
from trading.services.locks import lock_account


class UnableToPause(Exception):
    """Nothing was changed; the message is fit for the operator."""


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
