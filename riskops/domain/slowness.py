"""How guessing is slowed: a few tries are free, then each must wait longer, up to a bound; nobody is ever locked out.

A wait is kept per door, and who is known at a door of their own is not kept waiting by strangers who hammer at theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

FIRST_WAIT: Final = timedelta(seconds=1)  # doubles with every further try
FORGOTTEN_AFTER: Final = timedelta(hours=1)  # without a try
TOLD_AT: Final = 5  # failures in a row at one door: an event
WARNED_AT: Final = 25  # and at every doubling of it


@dataclass(frozen=True, slots=True)
class Rule:
    """How patient a door is."""

    free: int  # tries
    longest: timedelta


class Door(StrEnum):
    """Where somebody tries."""

    DEVICE = "device"  # one account from a browser that signed in to it before
    PLACE = "place"  # one account from an address where it signed in before
    ACCOUNT = "account"  # one account from anywhere else
    ADDRESS = "address"  # any account, from one address where that account never was
    CODE = "code"  # the one-time code, password proven, from where the account is known
    STRANGE_CODE = "strange code"  # the same from anywhere else: the password is in wrong hands
    STEP_UP = "step-up"  # password and code of somebody signed in


_KNOWN: Final = Rule(free=3, longest=timedelta(seconds=30))
RULES: Final[Mapping[Door, Rule]] = {
    Door.DEVICE: _KNOWN,
    Door.PLACE: _KNOWN,
    Door.ACCOUNT: Rule(free=3, longest=timedelta(minutes=1)),
    Door.ADDRESS: Rule(free=10, longest=timedelta(minutes=1)),
    Door.CODE: _KNOWN,
    Door.STRANGE_CODE: Rule(free=3, longest=timedelta(minutes=15)),
    Door.STEP_UP: _KNOWN,
}


@dataclass(frozen=True, slots=True)
class Tries:
    """What is known of one door."""

    failures: int
    last_at: datetime

    def at(self, now: datetime) -> "Tries":
        """Return what of it still counts."""
        return self if now - self.last_at < FORGOTTEN_AFTER else Tries(0, self.last_at)


def wait(door: Door, tries: Tries, now: datetime) -> timedelta:
    """Return how long the next try must still wait; a try before that is not looked at and does not count."""
    rule, counted = RULES[door], tries.at(now).failures
    if counted < rule.free:
        return timedelta(0)
    doublings = min(counted - rule.free, 20)  # more would leave the range of a timedelta
    over_at = tries.last_at + min(FIRST_WAIT * (1 << doublings), rule.longest)
    return max(timedelta(0), over_at - now)


def doors(*, known_device: bool, known_place: bool) -> tuple[Door, ...]:
    """Return the doors at which a name and a password are tried."""
    if known_device:
        return (Door.DEVICE,)
    return (Door.PLACE,) if known_place else (Door.ACCOUNT, Door.ADDRESS)


def is_worth_an_event(failures: int) -> bool:
    """Return whether somebody should read of it, who need not act."""
    return failures == TOLD_AT


def is_worth_a_warning(failures: int) -> bool:
    """Return whether a person should look at once: at 25, 50, 100 ... failures in a row."""
    times, rest = divmod(failures, WARNED_AT)
    return rest == 0 and times > 0 and times & (times - 1) == 0
