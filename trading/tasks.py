"""Housekeeping on beat: short, repeatable, and never the owner of an order."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from celery import shared_task
from django.db.models import Max

from trading.domain.alarms import FEES, FILL_RATE, REJECTS, VENUE_LATENCY
from trading.domain.events import Severity
from trading.domain.latency import Histogram
from trading.domain.metrics import Rate
from trading.models import Account, Alert, Fill
from trading.selectors import conduct, desks, model_evidence
from trading.services import alerts, audit, backtests, drift, evidence, model_versions, samples, trainings, venue_keys
from trading.training_host import Host

log = logging.getLogger(__name__)

NO_TRADE_FOR: Final = timedelta(hours=6)  # the desk's alert rules (mission, decisions.md)
DAY: Final = timedelta(days=1)
M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)


class Rule(Protocol[M_contra]):
    """What an alert rule on something measured has to say."""

    @property
    def code(self) -> str: ...
    @property
    def window(self) -> timedelta | None: ...
    @property
    def lasting(self) -> timedelta: ...
    def is_broken(self, measured: M_contra, /) -> bool | None: ...
    def message(self, measured: M_contra, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Watch(Generic[M]):
    """A rule and how to measure what it is about."""

    rule: Rule[M]
    measure: Callable[[Account, datetime], M]

    def look(self, account: Account, since: datetime) -> tuple[bool | None, str]:
        """Return whether the rule is broken since `since`, None where that cannot be said, and what was measured."""
        measured = self.measure(account, since)
        is_broken = self.rule.is_broken(measured)
        return is_broken, self.rule.message(measured) if is_broken is not None else "Too little to say."


WATCHES: Final[tuple[Watch[Rate] | Watch[Histogram], ...]] = (
    Watch(REJECTS, conduct.reject_rate),
    Watch(FILL_RATE, conduct.taker_fill_rate),
    Watch(FEES, conduct.fee_rate),
    Watch(VENUE_LATENCY, conduct.venue_latency),
)


@shared_task(ignore_result=True)
def prune_samples() -> None:
    """Delete samples that are older than we keep them."""
    samples.prune(at=datetime.now(UTC))


@shared_task(ignore_result=True)
def tend_market_store() -> None:
    """Sort recorded days that are over into parts, and remove recordings beyond their age or room."""
    from trading.services import recordings  # the file format is loaded only where it is needed

    recordings.tend(datetime.now(UTC))


@shared_task(ignore_result=True)
def roll_up_evidence() -> None:
    """Turn every hour that has closed into one row."""
    evidence.roll_up(datetime.now(UTC))


@shared_task(ignore_result=True)
def compare_with_backtest() -> None:
    """Hold what paper did against the backtest over the market data that was recorded meanwhile."""
    drift.compare_all(datetime.now(UTC))


@shared_task(ignore_result=True)
def measure_mark_outs() -> None:
    """Keep what the recorded price did after every fill."""
    from trading.services import mark_outs  # the file format is loaded only where it is needed

    mark_outs.measure(datetime.now(UTC))


@shared_task(ignore_result=True)
def judge_models() -> None:
    """Tell how every model does that forecasts; one that must not go on is taken back, without governance."""
    at, running = datetime.now(UTC), model_evidence.running()
    for version in running:
        if why := model_versions.heed(version, model_evidence.condition(version, at), at=at):
            log.warning("model %s was rolled back: %s", version.digest[:12], why)
    model_versions.forget_others(running, at=at)


@shared_task(ignore_result=True)
def replay_features() -> None:
    """Hold what models read live against a replay of the recorded market."""
    from trading.services import model_replays  # the file format is loaded only where it is needed

    model_replays.hold_all(datetime.now(UTC))


@shared_task(ignore_result=True)
def anchor_audit_chain() -> None:
    """Write the head of the audit chain outside the database; a file that cannot be written is a WARN alert."""
    at = datetime.now(UTC)
    try:
        audit.anchor(at)
    except OSError as error:
        message = f"The audit chain cannot be anchored: {error.strerror}."
        alerts.raise_alert(account=None, severity=Severity.WARN, code="AUDIT_NOT_ANCHORED", message=message, at=at)
    else:
        alerts.clear_alerts(codes=["AUDIT_NOT_ANCHORED"], at=at)


@shared_task(ignore_result=True)
def verify_audit_chain() -> None:
    """Walk the audit chain and its anchors, and keep what was found; a break is a CRIT alert."""
    found = audit.verify_and_remember(datetime.now(UTC)).found
    if found is None:
        alerts.clear_alerts(codes=["AUDIT_CHAIN_BROKEN"], at=datetime.now(UTC))
    else:
        message = f"The audit chain breaks at row {found.sequence}: {found.reason}"
        alerts.raise_alert(
            account=None, severity=Severity.CRIT, code="AUDIT_CHAIN_BROKEN", message=message, at=datetime.now(UTC)
        )


@shared_task(ignore_result=True)
def check_venue_keys() -> None:
    """Ask the venue what every key in use may do, and what time it is there."""
    venue_keys.check_all(at=datetime.now(UTC))


@shared_task(ignore_result=True)
def notice_quiet_accounts() -> None:
    """Tell, once per silence, of every account that has not traded for six hours."""
    at = datetime.now(UTC)
    for account in Account.objects.all():
        if _is_quiet(account, at):
            alerts.raise_alert(
                account=account, severity=Severity.INFO, code="NO_TRADE", message="No trade for 6 hours.", at=at
            )


@shared_task(ignore_result=True)
def tell_of_yesterday() -> None:
    """Tell, once a day, what every account did on the day before (UTC)."""
    at = datetime.now(UTC)
    for account in Account.objects.all():
        summarise_day(account, at=at)


def summarise_day(account: Account, *, at: datetime) -> None:
    """Tell what `account` did on the day before `at`, unless that was told, or the account is of today."""
    today = at.replace(hour=0, minute=0, second=0, microsecond=0)
    told = Alert.objects.filter(account=account, code="DAILY_SUMMARY", at__gte=today).exists()
    if not told and account.created_at < today:
        text = f"{today - DAY:%Y-%m-%d}: {conduct.day_in_words(account, today - DAY, today)}"
        alerts.raise_alert(account=account, severity=Severity.INFO, code="DAILY_SUMMARY", message=text, at=at)


@shared_task(ignore_result=True)
def judge_conduct() -> None:
    """Warn of every account whose rejects, fill rate, fees or latency are beyond what the desk accepts."""
    at = datetime.now(UTC)
    for account in Account.objects.all():
        judge_account(account, at=at)


def judge_account(account: Account, *, at: datetime) -> None:
    """Warn of everything measured of `account` that is beyond its limit, and say what is over; keep what was found.

    What a person has acknowledged is not told again but on new evidence; what is not known is neither told nor over.
    """
    for watch in WATCHES:
        rule = watch.rule
        if (begin := _begin(rule.window, account, at)) is None:
            continue
        is_broken, text = watch.look(account, begin)
        reading = alerts.record_reading(account=account, code=rule.code, is_broken=is_broken, text=text, at=at)
        if (seen := _seen_at(rule.code, account)) is not None and seen > begin:
            is_new, text = watch.look(account, seen)
        else:
            is_new = is_broken
        if is_new and reading.broken_since is not None and at - reading.broken_since >= rule.lasting:
            alerts.raise_alert(account=account, severity=Severity.WARN, code=rule.code, message=text, at=at)
        elif is_broken is False:
            alerts.clear_alerts(codes=[rule.code], account=account, at=at)


def _begin(window: timedelta | None, account: Account, at: datetime) -> datetime | None:
    """Return where a window begins; without one, with the trading day."""
    if window is not None:
        return at - window
    day = desks.day_of(account)
    return day.opened_at if day is not None else None


def _seen_at(code: str, account: Account) -> datetime | None:
    seen: datetime | None = Alert.objects.filter(account=account, code=code).aggregate(at=Max("acknowledged_at"))["at"]
    return seen


def _is_quiet(account: Account, at: datetime) -> bool:
    last = Fill.objects.filter(account=account).order_by("-at").values_list("at", flat=True).first()
    since = last or account.created_at
    told = Alert.objects.filter(account=account, code="NO_TRADE", at__gt=since).exists()
    return at - since > NO_TRADE_FOR and not told


_backtesting = threading.Lock()  # one at a time in a process: the other threads keep house


@shared_task(ignore_result=True)
def run_backtests() -> None:
    """Carry out every backtest that waits, unless somebody in this process is at it and will see them."""
    backtests.end_silent(datetime.now(UTC))
    while backtests.anything_waits() and _backtesting.acquire(blocking=False):
        try:
            _carry_out_backtests()
        finally:
            _backtesting.release()


def _carry_out_backtests() -> None:
    from trading import backtesting, searching  # 150 MB that a worker without backtests never loads

    works = backtests.Works(backtesting.carry_out, searching.carry_out_shared)
    backtests.carry_out_waiting(works, lambda: datetime.now(UTC), refusals=(backtesting.UnableToBacktest,))


@shared_task(ignore_result=True)
def warm_backtests() -> None:
    """Load what backtests and searches need: somebody opened the lab. Carry out what is asked meanwhile."""
    if not _backtesting.acquire(blocking=False):
        return
    try:
        from trading import searching

        searching.warm()
    finally:
        _backtesting.release()
    run_backtests()  # whoever was asked during that found somebody at it, and left it


_training = Host()


@shared_task(ignore_result=True)
def run_trainings() -> None:
    """Have every training that waits carried out, one process after another; what is silent is begun again."""
    trainings.begin_silent_again(datetime.now(UTC))
    _training.call()
