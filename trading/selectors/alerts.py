"""Alerts that wait for a person, and the feed of what happened."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from trading.domain.events import Severity
from trading.domain.limits import TradingState
from trading.models import Account, Alert, Grid, Halt, RuleReading, Settlement, TradingDay
from trading.selectors import desks
from trading.selectors.numbers import plain

Show = Literal["open", "all"]
GLYPHS: Final = {"CRIT": "■", "WARN": "▲", "INFO": "●"}
PAGE: Final = 100
MOST_UNFINISHED: Final = 500  # more is a defect of the rules, and no list for a person
MOST_RAISED: Final = 10_000
TOLD_BY_ROWS: Final = ("STARTED", "RESUMED")  # a trading day and a released halt say the same with more facts


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert as a line."""

    id: int
    severity: str
    glyph: str
    code: str
    message: str
    times: int
    symbol: str
    desk: str
    at: datetime
    acknowledged_by: str
    acknowledged_at: datetime | None
    needs_ack: bool


@dataclass(frozen=True, slots=True)
class Raised:
    """One alert, as statistics see it."""

    code: str
    severity: str
    raised_at: datetime
    most_in_minute: int


@dataclass(frozen=True, slots=True)
class Hushes:
    """Where a rule may have nothing new to say."""

    halted: frozenset[int | None]  # accounts
    paused: frozenset[tuple[int | None, str]]  # account and symbol


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the event feed."""

    at: datetime
    text: str
    detail: str = ""


def alert_lines(account: Account, show: Show = "open", limit: int = PAGE) -> list[AlertLine]:
    """Return the alarms of this desk and of the whole installation, newest first; INFO is no alarm."""
    rows = _alarms(account)
    if show == "open":
        rows = rows.filter(acknowledged_at=None).exclude(shelved_until__gt=Now())
    return [_line(row) for row in rows.select_related("account", "acknowledged_by").order_by("-id")[:limit]]


def waiting() -> QuerySet[Alert]:
    """Return the alarms of every desk that nobody has acknowledged, the oldest first."""
    rows = Alert.objects.filter(acknowledged_at=None).exclude(severity="INFO")
    return rows.select_related("account").order_by("id")


def alarms_of(account: Account) -> QuerySet[Alert]:
    """Return every alarm of this desk and of the whole installation, newest first."""
    return _alarms(account).select_related("account", "acknowledged_by", "shelved_by").order_by("-id")


def unfinished(account: Account) -> QuerySet[Alert]:
    """Return the alarms of this desk and of the whole installation that are not acknowledged or not over."""
    return alarms_of(account).filter(Q(acknowledged_at=None) | Q(cleared_at=None))[:MOST_UNFINISHED]


def raised_since(account: Account, since: datetime) -> list[Raised]:
    """Return every alert of this desk and of the whole installation that was raised since then, events included."""
    rows = Alert.objects.filter(Q(account=account) | Q(account=None), raised_at__gte=since).order_by("-id")
    found = rows.values_list("code", "severity", "raised_at", "most_in_minute")[:MOST_RAISED]
    return [Raised(code, severity, at, most) for code, severity, at, most in found if at is not None]


def hushes() -> Hushes:
    """Return what is halted and what is paused; two queries."""
    halted = Account.objects.filter(state=TradingState.HALTED).values_list("pk", flat=True)
    paused = Grid.objects.exclude(paused_reason="").values_list("account_id", "symbol")
    return Hushes(frozenset(halted), frozenset(paused))


def readings() -> dict[tuple[int | None, str], RuleReading]:
    """Return the newest look at every measured rule, by account and code."""
    return {(reading.account_id, reading.code): reading for reading in RuleReading.objects.all()}


def happenings(account: Account, limit: int = 30) -> list[Happening]:
    """Return what happened at this desk, newest first: laps and settlements, halts, notices."""
    found = [*_days(account, limit), *_halts(account, limit), *_notices(account, limit)]
    return sorted(found, key=lambda event: event.at, reverse=True)[:limit]


def _alarms(account: Account) -> QuerySet[Alert]:
    return Alert.objects.filter(Q(account=account) | Q(account=None)).exclude(severity="INFO")


def _line(row: Alert) -> AlertLine:
    return AlertLine(
        id=row.pk,
        severity=row.severity,
        glyph=GLYPHS.get(row.severity, ""),
        code=row.code,
        message=row.message,
        times=row.times,
        symbol=row.symbol,
        desk=row.account.name if row.account else "all desks",
        at=row.at,
        acknowledged_by=row.acknowledged_by.username if row.acknowledged_by else "",
        acknowledged_at=row.acknowledged_at,
        needs_ack=row.acknowledged_at is None,
    )


def _days(account: Account, limit: int) -> list[Happening]:
    days = list(TradingDay.objects.filter(account=account).order_by("-id")[:limit])
    settled = _settled(account, {day.lap - 1 for day in days if day.reason == "seam"})
    return [Happening(day.opened_at, _day_text(day), settled.get(day.lap - 1, "")) for day in days]


def _day_text(day: TradingDay) -> str:
    equity = f"{plain(day.opening_equity_quote)} {day.account.quote}"
    if day.reason == "seam":
        settled = f"positions settled at the last bid, equity unchanged at {equity}"
        return f"Lap {day.lap} began: {settled}. Daily caps start anew."
    if day.reason == "start":
        return f"The desk started with {equity}."
    return f"A new trading day began ({day.reason}) with {equity}. Daily caps start anew."


def _settled(account: Account, laps: set[int]) -> dict[int, str]:
    instruments = desks.instruments_of(account)
    parts: dict[int, list[str]] = {}
    for row in Settlement.objects.filter(account=account, lap__in=laps).order_by("symbol"):
        steps = desks.steps_of(instruments, row.symbol)
        text = f"{row.symbol} {plain(row.quantity_base, steps.quantity)} at {plain(row.price, steps.price)}"
        parts.setdefault(row.lap, []).append(text)
    return {lap: "Settled, no fill and no P&L: " + ", ".join(lines) for lap, lines in parts.items()}


def _halts(account: Account, limit: int) -> list[Happening]:
    found: list[Happening] = []
    for halt in Halt.objects.filter(account=account).order_by("-id")[:limit]:
        by = "a rule" if halt.requested_by == "rule" else halt.requested_by
        what = f"{halt.symbol} halted" if halt.symbol else "Halted"
        found.append(Happening(halt.latched_at, f"{what} by {by}.", halt.reason))
        if halt.proven_clear_at:
            text = f"Halt proven clear: {halt.canceled} orders cancelled, {halt.remaining} left."
            found.append(Happening(halt.proven_clear_at, text))
        if halt.released_at:
            what = f"{halt.symbol} resumed" if halt.symbol else "Resumed"
            found.append(Happening(halt.released_at, f"{what} by {halt.released_by}."))
    return found


def _notices(account: Account, limit: int) -> list[Happening]:
    rows = Alert.objects.filter(Q(account=account) | Q(account=None), severity="INFO").exclude(code__in=TOLD_BY_ROWS)
    rows = rows.order_by("-id")[:limit]
    return [Happening(row.at, row.message) for row in rows]


def crit_since(account: Account, since: datetime) -> list[Alert]:
    """Return the CRIT alerts of `account` from `since` on, oldest first."""
    return list(Alert.objects.filter(account=account, severity=Severity.CRIT, at__gte=since).order_by("id"))


def was_raised(account: Account, code: str, *, since: datetime) -> bool:
    """Return whether an alert of this code was raised at `account` from `since` on."""
    return Alert.objects.filter(account=account, code=code, at__gte=since).exists()


def account_of(alert_id: int) -> int | None:
    """Return the account that an alert is about, None where it is about all of them or does not exist."""
    return Alert.objects.filter(pk=alert_id).values_list("account_id", flat=True).first()
