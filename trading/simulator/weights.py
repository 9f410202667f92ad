"""Rate limits of the simulated exchange: request weight per address, order count per account."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from trading.simulator import errors

WEIGHT_LIMIT: Final = 6_000  # per minute and address (Binance spot, 2024)
ORDERS_PER_10S: Final = 100  # per account and ten seconds of recorded time
ORDERS_PER_DAY: Final = 200_000
CONNECTIONS_LIMIT: Final = 300  # WebSocket connections per five minutes and address
MINUTE_S: Final = 60
TEN_S: Final = 10
DAY_S: Final = 86_400
CONNECTIONS_S: Final = 300
PATIENCE: Final = 10  # requests after a 429 in the same minute before the address is banned (ours)
FIRST_BAN_S: Final = 120
LONGEST_BAN_S: Final = 3 * DAY_S


@dataclass(slots=True)
class Window:
    """Counts within fixed spans of time."""

    seconds: int
    monotonic: Callable[[], float]
    used: int = 0
    _span: int = -1

    def count(self) -> int:
        """Return what was used in the span that runs now."""
        span = int(self.monotonic() // self.seconds)
        if span != self._span:
            self._span, self.used = span, 0
        return self.used

    def add(self, amount: int) -> int:
        """Use `amount` and return the new count; a negative one gives back, down to zero."""
        self.used = max(self.count() + amount, 0)
        return self.used

    def left_s(self) -> int:
        """Return the whole seconds until the next span, at least one."""
        return math.ceil(self.seconds - self.monotonic() % self.seconds)


class Weights:
    """The request weight of the one address all clients share; going on after a 429 leads to a ban."""

    def __init__(self, *, monotonic: Callable[[], float], now_ms: Callable[[], int], limit: int = WEIGHT_LIMIT) -> None:
        self.limit = limit
        self._monotonic = monotonic
        self._now_ms = now_ms
        self._minute = Window(MINUTE_S, monotonic)
        self._refused = Window(MINUTE_S, monotonic)
        self._ban_s = FIRST_BAN_S
        self._banned_until = 0.0

    @property
    def used(self) -> int:
        """Weight used in this minute."""
        return self._minute.count()

    def charge(self, weight: int) -> None:
        """Use `weight`.

        Raises:
            ApiError: 429 above the limit, 418 while banned.
        """
        now = self._monotonic()
        if now < self._banned_until:
            raise self._ban_error(self._banned_until - now)
        if self._minute.add(weight) <= self.limit:
            return
        if self._refused.add(1) > PATIENCE:
            self._banned_until = now + self._ban_s
            self._ban_s = min(2 * self._ban_s, LONGEST_BAN_S)
            raise self._ban_error(self._banned_until - now)
        raise errors.too_much_weight(self.limit, retry_after_s=self._minute.left_s())

    def _ban_error(self, left_s: float) -> errors.ApiError:
        return errors.banned(self._now_ms() + int(left_s * 1_000), retry_after_s=math.ceil(left_s))

    def describe(self) -> dict[str, Any]:
        """Return the entry of exchangeInfo's rateLimits."""
        return {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.limit}


@dataclass(slots=True)
class OrderCounts:
    """New orders per account; an order that fills gives its count back.

    `limit_10s` is asked at every order: a replay that runs n times as fast allows n times as many. `are_lifted` is for
    load tests alone: no order is counted or refused, and the exchange says so wherever it tells its limits.
    """

    monotonic: Callable[[], float]
    limit_10s: Callable[[], int]
    are_lifted: bool = False
    _ten: dict[str, Window] = field(default_factory=dict)
    _day: dict[str, Window] = field(default_factory=dict)

    def charge(self, account: str) -> None:
        """Count one new order.

        Raises:
            ApiError: -1015, the account has sent too many.
        """
        if self.are_lifted:
            return
        ten, day = self._windows(account)
        if ten.count() >= self.limit_10s():
            raise errors.too_many_orders(self.limit_10s(), TEN_S, retry_after_s=ten.left_s())
        if day.count() >= ORDERS_PER_DAY:
            raise errors.too_many_orders(ORDERS_PER_DAY, DAY_S, retry_after_s=day.left_s())
        ten.add(1)
        day.add(1)

    def give_back(self, account: str) -> None:
        """Take back the count of an order that filled."""
        for window in self._windows(account):
            window.add(-1)

    def used(self, account: str) -> tuple[int, int]:
        """Return the counts of ten seconds and of the day."""
        ten, day = self._windows(account)
        return ten.count(), day.count()

    def describe(self) -> list[dict[str, Any]]:
        """Return the entries of exchangeInfo's rateLimits, none while the limits are lifted."""
        if self.are_lifted:
            return []
        return [
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": TEN_S, "limit": self.limit_10s()},
            {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": ORDERS_PER_DAY},
        ]

    def _windows(self, account: str) -> tuple[Window, Window]:
        ten = self._ten.setdefault(account, Window(TEN_S, self.monotonic))
        day = self._day.setdefault(account, Window(DAY_S, self.monotonic))
        return ten, day
