"""How an order's queue moves, as it is asked for: "risk-averse", "log", or "power:2" with its power."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from trading.domain.instruments import UnreadableNumber, parse_decimal

PLAIN_POWER: Final = Decimal(2)
LOWEST_POWER, HIGHEST_POWER = Decimal("0.1"), Decimal(10)


class Queue(StrEnum):
    """What moves our order up besides trades.

    RISK_AVERSE: nothing; but no more can be ahead of us than rests at the price.
    LOG, POWER: cancellations ahead of us, by the probability models of hftbacktest.
    """

    RISK_AVERSE = "risk-averse"
    LOG = "log"
    POWER = "power"


@dataclass(frozen=True, slots=True)
class QueueChoice:
    """A queue, and of POWER its power."""

    queue: Queue
    power: Decimal = PLAIN_POWER

    def __str__(self) -> str:
        return f"{self.queue}:{self.power:f}" if self.queue is Queue.POWER else str(self.queue)


CHOICES: Final = (QueueChoice(Queue.RISK_AVERSE), QueueChoice(Queue.LOG), QueueChoice(Queue.POWER))


def read_queue(value: object) -> QueueChoice:
    """Return the queue that `value` names: risk-averse, log, power or power:P.

    Raises:
        ValueError: it names none, or P is no number from 0.1 to 10; with the reason and what to do.
    """
    name, colon, power = str(value).partition(":")
    if not isinstance(value, str | QueueChoice) or name not in set(Queue) or (colon and name != Queue.POWER):
        text = ascii(value) if isinstance(value, str) else str(value)
        raise ValueError(f"{text[:60]} is not one of {', '.join(Queue)}, power:P; use one of them.")
    return QueueChoice(Queue(name), _power(power) if colon else PLAIN_POWER)


def _power(text: str) -> Decimal:
    try:
        found = parse_decimal(text, field="power")
    except UnreadableNumber:
        found = Decimal(-1)
    if not LOWEST_POWER <= found <= HIGHEST_POWER:
        raise ValueError(f"the power {ascii(text)[:60]} is not from {LOWEST_POWER} to {HIGHEST_POWER}; use e.g. 2.")
    return found
